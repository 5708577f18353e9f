//! The opcodes: their numbers, and what one row of the table says about each.
//!
//! Deliberately not here: what an operation does. The flags and structures that operations take are in
//! `op`.

mod forms;
mod table;

pub use forms::{FORMS, Form, FormOf};
pub use table::OPCODES;

use bitflags::bitflags;

use crate::Sqe;

/// Nothing, or what [`NopFlags`](crate::NopFlags) say. Linux 5.1.
pub const IORING_OP_NOP: u8 = 0;
/// preadv2(2). Linux 5.1.
pub const IORING_OP_READV: u8 = 1;
/// pwritev2(2). Linux 5.1.
pub const IORING_OP_WRITEV: u8 = 2;
/// fsync(2), or fdatasync(2) by [`FsyncFlags`](crate::FsyncFlags). Linux 5.1.
pub const IORING_OP_FSYNC: u8 = 3;
/// pread(2) into a registered buffer. Linux 5.1.
pub const IORING_OP_READ_FIXED: u8 = 4;
/// pwrite(2) from a registered buffer. Linux 5.1.
pub const IORING_OP_WRITE_FIXED: u8 = 5;
/// poll(2) on one file, once or, by [`PollFlags`](crate::PollFlags), again and again. Linux 5.1.
pub const IORING_OP_POLL_ADD: u8 = 6;
/// Remove a poll request, or change it by [`PollFlags`](crate::PollFlags). Linux 5.1.
pub const IORING_OP_POLL_REMOVE: u8 = 7;
/// sync_file_range(2). Linux 5.2.
pub const IORING_OP_SYNC_FILE_RANGE: u8 = 8;
/// sendmsg(2). Linux 5.3.
pub const IORING_OP_SENDMSG: u8 = 9;
/// recvmsg(2). Linux 5.3.
pub const IORING_OP_RECVMSG: u8 = 10;
/// Complete after a time, or after so many completions. Linux 5.4.
pub const IORING_OP_TIMEOUT: u8 = 11;
/// Remove a timeout, or change it by [`TimeoutFlags`](crate::TimeoutFlags). Linux 5.5.
pub const IORING_OP_TIMEOUT_REMOVE: u8 = 12;
/// accept4(2). Linux 5.5.
pub const IORING_OP_ACCEPT: u8 = 13;
/// Cancel requests that [`CancelFlags`](crate::CancelFlags) choose. Linux 5.5.
pub const IORING_OP_ASYNC_CANCEL: u8 = 14;
/// Cancel the request it is linked to after a time. Linux 5.5.
pub const IORING_OP_LINK_TIMEOUT: u8 = 15;
/// connect(2). Linux 5.5.
pub const IORING_OP_CONNECT: u8 = 16;
/// fallocate(2). Linux 5.6.
pub const IORING_OP_FALLOCATE: u8 = 17;
/// openat(2). Linux 5.6.
pub const IORING_OP_OPENAT: u8 = 18;
/// close(2), of a descriptor or a slot. Linux 5.6.
pub const IORING_OP_CLOSE: u8 = 19;
/// Replace some registered files. Linux 5.6.
pub const IORING_OP_FILES_UPDATE: u8 = 20;
/// statx(2). Linux 5.6.
pub const IORING_OP_STATX: u8 = 21;
/// pread(2). Linux 5.6.
pub const IORING_OP_READ: u8 = 22;
/// pwrite(2). Linux 5.6.
pub const IORING_OP_WRITE: u8 = 23;
/// posix_fadvise(2); a length in `addr`, or if that is 0 in `len`. Linux 5.6.
pub const IORING_OP_FADVISE: u8 = 24;
/// madvise(2); a length in `off`, or if that is 0 in `len`. Linux 5.6.
pub const IORING_OP_MADVISE: u8 = 25;
/// send(2), or sendto(2) if there is an address. Linux 5.6.
pub const IORING_OP_SEND: u8 = 26;
/// recv(2). Linux 5.6.
pub const IORING_OP_RECV: u8 = 27;
/// openat2(2). Linux 5.6.
pub const IORING_OP_OPENAT2: u8 = 28;
/// epoll_ctl(2). Linux 5.6.
pub const IORING_OP_EPOLL_CTL: u8 = 29;
/// splice(2). Linux 5.7.
pub const IORING_OP_SPLICE: u8 = 30;
/// Give buffers to a group, without a buffer ring. Linux 5.7.
pub const IORING_OP_PROVIDE_BUFFERS: u8 = 31;
/// Take buffers out of a group, without a buffer ring. Linux 5.7.
pub const IORING_OP_REMOVE_BUFFERS: u8 = 32;
/// tee(2). Linux 5.8.
pub const IORING_OP_TEE: u8 = 33;
/// shutdown(2). Linux 5.11.
pub const IORING_OP_SHUTDOWN: u8 = 34;
/// renameat2(2). Linux 5.11.
pub const IORING_OP_RENAMEAT: u8 = 35;
/// unlinkat(2). Linux 5.11.
pub const IORING_OP_UNLINKAT: u8 = 36;
/// mkdirat(2). Linux 5.15.
pub const IORING_OP_MKDIRAT: u8 = 37;
/// symlinkat(2). Linux 5.15.
pub const IORING_OP_SYMLINKAT: u8 = 38;
/// linkat(2). Linux 5.15.
pub const IORING_OP_LINKAT: u8 = 39;
/// A completion or a file for another ring. Linux 5.18.
pub const IORING_OP_MSG_RING: u8 = 40;
/// fsetxattr(2). Linux 5.19.
pub const IORING_OP_FSETXATTR: u8 = 41;
/// setxattr(2). Linux 5.19.
pub const IORING_OP_SETXATTR: u8 = 42;
/// fgetxattr(2). Linux 5.19.
pub const IORING_OP_FGETXATTR: u8 = 43;
/// getxattr(2). Linux 5.19.
pub const IORING_OP_GETXATTR: u8 = 44;
/// socket(2). Linux 5.19.
pub const IORING_OP_SOCKET: u8 = 45;
/// A command of the file's driver or protocol, such as `SOCKET_URING_OP_*`. Linux 5.19.
pub const IORING_OP_URING_CMD: u8 = 46;
/// send(2) without copying; a notification follows. Linux 6.0.
pub const IORING_OP_SEND_ZC: u8 = 47;
/// sendmsg(2) without copying; a notification follows. Linux 6.1.
pub const IORING_OP_SENDMSG_ZC: u8 = 48;
/// read(2) again and again, into provided buffers. Linux 6.7.
pub const IORING_OP_READ_MULTISHOT: u8 = 49;
/// waitid(2). Linux 6.7.
pub const IORING_OP_WAITID: u8 = 50;
/// futex_wait(2). Linux 6.7.
pub const IORING_OP_FUTEX_WAIT: u8 = 51;
/// futex_wake(2). Linux 6.7.
pub const IORING_OP_FUTEX_WAKE: u8 = 52;
/// futex_waitv(2). Linux 6.7.
pub const IORING_OP_FUTEX_WAITV: u8 = 53;
/// Make a descriptor of a registered file. Linux 6.8.
pub const IORING_OP_FIXED_FD_INSTALL: u8 = 54;
/// ftruncate(2). Linux 6.9.
pub const IORING_OP_FTRUNCATE: u8 = 55;
/// bind(2). Linux 6.11.
pub const IORING_OP_BIND: u8 = 56;
/// listen(2). Linux 6.11.
pub const IORING_OP_LISTEN: u8 = 57;
/// Receive without copying, on a queue registered for it. Linux 6.15.
pub const IORING_OP_RECV_ZC: u8 = 58;
/// epoll_wait(2). Linux 6.15.
pub const IORING_OP_EPOLL_WAIT: u8 = 59;
/// preadv2(2) into a registered buffer. Linux 6.15.
pub const IORING_OP_READV_FIXED: u8 = 60;
/// pwritev2(2) from a registered buffer. Linux 6.15.
pub const IORING_OP_WRITEV_FIXED: u8 = 61;
/// pipe2(2). Linux 6.16.
pub const IORING_OP_PIPE: u8 = 62;
/// `NOP` with a 128-byte entry. Newer than Linux 6.18: 6.19.
pub const IORING_OP_NOP128: u8 = 63;
/// `URING_CMD` with a 128-byte entry. Newer than Linux 6.18: 6.19.
pub const IORING_OP_URING_CMD128: u8 = 64;
/// How many opcodes there are here, those newer than Linux 6.18 included.
pub const IORING_OP_LAST: u8 = 65;

