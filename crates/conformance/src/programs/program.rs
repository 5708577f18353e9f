//! A program of io_uring as data: a ring, and what is done with it step by step.
//!
//! Nothing here runs. Everything is named by number (a pipe, a slot, an earlier request), so that a program can be
//! printed as Rust text, cut smaller, and run again on any back end. No step depends on what another returned:
//! a step that has become impossible, because a step before it was cut out, does nothing or fails with an errno.

use crate::harness::Mode;

/// A whole program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The ring that it runs on.
    pub ring: RingShape,
    /// What it does, in order.
    pub steps: Vec<Step>,
}

impl Program {
    /// Whether it closes descriptors of the process.
    pub(super) fn gives_up_numbers(&self) -> bool {
        let closes = |step: &Step| {
            matches!(step, Step::CloseOwn(_) | Step::Push(Request { op: Op::Close { .. }, .. }))
        };
        self.steps.iter().any(closes)
    }
}

/// How the ring of a program is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingShape {
    /// How it is driven.
    pub mode: Mode,
    /// Places in the submission queue.
    pub entries: u32,
    /// Places in the completion queue: few of them overflow.
    pub cq_entries: u32,
    /// Whether a submission goes on behind a refused entry (`IORING_SETUP_SUBMIT_ALL`).
    pub submit_all: bool,
}

/// One thing that a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Puts a request into the queue.
    Push(Request),
    /// Hands over what is in the queue. The number that comes back is compared.
    Submit,
    /// Reaps until nothing more can come by itself.
    Settle,
    /// Writes to the other end, without the ring.
    Feed {
        /// Where.
        at: Target,
        /// So many bytes.
        len: u16,
    },
    /// Reads at the other end, without the ring and without waiting. What comes is compared.
    Take {
        /// Where.
        at: Target,
        /// At most so many bytes.
        len: u16,
    },
    /// Closes a descriptor of the program's, without the ring.
    CloseOwn(Target),
    /// Shuts a socket down, without the ring: 0 for reading, 1 for writing, 2 for both.
    ShutdownOwn(Target, u8),
    /// Connects to the listener, without the ring.
    Dial,
    /// Calls io_uring_register(2). What it returns is compared.
    Register(Registration),
}

/// A request, and its name: its `user_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// No other request of the program has it.
    pub name: u16,
    /// `IOSQE_*`; `FIXED_FILE` and `BUFFER_SELECT` come from the operation.
    pub flags: u8,
    /// What it asks for.
    pub op: Op,
    /// A field that is overwritten when everything else is in place.
    pub tweak: Tweak,
}

/// A field of an entry that gets a value which the operation does not give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tweak {
    /// The entry is as the operation makes it.
    Nothing,
    /// `ioprio`.
    Ioprio(u16),
    /// `buf_index`.
    BufIndex(u16),
    /// `file_index`.
    FileIndex(u32),
    /// `op_flags`.
    OpFlags(u32),
    /// `addr3`.
    Addr3(u64),
    /// `off`.
    Off(u64),
    /// `personality`.
    Personality(u16),
    /// A flag of `IOSQE_*` that no operation sets for itself.
    ExtraFlags(u8),
}

/// What an operation is done to. The things of a program are always the same; each is made when it is first used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A regular file: 0 holds 100 bytes, 1 holds 9000, 2 is empty.
    File(u8),
    /// The reading end of a pipe of one page.
    Reader(u8),
    /// Its writing end.
    Writer(u8),
    /// One end of a pair of stream sockets.
    Near(u8),
    /// The other end.
    Far(u8),
    /// One end of a pair of datagram sockets.
    Sender,
    /// The other end.
    Mailbox,
    /// The connecting end of a TCP connection.
    Client,
    /// Its accepting end.
    Server,
    /// A listening TCP socket.
    Listener,
    /// An eventfd that stands at 0.
    Event,
    /// A registered file by its slot.
    Slot(u8),
    /// The descriptor that an earlier request made.
    Made(u16),
    /// No descriptor at all: -1.
    Bad,
}

