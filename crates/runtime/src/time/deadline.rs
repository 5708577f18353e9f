//! `Deadline`: a budget of time that is handed down.

use std::time::{Duration, Instant};

use super::{Elapsed, clock, timeout_at};

/// Until when something has time: made once where a request comes in, and handed down to everything that is done for it, so that
/// the parts together do not take longer than the whole may.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use annulus_rt::time::{Deadline, Elapsed, sleep};
///
/// async fn part(deadline: Deadline) -> Result<(), Elapsed> {
///     // What is left, but no more than 3 ms of it.
///     deadline.within(Duration::from_millis(3)).run(sleep(Duration::from_secs(100))).await
/// }
///
/// annulus_rt::run(async {
///     let deadline = Deadline::after(Duration::from_secs(10));
///     assert_eq!(part(deadline).await, Err(Elapsed));
///     assert!(!deadline.is_over());
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// As much time as it takes.
    pub const NEVER: Self = Self(None);

    /// From now on so long.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        Self(Some(super::later(duration)))
    }

    /// Until a point in time.
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self(Some(instant))
    }

    /// The point in time; `None` for [`NEVER`](Self::NEVER).
    #[must_use]
    pub const fn instant(self) -> Option<Instant> {
        self.0
    }

    /// The earlier of this one and another.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(one), Some(other)) => Self(Some(one.min(other))),
            (one, other) => Self(one.or(other)),
        }
    }

    /// The rest of the time, but from now on no more than so long.
    #[must_use]
    pub fn within(self, duration: Duration) -> Self {
        self.earlier(Self::after(duration))
    }

    /// How much time is left; `None` for [`NEVER`](Self::NEVER).
    #[must_use]
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|instant| instant.saturating_duration_since(clock::now()))
    }

    /// Whether no time is left.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.0.is_some_and(|instant| instant <= clock::now())
    }

    /// Gives a future the time that is left. It is polled at least once.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] if the time is over first; the future is dropped then, which cancels what it waited for.
    pub async fn run<F: Future>(self, future: F) -> Result<F::Output, Elapsed> {
        match self.0 {
            Some(instant) => timeout_at(instant, future).await,
            None => Ok(future.await),
        }
    }

    /// Waits until no time is left.
    pub async fn passed(self) {
        match self.0 {
            Some(instant) => super::sleep_until(instant).await,
            None => std::future::pending().await,
        }
    }
}

impl From<Instant> for Deadline {
    fn from(instant: Instant) -> Self {
        Self::at(instant)
    }
}
