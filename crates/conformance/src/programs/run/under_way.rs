//! Which requests are under way, and which of them are sure to end by themselves.
//!
//! The second is an estimate that only decides how long a run waits; what is recorded does not depend on it.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use annulus::abi::{IOSQE_ASYNC, IOSQE_CQE_SKIP_SUCCESS, IOSQE_IO_DRAIN, IOSQE_IO_HARDLINK, IOSQE_IO_LINK};

use crate::programs::encode::Data;
use crate::programs::program::{Op, Request, Wait};

/// A request, its data, and the descriptor that it is to close.
pub(super) type Asked = (Request, Data, Option<RawFd>);

/// Requests that were taken and have not ended.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    requests: BTreeMap<u64, Entry>,
    chains: u32,
}

#[derive(Debug)]
struct Entry {
    asked: Asked,
    /// Which chain, and where in it.
    chain: (u32, u32),
    /// It may end without a completion: it says so, or a request before it in its chain does, and silences with
    /// its failure what follows.
    may_be_silent: bool,
    /// Nothing has settled since it was taken.
    is_new: bool,
}

impl UnderWay {
    /// Notes what one submission took.
    pub(super) fn begin(&mut self, taken: Vec<Asked>) {
        let (mut place, mut may_be_silent) = (0, false);
        for asked in taken {
            let request = asked.0;
            may_be_silent |= request.flags & IOSQE_CQE_SKIP_SUCCESS != 0;
            if let Op::TimeoutUpdate { of, wait } = request.op {
                self.retime(of, wait);
            }
            let chain = (self.chains, place);
            self.requests.insert(request.name.into(), Entry { asked, chain, may_be_silent, is_new: true });
            if request.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK) == 0 {
                self.chains += 1;
                (place, may_be_silent) = (0, false);
            } else {
                place += 1;
            }
        }
        self.chains += 1;
    }

    /// The request of this name.
    pub(super) fn find(&self, name: u64) -> Option<&Asked> {
        self.requests.get(&name).map(|entry| &entry.asked)
    }

    /// Notes that it has ended.
    pub(super) fn end(&mut self, name: u64) {
        self.requests.remove(&name);
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The first request whose name is behind `after`.
    pub(super) fn next(&self, after: Option<u64>) -> Option<u64> {
        self.requests.keys().find(|name| after.is_none_or(|after| **name > after)).copied()
    }

    /// Whether something is under way that will tell when it ends.
    pub(super) fn is_loud(&self) -> bool {
        self.requests.values().any(|entry| !entry.may_be_silent)
    }

    /// The names of all that is under way.
    pub(super) fn names(&self) -> Vec<u64> {
        self.requests.keys().copied().collect()
    }

    /// Whether something is under way in a place that takes longer to come back from: a worker, or where
    /// nobody will be told.
    pub(super) fn is_slow(&self) -> bool {
        self.requests.values().any(|entry| {
            // Linux has a worker begin what was held by a drain.
            let by_worker = entry.asked.0.flags & (IOSQE_ASYNC | IOSQE_IO_DRAIN) != 0;
            let in_worker = matches!(entry.asked.0.op, Op::Splice { .. } | Op::Tee { .. });
            entry.is_new && (entry.may_be_silent || by_worker) || in_worker
        })
    }

    /// Notes that it has settled.
    pub(super) fn grow_old(&mut self) {
        self.requests.values_mut().for_each(|entry| entry.is_new = false);
    }

    /// Whether something under way is sure to end without help.
    pub(super) fn is_due(&self) -> bool {
        self.requests.values().any(|entry| !entry.may_be_silent && !entry.waits() && !self.is_held(entry))
    }

    /// Whether something that waits stands before it: in its chain, or before a drain.
    fn is_held(&self, entry: &Entry) -> bool {
        let drains = self.requests.values().any(|other| other.asked.0.flags & IOSQE_IO_DRAIN != 0);
        let own_target = match entry.asked.0.op {
            Op::LinkTimeout { wait: Wait::Zero | Wait::Short } => entry.chain.1.checked_sub(1),
            _ => None,
        };
        self.requests.values().filter(|other| other.waits()).any(|other| {
            let before = other.chain.0 == entry.chain.0
                && other.chain.1 < entry.chain.1
                && Some(other.chain.1) != own_target;
            before || drains
        })
    }

    fn retime(&mut self, name: u16, new: Wait) {
        let entry = self.requests.get_mut(&u64::from(name));
        if let Some(Op::Timeout { wait, .. }) = entry.map(|entry| &mut entry.asked.0.op) {
            *wait = new;
        }
    }
}

impl Entry {
    const fn waits(&self) -> bool {
        self.asked.0.op.may_wait()
    }
}
