//! Reading from files, into buffers that the program names, has registered, or provides.

use super::{address, operation, select_buffer, set_target};
use crate::types::{AttrPi, UseFixed};

operation! {
    /// Reads into one buffer: pread(2), or read(2) with an offset of `u64::MAX` (-1). Linux 5.6.
    ///
    /// The result is the number of bytes, which may be less than asked for; a short read breaks links. 0 is
    /// the end of the file.
    pub struct Read: IORING_OP_READ;

    /// Reads at most `len` bytes to `buf`, from offset 0 unless [`offset`](Self::offset) says otherwise.
    pub fn new(sqe, fd: impl UseFixed, buf: *mut u8, len: u32) {
        set_target(sqe, fd);
        sqe.addr = address(buf);
        sqe.len = len;
    }

    /// Sets where in the file to read, in bytes. `u64::MAX` (-1) reads at the file's position and advances
    /// it (`IORING_FEAT_RW_CUR_POS`, Linux 5.6). Files without positions need 0 or -1.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }

    /// Sets the priority, as `IOPRIO_PRIO_VALUE` makes it (ioprio_set(2)); 0 is that of the thread.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio;
    }

    /// Sets `RWF_*` (preadv2(2)).
    pub const fn rw_flags(sqe, rw_flags: i32) {
        sqe.op_flags = rw_flags.cast_unsigned();
    }

    /// Sets the group to take a buffer from, together with
    /// [`Flags::BUFFER_SELECT`](crate::squeue::Flags::BUFFER_SELECT); `buf` is null then.
    pub const fn buf_group(sqe, buf_group: u16) {
        sqe.buf_index = buf_group;
    }
}

operation! {
    /// Reads into several buffers: preadv2(2). Linux 5.1.
    ///
    /// The result is the number of bytes of all buffers together; a short read breaks links.
    pub struct Readv: IORING_OP_READV;

    /// Reads into the `len` buffers that `iovec` describes.
    pub fn new(sqe, fd: impl UseFixed, iovec: *const libc::iovec, len: u32) {
        set_target(sqe, fd);
        sqe.addr = address(iovec);
        sqe.len = len;
    }

    /// Sets the priority, as `IOPRIO_PRIO_VALUE` makes it (ioprio_set(2)); 0 is that of the thread.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio;
    }

    /// Sets where in the file to read, in bytes; `u64::MAX` (-1) is the file's position.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }

    /// Sets `RWF_*` (preadv2(2)).
    pub const fn rw_flags(sqe, rw_flags: i32) {
        sqe.op_flags = rw_flags.cast_unsigned();
    }

    /// Sets the group to take a buffer from, together with
    /// [`Flags::BUFFER_SELECT`](crate::squeue::Flags::BUFFER_SELECT); one `iovec` gives the length then.
    pub const fn buf_group(sqe, buf_group: u16) {
        sqe.buf_index = buf_group;
    }
}

operation! {
    /// Reads into a registered buffer, whose pages the kernel need not look up again. Linux 5.1.
    ///
    /// The result is the number of bytes. `EFAULT` if `buf` and `len` do not lie in the buffer, or there is
    /// none of that number.
    pub struct ReadFixed: IORING_OP_READ_FIXED;

    /// Reads at most `len` bytes to `buf`, an address inside the registered buffer `buf_index`.
    pub fn new(sqe, fd: impl UseFixed, buf: *mut u8, len: u32, buf_index: u16) {
        set_target(sqe, fd);
        sqe.addr = address(buf);
        sqe.len = len;
        sqe.buf_index = buf_index;
    }

    /// Sets the priority, as `IOPRIO_PRIO_VALUE` makes it (ioprio_set(2)); 0 is that of the thread.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio;
    }

    /// Sets where in the file to read, in bytes; `u64::MAX` (-1) is the file's position.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }

    /// Sets `RWF_*` (preadv2(2)).
    pub const fn rw_flags(sqe, rw_flags: i32) {
        sqe.op_flags = rw_flags.cast_unsigned();
    }
}

operation! {
    /// Reads into several pieces of a registered buffer. Linux 6.15.
    ///
    /// The result is the number of bytes. `EFAULT` if a piece does not lie in the buffer.
    pub struct ReadvFixed: IORING_OP_READV_FIXED;

    /// Reads into the `len` pieces that `iovec` describes, all inside the registered buffer `buf_index`.
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

    /// Sets where in the file to read, in bytes; `u64::MAX` (-1) is the file's position.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }

    /// Sets `RWF_*` (preadv2(2)).
    pub const fn rw_flags(sqe, rw_flags: i32) {
        sqe.op_flags = rw_flags.cast_unsigned();
    }
}

operation! {
    /// Reads again and again from a file that can be polled (a pipe, a terminal, a tap device), one provided
    /// buffer per completion. Linux 6.7.
    ///
    /// Each result is the number of bytes in the buffer that the completion names. It has ended when a
    /// completion comes without `IORING_CQE_F_MORE`: at the end of the file, by an error, or with
    /// `ENOBUFS` when the group ran out of buffers. `EBADFD` for files that cannot be polled.
    pub struct ReadMulti: IORING_OP_READ_MULTISHOT;

    /// Reads into buffers of `buf_group`, at most `len` bytes each; 0 is as many as the buffer holds.
    pub fn new(sqe, fd: impl UseFixed, len: u32, buf_group: u16) {
        set_target(sqe, fd);
        sqe.len = len;
        select_buffer(sqe, buf_group);
    }

    /// Sets the offset; files that can be polled have none and take 0 or `u64::MAX` (-1).
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }
}

/// The setter of integrity data, for the operations that read or write with one.
macro_rules! protection_info {
    ($($Op:ident),*) => { $(
        impl $Op {
            /// Transfers integrity data (T10 PI) beside the data, on block devices that have it and files
            /// opened with `O_DIRECT`. The structure is read on submission; its buffer must live until
            /// the completion. Linux 6.14 (`IORING_FEAT_RW_ATTR`).
            #[inline]
            pub fn protection_info(mut self, info: *const AttrPi) -> Self {
                self.0.addr3 = address(info);
                self.0.pad2 = annulus_abi::IORING_RW_ATTR_FLAG_PI;
                self
            }
        }
    )* };
}

protection_info!(Read, Readv, ReadFixed, ReadvFixed);
pub(super) use protection_info;
