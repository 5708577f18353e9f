//! The timers of one executor, ordered by their end.
//!
//! Timers of the same end fire in the order in which they were set.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Instant;

use super::clock;
use crate::driver::Wait;

/// Names a timer: when it ends, and which of those that end then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerId {
    deadline: Instant,
    number: u64,
}

/// The timers.
#[derive(Default)]
pub(crate) struct Timers {
    pending: RefCell<BTreeMap<TimerId, Waker>>,
    numbered: Cell<u64>,
}

impl Timers {
    pub(crate) fn insert(&self, deadline: Instant, waker: Waker) -> TimerId {
        let number = self.numbered.get();
        self.numbered.set(number + 1);
        let id = TimerId { deadline, number };
        let _new = self.pending.borrow_mut().insert(id, waker);
        id
    }

    /// Replaces the waker; whether the timer is still pending.
    pub(crate) fn refresh(&self, id: TimerId, waker: &Waker) -> bool {
        self.pending.borrow_mut().get_mut(&id).map(|old| old.clone_from(waker)).is_some()
    }

    /// Takes a timer out; its waker is given back to be dropped by the caller.
    pub(crate) fn remove(&self, id: TimerId) -> Option<Waker> {
        self.pending.borrow_mut().remove(&id)
    }

    /// How long to wait for completions: until the nearest timer ends.
    pub(crate) fn wait(&self) -> Wait {
        let pending = self.pending.borrow();
        let Some((first, _)) = pending.first_key_value() else { return Wait::Forever };
        let left = first.deadline.saturating_duration_since(clock::now());
        if left.is_zero() { Wait::No } else { Wait::AtMost(left) }
    }

    /// Wakes what has ended, in order. Reads the clock once, and only if there is a timer.
    pub(crate) fn fire(&self) {
        if self.pending.borrow().is_empty() {
            return;
        }
        let now = clock::now();
        loop {
            let waker = {
                let mut pending = self.pending.borrow_mut();
                match pending.first_entry() {
                    Some(first) if first.key().deadline <= now => first.remove(),
                    _ => return,
                }
            };
            waker.wake();
        }
    }
}
