//! The opcode table against the back end: which fields must be zero, and which are ignored.
//!
//! For each opcode an entry is made that passes every check of its fields and then fails, or succeeds, without
//! any effect: on a descriptor that is not open, a path that is not there. Setting a field that the table calls
//! zero must turn the answer into `EINVAL`; setting one that it calls ignored must change nothing.

use annulus::abi::*;
use annulus::opcode::{self, Raw};
use annulus::squeue::{Entry, Flags};
use annulus::types::{FutexWaitV, OpenHow, Timespec};

use super::tools::{linked, nop};
use crate::harness::{Bench, Buffer, Kept, Need, Outcome, Rig, cases, path};

cases! {
    Every fields_that_must_be_zero_are_refused_otherwise_and_ignored_ones_are_ignored;
}

/// What no entry without its device passes: `RECV_ZC` looks its queue up first.
const NOT_TO_BE_TRIED: [u8; 1] = [IORING_OP_RECV_ZC];

/// Fields that Linux began to read after 6.18.
const READ_LATER: [(u8, SqeFields); 3] = [
    (IORING_OP_SEND_ZC, SqeFields::ADDR3),
    (IORING_OP_SENDMSG_ZC, SqeFields::ADDR3),
    (IORING_OP_UNLINKAT, SqeFields::ADDR3.union(SqeFields::PAD2)),
];

