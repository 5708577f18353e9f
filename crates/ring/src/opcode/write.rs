//! Writing to files, from buffers that the program names or has registered.

use super::read::protection_info;
use super::{address, operation, set_target};
use crate::types::{AttrPi, UseFixed};

operation! {
    /// Writes one buffer: pwrite(2), or write(2) with an offset of `u64::MAX` (-1). Linux 5.6.
    ///
    /// The result is the number of bytes, which may be less than given; a short write breaks links.
    /// `EPIPE` when the reader is gone (without `SIGPIPE` only on sockets).
    pub struct Write: IORING_OP_WRITE;

    /// Writes `len` bytes of `buf`, to offset 0 unless [`offset`](Self::offset) says otherwise.
    pub fn new(sqe, fd: impl UseFixed, buf: *const u8, len: u32) {
        set_target(sqe, fd);
        sqe.addr = address(buf);
        sqe.len = len;
    }

    /// Sets where in the file to write, in bytes. `u64::MAX` (-1) writes at the file's position and advances
    /// it (`IORING_FEAT_RW_CUR_POS`, Linux 5.6). Files without positions need 0 or -1.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }

    /// Sets the priority, as `IOPRIO_PRIO_VALUE` makes it (ioprio_set(2)); 0 is that of the thread.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio;
    }

    /// Sets `RWF_*` (pwritev2(2)).
    pub const fn rw_flags(sqe, rw_flags: i32) {
        sqe.op_flags = rw_flags.cast_unsigned();
    }

    /// Sets the write stream (NVMe data placement); 0 is none. Older kernels ignore it. Linux 6.16.
    pub const fn write_stream(sqe, write_stream: u8) {
        sqe.set_write_stream(write_stream);
    }
}

operation! {
    /// Writes several buffers: pwritev2(2). Linux 5.1.
    ///
    /// The result is the number of bytes of all buffers together; a short write breaks links.
    pub struct Writev: IORING_OP_WRITEV;

    /// Writes the `len` buffers that `iovec` describes.
    pub fn new(sqe, fd: impl UseFixed, iovec: *const libc::iovec, len: u32) {
        set_target(sqe, fd);
        sqe.addr = address(iovec);
        sqe.len = len;
    }

    /// Sets the priority, as `IOPRIO_PRIO_VALUE` makes it (ioprio_set(2)); 0 is that of the thread.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio;
    }

    /// Sets where in the file to write, in bytes; `u64::MAX` (-1) is the file's position.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }

    /// Sets `RWF_*` (pwritev2(2)).
    pub const fn rw_flags(sqe, rw_flags: i32) {
        sqe.op_flags = rw_flags.cast_unsigned();
    }

    /// Sets the write stream (NVMe data placement); 0 is none. Older kernels ignore it. Linux 6.16.
    pub const fn write_stream(sqe, write_stream: u8) {
        sqe.set_write_stream(write_stream);
    }
}

operation! {
    /// Writes from a registered buffer, whose pages the kernel need not look up again. Linux 5.1.
    ///
    /// The result is the number of bytes. `EFAULT` if `buf` and `len` do not lie in the buffer, or there is
    /// none of that number.
    pub struct WriteFixed: IORING_OP_WRITE_FIXED;

    /// Writes `len` bytes from `buf`, an address inside the registered buffer `buf_index`.
    pub fn new(sqe, fd: impl UseFixed, buf: *const u8, len: u32, buf_index: u16) {
        set_target(sqe, fd);
        sqe.addr = address(buf);
        sqe.len = len;
        sqe.buf_index = buf_index;
    }

    /// Sets the priority, as `IOPRIO_PRIO_VALUE` makes it (ioprio_set(2)); 0 is that of the thread.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio;
    }

    /// Sets where in the file to write, in bytes; `u64::MAX` (-1) is the file's position.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }

    /// Sets `RWF_*` (pwritev2(2)).
    pub const fn rw_flags(sqe, rw_flags: i32) {
        sqe.op_flags = rw_flags.cast_unsigned();
    }

    /// Sets the write stream (NVMe data placement); 0 is none. Older kernels ignore it. Linux 6.16.
    pub const fn write_stream(sqe, write_stream: u8) {
        sqe.set_write_stream(write_stream);
    }
}

operation! {
    /// Writes several pieces of a registered buffer. Linux 6.15.
    ///
    /// The result is the number of bytes. `EFAULT` if a piece does not lie in the buffer.
    pub struct WritevFixed: IORING_OP_WRITEV_FIXED;

    /// Writes the `len` pieces that `iovec` describes, all inside the registered buffer `buf_index`.
    pub fn new(sqe, fd: impl UseFixed, iovec: *const libc::iovec, len: u32, buf_index: u16) {
        set_target(sqe, fd);
        sqe.addr = address(iovec);
        sqe.len = len;
        sqe.buf_index = buf_index;
    }

    /// Sets the priority, as `IOPRIO_PRIO_VALUE` makes it (ioprio_set(2)); 0 is that of the thread.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio;
    }

    /// Sets where in the file to write, in bytes; `u64::MAX` (-1) is the file's position.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }

    /// Sets `RWF_*` (pwritev2(2)).
    pub const fn rw_flags(sqe, rw_flags: i32) {
        sqe.op_flags = rw_flags.cast_unsigned();
    }

    /// Sets the write stream (NVMe data placement); 0 is none. Older kernels ignore it. Linux 6.16.
    pub const fn write_stream(sqe, write_stream: u8) {
        sqe.set_write_stream(write_stream);
    }
}

protection_info!(Write, Writev, WriteFixed, WritevFixed);
