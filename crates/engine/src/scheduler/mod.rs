//! When a request may begin: links, drains and linked timeouts.
//!
//! The scheduler is told of requests as they are taken from the submission queue and as they end, and answers
//! with [`Action`]s. It knows neither what a request does nor what time it is; it posts nothing, waits for
//! nothing, and never calls back, so a chain of any length costs no stack.
//!
//! What it keeps true:
//! - Each request that was submitted gets exactly one of [`Action::Issue`], [`Action::StartLinkTimeout`] and
//!   [`Action::Refuse`], and one that got `Refuse` or [`Action::StopLinkTimeout`] is forgotten: it is not to be
//!   told to [`Scheduler::complete`].
//! - The requests of a chain begin one after the other. What follows one that severs the chain is refused.
//! - A drain, and a chain that has one in it, begins when everything before it has ended; what is behind it
//!   begins when it has ended. Apart from that, nothing waits.
//! - A chain with an entry that was refused is refused as soon as it is complete, without waiting for drains,
//!   as the kernel does.
//! - What is kept is bounded by the requests that are held, and by the size of the engine's table.

mod chain;
mod drain;
#[cfg(test)]
mod tests;

use annulus_abi::SqeFlags;
use rustix::io::Errno;

use chain::Chains;
use drain::Drain;

/// A request by its place in the engine's table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) u32);

impl Key {
    /// The key as the index of a list.
    pub(crate) const fn index(self) -> usize {
        // A `usize` has 32 bits at the least wherever there is an io_uring.
        self.0 as usize
    }
}

/// What the order of requests depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Every operation but `LINK_TIMEOUT`.
    Ordinary,
    /// `LINK_TIMEOUT`, which is about the request in front of it.
    LinkTimeout,
}

/// What the core has to do, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// The request may run now. Its end is to be told by [`Scheduler::complete`].
    Issue(Key),
    /// `timer`, a `LINK_TIMEOUT`, starts to run now, for `target`, which is issued right after.
    StartLinkTimeout {
        /// The `LINK_TIMEOUT`.
        timer: Key,
        /// The request that it limits.
        target: Key,
    },
    /// `timer` was started and is not needed any more: its target has ended first. It completes with
    /// `ECANCELED`, and posts nothing if `silent`.
    StopLinkTimeout {
        /// The `LINK_TIMEOUT`.
        timer: Key,
        /// It carries `CQE_SKIP_SUCCESS`.
        silent: bool,
    },
    /// The request is never issued: it completes with this errno, and posts nothing if `silent`.
    Refuse {
        /// The request.
        key: Key,
        /// What it completes with.
        errno: Errno,
        /// No completion is posted.
        silent: bool,
    },
}

/// The order of a ring's requests.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    chains: Chains,
    drain: Drain,
}

impl Scheduler {
    /// A request with one of these has to be told to [`Scheduler::submit`], whether the scheduler is idle or not.
    /// So has a `LINK_TIMEOUT`, and one that was refused, in an open chain.
    pub(crate) const TOLD: SqeFlags = SqeFlags::IO_LINK
        .union(SqeFlags::IO_HARDLINK)
        .union(SqeFlags::IO_DRAIN)
        .union(SqeFlags::CQE_SKIP_SUCCESS);

