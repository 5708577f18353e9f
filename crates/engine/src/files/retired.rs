//! Tags of registered files and buffers: told once their last user is gone.

use std::sync::Arc;

use crate::mailbox::Mailbox;

/// The tags whose resources are gone, until the ring posts them. Shared by a ring's tables and by requests that outlive a slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retired(Arc<Mailbox<u64>>);

impl Retired {
    /// A tag that comes back here; none if it is 0, which means "no tag".
    pub(crate) fn tag(&self, value: u64) -> Option<Tag> {
        (value != 0).then(|| Tag { value, retired: self.clone() })
    }

    /// The tags that came back since it was last asked, in their order.
    #[inline]
    pub(crate) fn take(&self) -> Vec<u64> {
        self.0.take()
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
            self.retired.0.put(self.value);
        }
    }
}