/// Where data lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// In memory of the request's own.
    Own,
    /// In three parts (READV, WRITEV, a message).
    Parts,
    /// In a registered buffer.
    Fixed(u16),
    /// In a provided buffer of this group, which the back end picks.
    Select(u16),
}

/// Where a new descriptor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among the process's descriptors.
    Process,
    /// Into this slot.
    InSlot(u8),
    /// Into a free slot.
    AnySlot,
}

/// How long a timeout waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    Zero,
    /// A millisecond or two.
    Short,
    /// Longer than any program.
    Long,
    /// What is no time: a negative number.
    Negative,
}

/// What a cancel looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The request of this name.
    Name(u16),
    /// Requests on this.
    At(Target),
    /// Requests of this opcode.
    Opcode(u8),
    /// Whatever there is.
    Any,
}

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields of operations are named as their manual pages name them")]
pub enum Op {
    /// NOP, with an injected result if that is not 0.
    Nop { result: i32 },
    /// READ, READV, READ_FIXED.
    Read { at: Target, len: u16, offset: i64, memory: Memory },
    /// WRITE, WRITEV, WRITE_FIXED.
    Write { at: Target, len: u16, offset: i64, memory: Memory },
    /// READ_MULTISHOT into a group.
    ReadMany { at: Target, group: u16 },
    /// RECV.
    Recv { at: Target, len: u16, msg_flags: u32, memory: Memory },
    /// RECV multishot into a group, `bundle` with RECVSEND_BUNDLE.
    RecvMany { at: Target, group: u16, bundle: bool },
    /// RECV into several buffers of a group, once.
    RecvBundle { at: Target, group: u16, len: u16 },
    /// RECVMSG into three parts.
    RecvMsg { at: Target, len: u16, msg_flags: u32 },
    /// SEND.
    Send { at: Target, len: u16, msg_flags: u32 },
    /// SEND out of the buffers of a group, one after the other, until there are none.
    SendBundle { at: Target, group: u16, len: u16 },
    /// SENDMSG from three parts.
    SendMsg { at: Target, len: u16, msg_flags: u32 },
    /// SEND_ZC.
    SendZc { at: Target, len: u16 },
    /// ACCEPT on the listener.
    Accept { multishot: bool, place: Place },
    /// CONNECT to the listener.
    Connect { at: Target },
    /// POLL_ADD.
    PollAdd { at: Target, events: u32, multishot: bool },
    /// POLL_REMOVE.
    PollRemove { of: u16 },
    /// POLL_REMOVE that changes the events.
    PollUpdate { of: u16, events: u32 },
    /// TIMEOUT; `flags` are `IORING_TIMEOUT_*`.
    Timeout { wait: Wait, count: u32, flags: u32 },
    /// TIMEOUT_REMOVE.
    TimeoutRemove { of: u16 },
    /// TIMEOUT_REMOVE that sets a new time.
    TimeoutUpdate { of: u16, wait: Wait },
    /// LINK_TIMEOUT.
    LinkTimeout { wait: Wait },
    /// ASYNC_CANCEL.
    Cancel { key: Key, all: bool },
    /// OPENAT of a path by number; `flags` are `O_*`.
    Open { path: u8, flags: i32, place: Place },
    /// CLOSE: a registered file of its slot, a made descriptor, or a duplicate of anything else.
    Close { at: Target },
    /// FSYNC.
    Fsync { at: Target, datasync: bool },
    /// FALLOCATE.
    Fallocate { at: Target, mode: u32, offset: u16, len: u16 },
    /// FTRUNCATE.
    Truncate { at: Target, len: u16 },
    /// FADVISE.
    Advise { at: Target, advice: u32 },
    /// STATX: size, links and mode are compared.
    Statx { path: u8 },
    /// MKDIRAT.
    Mkdir { path: u8 },
    /// UNLINKAT.
    Unlink { path: u8, directory: bool },
    /// RENAMEAT.
    Rename { from: u8, to: u8, flags: u32 },
    /// SYMLINKAT.
    Symlink { to: u8, path: u8 },
    /// LINKAT.
    HardLink { from: u8, path: u8 },
    /// SPLICE; an offset of -1 for none.
    Splice { from: Target, offset: i64, to: Target, len: u16 },
    /// TEE.
    Tee { from: Target, to: Target, len: u16 },
    /// PROVIDE_BUFFERS: `count` of `len` bytes, the first of this number.
    Provide { group: u16, first: u16, count: u16, len: u16 },
    /// REMOVE_BUFFERS.
    Withdraw { group: u16, count: u16 },
    /// MSG_RING to this ring: a completion of this name with `len` as its result.
    Message { len: u16, flags: u32 },
    /// FILES_UPDATE of one slot.
    UpdateFile { slot: u8, to: Target },
    /// SHUTDOWN.
    Shutdown { at: Target, how: u8 },
    /// SOCKET for TCP.
    Socket { place: Place },
    /// FIXED_FD_INSTALL.
    Install { slot: u8 },
    /// An opcode as it is, with nothing else.
    Raw { opcode: u8 },
}

