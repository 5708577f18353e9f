//! Deadlines: which request is due, and when the next one will be.
//!
//! Time is an argument: [`Now`] is what the caller's clocks say. Nothing here arms a timer of the system or posts
//! a completion.
//!
//! What it keeps true: requests become due in the order of their deadlines, and in the order of their insertion
//! where these are equal; what was removed never becomes due. Everything takes time logarithmic in the number of
//! deadlines of a clock, and allocates only to grow. The lists are as long as the engine's table at the most.

mod counted;
mod queue;
mod repeat;

pub(crate) use counted::Counted;
pub(crate) use repeat::{deadline_ns, next_tick_ns};

use crate::scheduler::Key;
use crate::world::ClockId;

use queue::Queue;

/// What the clocks say, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// `CLOCK_MONOTONIC`.
    pub(crate) monotonic_ns: u64,
    /// `CLOCK_BOOTTIME`.
    pub(crate) boottime_ns: u64,
    /// `CLOCK_REALTIME`.
    pub(crate) realtime_ns: u64,
}

impl Now {
    /// What this clock says.
    pub(crate) const fn on(&self, clock: ClockId) -> u64 {
        match clock {
            ClockId::Monotonic => self.monotonic_ns,
            ClockId::Boottime => self.boottime_ns,
            ClockId::Realtime => self.realtime_ns,
        }
    }
}

/// A point on a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    /// The clock.
    pub(crate) clock: ClockId,
    /// Nanoseconds on it.
    pub(crate) at_ns: u64,
}

/// The deadlines of a ring's requests, one for each at the most.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    monotonic: Queue,
    boottime: Queue,
    realtime: Queue,
}

const CLOCKS: [ClockId; 3] = [ClockId::Monotonic, ClockId::Boottime, ClockId::Realtime];

impl Timers {
    /// Whether there is no deadline at all.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of deadlines.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.monotonic.len() + self.boottime.len() + self.realtime.len()
    }

    /// Gives a request its deadline. It must not have one.
    pub(crate) fn insert(&mut self, key: Key, clock: ClockId, at_ns: u64) {
        assert!(self.deadline(key).is_none(), "{key:?} has a deadline: {:?}", self.deadline(key));
        self.on_mut(clock).insert(key, at_ns);
    }

    /// Takes a request's deadline away, if it has one.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Deadline> {
        let deadline = self.deadline(key)?;
        self.on_mut(deadline.clock).remove(key);
        Some(deadline)
    }

    /// A request's deadline.
    pub(crate) fn deadline(&self, key: Key) -> Option<Deadline> {
        let on = |clock| self.on(clock).at(key).map(|at_ns| Deadline { clock, at_ns });
        CLOCKS.into_iter().find_map(on)
    }

    /// The next deadline on this clock, in nanoseconds.
    #[inline]
    pub(crate) fn next_ns(&self, clock: ClockId) -> Option<u64> {
        self.on(clock).first().map(|(_, at_ns)| at_ns)
    }

    /// Nanoseconds until the next deadline, 0 if one is past. A clock that is set meanwhile makes it wrong.
    pub(crate) fn until_next_ns(&self, now: &Now) -> Option<u64> {
        CLOCKS.into_iter().filter_map(|clock| Some(self.next_ns(clock)?.saturating_sub(now.on(clock)))).min()
    }

    /// Takes out the next request whose deadline has come: the one that is the most overdue. Between clocks, that
    /// is as good an order as any.
    pub(crate) fn pop_expired(&mut self, now: &Now) -> Option<(Key, Deadline)> {
        let overdue = |clock: &ClockId| now.on(*clock).checked_sub(self.next_ns(*clock)?);
        // Of equal ones, `max_by_key` would give the last clock.
        let clock = CLOCKS.into_iter().rev().filter(|it| overdue(it).is_some()).max_by_key(overdue)?;
        let (key, at_ns) = self.on_mut(clock).pop()?;
        Some((key, Deadline { clock, at_ns }))
    }

    const fn on(&self, clock: ClockId) -> &Queue {
        match clock {
            ClockId::Monotonic => &self.monotonic,
            ClockId::Boottime => &self.boottime,
            ClockId::Realtime => &self.realtime,
        }
    }

    const fn on_mut(&mut self, clock: ClockId) -> &mut Queue {
        match clock {
            ClockId::Monotonic => &mut self.monotonic,
            ClockId::Boottime => &mut self.boottime,
            ClockId::Realtime => &mut self.realtime,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn now(monotonic_ns: u64, boottime_ns: u64, realtime_ns: u64) -> Now {
        Now { monotonic_ns, boottime_ns, realtime_ns }
    }

    fn drain(timers: &mut Timers, now: &Now) -> Vec<u32> {
        std::iter::from_fn(|| timers.pop_expired(now)).map(|(key, _)| key.0).collect()
    }

    #[test]
    fn deadlines_expire_in_their_order_and_equal_ones_as_they_were_inserted() {
        let mut timers = Timers::default();
        for (key, at_ns) in [(4, 20), (9, 10), (1, 20), (7, 20), (2, 31)] {
            timers.insert(Key(key), ClockId::Monotonic, at_ns);
        }
        assert_eq!(timers.next_ns(ClockId::Monotonic), Some(10));
        assert_eq!(drain(&mut timers, &now(9, 0, 0)), [0; 0]);
        assert_eq!(drain(&mut timers, &now(30, 0, 0)), [9, 4, 1, 7]);
        assert_eq!(timers.pop_expired(&now(31, 0, 0)).map(|(key, at)| (key, at.at_ns)), Some((Key(2), 31)));
        assert!(timers.is_empty());
    }

    #[test]
    fn each_clock_has_its_own_time() {
        let mut timers = Timers::default();
        timers.insert(Key(1), ClockId::Monotonic, 100);
        timers.insert(Key(2), ClockId::Boottime, 100);
        timers.insert(Key(3), ClockId::Realtime, 1_000);
        assert_eq!(timers.until_next_ns(&now(10, 60, 990)), Some(10));
        assert_eq!(drain(&mut timers, &now(10, 100, 999)), [2]);
        assert_eq!(drain(&mut timers, &now(101, 101, 1_005)), [3, 1], "the most overdue first");
        assert_eq!(timers.until_next_ns(&now(0, 0, 0)), None);
    }

    #[test]
    fn what_was_removed_never_expires() {
        let mut timers = Timers::default();
        timers.insert(Key(1), ClockId::Realtime, 5);
        timers.insert(Key(2), ClockId::Realtime, 5);
        assert_eq!(timers.remove(Key(1)), Some(Deadline { clock: ClockId::Realtime, at_ns: 5 }));
        assert_eq!(timers.remove(Key(1)), None);
        assert_eq!(drain(&mut timers, &now(0, 0, 5)), [2]);
    }

    #[test]
    #[should_panic(expected = "Key(1) has a deadline")]
    fn a_second_deadline_for_one_request_is_a_mistake() {
        let mut timers = Timers::default();
        timers.insert(Key(1), ClockId::Monotonic, 5);
        timers.insert(Key(1), ClockId::Realtime, 5);
    }
}
