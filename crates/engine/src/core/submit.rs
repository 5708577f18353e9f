//! Taking entries from the submission queue.

use annulus_abi::{OpTraits, OpcodeInfo, SetupFlags, SqRingFlags, Sqe, SqeFlags};
use rustix::io::Errno;

use super::State;
use crate::op::{Op, Outcome, Prepare, Step, Turn, is_supported, prepare};
use crate::request::Request;
use crate::scheduler::{Kind, Scheduler};
use crate::shared::Entry;
use crate::world::Vouched;

/// The release whose interface the engine has.
const PRESENTED: (u8, u8) = (6, 18);

impl State {
    /// Takes up to `count` entries and starts their requests. Returns how many were taken: fewer if the queue holds fewer, or one is
    /// bad and the ring was not set up with `SUBMIT_ALL`.
    pub(crate) fn submit(&mut self, count: u32, vouched: Vouched) -> u32 {
        let count = count.min(self.rings.sq.available());
        self.notices.inline(true);
        let mut taken = 0;
        while taken < count {
            let Some(entry) = self.rings.sq.next() else { break };
            taken += 1;
            if self.start(&entry, vouched).is_err() && !self.env.setup.contains(SetupFlags::SUBMIT_ALL) {
                break;
            }
        }
        self.rings.sq.publish();
        if !self.scheduler.is_idle() {
            self.scheduler.end(&mut self.decisions);
            self.act();
        }
        if std::mem::take(&mut self.look_now) {
            self.look();
        }
        self.notices.inline(false);
        taken
    }

    /// Who may submit, on a ring of one issuer.
    ///
    /// # Errors
    ///
    /// `EEXIST` for everybody else.
    #[inline]
    pub(crate) fn check_issuer(&mut self, setup: SetupFlags) -> Result<(), Errno> {
        if !setup.contains(SetupFlags::SINGLE_ISSUER) {
            return Ok(());
        }
        let this = std::thread::current().id();
        if *self.issuer.get_or_insert(this) == this { Ok(()) } else { Err(Errno::EXIST) }
    }

    /// The owner of a ring that defers its completions has entered for them.
    ///
    /// # Errors
    ///
    /// `EEXIST` for everybody else.
    pub(crate) fn begin_task_work(&mut self, setup: SetupFlags) -> Result<(), Errno> {
        self.check_issuer(setup)?;
        if setup.contains(SetupFlags::TASKRUN_FLAG) {
            self.rings.sq.clear_flags(SqRingFlags::TASKRUN);
        }
        Ok(())
    }

    /// Starts the request of an entry. The error says that the entry was bad; its completion is posted all the same.
    fn start(&mut self, entry: &Entry, vouched: Vouched) -> Result<(), Errno> {
        let sqe = &entry.sqe;
        let unread = Self::read_flags(sqe).err();
        let checked = unread.map_or_else(|| self.check(sqe), Err);
        let wide = self.env.setup.contains(SetupFlags::SQE128);
        let prepared = checked.and_then(|()| {
            let extra = wide.then(|| self.rings.sq.extra(entry));
            let mut cx = Prepare {
                world: &*self.env.world,
                vouched,
                extra: extra.as_ref(),
                iopoll: self.env.setup.contains(SetupFlags::IOPOLL),
                wide_completions: self.env.setup.intersects(SetupFlags::CQE32 | SetupFlags::CQE_MIXED),
            };
            prepare(sqe, &mut cx)
        });
        let flags = SqeFlags::from_bits_retain(sqe.flags);
        let (op, mut refused) = match prepared {
            Ok(op) => (op, None),
            Err(errno) => (Op::Void, Some(errno)),
        };
        let mut request = Request::new(sqe, op, vouched);
        let is_link_timeout = sqe.opcode == annulus_abi::IORING_OP_LINK_TIMEOUT;
        if self.scheduler.is_idle() && !flags.intersects(Scheduler::TOLD) && !is_link_timeout {
            match refused {
                Some(errno) => self.post_last(&request, &Outcome::failure(errno)),
                None => self.issue_fresh(request),
            }
        } else {
            request.scheduled = true;
            let kind = if is_link_timeout { Kind::LinkTimeout } else { Kind::Ordinary };
            let key = self.insert(request);
            match unread {
                Some(errno) => self.scheduler.submit_unread(key, flags, kind, errno, &mut self.decisions),
                None => refused = self.scheduler.submit(key, flags, kind, refused, &mut self.decisions),
            }
            self.act();
        }
        refused.map_or(Ok(()), Err)
    }

    /// Attempts a request that nothing holds back. It gets a place in the table only if it does not end at once.
    #[inline]
    fn issue_fresh(&mut self, mut request: Request) {
        if request.control().is_none() && !request.flags.contains(SqeFlags::ASYNC) {
            match self.open_file(&mut request) {
                Err(errno) => return self.post_last(&request, &Outcome::failure(errno)),
                Ok(()) => match request.attempt(&self.env.world, &mut self.tables, Turn::Inline) {
                    Step::Done(outcome) => return self.post_last(&request, &outcome),
                    step => {
                        let key = self.admit(request);
                        return self.carry_on(key, step);
                    }
                },
            }
        }
        let key = self.admit(request);
        self.issue(key);
    }

    /// Gives a place in the table to a request that the scheduler did not order.
    fn admit(&mut self, mut request: Request) -> crate::scheduler::Key {
        request.scheduled = true;
        let key = self.insert(request);
        self.scheduler.admit(key);
        key
    }

    /// What is refused before the flags are taken to mean anything.
    #[inline]
    fn read_flags(sqe: &Sqe) -> Result<(), Errno> {
        let info = OpcodeInfo::of(sqe.opcode).filter(|info| info.since <= PRESENTED).ok_or(Errno::INVAL)?;
        let flags = SqeFlags::from_bits(sqe.flags).ok_or(Errno::INVAL)?;
        if flags.contains(SqeFlags::BUFFER_SELECT) && !info.traits.contains(OpTraits::BUFFER_SELECT) {
            return Err(Errno::OPNOTSUPP);
        }
        Ok(())
    }

    /// What holds for every opcode, in the kernel's order.
    #[inline]
    fn check(&self, sqe: &Sqe) -> Result<(), Errno> {
        let info = OpcodeInfo::of(sqe.opcode).ok_or(Errno::INVAL)?;
        self.settings.allow(sqe)?;
        if self.env.setup.contains(SetupFlags::IOPOLL) && !info.traits.contains(OpTraits::IOPOLL) {
            return Err(Errno::INVAL);
        }
        if sqe.personality != 0 {
            self.settings.personality(sqe.personality)?;
        }
        if !is_supported(sqe.opcode) {
            return Err(Errno::OPNOTSUPP);
        }
        if info.refused_fields(sqe).is_empty() { Ok(()) } else { Err(Errno::INVAL) }
    }
}