/// A call of io_uring_register(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields of registrations are named as the manual page names them")]
pub enum Registration {
    /// REGISTER_FILES: eight slots, the first four filled.
    Files,
    /// UNREGISTER_FILES.
    NoFiles,
    /// REGISTER_FILES_UPDATE of one slot; [`Target::Bad`] empties it.
    Update { slot: u8, to: Target },
    /// REGISTER_FILE_ALLOC_RANGE.
    AllocRange { from: u32, len: u32 },
    /// REGISTER_BUFFERS: two of them.
    Buffers,
    /// UNREGISTER_BUFFERS.
    NoBuffers,
    /// REGISTER_PBUF_RING with all its buffers given.
    BufferRing { group: u16, incremental: bool },
    /// UNREGISTER_PBUF_RING.
    NoBufferRing { group: u16 },
    /// Adds a buffer of this number to a ring; no call.
    Give { group: u16, id: u16 },
    /// REGISTER_EVENTFD, with `ASYNC` or without.
    Eventfd { only_async: bool },
    /// UNREGISTER_EVENTFD.
    NoEventfd,
    /// REGISTER_SYNC_CANCEL by name.
    SyncCancel { of: u16 },
    /// REGISTER_IOWQ_MAX_WORKERS.
    MaxWorkers { bounded: u32, unbounded: u32 },
    /// An operation by number, without argument.
    RawRegister { op: u32 },
}

/// Slots of the table that [`Registration::Files`] registers.
pub(super) const SLOTS: u8 = 8;

/// What its first slots hold; the others are empty.
pub(super) const SLOT_FILES: [Target; 4] =
    [Target::File(1), Target::Reader(1), Target::Near(1), Target::Server];

/// Registered buffers, and the bytes of each.
pub(super) const FIXED_BUFFERS: u16 = 2;

/// Bytes of a registered buffer.
pub(super) const FIXED_LEN: u16 = 512;

/// Buffers of a registered buffer ring.
pub(super) const RING_BUFFERS: u16 = 4;

/// Bytes of each buffer of a group.
pub(super) const GROUP_LEN: u16 = 32;

/// What the path of this number is called: three files that are there, and four names that are not.
pub const PATHS: [&str; 7] = ["f0", "f1", "f2", "a", "b", "d", "missing/x"];

