//! The forms of the opcodes, as plain data: what beside the plain operation can be asked for in an entry, and since
//! which Linux.
//!
//! A row holds for several opcodes: for those with a trait, or for those that it names. A form is there once its opcode
//! and the form itself are. Deliberately not here: flags of system calls that the ring only passes on (`MSG_*`, `O_*`,
//! `AT_*`), which are as old as those calls; what is configured for a whole ring (`IORING_SETUP_*`, in `releases`).

use crate::opcode::*;
use crate::{
    BLOCK_URING_CMD_DISCARD, IORING_FILE_INDEX_ALLOC, IORING_MSG_SEND_FD, SOCKET_URING_OP_GETSOCKNAME,
    SOCKET_URING_OP_GETSOCKOPT, SOCKET_URING_OP_SETSOCKOPT, SOCKET_URING_OP_SIOCINQ,
    SOCKET_URING_OP_SIOCOUTQ, SOCKET_URING_OP_TX_TIMESTAMP, SqeFlags,
};

/// A way to ask for an operation that is not its plain one.
///
/// ```
/// use annulus_abi::{FORMS, IORING_OP_RECV, OpcodeInfo};
///
/// let recv = OpcodeInfo::of(IORING_OP_RECV).unwrap();
/// let bundle = FORMS.iter().find(|form| form.name == "IORING_RECVSEND_BUNDLE").unwrap();
/// assert!(bundle.is_of(recv));
/// assert_eq!(bundle.since_with(recv), (6, 10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Which opcodes have it.
    pub of: FormOf,
    /// The constant that asks for it; a word where it takes none.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// The field of the entry that asks for it; none if not the entry does, but what it works on.
    pub field: SqeFields,
    /// The bits, or the number, in that field.
    pub value: u64,
    /// The first Linux that has it for the oldest of its opcodes: major, minor.
    pub since: (u8, u8),
}

/// Which opcodes have a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormOf {
    /// Those with these traits.
    Having(OpTraits),
    /// These.
    Opcodes(&'static [u8]),
}

impl Form {
    /// Whether the opcode has this form.
    #[must_use]
    pub fn is_of(&self, info: &OpcodeInfo) -> bool {
        match self.of {
            FormOf::Having(traits) => info.traits.contains(traits),
            FormOf::Opcodes(opcodes) => opcodes.contains(&info.number),
        }
    }

    /// The first Linux that has the opcode in this form.
    #[must_use]
    pub fn since_with(&self, info: &OpcodeInfo) -> (u8, u8) {
        self.since.max(info.since)
    }

    /// Asks for it in an entry: sets its bits, or its number, in its field.
    pub fn apply(&self, sqe: &mut Sqe) {
        let [a, b, c, d, ..] = self.value.to_le_bytes();
        let (half, word) = (u16::from_le_bytes([a, b]), u32::from_le_bytes([a, b, c, d]));
        match self.field {
            SqeFields::FLAGS => sqe.flags |= a,
            SqeFields::IOPRIO => sqe.ioprio |= half,
            SqeFields::FD => sqe.fd |= word.cast_signed(),
            SqeFields::OFF => sqe.off |= self.value,
            SqeFields::ADDR => sqe.addr |= self.value,
            SqeFields::LEN => sqe.len |= word,
            SqeFields::OP_FLAGS => sqe.op_flags |= word,
            SqeFields::FILE_INDEX => sqe.file_index |= word,
            SqeFields::PAD2 => sqe.pad2 |= self.value,
            _ => {}
        }
    }
}

