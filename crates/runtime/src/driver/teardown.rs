//! Teardown: stop, cancel everything, reap until nothing is in flight; leak rather than free.
//!
//! Closing a ring does not stop the kernel from writing into the buffers of what is in flight, so the
//! ring is closed only when nothing is, or else everything that is still named is leaked.

use std::time::Duration;

use annulus::{opcode, types};

use super::side::Limits;
use super::table::{Place, Table};
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
        let mut asked = Asked::Nobody;
        while self.in_flight() > 0 && clock::now() < end {
            asked = self.inner.borrow_mut().ask_to_end(asked);
            let before = self.in_flight();
            if self.enter(Wait::AtMost(ROUND)).is_err() {
                break;
            }
            self.reap();
            if self.in_flight() == before {
                asked = asked.again();
            }
        }
        // What was pushed last, cancellations and closes, is handed over before the rings go.
        let mut inner = self.inner.borrow_mut();
        let _ = inner.enter(Wait::No);
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
                let any = opcode::AsyncCancel2::new(types::CancelBuilder::any().all()).build();
                // What is waited for are the completions of the others.
                let any = any.flags(self.cancel_flags);
                self.queue_ignored(Place::Main, any);
                self.queue_ignored(Place::Side, any);
                Asked::Together
            }
            Asked::Stuck => {
                for (key, place) in self.table.unfinished() {
                    let user_data = self.table.user_data(key);
                    self.queue_ignored(place, opcode::AsyncCancel::new(user_data).build());
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
