//! Drains: a barrier in the order of submission.
//!
//! What it keeps true: while nothing is held and no drain runs, a count is all that is touched. A drain begins only
//! when nothing is outstanding, and all that is behind it is held; so while it runs, it alone is
//! outstanding, and when nothing is outstanding any more, it has ended.
//!
//! The kernel since Linux 6.16 holds more than this: a request that was let go behind a drain, and one behind a chain
//! with a drain in it, hold back what is submitted after them until they end, and a drain that was refused makes
//! the next request wait for everything. None of it is promised, and it can make two requests wait for each
//! other for ever (a read from a pipe, and the write behind it), so here it is not done.

use std::collections::VecDeque;

use annulus_abi::SqeFlags;
use rustix::io::Errno;

use super::Unit;

/// What drains need to know of a ring's requests.
#[derive(Debug, Default)]
pub(super) struct Drain {
    /// Issued and not ended, and all that follows these in their chains.
    outstanding: usize,
    /// A drain was let go and has not ended.
    running: bool,
    /// A request with `CQE_SKIP_SUCCESS` was seen: from then on, drains are refused. Who waits for everything must
    /// see everything.
    disabled: bool,
    /// Behind a drain, or drains themselves, in the order of submission.
    held: VecDeque<Unit>,
}

impl Drain {
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        !self.running && self.held.is_empty()
    }

    #[cfg(test)]
    pub(super) const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Looks at the flags of an entry; gives the errno if it may not be a drain.
    pub(super) fn look_at(&mut self, flags: SqeFlags) -> Option<Errno> {
        self.disabled |= flags.contains(SqeFlags::CQE_SKIP_SUCCESS);
        (self.disabled && flags.contains(SqeFlags::IO_DRAIN)).then_some(Errno::OPNOTSUPP)
    }

    /// Gives the unit back if it may begin, and holds it otherwise.
    pub(super) fn pass(&mut self, unit: Unit) -> Option<Unit> {
        self.held.push_back(unit);
        // What was held before is held for a reason that a later unit does not take away.
        if self.held.len() == 1 { self.next() } else { None }
    }

    /// The next held unit that may begin. It counts as outstanding from then on.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Unit> {
        let drains = self.held.front()?.drains;
        if self.running || (drains && self.outstanding > 0) {
            return None;
        }
        let unit = self.held.pop_front()?;
        self.running = drains;
        self.began(unit.len);
        if self.held.is_empty() && self.held.capacity() > Self::KEPT {
            self.held = VecDeque::new();
        }
        Some(unit)
    }

    /// So many requests are outstanding from now on.
    #[inline]
    pub(super) fn began(&mut self, requests: usize) {
        self.outstanding += requests;
    }

    /// So many requests have ended.
    #[inline]
    pub(super) fn ended(&mut self, requests: usize) {
        assert!(
            requests <= self.outstanding,
            "{requests} requests have ended where {} were outstanding",
            self.outstanding
        );
        self.outstanding -= requests;
        self.running &= self.outstanding > 0;
    }

    /// The room for held units that is kept when none is held.
    const KEPT: usize = 256;
}
