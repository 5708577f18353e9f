//! The operations: how an entry becomes one, and how one is carried out.
//!
//! An operation is prepared once, when its entry is taken from the queue: everything that the entry points to and that
//! the kernel would copy (paths, iovecs, headers, times) is copied then, so that the program may forget it
//! (`IORING_FEAT_SUBMIT_STABLE`). Then it is attempted, without blocking, as often as there is a reason to; what only a
//! thread that may block can do is done by [`Operation::block`] on a worker.
//!
//! An operation neither posts completions nor watches descriptors nor starts threads: it says what it needs ([`Step`]) and the
//! core does it.

mod control;
mod epoll;
mod file;
mod futex;
mod net;
mod nop;
mod poll;
mod provide;
mod rw;
#[cfg(test)]
mod testing;
mod waitid;

use std::os::fd::RawFd;
use std::sync::Arc;

use annulus_abi::{CqeFlags, OpTraits, OpcodeInfo, Sqe};
use rustix::io::Errno;

pub(crate) use control::{Control, Criteria, Message, PollRemove, Timeout, TimeoutRemove};
pub(crate) use net::Transfer;
pub(crate) use nop::Nop;
pub(crate) use poll::Poll;
pub(crate) use rw::ReadWrite;

use crate::buffers::{Groups, Picked, Registered};
use crate::files::{FileTable, Hints, Retired, RingTest};
use crate::pool::{Interrupt, Lane};
use crate::world::{Direct, ReadySet, Vouched, World};

/// An operation, ready to be attempted. Those that matter for speed stand here by value, the rest is boxed.
pub(crate) enum Op {
    /// `NOP`.
    Nop(Nop),
    /// `POLL_ADD`.
    Poll(Poll),
    /// `RECV` and `SEND`.
    Transfer(Transfer),
    /// What concerns other requests, or time: the core carries it out itself.
    Control(Control),
    /// Reads and writes.
    ReadWrite(ReadWrite),
    /// Everything else.
    Other(Box<dyn Operation>),
    /// None: of an entry that could not be prepared, or while a worker has it.
    Void,
}

impl Op {
    /// [`Operation::attempt`].
    #[inline]
    pub(crate) fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        match self {
            Self::Nop(nop) => nop.attempt(cx),
            Self::Poll(poll) => poll.attempt(cx),
            Self::ReadWrite(operation) => operation.attempt(cx),
            Self::Transfer(transfer) => transfer.attempt(cx),
            Self::Other(operation) => operation.attempt(cx),
            Self::Control(_) | Self::Void => {
                unreachable!("the core attempts only what is an operation of its own")
            }
        }
    }

    /// [`Operation::block`].
    pub(crate) fn block(
        &mut self,
        world: &dyn World,
        fd: RawFd,
        interrupt: &Interrupt,
    ) -> Result<u32, Errno> {
        match self {
            Self::Other(operation) => operation.block(world, fd, interrupt),
            Self::ReadWrite(operation) => operation.block(world, fd, interrupt),
            Self::Poll(poll) => poll.block(world, fd, interrupt),
            Self::Nop(_) | Self::Transfer(_) | Self::Control(_) | Self::Void => {
                unreachable!("this operation never asks for a worker")
            }
        }
    }

    /// [`Operation::settle`].
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>, result: Result<u32, Errno>) -> Step {
        match self {
            Self::Other(operation) => operation.settle(cx, result),
            Self::ReadWrite(operation) => operation.settle(cx, result),
            Self::Nop(_) | Self::Poll(_) | Self::Transfer(_) | Self::Control(_) | Self::Void => {
                Step::Done(Outcome::from(result))
            }
        }
    }

    /// [`Operation::abandon`].
    pub(crate) fn abandon(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Other(operation) => operation.abandon(cx),
            Self::ReadWrite(operation) => operation.abandon(cx),
            Self::Transfer(transfer) => transfer.abandon(cx),
            Self::Nop(_) | Self::Poll(_) | Self::Control(_) | Self::Void => {}
        }
    }

    /// [`Operation::refuse`].
    pub(crate) fn refuse(&mut self, cx: &mut Context<'_>, errno: Errno) -> Step {
        match self {
            Self::Other(operation) => operation.refuse(cx, errno),
            Self::ReadWrite(operation) => operation.refuse(cx, errno),
            Self::Transfer(transfer) => transfer.refuse(cx, errno),
            _ => {
                let done = self.progress();
                self.abandon(cx);
                Step::Done(Outcome::refused(done, errno))
            }
        }
    }

    /// [`Operation::outrun`].
    pub(crate) fn outrun(&mut self) -> Option<Outcome> {
        match self {
            Self::Other(operation) => operation.outrun(),
            _ => None,
        }
    }

    /// [`Operation::progress`].
    pub(crate) fn progress(&self) -> u32 {
        match self {
            Self::Other(operation) => operation.progress(),
            Self::ReadWrite(operation) => operation.progress(),
            Self::Transfer(transfer) => transfer.progress(),
            Self::Nop(_) | Self::Poll(_) | Self::Control(_) | Self::Void => 0,
        }
    }
}

