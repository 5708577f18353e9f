//! Whether a task lies in the inbox, and whether it is to be aborted there. Written over [`sync`](super::sync), and checked
//! with loom.

use super::sync::{AtomicBool, Ordering};

/// Set by other threads; taken back by the executor when it takes the task out, just before it sees to it.
///
/// Both sides exchange, with acquire and release. Whoever finds it set leaves the task no second time, so the poll that is
/// still to come must see what that thread did before: the exchange of the executor reads what the thread wrote. Were it
/// a store, the poll could read old data while the other thread still finds the flag set, on every processor that has a
/// store buffer: a wake-up would be lost.
pub(in crate::executor) struct Left {
    left: AtomicBool,
    condemned: AtomicBool,
}

impl Left {
    pub(in crate::executor) fn new() -> Self {
        Self { left: AtomicBool::new(false), condemned: AtomicBool::new(false) }
    }

    /// Whether the task is to be put into the inbox by whoever asks.
    #[inline]
    pub(in crate::executor) fn leave(&self) -> bool {
        !self.left.swap(true, Ordering::AcqRel)
    }

    /// Whether it lies in the inbox, for those who look at it.
    pub(in crate::executor) fn is_set(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// From now on it is to be aborted when it is taken out. [`Left::leave`] follows, whose exchange publishes this.
    pub(in crate::executor) fn condemn(&self) {
        self.condemned.store(true, Ordering::Relaxed);
    }

    /// It was taken out: whether it is to be aborted, or to be polled.
    #[inline]
    pub(in crate::executor) fn arrive(&self) -> bool {
        self.left.swap(false, Ordering::AcqRel);
        // Relaxed: the exchange has read what whoever left it wrote, and that is after `condemn`.
        self.condemned.load(Ordering::Relaxed)
    }
}
