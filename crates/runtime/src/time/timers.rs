//! The timers of one executor: a heap of their ends, and beside it a table of whom they wake.
//!
//! Setting one pushes it into the heap; the next to end is at its top. One that is cancelled leaves the table at once, and the
//! heap when it comes up there, or when more than half of the heap is such: so cancelling costs no search, and what is cancelled
//! takes no more room than what is pending. Timers of the same end fire in the order in which they were set.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use super::clock;
use crate::driver::Wait;

/// Heaps below this size are not worth being cleared of what was cancelled.
const SMALL: usize = 64;

/// Names a timer: its place in the table, and its number, which no other timer of the executor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerId {
    place: u32,
    number: u64,
}

/// A timer in the heap. The earliest end comes first; of the same, what was set first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    /// Nanoseconds since the executor was made.
    at: u64,
    number: u64,
    place: u32,
}

/// Whom a timer wakes.
struct Pending {
    number: u64,
    waker: Waker,
}

/// The timers.
pub(crate) struct Timers {
    origin: Instant,
    /// The clock as it was read last: it is at least that late.
    read: Cell<Instant>,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    ends: BinaryHeap<Reverse<End>>,
    pending: Slab<Pending>,
    numbered: u64,
}

impl Default for Timers {
    fn default() -> Self {
        let origin = clock::now();
        Self { origin, read: Cell::new(origin), inner: RefCell::default() }
    }
}

impl Timers {
    /// Sets a timer. `None` if its end is known to be over.
    pub(crate) fn insert(&self, deadline: Instant, waker: &Waker) -> Option<TimerId> {
        if deadline <= self.read.get() {
            return None;
        }
        let at = self.nanoseconds(deadline);
        Some(self.inner.borrow_mut().insert(at, waker.clone()))
    }

    /// Replaces the waker; whether the timer is still pending.
    pub(crate) fn refresh(&self, id: TimerId, waker: &Waker) -> bool {
        let replaced = {
            let mut inner = self.inner.borrow_mut();
            let Some(pending) = inner.get_mut(id) else { return false };
            if pending.waker.will_wake(waker) {
                return true;
            }
            std::mem::replace(&mut pending.waker, waker.clone())
        };
        // Not borrowed: a waker's destructor may come back to the timers.
        drop(replaced);
        true
    }

    /// Cancels a timer; its waker is given back to be dropped by the caller.
    pub(crate) fn remove(&self, id: TimerId) -> Option<Waker> {
        self.inner.borrow_mut().remove(id)
    }

    /// How long to wait for completions: until the nearest timer ends.
    pub(crate) fn wait(&self) -> Wait {
        let Some(next) = self.inner.borrow_mut().next() else { return Wait::Forever };
        let left = next.saturating_sub(self.nanoseconds(self.read_clock()));
        if left == 0 { Wait::No } else { Wait::AtMost(Duration::from_nanos(left)) }
    }

    /// Wakes what has ended, in order. Reads the clock once, and only if there is a timer.
    pub(crate) fn fire(&self) {
        if self.inner.borrow().pending.is_empty() {
            return;
        }
        let now = self.nanoseconds(self.read_clock());
        loop {
            // Borrowed for one at a time: a waker may come back to the timers.
            let Some(waker) = self.inner.borrow_mut().pop(now) else { return };
            waker.wake();
        }
    }

    /// How many are pending.
    pub(crate) fn len(&self) -> usize {
        self.inner.borrow().pending.len()
    }

    /// Somebody else has read the clock.
    pub(crate) fn note(&self, now: Instant) {
        self.read.set(now);
    }

    fn read_clock(&self) -> Instant {
        let now = clock::now();
        self.read.set(now);
        now
    }

    /// Since the executor was made; what does not fit is in 584 years.
    fn nanoseconds(&self, point: Instant) -> u64 {
        u64::try_from(point.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Inner {
    fn insert(&mut self, at: u64, waker: Waker) -> TimerId {
        let number = self.numbered;
        self.numbered += 1;
        let place = self.pending.insert(Pending { number, waker });
        // A place beyond that would take 2^32 timers, which no memory holds.
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.ends.push(Reverse(End { at, number, place }));
        TimerId { place, number }
    }

    fn get_mut(&mut self, id: TimerId) -> Option<&mut Pending> {
        self.pending.get_mut(id.place as usize).filter(|pending| pending.number == id.number)
    }

    fn is_pending(&self, end: &End) -> bool {
        self.pending.get(end.place as usize).is_some_and(|pending| pending.number == end.number)
    }

    fn remove(&mut self, id: TimerId) -> Option<Waker> {
        self.get_mut(id)?;
        let waker = self.pending.remove(id.place as usize).waker;
        if self.ends.len() > SMALL && self.ends.len() > 2 * self.pending.len() {
            let mut ends = std::mem::take(&mut self.ends);
            ends.retain(|Reverse(end)| self.is_pending(end));
            self.ends = ends;
        }
        Some(waker)
    }

    /// When the next one ends.
    fn next(&mut self) -> Option<u64> {
        while let Some(Reverse(end)) = self.ends.peek() {
            if self.is_pending(end) {
                return Some(end.at);
            }
            self.ends.pop();
        }
        None
    }

    /// Takes one out that has ended.
    fn pop(&mut self, now: u64) -> Option<Waker> {
        if self.next()? > now {
            return None;
        }
        let Reverse(end) = self.ends.pop()?;
        Some(self.pending.remove(end.place as usize).waker)
    }
}

#[cfg(test)]
#[path = "timers_tests.rs"]
mod tests;