/// What an attempt came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Over, with the last completion.
    Done(Outcome),
    /// One of several completions; the core posts it with `F_MORE` and attempts again at once. (If the completion queue is
    /// full, the request ends with this completion, without `F_MORE`.)
    More(Outcome),
    /// Over, with its result and, behind it, a notification (`SEND_ZC`): `F_MORE` on the first is the core's.
    DoneWithNotice(Outcome, Outcome),
    /// Nothing to be had now: attempt again when the descriptor is ready.
    Wait(Interest),
    /// Only a thread that may block can do it: [`Operation::block`], then [`Operation::settle`].
    Block(Work),
    /// It can go on by itself; [`Operation::settle`] with its result. If it cannot, as [`Step::Block`].
    Start(Direct, Work),
}

/// What is to be ready before another attempt is worth while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    /// `POLLIN`, `POLLOUT`, ...
    pub(crate) events: ReadySet,
    /// Of this descriptor, which the operation keeps open while it waits; of the request's file if there is none here.
    pub(crate) on: Option<RawFd>,
}

impl Interest {
    /// The request's file.
    pub(crate) const fn file(events: ReadySet) -> Self {
        Self { events, on: None }
    }
}

/// How a worker is to do it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// Whether it ends by itself.
    pub(crate) lane: Lane,
    /// Work of the same number is done one after the other: buffered writes to one file.
    pub(crate) hash: Option<(u64, u64)>,
}

/// The content of a completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `res`.
    pub(crate) result: i32,
    /// `flags`: buffer numbers, `SOCK_NONEMPTY`, ...; never `F_MORE`, which is the core's.
    pub(crate) flags: CqeFlags,
    /// The second half of a 32-byte completion.
    pub(crate) extra: Option<[u64; 2]>,
    /// A soft link behind this request breaks, and the completion is not skipped: an error, or a short read.
    pub(crate) severs: bool,
}

impl Outcome {
    /// Success with this result.
    pub(crate) const fn success(result: i32) -> Self {
        Self { result, flags: CqeFlags::empty(), extra: None, severs: false }
    }

    /// Failure.
    pub(crate) const fn failure(errno: Errno) -> Self {
        Self { result: -errno.raw_os_error(), flags: CqeFlags::empty(), extra: None, severs: true }
    }

    /// As the operations end whose failure Linux does not count as one: it neither breaks a chain nor makes a completion appear that
    /// was to be skipped.
    pub(crate) fn lenient(result: Result<u32, Errno>) -> Self {
        Self { severs: false, ..Self::from(result) }
    }

    /// As a transfer of `count` bytes that should have been `wanted` and breaks a chain if it is short.
    pub(crate) fn transferred(count: usize, wanted: usize) -> Self {
        Self { severs: count < wanted, ..Self::success(i32::try_from(count).unwrap_or(i32::MAX)) }
    }

    /// The end of an operation that is not attempted again: what it has moved so far counts, if that is anything.
    pub(crate) fn refused(done: u32, errno: Errno) -> Self {
        match done {
            0 => Self::failure(errno),
            bytes => Self { severs: true, ..Self::from(Ok(bytes)) },
        }
    }

    /// The same with these flags.
    pub(crate) const fn with_flags(self, flags: CqeFlags) -> Self {
        Self { flags, ..self }
    }
}

