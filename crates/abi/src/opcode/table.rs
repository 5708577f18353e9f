//! The opcode table, as plain data: one row for each opcode, in the order of their numbers.
//!
//! What it keeps true: a field is in `reads` if Linux 6.18 looks at it for the operation's sake, and in
//! `zero` if it answers `EINVAL` to any value but zero; each row was tried on 6.18, except `RECV_ZC` (no
//! such device) and the two opcodes that it lacks. Where a field has parts, a part may be refused though
//! the field is read. Newer kernels differ in two rows: they take the `user_data` of a zero-copy send's
//! notification from `addr3`, and refuse `addr3` and `pad2` of `UNLINKAT`.

use crate::opcode::*;

/// Every opcode.
#[rustfmt::skip]
pub const OPCODES: [OpcodeInfo; IORING_OP_LAST as usize] = [
    row(IORING_OP_NOP, "NOP", (5, 1), OP_FLAGS | LEN | FD | BUF_INDEX | OFF | ADDR, IOPRIO, IOPOLL),
    row(IORING_OP_READV, "READV", (5, 1), RW, 0, FILE | SELECT | IN | IOPOLL | UNBOUND),
    row(IORING_OP_WRITEV, "WRITEV", (5, 1), RW | FILE_INDEX, 0, FILE | OUT | IOPOLL | UNBOUND | HASHED),
    row(IORING_OP_FSYNC, "FSYNC", (5, 1), FD | OFF | LEN | OP_FLAGS,
        IOPRIO | ADDR | BUF_INDEX | FILE_INDEX, FILE | ASYNC),
    row(IORING_OP_READ_FIXED, "READ_FIXED", (5, 1), RW, 0, FILE | IN | IOPOLL | UNBOUND),
    row(IORING_OP_WRITE_FIXED, "WRITE_FIXED", (5, 1), RW | FILE_INDEX,
        0, FILE | OUT | IOPOLL | UNBOUND | HASHED),
    row(IORING_OP_POLL_ADD, "POLL_ADD", (5, 1), FD | LEN | OP_FLAGS,
        IOPRIO | BUF_INDEX | OFF | ADDR, FILE | MULTI | UNBOUND),
    row(IORING_OP_POLL_REMOVE, "POLL_REMOVE", (5, 1), ADDR | OFF | LEN | OP_FLAGS,
        IOPRIO | BUF_INDEX | FILE_INDEX, 0),
    row(IORING_OP_SYNC_FILE_RANGE, "SYNC_FILE_RANGE", (5, 2), FD | OFF | LEN | OP_FLAGS,
        IOPRIO | ADDR | BUF_INDEX | FILE_INDEX, FILE | ASYNC),
    row(IORING_OP_SENDMSG, "SENDMSG", (5, 3), IOPRIO | FD | ADDR | LEN | OP_FLAGS,
        OFF | FILE_INDEX, FILE | OUT | UNBOUND),
    row(IORING_OP_RECVMSG, "RECVMSG", (5, 3), IOPRIO | FD | ADDR | LEN | OP_FLAGS | BUF_INDEX,
        OFF | FILE_INDEX, FILE | SELECT | IN | MULTI | UNBOUND),
    row(IORING_OP_TIMEOUT, "TIMEOUT", (5, 4), ADDR | OFF | LEN | OP_FLAGS,
        IOPRIO | BUF_INDEX | FILE_INDEX | ADDR3 | PAD2, MULTI),
    row(IORING_OP_TIMEOUT_REMOVE, "TIMEOUT_REMOVE", (5, 5), ADDR | OFF | OP_FLAGS,
        IOPRIO | BUF_INDEX | LEN | FILE_INDEX | ADDR3 | PAD2, 0),
    row(IORING_OP_ACCEPT, "ACCEPT", (5, 5), IOPRIO | FD | ADDR | OFF | OP_FLAGS | FILE_INDEX,
        LEN | BUF_INDEX, FILE | IN | MULTI | DIRECT | UNBOUND),
    row(IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL", (5, 5), FD | ADDR | LEN | OP_FLAGS,
        IOPRIO | OFF | FILE_INDEX, 0),
    row(IORING_OP_LINK_TIMEOUT, "LINK_TIMEOUT", (5, 5), ADDR | LEN | OP_FLAGS,
        IOPRIO | OFF | BUF_INDEX | FILE_INDEX | ADDR3 | PAD2, 0),
    row(IORING_OP_CONNECT, "CONNECT", (5, 5), FD | ADDR | OFF,
        IOPRIO | LEN | BUF_INDEX | OP_FLAGS | FILE_INDEX, FILE | OUT | UNBOUND),
    row(IORING_OP_FALLOCATE, "FALLOCATE", (5, 6), FD | OFF | ADDR | LEN,
        IOPRIO | BUF_INDEX | OP_FLAGS | FILE_INDEX, FILE | HASHED | ASYNC),
    row(IORING_OP_OPENAT, "OPENAT", (5, 6), FD | ADDR | LEN | OP_FLAGS | FILE_INDEX,
        IOPRIO | BUF_INDEX, DIRECT),
    row(IORING_OP_CLOSE, "CLOSE", (5, 6), FD | FILE_INDEX,
        IOPRIO | OFF | ADDR | LEN | OP_FLAGS | BUF_INDEX, 0),
    row(IORING_OP_FILES_UPDATE, "FILES_UPDATE", (5, 6), ADDR | LEN | OFF,
        IOPRIO | OP_FLAGS | FILE_INDEX, IOPOLL),
    row(IORING_OP_STATX, "STATX", (5, 6), FD | ADDR | OFF | LEN | OP_FLAGS,
        IOPRIO | BUF_INDEX | FILE_INDEX, ASYNC),
    row(IORING_OP_READ, "READ", (5, 6), RW, 0, FILE | SELECT | IN | IOPOLL | UNBOUND),
    row(IORING_OP_WRITE, "WRITE", (5, 6), RW | FILE_INDEX, 0, FILE | OUT | IOPOLL | UNBOUND | HASHED),
    row(IORING_OP_FADVISE, "FADVISE", (5, 6), FD | OFF | ADDR | LEN | OP_FLAGS,
        IOPRIO | BUF_INDEX | FILE_INDEX, FILE),
    row(IORING_OP_MADVISE, "MADVISE", (5, 6), ADDR | OFF | LEN | OP_FLAGS,
        IOPRIO | BUF_INDEX | FILE_INDEX, ASYNC),
    row(IORING_OP_SEND, "SEND", (5, 6), IOPRIO | FD | ADDR | LEN | OP_FLAGS | OFF | FILE_INDEX | BUF_INDEX,
        0, FILE | SELECT | OUT | UNBOUND),
    row(IORING_OP_RECV, "RECV", (5, 6), IOPRIO | FD | ADDR | LEN | OP_FLAGS | BUF_INDEX | FILE_INDEX,
        OFF, FILE | SELECT | IN | MULTI | UNBOUND),
    row(IORING_OP_OPENAT2, "OPENAT2", (5, 6), FD | ADDR | OFF | LEN | FILE_INDEX, IOPRIO | BUF_INDEX, DIRECT),
    row(IORING_OP_EPOLL_CTL, "EPOLL_CTL", (5, 6), FD | OFF | ADDR | LEN,
        IOPRIO | BUF_INDEX | FILE_INDEX, UNBOUND),
    row(IORING_OP_SPLICE, "SPLICE", (5, 7), FD | OFF | ADDR | LEN | OP_FLAGS | FILE_INDEX,
        IOPRIO, FILE | HASHED | UNBOUND | ASYNC),
    row(IORING_OP_PROVIDE_BUFFERS, "PROVIDE_BUFFERS", (5, 7), FD | ADDR | LEN | OFF | BUF_INDEX,
        IOPRIO | OP_FLAGS | FILE_INDEX, IOPOLL),
    row(IORING_OP_REMOVE_BUFFERS, "REMOVE_BUFFERS", (5, 7), FD | BUF_INDEX,
        IOPRIO | OP_FLAGS | ADDR | LEN | OFF | FILE_INDEX, IOPOLL),
    row(IORING_OP_TEE, "TEE", (5, 8), FD | LEN | OP_FLAGS | FILE_INDEX,
        IOPRIO | OFF | ADDR, FILE | HASHED | UNBOUND | ASYNC),
    row(IORING_OP_SHUTDOWN, "SHUTDOWN", (5, 11), FD | LEN,
        IOPRIO | OFF | ADDR | OP_FLAGS | BUF_INDEX | FILE_INDEX, FILE | ASYNC),
    row(IORING_OP_RENAMEAT, "RENAMEAT", (5, 11), FD | ADDR | OFF | LEN | OP_FLAGS,
        IOPRIO | BUF_INDEX | FILE_INDEX, ASYNC),
    row(IORING_OP_UNLINKAT, "UNLINKAT", (5, 11), FD | ADDR | OP_FLAGS,
        IOPRIO | OFF | LEN | BUF_INDEX | FILE_INDEX, ASYNC),
    row(IORING_OP_MKDIRAT, "MKDIRAT", (5, 15), FD | ADDR | LEN,
        IOPRIO | OFF | OP_FLAGS | BUF_INDEX | FILE_INDEX, ASYNC),
    row(IORING_OP_SYMLINKAT, "SYMLINKAT", (5, 15), FD | ADDR | OFF,
        IOPRIO | LEN | OP_FLAGS | BUF_INDEX | FILE_INDEX, ASYNC),
    row(IORING_OP_LINKAT, "LINKAT", (5, 15), FD | ADDR | OFF | LEN | OP_FLAGS,
        IOPRIO | BUF_INDEX | FILE_INDEX, ASYNC),
    row(IORING_OP_MSG_RING, "MSG_RING", (5, 18), FD | OFF | LEN | ADDR | ADDR3 | FILE_INDEX | OP_FLAGS,
        IOPRIO | BUF_INDEX | PERSONALITY, FILE | IOPOLL),
    row(IORING_OP_FSETXATTR, "FSETXATTR", (5, 19), FD | ADDR | OFF | LEN | OP_FLAGS, IOPRIO, FILE | ASYNC),
    row(IORING_OP_SETXATTR, "SETXATTR", (5, 19), ADDR | OFF | LEN | OP_FLAGS | ADDR3, IOPRIO, ASYNC),
    row(IORING_OP_FGETXATTR, "FGETXATTR", (5, 19), FD | ADDR | OFF | LEN, IOPRIO | OP_FLAGS, FILE | ASYNC),
    row(IORING_OP_GETXATTR, "GETXATTR", (5, 19), ADDR | OFF | LEN | ADDR3, IOPRIO | OP_FLAGS, ASYNC),
    row(IORING_OP_SOCKET, "SOCKET", (5, 19), FD | OFF | LEN | FILE_INDEX,
        IOPRIO | ADDR | OP_FLAGS | BUF_INDEX, DIRECT),
    row(IORING_OP_URING_CMD, "URING_CMD", (5, 19),
        FD | OFF | ADDR | LEN | OP_FLAGS | BUF_INDEX | FILE_INDEX | ADDR3 | PAD2 | EXTRA,
        IOPRIO, FILE | SELECT | IOPOLL | MULTI),
    row(IORING_OP_SEND_ZC, "SEND_ZC", (6, 0),
        IOPRIO | FD | ADDR | LEN | OP_FLAGS | OFF | FILE_INDEX | BUF_INDEX,
        ADDR3 | PAD2, FILE | OUT | UNBOUND),
    row(IORING_OP_SENDMSG_ZC, "SENDMSG_ZC", (6, 1), IOPRIO | FD | ADDR | LEN | OP_FLAGS | BUF_INDEX,
        OFF | FILE_INDEX | ADDR3 | PAD2, FILE | OUT | UNBOUND),
    row(IORING_OP_READ_MULTISHOT, "READ_MULTISHOT", (6, 7), FD | OFF | OP_FLAGS | BUF_INDEX | ADDR3 | PAD2,
        IOPRIO | ADDR | LEN, FILE | SELECT | IN | MULTI | UNBOUND),
    row(IORING_OP_WAITID, "WAITID", (6, 7), FD | LEN | FILE_INDEX | OFF,
        IOPRIO | ADDR | BUF_INDEX | ADDR3 | OP_FLAGS, 0),
    row(IORING_OP_FUTEX_WAIT, "FUTEX_WAIT", (6, 7), FD | ADDR | OFF | ADDR3,
        IOPRIO | LEN | OP_FLAGS | BUF_INDEX | FILE_INDEX, 0),
    row(IORING_OP_FUTEX_WAKE, "FUTEX_WAKE", (6, 7), FD | ADDR | OFF | ADDR3,
        IOPRIO | LEN | OP_FLAGS | BUF_INDEX | FILE_INDEX, 0),
    row(IORING_OP_FUTEX_WAITV, "FUTEX_WAITV", (6, 7), ADDR | LEN,
        IOPRIO | FD | BUF_INDEX | FILE_INDEX | OFF | OP_FLAGS | ADDR3, 0),
    row(IORING_OP_FIXED_FD_INSTALL, "FIXED_FD_INSTALL", (6, 8), FD | OP_FLAGS,
        IOPRIO | OFF | ADDR | LEN | BUF_INDEX | FILE_INDEX | ADDR3, FILE),
    row(IORING_OP_FTRUNCATE, "FTRUNCATE", (6, 9), FD | OFF,
        IOPRIO | OP_FLAGS | ADDR | LEN | BUF_INDEX | FILE_INDEX | ADDR3, FILE | HASHED | ASYNC),
    row(IORING_OP_BIND, "BIND", (6, 11), FD | ADDR | OFF,
        IOPRIO | LEN | BUF_INDEX | OP_FLAGS | FILE_INDEX, FILE),
    row(IORING_OP_LISTEN, "LISTEN", (6, 11), FD | LEN,
        IOPRIO | ADDR | BUF_INDEX | OP_FLAGS | FILE_INDEX | OFF, FILE),
    row(IORING_OP_RECV_ZC, "RECV_ZC", (6, 15), IOPRIO | FD | LEN | FILE_INDEX,
        OFF | ADDR | ADDR3 | OP_FLAGS, FILE | IN | MULTI | UNBOUND),
    row(IORING_OP_EPOLL_WAIT, "EPOLL_WAIT", (6, 15), FD | ADDR | LEN,
        IOPRIO | OFF | OP_FLAGS | BUF_INDEX | FILE_INDEX, FILE | IN),
    row(IORING_OP_READV_FIXED, "READV_FIXED", (6, 15), RW, 0, FILE | IN | IOPOLL | UNBOUND),
    row(IORING_OP_WRITEV_FIXED, "WRITEV_FIXED", (6, 15), RW | FILE_INDEX,
        0, FILE | OUT | IOPOLL | UNBOUND | HASHED),
    row(IORING_OP_PIPE, "PIPE", (6, 16), ADDR | OP_FLAGS | FILE_INDEX, IOPRIO | FD | OFF | ADDR3, DIRECT),
    row(IORING_OP_NOP128, "NOP128", (6, 19), OP_FLAGS | LEN | FD | BUF_INDEX | OFF | ADDR,
        IOPRIO, IOPOLL | WIDE),
    row(IORING_OP_URING_CMD128, "URING_CMD128", (6, 19),
        FD | OFF | ADDR | LEN | OP_FLAGS | BUF_INDEX | FILE_INDEX | ADDR3 | PAD2 | EXTRA,
        IOPRIO, FILE | SELECT | IOPOLL | MULTI | WIDE),
];

