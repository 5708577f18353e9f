//! Sending straight from the program's pages, without a copy.
//!
//! Each of these posts two completions: the result, with `IORING_CQE_F_MORE`, and later the notification
//! ([`Entry::is_notification`](crate::cqueue::Entry::is_notification)): only then may the data be changed or
//! freed. A failed send may have no notification; `F_MORE` on the result tells. Not with
//! [`Flags::SKIP_SUCCESS`](crate::squeue::Flags::SKIP_SUCCESS) (`EINVAL`).

use super::send::addressed_send;
use super::{address, operation, set_target};
use crate::types::{RecvSendFlags, UseFixed};

addressed_send! {
    /// Sends one buffer without copying it. Linux 6.0.
    ///
    /// The result is the number of bytes. Worth while above some kilobytes, and on routes whose
    /// device can do it (not loopback, which copies).
    pub struct SendZc: IORING_OP_SEND_ZC;
}

impl SendZc {
    /// Sends the `len` bytes at `buf`.
    #[inline]
    pub fn new(fd: impl UseFixed, buf: *const u8, len: u32) -> Self {
        Self::start(fd, address(buf), len)
    }

    /// Sets [`RecvSendFlags`]: [`RecvSendFlags::POLL_FIRST`], [`RecvSendFlags::ZC_REPORT_USAGE`].
    #[inline]
    pub const fn zc_flags(mut self, zc_flags: u16) -> Self {
        self.sqe.ioprio = zc_flags;
        self
    }

    /// Sets the user data of the notification, if it is to differ from the request's; 0 is the request's.
    /// Newer than Linux 6.18 (`EINVAL`): 7.3 has it.
    #[inline]
    pub const fn notification_user_data(mut self, user_data: u64) -> Self {
        self.sqe.addr3 = user_data;
        self
    }
}

addressed_send! {
    /// Sends several buffers without copying them and without a `msghdr`. Linux 6.17.
    ///
    /// The result is the number of bytes of all buffers together.
    pub struct SendZcVectored: IORING_OP_SEND_ZC;
}

impl SendZcVectored {
    /// Sends the `len` buffers that `iovec` describes.
    #[inline]
    pub fn new(fd: impl UseFixed, iovec: *const libc::iovec, len: u32) -> Self {
        Self::start(fd, address(iovec), len).zc_flags(0)
    }

    /// Sets [`RecvSendFlags`]: [`RecvSendFlags::POLL_FIRST`], [`RecvSendFlags::ZC_REPORT_USAGE`].
    #[inline]
    pub const fn zc_flags(mut self, zc_flags: u16) -> Self {
        self.sqe.ioprio = zc_flags | RecvSendFlags::VECTORIZED.bits();
        self
    }
}

operation! {
    /// Sends a message without copying its data: sendmsg(2). Linux 6.1.
    ///
    /// The result is the number of bytes.
    pub struct SendMsgZc: IORING_OP_SENDMSG_ZC;

    /// Sends what `msg` describes.
    pub fn new(sqe, fd: impl UseFixed, msg: *const libc::msghdr) {
        set_target(sqe, fd);
        sqe.addr = address(msg);
        sqe.len = 1;
    }

    /// Sets [`RecvSendFlags`]: [`RecvSendFlags::POLL_FIRST`], [`RecvSendFlags::ZC_REPORT_USAGE`].
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio | (sqe.ioprio & RecvSendFlags::FIXED_BUF.bits());
    }

    /// Sets `MSG_*`.
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }

    /// Sends from the registered buffer of this number, in which the buffers of the message must lie.
    /// Linux 6.15.
    pub const fn buf_index(sqe, buf_index: Option<u16>) {
        match buf_index {
            Some(index) => {
                sqe.buf_index = index;
                sqe.ioprio |= RecvSendFlags::FIXED_BUF.bits();
            }
            None => {
                sqe.buf_index = 0;
                sqe.ioprio &= !RecvSendFlags::FIXED_BUF.bits();
            }
        }
    }
}