/// What is known of an opcode, without regard to a particular kernel.
///
/// ```
/// use annulus_abi::{IORING_OP_SEND_ZC, OpTraits, OpcodeInfo, Sqe, SqeFields};
///
/// let info = OpcodeInfo::of(IORING_OP_SEND_ZC).unwrap();
/// assert_eq!((info.name, info.since), ("SEND_ZC", (6, 0)));
/// assert!(info.traits.contains(OpTraits::NEEDS_FILE | OpTraits::POLL_OUT));
///
/// let mut sqe = Sqe::new(IORING_OP_SEND_ZC);
/// assert!(info.refused_fields(&sqe).is_empty());
/// sqe.pad2 = 1;
/// assert_eq!(info.refused_fields(&sqe), SqeFields::PAD2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpcodeInfo {
    /// The opcode.
    pub number: u8,
    /// Its name without `IORING_OP_`.
    pub name: &'static str,
    /// The first Linux that has it: major, minor.
    pub since: (u8, u8),
    /// The fields that have a meaning, at least with some flags.
    pub reads: SqeFields,
    /// The fields that must be zero: Linux 6.18 answers `EINVAL` otherwise. What is in neither set is
    /// ignored.
    pub zero: SqeFields,
    /// How the operation works.
    pub traits: OpTraits,
}

