//! Ticks: the same again and again.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::{Sleep, clock, sleep_until};
use crate::coop;

/// What becomes of ticks that were due while nobody waited for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// They come at once, one after the other, until as many ticks have come as periods have gone by: for what
    /// counts ticks.
    #[default]
    Burst,
    /// They are left out, and the next tick is due one period after the one that came late: for what needs a pause between
    /// two ticks.
    Delay,
    /// They are left out, and the next tick is due at the next whole number of periods since the start: for what
    /// keeps a rhythm.
    Skip,
}

impl MissedTickBehavior {
    /// When the tick after one is due that was due at `due` and came at `now`.
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        let in_order = clock::plus(due, period);
        if now < in_order {
            return in_order;
        }
        match self {
            Self::Burst => in_order,
            Self::Delay => clock::plus(now, period),
            Self::Skip => {
                let late = now.duration_since(due).as_nanos() % period.as_nanos();
                // Less than a period, which a `Duration` holds.
                let seconds = u64::try_from(late / 1_000_000_000).unwrap_or(u64::MAX);
                let rest = u32::try_from(late % 1_000_000_000).unwrap_or(0);
                clock::plus(now - Duration::new(seconds, rest), period)
            }
        }
    }
}

/// A tick at once, and then one in every period. Ticks that are missed come in a burst, unless
/// [`Interval::set_missed_tick_behavior`] says otherwise.
///
/// # Panics
///
/// If the period is zero.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// annulus_rt::run(async {
///     let mut ticks = annulus_rt::time::interval(Duration::from_millis(2));
///     let first = ticks.tick().await;
///     ticks.tick().await;
///     assert_eq!(ticks.tick().await - first, Duration::from_millis(4));
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[must_use]
pub fn interval(period: Duration) -> Interval {
    interval_at(clock::now(), period)
}

/// As [`interval`], with the first tick at `start`.
///
/// # Panics
///
/// If the period is zero.
#[must_use]
pub const fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval with a period of zero would tick for ever at once");
    Interval { next: sleep_until(start), period, behavior: MissedTickBehavior::Burst }
}

/// Ticks, of [`interval`].
#[derive(Debug)]
pub struct Interval {
    next: Sleep,
    period: Duration,
    behavior: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick. Returns when it was due, which may be a while ago.
    ///
    /// If the future is dropped, no tick is lost.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// As [`tick`](Self::tick), for futures that are written by hand.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        // Within the budget of the task: many ticks may have been missed.
        if coop::limit(cx, |cx| Pin::new(&mut self.next).poll(cx)).is_pending() {
            return Poll::Pending;
        }
        let due = self.next.deadline();
        self.next.reset(self.behavior.next(due, clock::now(), self.period));
        Poll::Ready(due)
    }

    /// Makes the next tick due one period from now.
    pub fn reset(&mut self) {
        self.next.reset(super::later(self.period));
    }

    /// Makes the next tick due at once.
    pub fn reset_immediately(&mut self) {
        self.next.reset(clock::now());
    }

    /// Makes the next tick due at a point in time; the others follow from there.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.next.reset(deadline);
    }

    /// The time between two ticks.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// What becomes of ticks that are missed.
    #[must_use]
    pub const fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Decides what becomes of ticks that are missed.
    pub const fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }
}

#[cfg(test)]
#[path = "interval_tests.rs"]
mod tests;
