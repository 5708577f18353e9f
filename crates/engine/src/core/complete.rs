//! Ending requests and posting completions, and the backlog of those for which the queue has no room.

use std::collections::VecDeque;

use annulus_abi::{Cqe, CqeFlags, SetupFlags, SqRingFlags};
use rustix::io::Errno;

use super::State;
use crate::op::{Outcome, Step};
use crate::request::Request;
use crate::scheduler::Key;

/// Completions that wait for room. Nothing is ever dropped (`IORING_FEAT_NODROP`).
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<(Cqe, [u64; 2])>,
}

impl State {
    /// Ends a request of the table with its last completion; what is linked to it goes on.
    pub(super) fn end(&mut self, key: Key, outcome: &Outcome) {
        self.disarm(key);
        let request = self.requests.remove(key.0 as usize);
        self.post_last(&request, outcome);
        self.tell_scheduler(key, request, outcome.severs);
    }

    /// Ends a request that posts its result and then a notification.
    pub(super) fn end_with_notice(&mut self, key: Key, outcome: &Outcome, notice: &Outcome) {
        self.disarm(key);
        let request = self.requests.remove(key.0 as usize);
        self.post_with_notice(&request, outcome, notice);
        self.tell_scheduler(key, request, outcome.severs);
    }

    /// Ends a request that never ran.
    pub(super) fn end_refused(&mut self, key: Key, errno: Errno, silent: bool) {
        let mut request = self.requests.remove(key.0 as usize);
        let step = request.refuse(&self.env.world, &mut self.tables, errno);
        match step {
            _ if silent => {}
            // What ends with its chain says nothing of the notification that follows, as in the kernel.
            Step::DoneWithNotice(outcome, notice) if errno == Errno::CANCELED => {
                self.post(request.user_data, &outcome);
                self.post(request.user_data, &notice.with_flags(notice.flags | CqeFlags::NOTIF));
            }
            step => self.post_refused(&request, &step),
        }
    }

    /// Posts what a request that is not in the table says to its refusal.
    pub(super) fn post_refused(&mut self, request: &Request, step: &Step) {
        match step {
            Step::Done(outcome) => self.post_last(request, outcome),
            Step::DoneWithNotice(outcome, notice) => self.post_with_notice(request, outcome, notice),
            step => unreachable!("a refused operation goes on: {step:?}"),
        }
    }

    fn post_with_notice(&mut self, request: &Request, outcome: &Outcome, notice: &Outcome) {
        self.post(request.user_data, &outcome.with_flags(outcome.flags | CqeFlags::MORE));
        self.post(request.user_data, &notice.with_flags(notice.flags | CqeFlags::NOTIF));
    }

    /// Lets go what is linked to a request that has ended, and before that its file: what comes next may see that it is closed.
    fn tell_scheduler(&mut self, key: Key, request: Request, severs: bool) {
        let scheduled = request.scheduled;
        drop(request);
        if scheduled {
            self.scheduler.complete(key, severs, &mut self.decisions);
            if !self.decisions.is_empty() {
                self.act();
            }
        }
    }

    /// Posts the last completion of a request, unless it wants none.
    #[inline]
    pub(super) fn post_last(&mut self, request: &Request, outcome: &Outcome) {
        if request.posts(outcome) {
            self.post(request.user_data, outcome);
        }
    }

    /// Posts a completion, or puts it at the end of the backlog.
    #[inline]
    pub(crate) fn post(&mut self, user_data: u64, outcome: &Outcome) {
        let mut flags = outcome.flags;
        if outcome.extra.is_some() && self.env.setup.contains(SetupFlags::CQE_MIXED) {
            flags |= CqeFlags::F_32;
        }
        let cqe = Cqe { user_data, res: outcome.result, flags: flags.bits() };
        let extra = outcome.extra.unwrap_or_default();
        self.notices.posted();
        if self.backlog.waiting.is_empty() && self.rings.cq.push(&cqe, extra) {
            return;
        }
        if self.backlog.waiting.is_empty() {
            self.rings.sq.set_flags(SqRingFlags::CQ_OVERFLOW);
        }
        self.backlog.waiting.push_back((cqe, extra));
    }

    /// Whether a completion would go straight into the queue.
    pub(super) fn has_room(&self) -> bool {
        self.backlog.waiting.is_empty() && self.rings.cq.free() > 0
    }

    /// Completions for the program to take: those in the queue, and those that come into it with an enter, as the kernel
    /// counts them for whoever polls a ring.
    pub(super) fn to_take(&self) -> u32 {
        let behind = u32::try_from(self.backlog.waiting.len()).unwrap_or(u32::MAX);
        self.rings.cq.waiting().saturating_add(behind)
    }

    /// Moves what fits from the backlog to the queue.
    pub(crate) fn flush_backlog(&mut self) {
        if self.backlog.waiting.is_empty() {
            return;
        }
        while let Some((cqe, extra)) = self.backlog.waiting.front() {
            if !self.rings.cq.push(cqe, *extra) {
                return;
            }
            self.notices.posted();
            self.backlog.waiting.pop_front();
        }
        self.rings.sq.clear_flags(SqRingFlags::CQ_OVERFLOW);
    }
}