    /// Whether a request without any of [`Scheduler::TOLD`] may be issued without being told: nothing is held, no
    /// chain is open, no drain runs. If it does not complete at once, [`Scheduler::admit`] has to be told.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.drain.is_idle() && !self.chains.is_open()
    }

    /// Takes the next request of the submission queue.
    ///
    /// `refused` is the errno with which its preparation failed. The answer is the errno with which the request is
    /// refused, that one or the scheduler's own (`EOPNOTSUPP` for a drain behind a request with `CQE_SKIP_SUCCESS`,
    /// `EINVAL` for a `LINK_TIMEOUT` that follows nothing it could limit): without `SUBMIT_ALL` the submission
    /// stops behind such an entry.
    ///
    /// For an entry that the kernel refuses before it looks at its flags for drains, see
    /// [`Scheduler::submit_unread`].
    pub(crate) fn submit(
        &mut self,
        key: Key,
        flags: SqeFlags,
        kind: Kind,
        refused: Option<Errno>,
        out: &mut Vec<Action>,
    ) -> Option<Errno> {
        let refused = self.drain.look_at(flags).or(refused).or_else(|| self.chains.misplaced(kind));
        self.take(key, flags, kind, refused, out);
        refused
    }

    /// Takes an entry that was refused before its `IO_DRAIN` and `CQE_SKIP_SUCCESS` were looked at: an unknown
    /// opcode, an unknown flag, or `BUFFER_SELECT` with an operation that takes no buffer. It does not count as a
    /// request with `CQE_SKIP_SUCCESS`, and is refused with `errno` even if it is a drain behind one.
    pub(crate) fn submit_unread(
        &mut self,
        key: Key,
        flags: SqeFlags,
        kind: Kind,
        errno: Errno,
        out: &mut Vec<Action>,
    ) {
        self.take(key, flags, kind, Some(errno), out);
    }

    /// The submission has ended, and an open chain with it.
    pub(crate) fn end(&mut self, out: &mut Vec<Action>) {
        if let Some(unit) = self.chains.close() {
            self.dispatch(unit, out);
        }
    }

    /// A request went past [`Scheduler::submit`] by [`Scheduler::is_idle`]'s leave and did not complete at once:
    /// drains wait for it from now on. Its end is to be told by [`Scheduler::complete`].
    #[inline]
    pub(crate) fn admit(&mut self, key: Key) {
        debug_assert!(!self.chains.knows(key), "{key:?} was submitted, and is admitted");
        self.drain.began(1);
    }

    /// An issued or admitted request, or a started `LINK_TIMEOUT`, has ended: its last completion was posted, or
    /// left out. `severs`: a soft link behind it breaks.
    #[inline]
    pub(crate) fn complete(&mut self, key: Key, severs: bool, out: &mut Vec<Action>) {
        let ended = self.chains.ended(key, severs, out);
        self.drain.ended(ended);
        while let Some(unit) = self.drain.next() {
            self.chains.start(unit.head, out);
        }
    }

    /// The `LINK_TIMEOUT` has fired: from now on its target's end does not stop it any more, and it has to be told
    /// to [`Scheduler::complete`] when it has posted. Gives the target, which is to be cancelled.
    ///
    /// (Completing the timer first and cancelling its target, known from [`Scheduler::target_of`], afterwards
    /// comes to the same. Only cancelling first would have the timer stopped.)
    pub(crate) fn fired(&mut self, timer: Key) -> Option<Key> {
        self.chains.detach(timer)
    }

    /// The `LINK_TIMEOUT` that was started for `target` and neither fired nor stopped.
    #[cfg(test)]
    pub(crate) fn link_timeout_of(&self, target: Key) -> Option<Key> {
        self.chains.link_timeout_of(target)
    }

    /// The request that `timer` was started for, while neither has ended and it has not fired.
    #[cfg(test)]
    pub(crate) fn target_of(&self, timer: Key) -> Option<Key> {
        self.chains.target_of(timer)
    }

    /// The requests that drains wait for: those that were issued or admitted and have not ended, with all that
    /// follows them in their chains. What a drain holds is not among them, nor is an open chain.
    #[cfg(test)]
    pub(crate) fn outstanding(&self) -> usize {
        self.drain.outstanding()
    }

    fn take(&mut self, key: Key, flags: SqeFlags, kind: Kind, refused: Option<Errno>, out: &mut Vec<Action>) {
        if self.chains.is_open() || flags.intersects(chain::LINKS) {
            if let Some(unit) = self.chains.join(key, flags, kind, refused) {
                self.dispatch(unit, out);
            }
        } else if let Some(errno) = refused {
            out.push(Action::Refuse { key, errno, silent: false });
        } else {
            self.dispatch(Unit::single(key, flags), out);
        }
    }

    fn dispatch(&mut self, unit: Unit, out: &mut Vec<Action>) {
        if unit.refused {
            self.chains.refuse(unit.head, out);
        } else if let Some(unit) = self.drain.pass(unit) {
            self.chains.start(unit.head, out);
        }
    }
}

/// What begins as one: a chain, or a request without ties.
#[derive(Clone, Copy, Debug)]
struct Unit {
    /// Its first request.
    head: Key,
    /// Its requests, linked timeouts included.
    len: usize,
    /// One of them is a drain.
    drains: bool,
    /// One of them was refused.
    refused: bool,
}

impl Unit {
    fn single(head: Key, flags: SqeFlags) -> Self {
        Self { head, len: 1, drains: flags.contains(SqeFlags::IO_DRAIN), refused: false }
    }
}
