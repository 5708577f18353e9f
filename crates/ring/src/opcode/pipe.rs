//! Pipes, and moving data through them without copying it.

use std::os::fd::RawFd;

use annulus_abi::{SPLICE_F_FD_IN_FIXED, Sqe};

use super::{address, file_index, operation, set_target};
use crate::types::{DestinationSlot, Target, UseFixed};

operation! {
    /// Moves data between a file and a pipe: splice(2). Linux 5.7.
    ///
    /// The result is the number of bytes; fewer than asked for break links. Always runs on a worker thread.
    /// `EINVAL` if neither end is a pipe.
    pub struct Splice: IORING_OP_SPLICE;

    /// Moves at most `len` bytes from `fd_in` at `off_in` to `fd_out` at `off_out`. The offset of a pipe is
    /// -1; that of a file is in bytes, or -1 for the file's position.
    pub fn new(
        sqe,
        fd_in: impl UseFixed,
        off_in: i64,
        fd_out: impl UseFixed,
        off_out: i64,
        len: u32,
    ) {
        set_target(sqe, fd_out);
        set_source(sqe, fd_in);
        sqe.addr = off_in.cast_unsigned();
        sqe.off = off_out.cast_unsigned();
        sqe.len = len;
    }

    /// Sets `SPLICE_F_*`.
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags | (sqe.op_flags & SPLICE_F_FD_IN_FIXED);
    }
}

operation! {
    /// Copies what is in a pipe to another and leaves it there: tee(2). Linux 5.8.
    ///
    /// The result is the number of bytes. Always runs on a worker thread.
    pub struct Tee: IORING_OP_TEE;

    /// Copies at most `len` bytes from the pipe `fd_in` to the pipe `fd_out`.
    pub fn new(sqe, fd_in: impl UseFixed, fd_out: impl UseFixed, len: u32) {
        set_target(sqe, fd_out);
        set_source(sqe, fd_in);
        sqe.len = len;
    }

    /// Sets `SPLICE_F_*`.
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags | (sqe.op_flags & SPLICE_F_FD_IN_FIXED);
    }
}

operation! {
    /// Makes a pipe: pipe2(2). Linux 6.16.
    pub struct Pipe: IORING_OP_PIPE;

    /// Makes a pipe and writes its two descriptors, reading end first, to `fds`.
    pub fn new(sqe, fds: *mut RawFd) {
        sqe.addr = address(fds);
    }

    /// Sets `O_CLOEXEC`, `O_NONBLOCK`, `O_DIRECT` or `O_NOTIFICATION_PIPE`.
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }

    /// Puts both ends into the ring's table: at this slot and the next, or where the kernel finds room; `fds`
    /// gets the slots' numbers then.
    pub const fn file_index(sqe, slot: Option<DestinationSlot>) {
        sqe.file_index = file_index(slot);
    }
}

/// Names the file that a splice reads from: it has a field and a flag of its own.
#[inline]
fn set_source(sqe: &mut Sqe, fd: impl UseFixed) {
    match fd.target() {
        Target::Fd(fd) => sqe.file_index = fd.cast_unsigned(),
        Target::Fixed(index) => {
            sqe.file_index = index;
            sqe.op_flags |= SPLICE_F_FD_IN_FIXED;
        }
    }
}
