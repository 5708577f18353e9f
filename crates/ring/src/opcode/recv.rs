//! Receiving: once or again and again, into a buffer of the program's or into provided ones.
//!
//! A multishot receive has ended when a completion comes without `IORING_CQE_F_MORE`: at the end of the
//! stream (result 0), by an error, with `ENOBUFS` when the group ran out of buffers, or because the
//! completion queue overflowed. Submit it again if more is expected.

use super::{address, operation, select_buffer, set_target};
use crate::types::{RecvSendFlags, UseFixed};

operation! {
    /// Receives into one buffer: recv(2). Linux 5.6.
    ///
    /// The result is the number of bytes; 0 is the end of the stream. A short receive does not break links,
    /// unless it has `MSG_WAITALL`.
    pub struct Recv: IORING_OP_RECV;

    /// Receives at most `len` bytes to `buf`.
    pub fn new(sqe, fd: impl UseFixed, buf: *mut u8, len: u32) {
        set_target(sqe, fd);
        sqe.addr = address(buf);
        sqe.len = len;
    }

    /// Sets [`RecvSendFlags`], such as [`RecvSendFlags::POLL_FIRST`].
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio;
    }

    /// Receives into the registered buffer of this number, in which `buf` and `len` must lie; after
    /// [`ioprio`](Self::ioprio), whose word it adds to. Newer than Linux 6.18 (`EINVAL`): 7.3 has it.
    pub const fn buf_index(sqe, buf_index: u16) {
        sqe.buf_index = buf_index;
        sqe.ioprio |= RecvSendFlags::FIXED_BUF.bits();
    }

    /// Sets `MSG_*`.
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }

    /// Sets the group to take a buffer from, together with
    /// [`Flags::BUFFER_SELECT`](crate::squeue::Flags::BUFFER_SELECT); `buf` is null then.
    pub const fn buf_group(sqe, buf_group: u16) {
        sqe.buf_index = buf_group;
    }
}

operation! {
    /// Receives again and again, into a provided buffer each time. Linux 6.0.
    ///
    /// Each result is the number of bytes in the buffer that the completion names.
    pub struct RecvMulti: IORING_OP_RECV;

    /// Receives into buffers of `buf_group`.
    pub fn new(sqe, fd: impl UseFixed, buf_group: u16) {
        set_target(sqe, fd);
        select_buffer(sqe, buf_group);
        sqe.ioprio = RecvSendFlags::MULTISHOT.bits();
    }

    /// Sets `MSG_*`, without `MSG_WAITALL` (`EINVAL`).
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }

    /// Sets the most to receive at once, in bytes; 0 is what the buffer holds. Others than 0 need Linux 6.10.
    pub const fn len(sqe, len: u32) {
        sqe.len = len;
    }

    /// Sets how much to receive altogether, in bytes: it ends when it has that much, with what the last buffer
    /// takes beyond it; 0 is without limit. Linux 6.17.
    pub const fn total_len(sqe, total_len: u32) {
        sqe.file_index = total_len;
    }

    /// Sets [`RecvSendFlags`], such as [`RecvSendFlags::POLL_FIRST`], beside the multishot flag.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio | RecvSendFlags::MULTISHOT.bits();
    }
}

operation! {
    /// Receives into several provided buffers at once, as many as there is data for. Linux 6.10
    /// (`IORING_FEAT_RECVSEND_BUNDLE`).
    ///
    /// The result is the number of bytes; the completion names the first buffer, and the others follow it
    /// in the ring's order. Needs a buffer ring.
    pub struct RecvBundle: IORING_OP_RECV;

    /// Receives into buffers of `buf_group`.
    pub fn new(sqe, fd: impl UseFixed, buf_group: u16) {
        set_target(sqe, fd);
        select_buffer(sqe, buf_group);
        sqe.ioprio = RecvSendFlags::BUNDLE.bits();
    }

    /// Sets `MSG_*`.
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }

    /// Sets the most to receive, in bytes; 0 is without limit.
    pub const fn len(sqe, len: u32) {
        sqe.len = len;
    }

    /// Sets [`RecvSendFlags`], such as [`RecvSendFlags::POLL_FIRST`], beside the bundle flag.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio | RecvSendFlags::BUNDLE.bits();
    }
}

