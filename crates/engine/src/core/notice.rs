//! Who is told that completions were posted: the registered eventfd, the ring's own descriptor, threads that wait.

use std::sync::Arc;

use super::{Ring, State};
use crate::files::File;
use crate::world::World;

/// What was posted since the last news, and who wants to know.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    /// Completions ever posted.
    count: u64,
    /// As it was at the last news.
    told: u64,
    /// Posted by other means than an inline attempt.
    outside: bool,
    /// An inline attempt is going on.
    is_inline: bool,
    /// `IORING_REGISTER_EVENTFD`.
    eventfd: Option<(Arc<File>, Audience)>,
}

/// Which completions an eventfd is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// All.
    Every,
    /// Those that were not posted inline (`IORING_REGISTER_EVENTFD_ASYNC`).
    Outside,
}

impl Notices {
    /// A completion was posted.
    #[inline]
    pub(super) fn posted(&mut self) {
        self.count = self.count.wrapping_add(1);
        self.outside |= !self.is_inline;
    }

    /// Inline attempts begin, or have ended.
    pub(super) fn inline(&mut self, on: bool) {
        self.is_inline = on;
    }

    /// How many were ever posted.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Who is told from now on; returns who was.
    pub(crate) fn set_eventfd(&mut self, eventfd: Option<(Arc<File>, Audience)>) -> Option<Arc<File>> {
        std::mem::replace(&mut self.eventfd, eventfd).map(|(file, _)| file)
    }

    /// Whether an eventfd is registered.
    pub(crate) const fn has_eventfd(&self) -> bool {
        self.eventfd.is_some()
    }

    /// Tells the eventfd.
    pub(super) fn signal(&self, world: &dyn World, disabled: bool, outside: bool) {
        if let Some((file, audience)) = &self.eventfd
            && !disabled
            && (*audience == Audience::Every || outside)
        {
            world.signal(file.fd());
        }
    }
}

impl State {
    /// Publishes what was posted and tells whom it concerns. To be called by whoever gives the lock back.
    pub(crate) fn settle_up(&mut self, ring: &Ring) {
        // Nobody waits for the news of a ring that ends, and its queues may be gone.
        if self.closing {
            return;
        }
        self.launch();
        self.complete_counted();
        self.post_retired();
        let timeouts_came = self.clocks.is_news();
        let news = self.notices.count != self.notices.told;
        if news {
            self.notices.told = self.notices.count;
            let outside = std::mem::take(&mut self.notices.outside);
            self.rings.cq.publish();
            self.notices.signal(&*self.env.world, self.rings.cq.eventfd_disabled(), outside);
            if let Some(descriptor) = &ring.descriptor {
                descriptor.update(self);
            }
        }
        if news || timeouts_came {
            // A timeout is enough for everybody who waits.
            self.turnstile.news(ring, if timeouts_came { u32::MAX } else { self.rings.cq.waiting() });
        }
        if !self.again.is_empty() {
            self.turnstile.more_to_do(ring);
        }
    }

    /// Posts the tags of files and buffers that nothing refers to any more.
    fn post_retired(&mut self) {
        for tag in self.tables.take_retired() {
            self.post(tag, &crate::op::Outcome::success(0));
        }
    }

    /// Who is told of completions.
    pub(crate) const fn notices(&mut self) -> &mut Notices {
        &mut self.notices
    }
}
