//! What an executor counts, as data: [`Counters`], and how long its polls took, [`PollTimes`].
//!
//! Nothing here is shared or atomic: each executor counts for itself, and hands out copies.

use std::cell::Cell;
use std::fmt::{self, Debug, Formatter};
use std::time::Duration;

use crate::time::clock;

/// What an executor has done so far, and has at this moment; see [`counters`](crate::counters). Plain data, which may be sent to
/// another thread: those of another shard are asked for there.
///
/// ```
/// use annulus_rt::{Shards, counters, shard};
///
/// Shards::new(2).run(|own| async move {
///     let other = shard::spawn_on(1 - own, || async { counters() });
///     println!("{own}: {:?}, beside {:?}", counters(), other.await);
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Calls of io_uring_enter(2): of the engine those that submit or wait, as it is looked after in each turn.
    pub enters: u64,
    /// Entries that these calls handed over.
    pub submitted: u64,
    /// Completions.
    pub completions: u64,
    /// Completions for operations that had been given up and forgotten. Stays zero.
    pub stale: u64,
    /// Messages to other shards, to wake them, that went through this executor's ring.
    pub messages: u64,
    /// Operations that the engine carried out beside the kernel, which does not have them or denies them.
    pub aside: u64,
    /// Operations in flight at this moment.
    pub in_flight: usize,
    /// Of these, operations whose future was dropped: their memory is kept until the last completion.
    pub parked: usize,
    /// Entries that wait at this moment for room in the submission queue.
    pub backlog: usize,
    /// Turns of the loop.
    pub turns: u64,
    /// Polls, of tasks and the root future.
    pub polls: u64,
    /// Tasks that were spawned.
    pub spawned: u64,
    /// Tasks at this moment.
    pub tasks: usize,
    /// Tasks that are ready to be polled at this moment.
    pub ready: usize,
    /// The most that were at the beginning of a turn.
    pub longest_ready: usize,
    /// Timers that have not fired at this moment.
    pub timers: usize,
    /// How long polls took, if [`Builder::poll_times`](crate::Builder::poll_times) is on.
    pub poll_times: Option<PollTimes>,
}

/// How many ranges a histogram has: the last begins at half a minute.
const RANGES: usize = 36;

/// A histogram of the time that polls took, by powers of two.
///
/// # Examples
///
/// ```
/// use annulus_rt::{Builder, counters, yield_now};
///
/// let times = Builder::new().poll_times(true).run(async {
///     yield_now().await;
///     counters().poll_times.unwrap()
/// })?;
/// for (from, polls) in times.ranges().filter(|(_, polls)| *polls > 0) {
///     println!("{polls} polls took {from:?} or more");
/// }
/// assert!(times.count() >= 1);
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PollTimes([u64; RANGES]);

impl PollTimes {
    /// Each range with its count: from this time on, and below twice of it. The first begins at 0, the second at 2 ns, the last
    /// has no end.
    pub fn ranges(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let from = |range: usize| if range == 0 { 0 } else { 1_u64 << range };
        self.0.iter().enumerate().map(move |(range, count)| (Duration::from_nanos(from(range)), *count))
    }

    /// How many polls there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// A bound that this share of the polls (from 0 to 1) stayed below: the end of the range in which the slowest of them lies.
    /// `None` without polls, and if there is no such bound because it took longest of all.
    #[must_use]
    pub fn below(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let mut left = count;
        for (range, polls) in self.0.iter().enumerate().take(RANGES - 1) {
            left -= polls;
            #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits than a float has")]
            if 1.0 - left as f64 / count as f64 >= share {
                return Some(Duration::from_nanos(2 << range));
            }
        }
        None
    }

    /// The range of a time.
    fn range(time: Duration) -> usize {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let range = nanoseconds.max(1).ilog2() as usize;
        range.min(RANGES - 1)
    }
}

impl Default for PollTimes {
    fn default() -> Self {
        Self([0; RANGES])
    }
}

impl Debug for PollTimes {
    /// The ranges in which there are polls.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.ranges().filter(|(_, polls)| *polls > 0)).finish()
    }
}

/// Measures polls.
pub(crate) struct PollClock([Cell<u64>; RANGES]);

impl PollClock {
    /// Runs `poll`, and counts the time it took.
    pub(crate) fn measure<T>(&self, poll: impl FnOnce() -> T) -> T {
        let before = clock::now();
        let polled = poll();
        let cell = &self.0[PollTimes::range(clock::now().saturating_duration_since(before))];
        cell.set(cell.get() + 1);
        polled
    }

    pub(crate) fn times(&self) -> PollTimes {
        PollTimes(std::array::from_fn(|range| self.0[range].get()))
    }
}

impl Default for PollClock {
    fn default() -> Self {
        Self([const { Cell::new(0) }; RANGES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_the_power_of_two_that_it_reaches() {
        let ns = Duration::from_nanos;
        assert_eq!(PollTimes::range(ns(0)), 0);
        assert_eq!(PollTimes::range(ns(1)), 0);
        assert_eq!(PollTimes::range(ns(2)), 1);
        assert_eq!(PollTimes::range(ns(1023)), 9);
        assert_eq!(PollTimes::range(ns(1024)), 10);
        assert_eq!(PollTimes::range(Duration::MAX), 35);
        let mut times = PollTimes::default();
        times.0[1] = 3;
        times.0[10] = 1;
        let ranges: Vec<_> = times.ranges().filter(|(_, polls)| *polls > 0).collect();
        assert_eq!(ranges, [(ns(2), 3), (ns(1024), 1)]);
        assert_eq!(times.count(), 4);
        assert_eq!(times.below(0.75), Some(ns(4)));
        assert_eq!(times.below(0.76), Some(ns(2048)));
        assert_eq!(PollTimes::default().below(0.5), None);
    }
}