operation! {
    /// Receives again and again, into as many provided buffers as there is data for each time. Linux 6.10
    /// (`IORING_FEAT_RECVSEND_BUNDLE`).
    ///
    /// Results are as those of [`RecvBundle`].
    pub struct RecvMultiBundle: IORING_OP_RECV;

    /// Receives into buffers of `buf_group`.
    pub fn new(sqe, fd: impl UseFixed, buf_group: u16) {
        set_target(sqe, fd);
        select_buffer(sqe, buf_group);
        sqe.ioprio = RecvSendFlags::MULTISHOT.union(RecvSendFlags::BUNDLE).bits();
    }

    /// Sets `MSG_*`, without `MSG_WAITALL` (`EINVAL`).
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }

    /// Sets the most to receive at once, in bytes; 0 is without limit.
    pub const fn len(sqe, len: u32) {
        sqe.len = len;
    }

    /// Sets [`RecvSendFlags`], such as [`RecvSendFlags::POLL_FIRST`], beside the multishot and bundle flags.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio | RecvSendFlags::MULTISHOT.union(RecvSendFlags::BUNDLE).bits();
    }
}

operation! {
    /// Receives a message with everything that it can carry: recvmsg(2). Linux 5.3.
    ///
    /// The result is the number of bytes; the kernel writes lengths and flags back into the header.
    pub struct RecvMsg: IORING_OP_RECVMSG;

    /// Receives into what `msg` describes.
    pub fn new(sqe, fd: impl UseFixed, msg: *mut libc::msghdr) {
        set_target(sqe, fd);
        sqe.addr = address(msg);
        sqe.len = 1;
    }

    /// Sets [`RecvSendFlags`], such as [`RecvSendFlags::POLL_FIRST`].
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio;
    }

    /// Sets `MSG_*`.
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }

    /// Sets the group to take a buffer from, together with
    /// [`Flags::BUFFER_SELECT`](crate::squeue::Flags::BUFFER_SELECT).
    pub const fn buf_group(sqe, buf_group: u16) {
        sqe.buf_index = buf_group;
    }
}

operation! {
    /// Receives message after message, into a provided buffer each time. Linux 6.0.
    ///
    /// [`types::RecvMsgOut`](crate::types::RecvMsgOut) takes the buffers apart.
    pub struct RecvMsgMulti: IORING_OP_RECVMSG;

    /// Receives into buffers of `buf_group`. Of `msg`, read on submission, only `msg_namelen` and
    /// `msg_controllen` count: how much of each buffer to set aside for the sender's address and for control
    /// messages.
    pub fn new(sqe, fd: impl UseFixed, msg: *const libc::msghdr, buf_group: u16) {
        set_target(sqe, fd);
        select_buffer(sqe, buf_group);
        sqe.addr = address(msg);
        sqe.len = 1;
        sqe.ioprio = RecvSendFlags::MULTISHOT.bits();
    }

    /// Sets [`RecvSendFlags`], such as [`RecvSendFlags::POLL_FIRST`], beside the multishot flag.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio | RecvSendFlags::MULTISHOT.bits();
    }

    /// Sets `MSG_*`, without `MSG_WAITALL` (`EINVAL`).
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }
}

operation! {
    /// Receives again and again into memory that the network card writes to directly. Linux 6.15.
    ///
    /// Needs an interface queue (`Submitter::register_ifq`) and a ring with `IORING_SETUP_CQE32`; the
    /// completion's second half says where the data lies
    /// ([`io_uring_zcrx_cqe`](crate::types::io_uring_zcrx_cqe)).
    pub struct RecvZc: IORING_OP_RECV_ZC;

    /// Receives at most `len` bytes altogether; 0 is without limit.
    pub fn new(sqe, fd: impl UseFixed, len: u32) {
        set_target(sqe, fd);
        sqe.len = len;
        sqe.ioprio = RecvSendFlags::MULTISHOT.bits();
    }

    /// Sets the number of the interface queue.
    pub const fn ifq(sqe, ifq: u32) {
        sqe.file_index = ifq;
    }

    /// Sets [`RecvSendFlags`] beside the multishot flag.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio | RecvSendFlags::MULTISHOT.bits();
    }
}