/// Every form of every opcode but the plain one. Where a form has no constant of its own, `name` is empty.
#[rustfmt::skip]
pub const FORMS: [Form; 72] = [
    // What an entry works on.
    having(OpTraits::NEEDS_FILE, "IOSQE_FIXED_FILE", "on a registered file", FLAGS, FIXED_FILE, (5, 1)),
    having(OpTraits::DIRECT, "", "a file into a registered slot", FILE_INDEX, 1, (5, 15)),
    having(OpTraits::DIRECT, "IORING_FILE_INDEX_ALLOC", "a file into a free slot", FILE_INDEX, IORING_FILE_INDEX_ALLOC as u64, (5, 19)),
    of(&[IORING_OP_CLOSE], "", "of a registered slot", FILE_INDEX, 1, (5, 15)),
    of(&[IORING_OP_SPLICE, IORING_OP_TEE], "SPLICE_F_FD_IN_FIXED", "from a registered file", OP_FLAGS, 1 << 31, (5, 7)),
    // Provided buffers.
    of(SELECTING, "IOSQE_BUFFER_SELECT", "a provided buffer (PROVIDE_BUFFERS)", FLAGS, SELECT, (5, 7)),
    of(&[IORING_OP_SEND], "IOSQE_BUFFER_SELECT", "a provided buffer (PROVIDE_BUFFERS)", FLAGS, SELECT, (6, 10)),
    of(SELECTING, "", "a buffer of a buffer ring", NONE, 0, (5, 19)),
    of(&[IORING_OP_SEND], "", "a buffer of a buffer ring", NONE, 0, (6, 10)),
    of(INCREMENTAL, "IOU_PBUF_RING_INC", "a part of a buffer of a ring", NONE, 0, (6, 12)),
    of(&[IORING_OP_SEND, IORING_OP_RECV], "IORING_RECVSEND_BUNDLE", "several provided buffers", IOPRIO, 1 << 4, (6, 10)),
    // Again and again.
    of(&[IORING_OP_POLL_ADD], "IORING_POLL_ADD_MULTI", "multishot", LEN, 1, (5, 13)),
    of(&[IORING_OP_ACCEPT], "IORING_ACCEPT_MULTISHOT", "multishot", IOPRIO, 1, (5, 19)),
    of(RECEIVES, "IORING_RECV_MULTISHOT", "multishot", IOPRIO, 1 << 1, (6, 0)),
    of(&[IORING_OP_TIMEOUT], "IORING_TIMEOUT_MULTISHOT", "multishot", OP_FLAGS, 1 << 6, (6, 4)),
    of(&[IORING_OP_URING_CMD], "IORING_URING_CMD_MULTISHOT", "multishot", OP_FLAGS, 1 << 1, (6, 18)),
    // Reads and writes.
    of(READS_AND_WRITES, "", "at the file's position (offset -1)", OFF, u64::MAX, (5, 6)),
    of(READS_AND_WRITES, "", "with a priority (ioprio_set(2))", IOPRIO, 2 << 13 | 4, (5, 1)),
    of(READS_AND_WRITES, "RWF_NOWAIT", "fails rather than waits", OP_FLAGS, 1 << 3, (5, 1)),
    of(WRITES, "RWF_DSYNC", "as with O_DSYNC", OP_FLAGS, 1 << 1, (5, 1)),
    of(WRITES, "RWF_SYNC", "as with O_SYNC", OP_FLAGS, 1 << 2, (5, 1)),
    of(WRITES, "RWF_APPEND", "at the end of the file", OP_FLAGS, 1 << 4, (5, 1)),
    of(WRITES, "RWF_NOAPPEND", "not at the end of the file", OP_FLAGS, 1 << 5, (6, 9)),
    of(WRITES, "RWF_ATOMIC", "all or nothing", OP_FLAGS, 1 << 6, (6, 11)),
    of(READS_AND_WRITES, "RWF_DONTCACHE", "leaves nothing in the page cache", OP_FLAGS, 1 << 7, (6, 14)),
    of(WRITES, "RWF_NOSIGNAL", "no SIGPIPE", OP_FLAGS, 1 << 8, (6, 18)),
    of(READS_AND_WRITES, "IORING_SETUP_IOPOLL", "polled, with O_DIRECT", NONE, 0, (5, 1)),
    of(READS_AND_WRITES, "IORING_RW_ATTR_FLAG_PI", "protection information", PAD2, 1, (6, 14)),
    of(&[IORING_OP_FSYNC], "IORING_FSYNC_DATASYNC", "as fdatasync(2)", OP_FLAGS, 1, (5, 1)),
    // Sockets.
    of(SENDS_AND_RECEIVES, "IORING_RECVSEND_POLL_FIRST", "readiness first", IOPRIO, 1, (5, 19)),
    of(&[IORING_OP_ACCEPT], "IORING_ACCEPT_DONTWAIT", "fails rather than waits", IOPRIO, 1 << 1, (6, 10)),
    of(&[IORING_OP_ACCEPT], "IORING_ACCEPT_POLL_FIRST", "readiness first", IOPRIO, 1 << 2, (6, 10)),
    of(&[IORING_OP_RECV], "", "multishot up to a total length", NONE, 0, (6, 17)),
    of(&[IORING_OP_SEND], "", "to an address", NONE, 0, (6, 2)),
    of(&[IORING_OP_SEND_ZC], "", "to an address", NONE, 0, (6, 0)),
    of(&[IORING_OP_SEND_ZC], "IORING_RECVSEND_FIXED_BUF", "out of a registered buffer", IOPRIO, 1 << 2, (6, 0)),
    of(&[IORING_OP_SENDMSG_ZC], "IORING_RECVSEND_FIXED_BUF", "out of a registered buffer", IOPRIO, 1 << 2, (6, 15)),
    of(&[IORING_OP_SEND_ZC, IORING_OP_SENDMSG_ZC], "IORING_SEND_ZC_REPORT_USAGE", "tells whether it copied", IOPRIO, 1 << 3, (6, 2)),
    of(&[IORING_OP_SEND, IORING_OP_SEND_ZC], "IORING_SEND_VECTORIZED", "several buffers", IOPRIO, 1 << 5, (6, 17)),
    of(COMMANDS, "SOCKET_URING_OP_SIOCINQ", "socket: bytes to be received", OFF, SOCKET_URING_OP_SIOCINQ as u64, (6, 5)),
    of(COMMANDS, "SOCKET_URING_OP_SIOCOUTQ", "socket: bytes not sent yet", OFF, SOCKET_URING_OP_SIOCOUTQ as u64, (6, 5)),
    of(COMMANDS, "SOCKET_URING_OP_GETSOCKOPT", "socket: getsockopt(2) of SOL_SOCKET", OFF, SOCKET_URING_OP_GETSOCKOPT as u64, (6, 7)),
    of(COMMANDS, "SOCKET_URING_OP_SETSOCKOPT", "socket: setsockopt(2)", OFF, SOCKET_URING_OP_SETSOCKOPT as u64, (6, 7)),
    of(COMMANDS, "SOCKET_URING_OP_TX_TIMESTAMP", "socket: transmit time stamps", OFF, SOCKET_URING_OP_TX_TIMESTAMP as u64, (6, 17)),
    of(COMMANDS, "SOCKET_URING_OP_GETSOCKNAME", "socket: getsockname(2), getpeername(2)", OFF, SOCKET_URING_OP_GETSOCKNAME as u64, (6, 19)),
    // Devices.
    of(COMMANDS, "", "NVMe passthrough", NONE, 0, (5, 19)),
    of(COMMANDS, "BLOCK_URING_CMD_DISCARD", "block device: discard", OFF, BLOCK_URING_CMD_DISCARD as u64, (6, 12)),
    of(COMMANDS, "IORING_URING_CMD_FIXED", "with a registered buffer", OP_FLAGS, 1, (6, 1)),
    // Time.
    of(&[IORING_OP_TIMEOUT], "", "after a number of completions", OFF, 1, (5, 4)),
    of(&[IORING_OP_TIMEOUT, IORING_OP_LINK_TIMEOUT], "IORING_TIMEOUT_ABS", "at a point in time", OP_FLAGS, 1, (5, 5)),
    of(&[IORING_OP_TIMEOUT, IORING_OP_LINK_TIMEOUT], "IORING_TIMEOUT_BOOTTIME", "of CLOCK_BOOTTIME", OP_FLAGS, 1 << 2, (5, 15)),
    of(&[IORING_OP_TIMEOUT, IORING_OP_LINK_TIMEOUT], "IORING_TIMEOUT_REALTIME", "of CLOCK_REALTIME", OP_FLAGS, 1 << 3, (5, 15)),
    of(&[IORING_OP_TIMEOUT], "IORING_TIMEOUT_ETIME_SUCCESS", "its end is no failure", OP_FLAGS, 1 << 5, (5, 16)),
    of(&[IORING_OP_TIMEOUT], "IORING_TIMEOUT_IMMEDIATE_ARG", "the time in the entry", OP_FLAGS, 1 << 7, (7, 1)),
    of(&[IORING_OP_TIMEOUT_REMOVE], "IORING_TIMEOUT_UPDATE", "changes a timeout", OP_FLAGS, 1 << 1, (5, 11)),
    of(&[IORING_OP_TIMEOUT_REMOVE], "IORING_LINK_TIMEOUT_UPDATE", "changes a linked timeout", OP_FLAGS, 1 << 4, (5, 15)),
    // Other requests, other rings.
    of(&[IORING_OP_POLL_REMOVE], "IORING_POLL_UPDATE_EVENTS", "changes the events", LEN, 1 << 1, (5, 13)),
    of(&[IORING_OP_POLL_REMOVE], "IORING_POLL_UPDATE_USER_DATA", "changes the user_data", LEN, 1 << 2, (5, 13)),
    of(&[IORING_OP_ASYNC_CANCEL], "IORING_ASYNC_CANCEL_ALL", "every match", OP_FLAGS, 1, (5, 19)),
    of(&[IORING_OP_ASYNC_CANCEL], "IORING_ASYNC_CANCEL_FD", "by descriptor", OP_FLAGS, 1 << 1, (5, 19)),
    of(&[IORING_OP_ASYNC_CANCEL], "IORING_ASYNC_CANCEL_ANY", "any request", OP_FLAGS, 1 << 2, (5, 19)),
    of(&[IORING_OP_ASYNC_CANCEL], "IORING_ASYNC_CANCEL_USERDATA", "by user_data, beside another key", OP_FLAGS, 1 << 4, (6, 6)),
    of(&[IORING_OP_ASYNC_CANCEL], "IORING_ASYNC_CANCEL_OP", "by opcode", OP_FLAGS, 1 << 5, (6, 6)),
    of(&[IORING_OP_MSG_RING], "", "a registered file", ADDR, IORING_MSG_SEND_FD, (6, 0)),
    of(&[IORING_OP_MSG_RING], "IORING_MSG_RING_FLAGS_PASS", "the completion's flags", OP_FLAGS, 1 << 1, (6, 3)),
    // The rest.
    of(&[IORING_OP_NOP], "IORING_NOP_INJECT_RESULT", "a result of choice", OP_FLAGS, 1, (6, 10)),
    of(&[IORING_OP_NOP], "IORING_NOP_FILE", "on a file", OP_FLAGS, 1 << 1, (6, 13)),
    of(&[IORING_OP_NOP], "IORING_NOP_FIXED_BUFFER", "on a registered buffer", OP_FLAGS, 1 << 3, (6, 13)),
    of(&[IORING_OP_NOP], "IORING_NOP_TW", "from task work", OP_FLAGS, 1 << 4, (6, 17)),
    of(&[IORING_OP_NOP], "IORING_NOP_CQE32", "a completion of 32 bytes", OP_FLAGS, 1 << 5, (6, 18)),
    of(&[IORING_OP_FIXED_FD_INSTALL], "IORING_FIXED_FD_NO_CLOEXEC", "without close-on-exec", OP_FLAGS, 1, (6, 8)),
    of(FUTEXES, "FUTEX2_NUMA", "on a NUMA node", FD, 1 << 2, (6, 16)),
];