impl Op {
    /// Its opcode.
    #[must_use]
    pub const fn opcode(&self) -> u8 {
        use annulus::abi::*;
        match self {
            Self::Nop { .. } => IORING_OP_NOP,
            Self::Read { memory: Memory::Fixed(_), .. } => IORING_OP_READ_FIXED,
            Self::Read { memory: Memory::Parts, .. } => IORING_OP_READV,
            Self::Read { .. } => IORING_OP_READ,
            Self::Write { memory: Memory::Fixed(_), .. } => IORING_OP_WRITE_FIXED,
            Self::Write { memory: Memory::Parts, .. } => IORING_OP_WRITEV,
            Self::Write { .. } => IORING_OP_WRITE,
            Self::ReadMany { .. } => IORING_OP_READ_MULTISHOT,
            Self::Recv { .. } | Self::RecvMany { .. } | Self::RecvBundle { .. } => IORING_OP_RECV,
            Self::RecvMsg { .. } => IORING_OP_RECVMSG,
            Self::Send { .. } | Self::SendBundle { .. } => IORING_OP_SEND,
            Self::SendMsg { .. } => IORING_OP_SENDMSG,
            Self::SendZc { .. } => IORING_OP_SEND_ZC,
            Self::Accept { .. } => IORING_OP_ACCEPT,
            Self::Connect { .. } => IORING_OP_CONNECT,
            Self::PollAdd { .. } => IORING_OP_POLL_ADD,
            Self::PollRemove { .. } | Self::PollUpdate { .. } => IORING_OP_POLL_REMOVE,
            Self::Timeout { .. } => IORING_OP_TIMEOUT,
            Self::TimeoutRemove { .. } | Self::TimeoutUpdate { .. } => IORING_OP_TIMEOUT_REMOVE,
            Self::LinkTimeout { .. } => IORING_OP_LINK_TIMEOUT,
            Self::Cancel { .. } => IORING_OP_ASYNC_CANCEL,
            Self::Open { .. } => IORING_OP_OPENAT,
            Self::Close { .. } => IORING_OP_CLOSE,
            Self::Fsync { .. } => IORING_OP_FSYNC,
            Self::Fallocate { .. } => IORING_OP_FALLOCATE,
            Self::Truncate { .. } => IORING_OP_FTRUNCATE,
            Self::Advise { .. } => IORING_OP_FADVISE,
            Self::Statx { .. } => IORING_OP_STATX,
            Self::Mkdir { .. } => IORING_OP_MKDIRAT,
            Self::Unlink { .. } => IORING_OP_UNLINKAT,
            Self::Rename { .. } => IORING_OP_RENAMEAT,
            Self::Symlink { .. } => IORING_OP_SYMLINKAT,
            Self::HardLink { .. } => IORING_OP_LINKAT,
            Self::Splice { .. } => IORING_OP_SPLICE,
            Self::Tee { .. } => IORING_OP_TEE,
            Self::Provide { .. } => IORING_OP_PROVIDE_BUFFERS,
            Self::Withdraw { .. } => IORING_OP_REMOVE_BUFFERS,
            Self::Message { .. } => IORING_OP_MSG_RING,
            Self::UpdateFile { .. } => IORING_OP_FILES_UPDATE,
            Self::Shutdown { .. } => IORING_OP_SHUTDOWN,
            Self::Socket { .. } => IORING_OP_SOCKET,
            Self::Install { .. } => IORING_OP_FIXED_FD_INSTALL,
            Self::Raw { opcode } => *opcode,
        }
    }

    /// Whether it may wait for somebody else for as long as the program lasts.
    #[must_use]
    pub const fn may_wait(&self) -> bool {
        match self {
            Self::Read { at, .. } | Self::Write { at, .. } => !matches!(at, Target::File(_) | Target::Bad),
            Self::ReadMany { .. }
            | Self::Recv { .. }
            | Self::RecvMany { .. }
            | Self::RecvBundle { .. }
            | Self::RecvMsg { .. }
            | Self::Send { .. }
            | Self::SendBundle { .. }
            | Self::SendMsg { .. }
            | Self::SendZc { .. }
            | Self::Accept { .. }
            | Self::Connect { .. }
            | Self::PollAdd { .. }
            | Self::Splice { .. }
            | Self::Tee { .. } => true,
            Self::Timeout { wait, .. } => matches!(wait, Wait::Long),
            _ => false,
        }
    }

    /// Whether a success of it is a descriptor of the process, whose number says nothing.
    #[must_use]
    pub const fn makes_descriptor(&self) -> bool {
        match self {
            Self::Accept { place, .. } | Self::Open { place, .. } | Self::Socket { place } => {
                matches!(place, Place::Process)
            }
            Self::Install { .. } => true,
            _ => false,
        }
    }
}