impl From<Result<u32, Errno>> for Outcome {
    fn from(result: Result<u32, Errno>) -> Self {
        match result {
            Ok(count) => Self::success(i32::try_from(count).unwrap_or(i32::MAX)),
            Err(errno) => Self::failure(errno),
        }
    }
}

/// Why an operation is attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// For the first time, by the submitter.
    Inline,
    /// Its descriptor became ready for this.
    Ready(ReadySet),
    /// `IOSQE_ASYNC`: by a worker, as the first attempt. An operation that would do work here which may take long (a read
    /// of a file) answers [`Step::Block`] at once.
    Worker,
}

/// What a preparation may look at.
pub(crate) struct Prepare<'a> {
    /// The outside, for copying what the entry points to.
    pub(crate) world: &'a dyn World,
    /// The right to name the entry's memory.
    pub(crate) vouched: Vouched,
    /// The ring was set up with `IORING_SETUP_IOPOLL`.
    pub(crate) iopoll: bool,
    /// The ring posts 32-byte completions (`CQE32`, or `CQE_MIXED`).
    pub(crate) wide_completions: bool,
}

/// What an attempt may use.
pub(crate) struct Context<'a> {
    /// The outside, shared so that a file which an operation makes can keep it.
    pub(crate) world: &'a Arc<dyn World>,
    /// What is registered with the ring.
    pub(crate) tables: &'a mut Tables,
    /// The request's file as a descriptor of the world; -1 if its opcode takes none.
    pub(crate) fd: RawFd,
    /// Why it is attempted.
    pub(crate) turn: Turn,
    /// The right to name the entry's memory.
    pub(crate) vouched: Vouched,
}

impl Context<'_> {
    /// The next buffer of a group, cut to `wanted` bytes (0: the whole buffer). A worker takes it for good, as in the kernel, whose
    /// workers do not hold the ring while they try.
    ///
    /// # Errors
    ///
    /// `ENOBUFS`; before that `EBADF`, for a file that is not there.
    #[inline]
    pub(crate) fn pick(&mut self, group: u16, wanted: usize) -> Result<Picked, Errno> {
        match self.tables.groups.pick(group, wanted) {
            Ok(picked) if self.turn == Turn::Worker => Ok(self.tables.groups.keep(picked)),
            Ok(picked) => Ok(picked),
            // That the file is not there would have come first.
            Err(_) if self.world.kind(self.fd) == Err(Errno::BADF) => Err(Errno::BADF),
            Err(errno) => Err(errno),
        }
    }
}

/// What is registered with a ring and read by operations.
#[derive(Debug)]
pub(crate) struct Tables {
    /// Registered files.
    pub(crate) files: FileTable,
    /// Registered buffers.
    pub(crate) buffers: Registered,
    /// Groups of provided buffers.
    pub(crate) groups: Groups,
    /// What is known of descriptors.
    pub(crate) hints: Hints,
    /// Which descriptors are rings.
    pub(crate) rings: RingTest,
    retired: Retired,
}

impl Tables {
    /// Nothing registered. `rings` tells descriptors of rings from others.
    pub(crate) fn new(rings: RingTest) -> Self {
        let retired = Retired::default();
        Self {
            files: FileTable::new(retired.clone()),
            buffers: Registered::new(retired.clone()),
            groups: Groups::default(),
            hints: Hints::default(),
            rings,
            retired,
        }
    }

    /// The tags of registered files and buffers that nobody uses any more, since it was last asked. Each becomes the `user_data`
    /// of a completion with result 0.
    #[inline]
    pub(crate) fn take_retired(&self) -> Vec<u64> {
        self.retired.take()
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self::new(RingTest::default())
    }
}

/// An operation. It may move between threads, but only one has it at a time.
pub(crate) trait Operation: Send {
    /// Tries, without waiting for anybody.
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step;

    /// Does it on a worker, for as long as it takes. The ring is not locked. `EINTR` when `interrupt` was requested means that the
    /// request was cancelled. Called only after [`Step::Block`].
    fn block(&mut self, world: &dyn World, fd: RawFd, interrupt: &Interrupt) -> Result<u32, Errno> {
        let _ = (world, fd, interrupt);
        unreachable!("this operation never asks for a worker")
    }