const SELECT: u64 = SqeFlags::BUFFER_SELECT.bits() as u64;
const SELECTING: &[u8] =
    &[IORING_OP_READV, IORING_OP_READ, IORING_OP_RECVMSG, IORING_OP_RECV, IORING_OP_READ_MULTISHOT];
const INCREMENTAL: &[u8] = &[
    IORING_OP_READV,
    IORING_OP_READ,
    IORING_OP_RECVMSG,
    IORING_OP_RECV,
    IORING_OP_READ_MULTISHOT,
    IORING_OP_SEND,
];
const READS_AND_WRITES: &[u8] = &[
    IORING_OP_READV,
    IORING_OP_WRITEV,
    IORING_OP_READ_FIXED,
    IORING_OP_WRITE_FIXED,
    IORING_OP_READ,
    IORING_OP_WRITE,
    IORING_OP_READV_FIXED,
    IORING_OP_WRITEV_FIXED,
];
const WRITES: &[u8] = &[IORING_OP_WRITEV, IORING_OP_WRITE_FIXED, IORING_OP_WRITE, IORING_OP_WRITEV_FIXED];
const RECEIVES: &[u8] = &[IORING_OP_RECVMSG, IORING_OP_RECV];
const SENDS_AND_RECEIVES: &[u8] = &[
    IORING_OP_SENDMSG,
    IORING_OP_RECVMSG,
    IORING_OP_SEND,
    IORING_OP_RECV,
    IORING_OP_SEND_ZC,
    IORING_OP_SENDMSG_ZC,
];
const COMMANDS: &[u8] = &[IORING_OP_URING_CMD];
const FUTEXES: &[u8] = &[IORING_OP_FUTEX_WAIT, IORING_OP_FUTEX_WAKE];

const FIXED_FILE: u64 = SqeFlags::FIXED_FILE.bits() as u64;
const NONE: SqeFields = SqeFields::empty();
const FLAGS: SqeFields = SqeFields::FLAGS;
const IOPRIO: SqeFields = SqeFields::IOPRIO;
const FD: SqeFields = SqeFields::FD;
const OFF: SqeFields = SqeFields::OFF;
const ADDR: SqeFields = SqeFields::ADDR;
const LEN: SqeFields = SqeFields::LEN;
const OP_FLAGS: SqeFields = SqeFields::OP_FLAGS;
const FILE_INDEX: SqeFields = SqeFields::FILE_INDEX;
const PAD2: SqeFields = SqeFields::PAD2;

const fn of(
    opcodes: &'static [u8],
    name: &'static str,
    what: &'static str,
    field: SqeFields,
    value: u64,
    since: (u8, u8),
) -> Form {
    Form { of: FormOf::Opcodes(opcodes), name, what, field, value, since }
}

const fn having(
    traits: OpTraits,
    name: &'static str,
    what: &'static str,
    field: SqeFields,
    value: u64,
    since: (u8, u8),
) -> Form {
    Form { of: FormOf::Having(traits), name, what, field, value, since }
}