const fn row(
    number: u8,
    name: &'static str,
    since: (u8, u8),
    reads: u16,
    zero: u16,
    traits: u16,
) -> OpcodeInfo {
    assert!(reads & zero == 0, "a field that is read may be set");
    let common = if zero & PERSONALITY == 0 { COMMON | PERSONALITY } else { COMMON };
    OpcodeInfo {
        number,
        name,
        since,
        reads: SqeFields::from_bits_retain(reads | common),
        zero: SqeFields::from_bits_retain(zero),
        traits: OpTraits::from_bits_retain(traits),
    }
}

/// What every operation reads, beside `personality`, which almost every one does.
const COMMON: u16 = SqeFields::OPCODE.bits() | SqeFields::FLAGS.bits() | SqeFields::USER_DATA.bits();
/// What reads and writes read; writes also the stream, in `file_index`.
const RW: u16 = IOPRIO | FD | OFF | ADDR | LEN | OP_FLAGS | BUF_INDEX | ADDR3 | PAD2;

const IOPRIO: u16 = SqeFields::IOPRIO.bits();
const FD: u16 = SqeFields::FD.bits();
const OFF: u16 = SqeFields::OFF.bits();
const ADDR: u16 = SqeFields::ADDR.bits();
const LEN: u16 = SqeFields::LEN.bits();
const OP_FLAGS: u16 = SqeFields::OP_FLAGS.bits();
const BUF_INDEX: u16 = SqeFields::BUF_INDEX.bits();
const PERSONALITY: u16 = SqeFields::PERSONALITY.bits();
const FILE_INDEX: u16 = SqeFields::FILE_INDEX.bits();
const ADDR3: u16 = SqeFields::ADDR3.bits();
const PAD2: u16 = SqeFields::PAD2.bits();
const EXTRA: u16 = SqeFields::EXTRA.bits();

const FILE: u16 = OpTraits::NEEDS_FILE.bits();
const SELECT: u16 = OpTraits::BUFFER_SELECT.bits();
const IN: u16 = OpTraits::POLL_IN.bits();
const OUT: u16 = OpTraits::POLL_OUT.bits();
const IOPOLL: u16 = OpTraits::IOPOLL.bits();
const MULTI: u16 = OpTraits::MULTISHOT.bits();
const DIRECT: u16 = OpTraits::DIRECT.bits();
const ASYNC: u16 = OpTraits::ALWAYS_ASYNC.bits();
const UNBOUND: u16 = OpTraits::UNBOUND.bits();
const HASHED: u16 = OpTraits::HASHED.bits();
const WIDE: u16 = OpTraits::SQE128.bits();
