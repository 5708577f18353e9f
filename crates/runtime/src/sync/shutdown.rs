//! `Shutdown`: the end of a program as something that tasks wait for, and that waits for tasks.
//!
//! Holds a lock for a few instructions at a time and calls no waker under it, so it works across shards.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::time::{Elapsed, timeout};

/// A request to end, shared by its clones, on any thread.
///
/// A task that must be waited for holds a [`Guard`]. Whoever ends the program [requests](Self::request) it, and
/// waits until every guard is [gone](Self::drain), or time is over.
///
/// # Examples
///
/// ```
/// use annulus_rt::sync::Shutdown;
/// use std::time::Duration;
///
/// annulus_rt::run(async {
///     let shutdown = Shutdown::new();
///     let guard = shutdown.guard();
///     let task = annulus_rt::spawn(async move {
///         guard.requested().await; // stop taking new work ...
///         "done" // ... finish what there is, and drop the guard
///     });
///     shutdown.request();
///     shutdown.drain(Duration::from_secs(10)).await.unwrap();
///     assert_eq!(task.await.unwrap(), "done");
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    requested: bool,
    guards: usize,
    waiting: BTreeMap<u64, Waiting>,
    numbered: u64,
}

struct Waiting {
    event: Event,
    waker: Waker,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Requested,
    Drained,
}

impl Shutdown {
    /// A shutdown that nobody has requested yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to end. A second call does nothing.
    pub fn request(&self) {
        let mut state = self.lock();
        state.requested = true;
        wake(state, Event::Requested);
    }

    /// Whether it was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.lock().requested
    }

    /// Waits until it is requested.
    pub fn requested(&self) -> impl Future<Output = ()> + use<> {
        Wait { shutdown: self.clone(), event: Event::Requested, number: None }
    }

    /// Something that a shutdown waits for.
    #[must_use = "a shutdown waits for a guard until it is dropped"]
    pub fn guard(&self) -> Guard {
        self.lock().guards += 1;
        Guard(self.clone())
    }

    /// How many guards there are.
    #[must_use]
    pub fn guards(&self) -> usize {
        self.lock().guards
    }

    /// Waits until there is no guard. Does not request anything.
    pub fn drained(&self) -> impl Future<Output = ()> + use<> {
        Wait { shutdown: self.clone(), event: Event::Drained, number: None }
    }

    /// Waits until there is no guard, but not for ever.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] if there still are guards when the time is over: [`guards`](Self::guards) tells how many.
    pub async fn drain(&self, deadline: Duration) -> Result<(), Elapsed> {
        timeout(deadline, self.drained()).await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn has_come(&self, event: Event) -> bool {
        match event {
            Event::Requested => self.requested,
            Event::Drained => self.guards == 0,
        }
    }
}

/// Wakes those that wait for an event, without the lock.
fn wake(mut state: MutexGuard<'_, State>, event: Event) {
    let all = std::mem::take(&mut state.waiting);
    let (woken, others): (BTreeMap<_, _>, _) =
        all.into_iter().partition(|(_, waiting)| waiting.event == event);
    state.waiting = others;
    drop(state);
    for (_, waiting) in woken {
        waiting.waker.wake();
    }
}

/// Keeps a shutdown from being over; see [`Shutdown`].
pub struct Guard(Shutdown);

impl Guard {
    /// Waits until the shutdown is requested.
    pub fn requested(&self) -> impl Future<Output = ()> + use<> {
        self.0.requested()
    }

    /// Whether it was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_requested()
    }
}

impl Clone for Guard {
    fn clone(&self) -> Self {
        self.0.guard()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.guards -= 1;
        if state.guards == 0 {
            wake(state, Event::Drained);
        }
    }
}

/// Waits for an event.
struct Wait {
    shutdown: Shutdown,
    event: Event,
    number: Option<u64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.shutdown.lock();
        if state.has_come(this.event) {
            return Poll::Ready(());
        }
        let number = *this.number.get_or_insert(state.numbered);
        state.numbered = state.numbered.max(number + 1);
        let waiting = Waiting { event: this.event, waker: cx.waker().clone() };
        let old = state.waiting.insert(number, waiting);
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let gone = self.shutdown.lock().waiting.remove(&number);
            drop(gone);
        }
    }
}

impl Debug for Shutdown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Shutdown")
            .field("requested", &state.requested)
            .field("guards", &state.guards)
            .finish_non_exhaustive()
    }
}

impl Debug for Guard {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.0).finish()
    }
}
