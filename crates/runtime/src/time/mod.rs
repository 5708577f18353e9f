//! Sleeping, ticking, deadlines, and futures that take too long.
//!
//! Timers live in the executor and cost the ring nothing: the nearest one bounds the wait of the turn.
//! The clock is monotonic and read in `clock` alone.

pub(crate) mod clock;
mod deadline;
mod interval;
pub(crate) mod timers;

pub use deadline::Deadline;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};

use std::fmt::{self, Display, Formatter};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::executor::{Context as Executor, current};
use timers::TimerId;

/// The monotonic clock, as the timers read it.
#[must_use]
pub fn now() -> Instant {
    clock::now()
}

/// Waits for a while; at least that long.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// annulus_rt::run(async {
///     let start = annulus_rt::time::now();
///     annulus_rt::time::sleep(Duration::from_millis(5)).await;
///     assert!(start.elapsed() >= Duration::from_millis(5));
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(later(duration))
}

/// Waits until a point in time.
pub const fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, timer: None }
}

/// Gives a future some time.
///
/// # Errors
///
/// [`Elapsed`] if the time is over first; the future is dropped then, which cancels what it waited for.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use annulus_rt::time::{Elapsed, timeout};
///
/// annulus_rt::run(async {
///     let never = timeout(Duration::from_millis(5), std::future::pending::<()>());
///     assert_eq!(never.await, Err(Elapsed));
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    timeout_at(later(duration), future).await
}

/// Gives a future time until a deadline.
///
/// # Errors
///
/// As [`timeout`].
pub async fn timeout_at<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut sleep = sleep_until(deadline);
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// A point in the future. The executor is told what the clock said, so that no time at all is over at once.
fn later(duration: Duration) -> Instant {
    let now = clock::now();
    current::with(|executor| executor.timers.note(now));
    clock::plus(now, duration)
}

/// The time of a [`timeout`] was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl Display for Elapsed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the time was over")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    /// `ErrorKind::TimedOut`.
    fn from(_: Elapsed) -> Self {
        io::ErrorKind::TimedOut.into()
    }
}

/// The future of [`sleep`] and [`sleep_until`].
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    deadline: Instant,
    /// Where it is registered, once it has been polled.
    timer: Option<(Rc<Executor>, TimerId)>,
}

impl Sleep {
    /// When it is over.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Moves the end, as a connection does that has heard from its peer. Cheap.
    pub fn reset(&mut self, deadline: Instant) {
        self.unregister();
        self.deadline = deadline;
    }

    fn unregister(&mut self) {
        if let Some((executor, id)) = self.timer.take() {
            drop(executor.timers.remove(id));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.as_ref().is_some_and(|(executor, _)| executor.is_ending()) {
            // Its run is over, and this was taken out of it: it goes on where it is polled now.
            self.unregister();
        }
        if let Some((executor, id)) = &self.timer {
            if executor.timers.refresh(*id, cx.waker()) {
                return Poll::Pending;
            }
            // It fired.
            self.timer = None;
            return Poll::Ready(());
        }
        let executor = Executor::current();
        let Some(id) = executor.timers.insert(self.deadline, cx.waker()) else { return Poll::Ready(()) };
        self.timer = Some((executor, id));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.unregister();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
