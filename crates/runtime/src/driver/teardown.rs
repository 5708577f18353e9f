//! Teardown: stop, cancel everything, reap until nothing is in flight; leak rather than free.
//!
//! Closing a ring does not stop the kernel from writing into the buffers of what is in flight, so the
//! ring is closed only when nothing is, or else everything that is still named is leaked. A ring that denies
//! every way to cancel is closed all the same, which makes the kernel cancel; what it names is freed once the
//! ring is seen to be [gone](super::witness).

use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::cancels::Means;
use super::side::Limits;
use super::table::{Completion, Table};
use super::witness::Witness;
use super::{Driver, Inner, Wait};
use crate::time::clock;

/// How long one wait for completions takes before everything is cancelled once more.
const ROUND: Duration = Duration::from_millis(50);

impl Driver {
    /// Ends the driver. Futures that still exist have been told; nothing can be submitted any more.
    /// Returns how many operations did not end within `deadline` and were leaked.
    pub(crate) fn tear_down(&self, deadline: Duration) -> usize {
        self.inner.borrow_mut().closing = true;
        let end = clock::now() + deadline;
        self.ask_until(end);
        // What was pushed last, cancellations and closes, is handed over before the rings go.
        let _ = self.inner.borrow_mut().enter(Wait::No);
        if self.in_flight() > 0 && self.means() == Means::Nothing {
            self.close_and_wait(end);
        }
        let mut inner = self.inner.borrow_mut();
        let left = inner.table.in_flight();
        inner.leaked = left > 0;
        inner.main = None;
        inner.side = None;
        drop(inner);
        if left > 0 {
            tracing::error!(left, "operations did not end after they were cancelled; their memory is leaked");
        }
        left
    }

    /// Cancels what is in flight until nothing is any more; until `end`; or until nothing more ends, where the main ring
    /// cannot be asked.
    fn ask_until(&self, end: Instant) {
        let mut asked = Asked::Nobody;
        let mut means = self.means();
        while self.in_flight() > 0 && clock::now() < end {
            asked = self.inner.borrow_mut().ask_to_end(asked);
            let before = self.in_flight();
            let called = self.inner.borrow().cancels.has_calls();
            if (called && self.enter(Wait::No).is_err()) || self.enter(Wait::AtMost(ROUND)).is_err() {
                break;
            }
            self.reap();
            if self.means() != means {
                means = self.means();
                asked = Asked::Nobody;
            } else if self.in_flight() == before {
                if means == Means::Nothing && self.inner.borrow().table.is_all_on_main() {
                    break;
                }
                asked = asked.again();
            }
        }
    }

    /// Closes the main ring, which ends what is in flight on it, and waits until it is gone, but not longer than until
    /// `end`. Whatever a ring that is gone did not tell of was cancelled.
    fn close_and_wait(&self, end: Instant) {
        let slots = self.has_slots();
        let witness = self.with_ring(|ring| Witness::of(ring, slots));
        let Some(Some(witness)) = witness else { return };
        self.reap();
        self.inner.borrow_mut().main = None;
        if !witness.sees_the_end(end) {
            return;
        }
        let over = self.inner.borrow().table.unfinished();
        for (key, _) in over {
            let user_data = self.inner.borrow().table.user_data(key);
            self.deliver(user_data, Completion::failed(Errno::CANCELED));
        }
    }

    fn means(&self) -> Means {
        self.inner.borrow().cancels.means()
    }
}

/// Whom teardown has asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nobody,
    /// All of them, in one request.
    Together,
    /// That did not help, or not enough: it will be asked of each.
    Stuck,
    /// Each of them.
    Each,
}

impl Asked {
    /// After a round in which nothing ended.
    const fn again(self) -> Self {
        match self {
            Self::Nobody => Self::Nobody,
            Self::Together | Self::Stuck => Self::Stuck,
            Self::Each => Self::Nobody,
        }
    }
}

impl Inner {
    /// Cancels whatever is in flight; what waits in a backlog reaches its ring first, in order. First by one request for
    /// all; if that ends nothing, one by one, for kernels before 5.19, which do not know how to cancel any.
    fn ask_to_end(&mut self, asked: Asked) -> Asked {
        match asked {
            Asked::Nobody => {
                self.ask_all();
                Asked::Together
            }
            Asked::Stuck => {
                for (key, _) in self.table.unfinished() {
                    self.cancel(key);
                }
                Asked::Each
            }
            Asked::Together | Asked::Each => asked,
        }
    }
}

impl Drop for Inner {
    /// What is in flight for ever is kept for ever; and so is what was in flight when a panic kept
    /// [`Driver::tear_down`] from being called.
    fn drop(&mut self) {
        if self.leaked || self.table.in_flight() > 0 {
            std::mem::forget(std::mem::replace(&mut self.table, Table::new(0, Limits::default())));
        }
    }
}
