//! `Shutdown`: the end of a program as something that tasks wait for, and that waits for tasks.
//!
//! Three stages, for a whole program or, with children, for a part of it: running, requested (finish what there is),
//! cancelled (what was entrusted to it is dropped where it is). It ends no task by itself that was not entrusted
//! to it: the end of the run does. Who waits for whom, across shards, is [`Node`], which loom checks.

#[cfg(test)]
mod loom_tests;
mod node;

use std::fmt::{self, Debug, Formatter};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use node::{Event, Node, Stage};

use super::lock as sync;
use crate::select::{Either, select};
use crate::time::{Elapsed, timeout};
use crate::{JoinHandle, spawn};

/// A request to end, shared by its clones, on any thread.
///
/// A task that must be waited for holds a [`Guard`]. Whoever ends the program [requests](Self::request) it, and
/// waits until every guard is [gone](Self::drain), or time is over. A task that may also be ended where it is runs
/// [under](Self::run_until_cancelled) the shutdown. [`finish`](Self::finish) is all of it in order.
///
/// # Examples
///
/// ```
/// use annulus_rt::sync::{Finished, Shutdown};
/// use std::time::Duration;
///
/// annulus_rt::run(async {
///     let shutdown = Shutdown::new();
///     let guard = shutdown.guard();
///     let polite = annulus_rt::spawn(async move {
///         guard.requested().await; // stop taking new work ...
///         "done" // ... finish what there is, and drop the guard
///     });
///     let deaf = shutdown.spawn(std::future::pending::<()>());
///
///     let finished = shutdown.finish(Duration::from_millis(10), Duration::from_secs(10)).await;
///     assert_eq!(finished, Finished::Cancelled(1));
///     assert_eq!(polite.await.unwrap(), "done");
///     assert_eq!(deaf.await.unwrap(), None);
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
///
/// With Ctrl-C:
///
/// ```no_run
/// use annulus_rt::{signal, sync::Shutdown};
/// use std::time::Duration;
///
/// annulus_rt::run(async {
///     let shutdown = Shutdown::new();
///     // ... tasks that hold guards, or were started with `shutdown.spawn` ...
///     signal::terminate().await?;
///     shutdown.finish(Duration::from_secs(10), Duration::from_secs(1)).await;
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Shutdown(Arc<Node>);

/// How a shutdown [finished](Shutdown::finish).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Everybody ended in time by itself.
    Drained,
    /// So many had to be cancelled; none is left.
    Cancelled(usize),
    /// So many guards are still there: their holders do not listen, and were not entrusted to the shutdown. The
    /// end of the run drops their tasks.
    Remaining(usize),
}

impl Shutdown {
    /// A shutdown that nobody has requested yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Node::new())
    }

    /// A shutdown of a part: it is requested and cancelled with this one, or alone. This one waits for its guards
    /// too.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child())
    }

    /// Asks everybody to end. A second call does nothing.
    pub fn request(&self) {
        self.0.enter(Stage::Requested);
    }

    /// Ends what was entrusted to it ([`run_until_cancelled`](Self::run_until_cancelled)), and asks everybody else
    /// to end. A second call does nothing.
    pub fn cancel(&self) {
        self.0.enter(Stage::Cancelled);
    }

    /// Whether it was requested, or cancelled.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.stage() >= Stage::Requested
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.stage() == Stage::Cancelled
    }

    /// Waits until it is requested, or cancelled.
    pub fn requested(&self) -> impl Future<Output = ()> + use<> {
        self.0.wait(Event::Stage(Stage::Requested))
    }

    /// Waits until it is cancelled.
    pub fn cancelled(&self) -> impl Future<Output = ()> + use<> {
        self.0.wait(Event::Stage(Stage::Cancelled))
    }

    /// Something that a shutdown waits for.
    #[must_use = "a shutdown waits for a guard until it is dropped"]
    pub fn guard(&self) -> Guard {
        self.0.hold();
        Guard(self.clone())
    }

    /// How many guards there are, those of its children included.
    #[must_use]
    pub fn guards(&self) -> usize {
        self.0.guards()
    }

    /// Waits until there is no guard. Does not request anything.
    pub fn drained(&self) -> impl Future<Output = ()> + use<> {
        self.0.wait(Event::Drained)
    }

    /// Waits until there is no guard, but not for ever.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] if there still are guards when the time is over: [`guards`](Self::guards) tells how many.
    pub async fn drain(&self, deadline: Duration) -> Result<(), Elapsed> {
        timeout(deadline, self.drained()).await
    }

    /// Runs a future, for which the shutdown waits, until it is ready or the shutdown is
    /// [cancelled](Self::cancel). `None` if it was cancelled: the future is dropped then, which cancels its operations.
    pub fn run_until_cancelled<F: Future>(
        &self,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + use<F> {
        self.guard().run_until_cancelled(future)
    }

    /// Starts a task on this executor that runs [until it is cancelled](Self::run_until_cancelled).
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn(self.run_until_cancelled(future))
    }

    /// Ends in order: requests, waits for the guards for `drain`, cancels what is left, and waits for that for
    /// `reap`. Several tasks, of several shards, may do so at the same time.
    pub async fn finish(&self, drain: Duration, reap: Duration) -> Finished {
        self.request();
        if self.drain(drain).await.is_ok() {
            return Finished::Drained;
        }
        let late = self.guards();
        self.cancel();
        match self.drain(reap).await {
            Ok(()) => Finished::Cancelled(late),
            Err(Elapsed) => Finished::Remaining(self.guards()),
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
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

    /// Waits until the shutdown is cancelled.
    pub fn cancelled(&self) -> impl Future<Output = ()> + use<> {
        self.0.cancelled()
    }

    /// As [`Shutdown::run_until_cancelled`], with this guard.
    pub async fn run_until_cancelled<F: Future>(self, future: F) -> Option<F::Output> {
        // Declared after the guard, so dropped before it.
        let future = pin!(future);
        match select(future, self.cancelled()).await {
            Either::Left(output) => Some(output),
            Either::Right(()) => None,
        }
    }
}

impl Clone for Guard {
    fn clone(&self) -> Self {
        self.0.guard()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.release();
    }
}

impl Debug for Shutdown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("stage", &self.0.stage())
            .field("guards", &self.0.guards())
            .finish_non_exhaustive()
    }
}

impl Debug for Guard {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.0).finish()
    }
}
