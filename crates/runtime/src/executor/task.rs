//! What can be done to a task from anywhere: wake it, abort it.
//!
//! On its own thread both act at once; from another thread both leave it in the executor's inbox.

use super::cell::TaskRef;
use super::current;

impl TaskRef {
    /// Has it polled, soon.
    pub(crate) fn wake(self) {
        if !self.is_here() {
            return self.leave();
        }
        if !self.has_ended() && !self.own().queued.get() {
            current::with(|executor| executor.schedule(self));
        }
    }

    /// As [`TaskRef::wake`].
    pub(super) fn wake_by_ref(&self) {
        if !self.is_here() {
            return self.leave_by_ref();
        }
        if !self.has_ended() && !self.own().queued.get() {
            current::with(|executor| executor.schedule(self.clone()));
        }
    }

    /// Ends it where it is, or after the poll that it is in. From another thread: soon. Nothing if it has ended.
    pub(crate) fn abort(&self) {
        if self.has_ended() {
            return;
        }
        if self.is_here() {
            current::with(|executor| executor.abort(self));
        } else {
            self.shared().left.condemn();
            self.leave_by_ref();
        }
    }

    /// Puts it into the inbox, unless it lies there.
    fn leave(self) {
        if self.shared().left.leave() {
            // The task may be gone before the inbox has rung: hold on to that.
            let inbox = self.shared().inbox.clone();
            inbox.wake(self);
        }
    }

    fn leave_by_ref(&self) {
        if self.shared().left.leave() {
            self.shared().inbox.wake(self.clone());
        }
    }

    /// It was taken out of the inbox: what it was left there for. Called by its executor.
    pub(super) fn arrive(self) {
        if self.shared().left.arrive() {
            self.abort();
        } else {
            self.wake();
        }
    }
}
