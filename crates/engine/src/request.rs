//! A request: an entry that was taken from the queue and has not ended yet.
//!
//! It holds what it works on: its operation with all memory that was copied for it, and its file. Where it is on its way
//! ([`Stage`]) decides how a cancel reaches it.

use std::os::fd::RawFd;
use std::sync::Arc;

use annulus_abi::{OpTraits, Sqe, SqeFlags};
use rustix::io::Errno;

use crate::files::File;
use crate::op::{Context, Control, Interest, Op, Outcome, Step, Tables, Turn, Work, traits_of};
use crate::pool::{Pool, Ticket};
use crate::world::{Vouched, World};

/// A request that has not ended.
pub(crate) struct Request {
    /// What its completions carry.
    pub(crate) user_data: u64,
    /// Its opcode, which a cancel may ask for.
    pub(crate) opcode: u8,
    /// The flags of its entry.
    pub(crate) flags: SqeFlags,
    /// `fd` as its entry has it: a number or a slot.
    pub(crate) fd: i32,
    /// What it works on.
    pub(crate) file: FileRef,
    /// What it does.
    pub(crate) op: Op,
    /// Where it is.
    pub(crate) stage: Stage,
    /// Tells it from earlier requests in the same place.
    pub(crate) generation: u32,
    /// The scheduler knows of it and must be told of its end.
    pub(crate) scheduled: bool,
    /// A cancel has reached it.
    pub(crate) cancelled: bool,
    /// The right to name its memory.
    pub(crate) vouched: Vouched,
    /// The workers that have the credentials of its personality; none if it has no personality.
    pub(crate) workers: Option<Pool>,
}

/// What a request works on.
#[derive(Clone, Debug)]
pub(crate) enum FileRef {
    /// Nothing, or not looked up yet.
    None,
    /// A descriptor of the program, good while nobody but the submitter has the request.
    Plain(RawFd),
    /// A file that it holds.
    Held(Arc<File>),
}

impl FileRef {
    /// What an entry names: nothing if its opcode works on no file.
    ///
    /// # Errors
    ///
    /// `EBADF`: a negative number, or no file in the slot.
    #[inline]
    pub(crate) fn find(opcode: u8, flags: SqeFlags, fd: i32, tables: &Tables) -> Result<Self, Errno> {
        if !traits_of(opcode).contains(OpTraits::NEEDS_FILE) {
            Ok(Self::None)
        } else if flags.contains(SqeFlags::FIXED_FILE) {
            tables.files.get(fd).map(|file| Self::Held(Arc::clone(file)))
        } else if fd < 0 {
            Err(Errno::BADF)
        } else {
            Ok(Self::Plain(fd))
        }
    }

    /// Its number in the world; -1 for nothing.
    pub(crate) fn fd(&self) -> RawFd {
        match self {
            Self::None => -1,
            Self::Plain(fd) => *fd,
            Self::Held(file) => file.fd(),
        }
    }
}

/// Where a request is on its way.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The scheduler holds it, or it is being attempted.
    Ready,
    /// It waits until a descriptor is ready.
    Armed(Armed),
    /// A worker has it, or will.
    Working(Ticket),
    /// Its transfer goes on by itself; a worker does it if it cannot.
    Started(Work),
    /// It waits for a time, or for completions.
    Timing,
    /// It had its turn and is to be attempted again after others.
    Again,
}

/// What an armed request waits for.
#[derive(Debug)]
pub(crate) struct Armed {
    /// The file that is watched: its own, or one that its operation named.
    pub(crate) on: Arc<File>,
    /// What it asked for.
    pub(crate) interest: Interest,
}

impl Request {
    /// A request for an entry whose operation was prepared.
    pub(crate) fn new(sqe: &Sqe, op: Op, file: FileRef, vouched: Vouched) -> Self {
        Self {
            user_data: sqe.user_data,
            opcode: sqe.opcode,
            flags: SqeFlags::from_bits_retain(sqe.flags),
            fd: sqe.fd,
            file,
            op,
            stage: Stage::Ready,
            generation: 0,
            scheduled: false,
            cancelled: false,
            vouched,
            workers: None,
        }
    }

    /// One attempt, without waiting.
    #[inline]
    pub(crate) fn attempt(&mut self, world: &Arc<dyn World>, tables: &mut Tables, turn: Turn) -> Step {
        let mut cx = Context { world, tables, fd: self.file.fd(), turn, vouched: self.vouched };
        self.op.attempt(&mut cx)
    }

    /// Makes a step of what a worker's call returned.
    pub(crate) fn settle(
        &mut self,
        world: &Arc<dyn World>,
        tables: &mut Tables,
        result: Result<u32, Errno>,
    ) -> Step {
        let fd = self.file.fd();
        let vouched = self.vouched;
        self.op.settle(&mut Context { world, tables, fd, turn: Turn::Worker, vouched }, result)
    }

    /// Ends its operation with this error, without another attempt.
    pub(crate) fn refuse(&mut self, world: &Arc<dyn World>, tables: &mut Tables, errno: Errno) -> Step {
        let fd = self.file.fd();
        let vouched = self.vouched;
        let mut cx = Context { world, tables, fd, turn: Turn::Worker, vouched };
        self.op.refuse(&mut cx, errno)
    }

    /// Gives back what its operation holds.
    pub(crate) fn abandon(&mut self, world: &Arc<dyn World>, tables: &mut Tables) {
        let fd = self.file.fd();
        let vouched = self.vouched;
        self.op.abandon(&mut Context { world, tables, fd, turn: Turn::Worker, vouched });
    }

    /// Whether a worker makes the first attempt: it asks for that, or has to have other credentials.
    #[inline]
    pub(crate) const fn wants_worker(&self) -> bool {
        self.flags.contains(SqeFlags::ASYNC) || self.workers.is_some()
    }

    /// The workers that carry it out, on a ring with these.
    pub(crate) fn workers<'a>(&'a self, ring: &'a Pool) -> &'a Pool {
        self.workers.as_ref().unwrap_or(ring)
    }

    /// The operation, if it is one of the core's own.
    pub(crate) const fn control(&self) -> Option<Control> {
        match self.op {
            Op::Control(control) => Some(control),
            _ => None,
        }
    }

    /// Whether a completion of this outcome is to be posted.
    pub(crate) const fn posts(&self, outcome: &Outcome) -> bool {
        outcome.severs || !self.flags.contains(SqeFlags::CQE_SKIP_SUCCESS)
    }
}
