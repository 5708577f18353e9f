//! Taking entries from the submission queue.

use annulus_abi::{IORING_OP_LINK_TIMEOUT, OpTraits, OpcodeInfo, SetupFlags, SqRingFlags, Sqe, SqeFlags};
use rustix::io::Errno;

use super::{Ring, State};
use crate::op::{Context, Op, Prepare, Step, Turn, is_supported, prepare, unprepared};
use crate::request::{FileRef, Request};
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
    pub(crate) fn begin_task_work(&mut self, ring: &Ring) -> Result<(), Errno> {
        self.check_issuer(ring.setup)?;
        if ring.setup.contains(SetupFlags::TASKRUN_FLAG) {
            self.rings.sq.clear_flags(SqRingFlags::TASKRUN);
        }
        if let Some(descriptor) = &ring.descriptor {
            descriptor.update(self);
        }
        Ok(())
    }

    /// Starts the request of an entry. The error says that the entry was bad; its completion is posted all the same.
    fn start(&mut self, entry: &Entry, vouched: Vouched) -> Result<(), Errno> {
        let sqe = &entry.sqe;
        let flags = SqeFlags::from_bits_retain(sqe.flags);
        let is_link_timeout = sqe.opcode == IORING_OP_LINK_TIMEOUT;
        if self.scheduler.is_idle() && !flags.intersects(Scheduler::TOLD) && !is_link_timeout {
            return match self.prepare(entry, vouched) {
                Ok(op) => {
                    self.issue_fresh(sqe, op, vouched);
                    Ok(())
                }
                Err(bad) => {
                    self.refuse_fresh(sqe, bad.operation(sqe), vouched, bad.errno());
                    Err(bad.errno())
                }
            };
        }
        let kind = if is_link_timeout { Kind::LinkTimeout } else { Kind::Ordinary };
        let (op, bad) = match self.prepare(entry, vouched) {
            Ok(op) => (op, None),
            Err(bad) => (bad.operation(sqe), Some(bad)),
        };
        let key = self.insert(Request { scheduled: true, ..self.request_of(sqe, op, vouched) });
        let refused = match bad {
            Some(Bad::Unread(errno)) => {
                self.scheduler.submit_unread(key, flags, kind, errno, &mut self.decisions);
                Some(errno)
            }
            Some(Bad::Read(errno) | Bad::Unprepared(errno)) => {
                self.scheduler.submit(key, flags, kind, Some(errno), &mut self.decisions)
            }
            None => self.scheduler.submit(key, flags, kind, None, &mut self.decisions),
        };
        self.act();
        // Behind a bad entry of a chain the submission goes on, as the rest of the chain is to end with it.
        match refused {
            Some(errno) if !flags.intersects(SqeFlags::IO_LINK | SqeFlags::IO_HARDLINK) => Err(errno),
            _ => Ok(()),
        }
    }

    /// Makes an operation of an entry.
    #[inline]
    fn prepare(&self, entry: &Entry, vouched: Vouched) -> Result<Op, Bad> {
        let sqe = &entry.sqe;
        let info = read_flags(sqe).map_err(Bad::Unread)?;
        self.check(sqe, info).map_err(Bad::Read)?;
        if !info.refused_fields(sqe).is_empty() {
            return Err(Bad::Unprepared(Errno::INVAL));
        }
        let mut cx = Prepare {
            world: &*self.env.world,
            vouched,
            iopoll: self.env.setup.contains(SetupFlags::IOPOLL),
            wide_completions: self.env.setup.intersects(SetupFlags::CQE32 | SetupFlags::CQE_MIXED),
        };
        prepare(sqe, &mut cx).map_err(Bad::Unprepared)
    }

    /// Attempts what nothing holds back. It becomes a request of the table only if it does not end at once.
    #[inline]
    fn issue_fresh(&mut self, sqe: &Sqe, mut op: Op, vouched: Vouched) {
        if !matches!(op, Op::ReadWrite(_)) {
            self.launch();
        }
        let flags = SqeFlags::from_bits_retain(sqe.flags);
        if flags.contains(SqeFlags::ASYNC) || sqe.personality != 0 || matches!(op, Op::Control(_)) {
            let request = self.request_of(sqe, op, vouched);
            let key = self.admit(request);
            return self.issue(key);
        }
        let file = match FileRef::find(sqe.opcode, flags, sqe.fd, &self.tables) {
            Ok(file) => file,
            Err(errno) => return self.refuse_fresh(sqe, op, vouched, errno),
        };
        let (world, tables, fd) = (&self.env.world, &mut self.tables, file.fd());
        let step = op.attempt(&mut Context { world, tables, fd, turn: Turn::Inline, vouched });
        if let Step::Done(outcome) = step {
            return self.post(sqe.user_data, &outcome);
        }
        let key = self.admit(Request::new(sqe, op, file, vouched));
        self.carry_on(key, step);
    }

    /// Ends what never got a place in the table.
    #[cold]
    fn refuse_fresh(&mut self, sqe: &Sqe, op: Op, vouched: Vouched, errno: Errno) {
        let mut request = Request::new(sqe, op, FileRef::None, vouched);
        let step = request.refuse(&self.env.world, &mut self.tables, errno);
        self.post_refused(&request, &step);
    }

    /// A request that has not found its file yet.
    fn request_of(&self, sqe: &Sqe, op: Op, vouched: Vouched) -> Request {
        let workers = match sqe.personality {
            0 => None,
            // Refused already if there is none.
            id => self.settings.personality(id).ok().cloned(),
        };
        Request { workers, ..Request::new(sqe, op, FileRef::None, vouched) }
    }

    /// Gives a place in the table to a request that the scheduler did not order.
    fn admit(&mut self, mut request: Request) -> crate::scheduler::Key {
        request.scheduled = true;
        let key = self.insert(request);
        self.scheduler.admit(key);
        key
    }

    /// What holds for every opcode, in the kernel's order.
    #[inline]
    fn check(&self, sqe: &Sqe, info: &OpcodeInfo) -> Result<(), Errno> {
        self.settings.allow(sqe)?;
        if self.env.setup.contains(SetupFlags::IOPOLL) && !info.traits.contains(OpTraits::IOPOLL) {
            return Err(Errno::INVAL);
        }
        if sqe.personality != 0 {
            self.settings.personality(sqe.personality)?;
        }
        if is_supported(sqe.opcode) { Ok(()) } else { Err(Errno::OPNOTSUPP) }
    }
}