    /// Makes a completion of what [`block`](Self::block) returned, with the ring locked: installs a descriptor in its slot, says which
    /// buffer was used.
    fn settle(&mut self, cx: &mut Context<'_>, result: Result<u32, Errno>) -> Step {
        let _ = cx;
        Step::Done(Outcome::from(result))
    }

    /// The request ends without another attempt (it was cancelled, or its ring goes): gives back what it holds, a buffer
    /// of a group for example.
    fn abandon(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Ends with this error without another attempt: its file is not there, it was cancelled, or what it was linked to failed. Gives
    /// back what it holds.
    fn refuse(&mut self, cx: &mut Context<'_>, errno: Errno) -> Step {
        let done = self.progress();
        self.abandon(cx);
        Step::Done(Outcome::refused(done, errno))
    }

    /// A cancel has reached it while it waits for a descriptor. What it had come to before, if it was faster: then that is its end,
    /// and the cancel finds nothing.
    fn outrun(&mut self) -> Option<Outcome> {
        None
    }

    /// Bytes that earlier attempts have moved: what a request that is cancelled half-way answers instead of `ECANCELED`.
    fn progress(&self) -> u32 {
        0
    }
}

/// Makes an operation of an entry. The fields that must be zero were checked against the opcode table, `flags` as far as they concern
/// every opcode, and `personality`.
///
/// # Errors
///
/// `EINVAL` for values without meaning and for opcodes that the engine does not have, `EFAULT`, and what else the kernel's own preparation answers.
pub(crate) fn prepare(sqe: &Sqe, cx: &mut Prepare<'_>) -> Result<Op, Errno> {
    use annulus_abi as abi;
    match sqe.opcode {
        abi::IORING_OP_NOP => Nop::prepare(sqe, cx.wide_completions).map(Op::Nop),
        abi::IORING_OP_POLL_ADD => Poll::prepare(sqe).map(Op::Poll),
        abi::IORING_OP_READ
        | abi::IORING_OP_WRITE
        | abi::IORING_OP_READV
        | abi::IORING_OP_WRITEV
        | abi::IORING_OP_READ_FIXED
        | abi::IORING_OP_WRITE_FIXED
        | abi::IORING_OP_READV_FIXED
        | abi::IORING_OP_WRITEV_FIXED
        | abi::IORING_OP_READ_MULTISHOT => ReadWrite::prepare(sqe, cx).map(Op::ReadWrite),
        abi::IORING_OP_PROVIDE_BUFFERS | abi::IORING_OP_REMOVE_BUFFERS => {
            provide::Provide::prepare(sqe, cx).map(|op| Op::Other(Box::new(op)))
        }
        opcode if file::has(opcode) => file::prepare(sqe, cx),
        abi::IORING_OP_EPOLL_CTL => epoll::EpollCtl::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_EPOLL_WAIT => Ok(boxed(epoll::EpollWait::prepare(sqe, cx))),
        abi::IORING_OP_FUTEX_WAIT => futex::Wait::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_FUTEX_WAITV => futex::Wait::prepare_several(sqe, cx).map(boxed),
        abi::IORING_OP_FUTEX_WAKE => futex::Wake::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_WAITID => Ok(boxed(waitid::WaitId::prepare(sqe, cx))),
        opcode if net::has(opcode) => net::prepare(sqe, cx),
        _ => Control::prepare(sqe, cx).map(Op::Control),
    }
}

/// What stands for an entry that could not be prepared: knows what its end looks like.
pub(crate) fn unprepared(sqe: &Sqe) -> Op {
    net::unprepared(sqe).unwrap_or(Op::Void)
}

fn boxed(operation: impl Operation + 'static) -> Op {
    Op::Other(Box::new(operation))
}

/// Whether the engine has the opcode: what PROBE tells, and what is not answered by `EINVAL`.
pub(crate) fn is_supported(opcode: u8) -> bool {
    use annulus_abi as abi;
    let without_meaning = [abi::IORING_OP_RECV_ZC, abi::IORING_OP_NOP128, abi::IORING_OP_URING_CMD128];
    OpcodeInfo::of(opcode).is_some() && !without_meaning.contains(&opcode)
}

/// How the opcode works.
pub(crate) fn traits_of(opcode: u8) -> OpTraits {
    OpcodeInfo::of(opcode).map_or(OpTraits::empty(), |info| info.traits)
}
