//! Tags of registered files and buffers: told once their last user is gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The tags whose resources are gone, until the ring posts them. Shared by a ring's tables and by requests that outlive a slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retired(Arc<List>);

#[derive(Debug, Default)]
struct List {
    /// Whether `tags` may hold something: lets the ring ask after every step without a lock.
    any: AtomicBool,
    tags: Mutex<Vec<u64>>,
}

impl Retired {
    /// A tag that comes back here; none if it is 0, which means "no tag".
    pub(crate) fn tag(&self, value: u64) -> Option<Tag> {
        (value != 0).then(|| Tag { value, retired: self.clone() })
    }

    /// The tags that came back since it was last asked, in their order.
    #[inline]
    pub(crate) fn take(&self) -> Vec<u64> {
        // Acquire: pairs with the release in `push`. What is pushed at this moment is found the next time.
        if !self.0.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut tags = self.0.tags.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: `push` sets it with the lock held, as it is here.
        self.0.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut tags)
    }

    fn push(&self, value: u64) {
        let mut tags = self.0.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.push(value);
        // Release: pairs with the acquire in `take`.
        self.0.any.store(true, Ordering::Release);
    }
}

/// A tag on its way back: dropping it posts it.
#[derive(Debug)]
pub(crate) struct Tag {
    value: u64,
    retired: Retired,
}

impl Tag {
    /// Forgets it: what was not registered after all posts nothing.
    pub(crate) fn defuse(&mut self) {
        self.value = 0;
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        if self.value != 0 {
            self.retired.push(self.value);
        }
    }
}