/// Why no operation could be made of an entry.
enum Bad {
    /// Its flags were not taken to mean anything.
    Unread(Errno),
    /// They were.
    Read(Errno),
    /// Its operation refused it.
    Unprepared(Errno),
}

impl Bad {
    const fn errno(&self) -> Errno {
        match self {
            Self::Unread(errno) | Self::Read(errno) | Self::Unprepared(errno) => *errno,
        }
    }

    /// What says how the request ends.
    fn operation(&self, sqe: &Sqe) -> Op {
        match self {
            Self::Unprepared(_) => unprepared(sqe),
            Self::Unread(_) | Self::Read(_) => Op::Void,
        }
    }
}

/// What is refused before the flags are taken to mean anything.
#[inline]
fn read_flags(sqe: &Sqe) -> Result<&'static OpcodeInfo, Errno> {
    let info = OpcodeInfo::of(sqe.opcode).filter(|info| info.since <= PRESENTED).ok_or(Errno::INVAL)?;
    let flags = SqeFlags::from_bits(sqe.flags).ok_or(Errno::INVAL)?;
    if flags.contains(SqeFlags::BUFFER_SELECT) && !info.traits.contains(OpTraits::BUFFER_SELECT) {
        return Err(Errno::OPNOTSUPP);
    }
    Ok(info)
}