fn fields_that_must_be_zero_are_refused_otherwise_and_ignored_ones_are_ignored(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 18, "the table of fields")])?;
    let mut rig = bench.rig()?;
    let mut wrong = Vec::new();
    for info in OPCODES.iter().filter(|info| bench.backend().has(info.number)) {
        if NOT_TO_BE_TRIED.contains(&info.number) || info.number > IORING_OP_PIPE {
            continue;
        }
        let entry = harmless(info.number);
        let answer = try_entry(&mut rig, entry);
        assert_ne!(answer, -libc::EINVAL, "{}: an entry that should pass: {entry:?}", info.name);
        for field in SqeFields::all().difference(info.reads).difference(SqeFields::EXTRA).iter() {
            if READ_LATER.iter().any(|(opcode, fields)| *opcode == info.number && fields.contains(field))
                && bench.backend().is_at_least(6, 19)
            {
                continue;
            }
            let expected = if info.zero.contains(field) { -libc::EINVAL } else { answer };
            let seen = try_entry(&mut rig, with(entry, field));
            if seen != expected {
                wrong.push(format!("{} with {field:?}: {seen}, expected {expected}", info.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// Runs an entry and gives its first answer; a link timeout behind a request that it can time.
pub(super) fn try_entry(rig: &mut Rig, entry: Entry) -> i32 {
    if entry.sqe().opcode == IORING_OP_LINK_TIMEOUT {
        rig.push_together(&[linked(nop()).user_data(2), entry.user_data(1)]);
        return rig.by_user_data(2)[&1].result();
    }
    let first = rig.run(entry.user_data(1));
    if first.has_more() {
        rig.take(1);
    }
    first.result()
}

/// The entry with one more field set.
fn with(mut entry: Entry, field: SqeFields) -> Entry {
    let sqe = entry.sqe_mut();
    match field {
        SqeFields::IOPRIO => sqe.ioprio = 1,
        SqeFields::FD => sqe.fd = 1,
        SqeFields::OFF => sqe.off = 1,
        SqeFields::ADDR => sqe.addr = 1,
        SqeFields::LEN => sqe.len = 1,
        SqeFields::OP_FLAGS => sqe.op_flags = 1,
        SqeFields::BUF_INDEX => sqe.buf_index = 1,
        SqeFields::PERSONALITY => sqe.personality = 1,
        SqeFields::FILE_INDEX => sqe.file_index = 1,
        SqeFields::ADDR3 => sqe.addr3 = 1,
        SqeFields::PAD2 => sqe.pad2 = 1,
        other => panic!("{other:?} is read by every opcode"),
    }
    entry
}

/// An entry that passes the checks of its fields and does nothing.
pub(super) fn harmless(opcode: u8) -> Entry {
    let nowhere = || path("/nowhere/at/all").expose_provenance() as u64;
    let page = Buffer::new(4096).addr();
    let raw = Raw::new(opcode).fd(-1);
    let raw = match opcode {
        IORING_OP_READV | IORING_OP_WRITEV | IORING_OP_READV_FIXED | IORING_OP_WRITEV_FIXED => {
            raw.addr(Kept::new(Buffer::new(8).iovec()).addr()).len(1)
        }
        IORING_OP_SENDMSG | IORING_OP_RECVMSG | IORING_OP_SENDMSG_ZC => {
            raw.addr(super::net::message(&[Buffer::new(8)]).addr()).len(1)
        }
        IORING_OP_POLL_REMOVE | IORING_OP_TIMEOUT_REMOVE | IORING_OP_ASYNC_CANCEL => raw.addr(404),
        IORING_OP_TIMEOUT => raw.addr(Kept::new(Timespec::new()).addr()).len(1),
        // So far off that its request is always first.
        IORING_OP_LINK_TIMEOUT => raw.addr(Kept::new(Timespec::new().sec(1_000_000)).addr()).len(1),
        IORING_OP_CONNECT | IORING_OP_BIND => raw.addr(page).off(16),
        IORING_OP_OPENAT | IORING_OP_UNLINKAT | IORING_OP_MKDIRAT => raw.addr(nowhere()),
        IORING_OP_OPENAT2 => raw.addr(nowhere()).off(Kept::new(OpenHow::new()).addr()).len(24),
        IORING_OP_STATX => raw.addr(nowhere()).off(page),
        IORING_OP_RENAMEAT | IORING_OP_LINKAT | IORING_OP_SYMLINKAT => raw.addr(nowhere()).off(nowhere()),
        IORING_OP_FILES_UPDATE => raw.addr(Kept::new(-1).addr()).len(1),
        IORING_OP_MADVISE => raw.addr(page).len(4096),
        IORING_OP_EPOLL_CTL => raw.addr(page).len(1),
        IORING_OP_PROVIDE_BUFFERS => raw.fd(1).addr(page).len(16),
        IORING_OP_REMOVE_BUFFERS => raw.fd(1).buf_index(404),
        IORING_OP_FSETXATTR | IORING_OP_FGETXATTR => raw.addr(nowhere()).off(page).len(8),
        IORING_OP_SETXATTR | IORING_OP_GETXATTR => raw.addr(nowhere()).off(page).addr3(nowhere()).len(8),
        IORING_OP_SOCKET => raw.fd(999),
        IORING_OP_WAITID => {
            let options = libc::WEXITED | libc::WNOHANG;
            raw.fd(std::process::id().cast_signed()).len(libc::P_PID).file_index(options.cast_unsigned())
        }
        IORING_OP_FUTEX_WAIT => futex(raw).off(1),
        IORING_OP_FUTEX_WAKE => futex(raw),
        IORING_OP_FUTEX_WAITV => {
            let other_value = FutexWaitV::new().val(1).uaddr(Kept::new(0_u32).addr()).flags(FUTEX2_SIZE_U32);
            raw.fd(0).addr(Kept::new(other_value).addr()).len(1)
        }
        IORING_OP_EPOLL_WAIT => raw.addr(page).len(1),
        IORING_OP_PIPE => raw.fd(0).addr(8),
        _ => raw,
    };
    let entry = raw.build();
    match opcode {
        IORING_OP_READ_MULTISHOT => entry.flags(Flags::BUFFER_SELECT),
        IORING_OP_FIXED_FD_INSTALL => entry
            .flags(opcode::Read::new(annulus::types::Fixed(0), std::ptr::null_mut(), 0).build().get_flags()),
        _ => entry,
    }
}

fn futex(raw: Raw) -> Raw {
    raw.fd(FUTEX2_SIZE_U32.cast_signed()).addr(Kept::new(0_u32).addr()).addr3(FUTEX_BITSET_MATCH_ANY)
}
