//! Teardown: stop, cancel everything, reap until nothing is in flight; leak rather than free.
//!
//! Closing a ring does not stop the kernel from writing into the buffers of what is in flight, so the
//! ring is closed only when nothing is, or else everything that is still named is leaked.

use std::time::Duration;

use annulus::{opcode, types};

use super::table::Table;
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
        let mut broken = false;
        let mut rounds = 0;
        while self.in_flight() > 0 && !broken && clock::now() < end {
            self.inner.borrow_mut().cancel_all(rounds > 0);
            rounds += 1;
            broken = self.enter(Wait::AtMost(ROUND)).is_err();
            self.reap();
        }
        // What was pushed last, cancellations and closes, is handed over before the ring goes.
        let mut inner = self.inner.borrow_mut();
        inner.fill();
        let _ = inner.enter(Wait::No);
        let left = inner.table.in_flight();
        inner.leaked = left > 0;
        inner.ring = None;
        drop(inner);
        if left > 0 {
            tracing::error!(left, "operations did not end after they were cancelled; their memory is leaked");
        }
        left
    }
}

impl Inner {
    /// Cancels whatever is in flight; what waits in the backlog reaches the kernel first, in order. `each`
    /// cancels one by one as well, for kernels before 5.19, which do not know how to cancel any.
    fn cancel_all(&mut self, each: bool) {
        let any = opcode::AsyncCancel2::new(types::CancelBuilder::any().all()).build();
        self.queue_ignored(any);
        if each {
            for user_data in self.table.unfinished() {
                self.queue_ignored(opcode::AsyncCancel::new(user_data).build());
            }
        }
    }
}

impl Drop for Inner {
    /// What is in flight for ever is kept for ever; and so is what was in flight when a panic kept
    /// [`Driver::tear_down`] from being called.
    fn drop(&mut self) {
        if self.leaked || self.table.in_flight() > 0 {
            std::mem::forget(std::mem::replace(&mut self.table, Table::new(0)));
        }
    }
}