impl OpcodeInfo {
    /// The row of an opcode; nothing if it is not known here.
    #[must_use]
    pub fn of(opcode: u8) -> Option<&'static Self> {
        OPCODES.get(usize::from(opcode))
    }

    /// The fields of this entry that are set though they must be zero.
    #[must_use]
    pub const fn refused_fields(&self, sqe: &Sqe) -> SqeFields {
        SqeFields::nonzero(sqe).intersection(self.zero)
    }

    /// Whether [`SqeFlags::FIXED_FILE`](crate::SqeFlags::FIXED_FILE) makes `fd` an index of the
    /// registered files.
    #[must_use]
    pub const fn supports_fixed_file(&self) -> bool {
        self.traits.contains(OpTraits::NEEDS_FILE)
    }
}

bitflags! {
    /// The fields of a submission queue entry, as [`Sqe`] names them.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct SqeFields: u16 {
        /// [`Sqe::opcode`].
        const OPCODE = 1 << 0;
        /// [`Sqe::flags`].
        const FLAGS = 1 << 1;
        /// [`Sqe::ioprio`].
        const IOPRIO = 1 << 2;
        /// [`Sqe::fd`].
        const FD = 1 << 3;
        /// [`Sqe::off`].
        const OFF = 1 << 4;
        /// [`Sqe::addr`].
        const ADDR = 1 << 5;
        /// [`Sqe::len`].
        const LEN = 1 << 6;
        /// [`Sqe::op_flags`].
        const OP_FLAGS = 1 << 7;
        /// [`Sqe::user_data`].
        const USER_DATA = 1 << 8;
        /// [`Sqe::buf_index`].
        const BUF_INDEX = 1 << 9;
        /// [`Sqe::personality`].
        const PERSONALITY = 1 << 10;
        /// [`Sqe::file_index`].
        const FILE_INDEX = 1 << 11;
        /// [`Sqe::addr3`].
        const ADDR3 = 1 << 12;
        /// [`Sqe::pad2`].
        const PAD2 = 1 << 13;
        /// The second half of a 128-byte entry ([`Sqe128::extra`](crate::Sqe128::extra)).
        const EXTRA = 1 << 14;
    }
}

impl SqeFields {
    /// The fields of this entry that are not zero.
    #[must_use]
    pub const fn nonzero(sqe: &Sqe) -> Self {
        Self::empty()
            .with(Self::OPCODE, sqe.opcode != 0)
            .with(Self::FLAGS, sqe.flags != 0)
            .with(Self::IOPRIO, sqe.ioprio != 0)
            .with(Self::FD, sqe.fd != 0)
            .with(Self::OFF, sqe.off != 0)
            .with(Self::ADDR, sqe.addr != 0)
            .with(Self::LEN, sqe.len != 0)
            .with(Self::OP_FLAGS, sqe.op_flags != 0)
            .with(Self::USER_DATA, sqe.user_data != 0)
            .with(Self::BUF_INDEX, sqe.buf_index != 0)
            .with(Self::PERSONALITY, sqe.personality != 0)
            .with(Self::FILE_INDEX, sqe.file_index != 0)
            .with(Self::ADDR3, sqe.addr3 != 0)
            .with(Self::PAD2, sqe.pad2 != 0)
    }

    const fn with(self, field: Self, present: bool) -> Self {
        if present { self.union(field) } else { self }
    }
}

bitflags! {
    /// How an operation works.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct OpTraits: u16 {
        /// It works on the file `fd`, which is looked up first (`EBADF`); so it may be a registered one.
        const NEEDS_FILE = 1 << 0;
        /// It takes provided buffers: [`SqeFlags::BUFFER_SELECT`](crate::SqeFlags::BUFFER_SELECT);
        /// `EOPNOTSUPP` for the others.
        const BUFFER_SELECT = 1 << 1;
        /// If the file is not ready, wait until it can be read.
        const POLL_IN = 1 << 2;
        /// If the file is not ready, wait until it can be written.
        const POLL_OUT = 1 << 3;
        /// It may be used on a ring with [`SetupFlags::IOPOLL`](crate::SetupFlags::IOPOLL); `EINVAL`
        /// for the others.
        const IOPOLL = 1 << 4;
        /// It may complete more than once.
        const MULTISHOT = 1 << 5;
        /// It makes files, which may go to registered slots (`file_index`).
        const DIRECT = 1 << 6;
        /// It is never attempted by the submitter, always given to a worker.
        const ALWAYS_ASYNC = 1 << 7;
        /// On anything but a regular file or block device it may take for ever: an unbounded worker
        /// does it.
        const UNBOUND = 1 << 8;
        /// Workers do it one after the other for the same regular file.
        const HASHED = 1 << 9;
        /// Its entry is 128 bytes long, on a ring with [`SetupFlags::SQE128`](crate::SetupFlags::SQE128)
        /// or [`SetupFlags::SQE_MIXED`](crate::SetupFlags::SQE_MIXED).
        const SQE128 = 1 << 10;
    }
}
