//! The two counters of a task's references. Written over [`sync`](super::sync), and checked with loom.
//!
//! As long as the task lives, its own thread counts those that come and go there [`Here`], everybody else [`Elsewhere`],
//! where the living task itself counts as [`LIVING`]. Neither is the truth alone, and either may pass below where it began: a
//! reference that was made here may be dropped elsewhere. Their sum is, and the atomic one cannot come to zero. When the task
//! ends, its thread adds both up ([`Elsewhere::settle`]), and from there on everybody counts in the atomic one.

use std::cell::Cell;

use super::sync::{AtomicU64, Ordering, fence};

/// What a task that has not ended counts for: more than there can be references.
const LIVING: u64 = 1 << 62;

/// References of the task's own thread, as long as the task lives.
pub(in crate::executor) struct Here(Cell<i64>);

impl Here {
    /// One reference.
    pub(in crate::executor) const fn new() -> Self {
        Self(Cell::new(1))
    }

    #[inline]
    pub(in crate::executor) fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    #[inline]
    pub(in crate::executor) fn remove(&self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The references of all other threads, and when the task has ended those of its own as well.
pub(in crate::executor) struct Elsewhere(AtomicU64);

impl Elsewhere {
    /// Those of a task that lives.
    pub(in crate::executor) fn new() -> Self {
        Self(AtomicU64::new(LIVING))
    }

    #[inline]
    pub(in crate::executor) fn add(&self) {
        // Relaxed: whoever adds one has one, so nothing is freed meanwhile.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether that was the last, and the task is to be freed by the caller.
    #[inline]
    #[must_use]
    pub(in crate::executor) fn remove(&self) -> bool {
        // Release, and acquire by the last: whatever any thread did with the task comes before it is freed.
        let is_last = self.0.fetch_sub(1, Ordering::Release) == 1;
        if is_last {
            fence(Ordering::Acquire);
        }
        is_last
    }

    /// The task has ended: its thread adds up, and counts here as well from now on. It has a reference, so this does not come
    /// to zero.
    pub(in crate::executor) fn settle(&self, here: &Here) {
        let difference = here.0.replace(0).cast_unsigned().wrapping_sub(LIVING);
        // Release: what the task's thread did comes before the task is freed by another.
        self.0.fetch_add(difference, Ordering::Release);
    }
}
