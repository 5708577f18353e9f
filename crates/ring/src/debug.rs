//! How entries of both queues are shown: by name, without what is zero.

use std::fmt::{self, DebugStruct};

use annulus_abi::{Cqe, CqeFlags, OpcodeInfo, Sqe};
use bitflags::Flags;

use crate::cqueue;
use crate::squeue;

/// `opcode: READ, fd: 5, flags: IO_LINK, len: 512, addr: 0x1000, user_data: 0xa`.
pub(crate) fn sqe_fields<'a, 'f, 's>(
    out: &'s mut DebugStruct<'a, 'f>,
    sqe: &Sqe,
) -> &'s mut DebugStruct<'a, 'f> {
    match OpcodeInfo::of(sqe.opcode) {
        Some(info) => out.field("opcode", &format_args!("{}", info.name)),
        None => out.field("opcode", &sqe.opcode),
    };
    out.field("fd", &sqe.fd);
    if sqe.flags != 0 {
        out.field("flags", &Names(squeue::Flags::from_bits_retain(sqe.flags)));
    }
    let numbers = [
        ("ioprio", u64::from(sqe.ioprio)),
        ("off", sqe.off),
        ("len", u64::from(sqe.len)),
        ("buf_index", u64::from(sqe.buf_index)),
        ("personality", u64::from(sqe.personality)),
        ("file_index", u64::from(sqe.file_index)),
    ];
    let words =
        [("addr", sqe.addr), ("op_flags", u64::from(sqe.op_flags)), ("addr3", sqe.addr3), ("pad2", sqe.pad2)];
    for (name, value) in numbers.into_iter().filter(|(_, value)| *value != 0) {
        out.field(name, &value);
    }
    for (name, value) in words.into_iter().filter(|(_, value)| *value != 0) {
        out.field(name, &format_args!("{value:#x}"));
    }
    out.field("user_data", &format_args!("{:#x}", sqe.user_data))
}

/// `result: 12, flags: BUFFER | MORE, buffer_id: 3, user_data: 0x7`.
pub(crate) fn cqe_fields<'a, 'f, 's>(
    out: &'s mut DebugStruct<'a, 'f>,
    cqe: &Cqe,
) -> &'s mut DebugStruct<'a, 'f> {
    match cqueue::to_result(cqe.res) {
        Err(errno) if cqe.res >= -4095 => out.field("result", &errno),
        _ => out.field("result", &cqe.res),
    };
    let buffer = cqueue::buffer_select(cqe.flags);
    // The number of a buffer lies among the flags.
    let flags = if buffer.is_some() { cqe.flags & 0xffff } else { cqe.flags };
    if cqe.flags != 0 {
        out.field("flags", &Names(CqeFlags::from_bits_retain(flags)));
    }
    if let Some(id) = buffer {
        out.field("buffer_id", &id);
    }
    out.field("user_data", &format_args!("{:#x}", cqe.user_data))
}

/// Flags as `IO_LINK | ASYNC`.
struct Names<F>(F);

impl<F: Flags<Bits: bitflags::parser::WriteHex>> fmt::Debug for Names<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bitflags::parser::to_writer(&self.0, f)
    }
}
