//! Sending, with the data copied into the socket. Sending from the program's own pages is in
//! [`send_zc`](super::send_zc).
//!
//! The kernel adds `MSG_NOSIGNAL` to every send: a broken connection is `EPIPE`, never a signal. A send
//! may be short; one with `MSG_WAITALL` tries again until everything is gone (Linux 5.19).

use super::{address, operation, select_buffer, set_target};
use crate::types::{RecvSendFlags, UseFixed};

/// Defines a send that can name where to: the parts that [`Send`] and its sisters share.
macro_rules! addressed_send {
    ($(#[$doc:meta])* pub struct $Op:ident: $code:ident;) => {
        $(#[$doc])*
        #[derive(Clone)]
        #[must_use = "an operation does nothing until it is built and pushed"]
        pub struct $Op {
            sqe: annulus_abi::Sqe,
            dest_addr: *const libc::sockaddr,
            buf_index: Option<u16>,
        }

        impl $Op {
            /// The operation's number, for [`Probe::is_supported`](crate::Probe::is_supported).
            pub const CODE: u8 = annulus_abi::$code;

            #[inline]
            fn start(fd: impl crate::types::UseFixed, addr: u64, len: u32) -> Self {
                let mut sqe = annulus_abi::Sqe::new(Self::CODE);
                crate::opcode::set_target(&mut sqe, fd);
                sqe.addr = addr;
                sqe.len = len;
                Self { sqe, dest_addr: std::ptr::null(), buf_index: None }
            }

            /// Sets `MSG_*`.
            #[inline]
            pub const fn flags(mut self, flags: i32) -> Self {
                self.sqe.op_flags = flags.cast_unsigned();
                self
            }

            /// Sets where to send, for a socket that is not connected: sendto(2). The address is read on
            /// submission; [`dest_addr_len`](Self::dest_addr_len) gives its length. Linux 6.0 for
            /// zero-copy sends, 6.1 for others.
            #[inline]
            pub const fn dest_addr(mut self, dest_addr: *const libc::sockaddr) -> Self {
                self.dest_addr = dest_addr;
                self
            }

            /// Sets the length of the address, in bytes. No address has more than 128; lengths
            /// above `u16::MAX`, which the entry cannot hold, become that (`EINVAL`).
            #[inline]
            pub const fn dest_addr_len(mut self, dest_addr_len: libc::socklen_t) -> Self {
                let fits = dest_addr_len <= u16::MAX as libc::socklen_t;
                let [low, high, ..] = dest_addr_len.to_le_bytes();
                self.sqe.set_addr_len(if fits { u16::from_le_bytes([low, high]) } else { u16::MAX });
                self
            }

            /// Sends from the registered buffer of this number, in which the data must lie; `None` from
            /// memory as it is. Zero-copy sends have it since Linux 6.0, others newer than 6.18
            /// (`EINVAL`): 7.3 has it.
            #[inline]
            pub const fn buf_index(mut self, buf_index: Option<u16>) -> Self {
                self.buf_index = buf_index;
                self
            }

            /// The entry to push.
            #[must_use]
            #[inline]
            pub fn build(self) -> crate::squeue::Entry {
                let mut sqe = self.sqe;
                sqe.off = crate::opcode::address(self.dest_addr);
                if let Some(index) = self.buf_index {
                    sqe.buf_index = index;
                    sqe.ioprio |= crate::types::RecvSendFlags::FIXED_BUF.bits();
                }
                crate::squeue::Entry(sqe)
            }
        }

        impl std::fmt::Debug for $Op {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($Op)).field(&self.clone().build()).finish()
            }
        }
    };
}

pub(super) use addressed_send;

addressed_send! {
    /// Sends one buffer: send(2), or sendto(2) with an [address](Self::dest_addr). Linux 5.6.
    ///
    /// The result is the number of bytes.
    pub struct Send: IORING_OP_SEND;
}

impl Send {
    /// Sends the `len` bytes at `buf`.
    #[inline]
    pub fn new(fd: impl UseFixed, buf: *const u8, len: u32) -> Self {
        Self::start(fd, address(buf), len)
    }

    /// Sets [`RecvSendFlags`], such as [`RecvSendFlags::POLL_FIRST`].
    #[inline]
    pub const fn ioprio(mut self, ioprio: u16) -> Self {
        self.sqe.ioprio = ioprio;
        self
    }

    /// Sets the group to take a filled buffer from, together with
    /// [`Flags::BUFFER_SELECT`](crate::squeue::Flags::BUFFER_SELECT); `buf` is null then. Linux 6.10.
    #[inline]
    pub const fn buf_group(mut self, buf_group: u16) -> Self {
        self.sqe.buf_index = buf_group;
        self
    }
}

addressed_send! {
    /// Sends several buffers without a `msghdr`. Linux 6.17.
    ///
    /// The result is the number of bytes of all buffers together.
    pub struct SendVectored: IORING_OP_SEND;
}

impl SendVectored {
    /// Sends the `len` buffers that `iovec` describes.
    #[inline]
    pub fn new(fd: impl UseFixed, iovec: *const libc::iovec, len: u32) -> Self {
        Self::start(fd, address(iovec), len).ioprio(0)
    }

    /// Sets [`RecvSendFlags`], such as [`RecvSendFlags::POLL_FIRST`].
    #[inline]
    pub const fn ioprio(mut self, ioprio: u16) -> Self {
        self.sqe.ioprio = ioprio | RecvSendFlags::VECTORIZED.bits();
        self
    }
}

operation! {
    /// Sends a message with everything that it can carry: sendmsg(2). Linux 5.3.
    ///
    /// The result is the number of bytes. The header, its vector, address and control data are read on
    /// submission; the buffers must live until the completion.
    pub struct SendMsg: IORING_OP_SENDMSG;

    /// Sends what `msg` describes.
    pub fn new(sqe, fd: impl UseFixed, msg: *const libc::msghdr) {
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
}

operation! {
    /// Sends the filled buffers of a group, one behind the other, as many as there are. Linux 6.10.
    ///
    /// The result is the number of bytes; the completion names the first buffer, and the others follow it
    /// in the ring's order. Needs a buffer ring. Completions with `IORING_CQE_F_MORE` may come before the last.
    pub struct SendBundle: IORING_OP_SEND;

    /// Sends from `buf_group`.
    pub fn new(sqe, fd: impl UseFixed, buf_group: u16) {
        set_target(sqe, fd);
        select_buffer(sqe, buf_group);
        sqe.ioprio = RecvSendFlags::BUNDLE.bits();
    }

    /// Sets `MSG_*`.
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }

    /// Sets the most to send, in bytes; 0 is without limit.
    pub const fn len(sqe, len: u32) {
        sqe.len = len;
    }

    /// Sets [`RecvSendFlags`], such as [`RecvSendFlags::POLL_FIRST`], beside the bundle flag.
    pub const fn ioprio(sqe, ioprio: u16) {
        sqe.ioprio = ioprio | RecvSendFlags::BUNDLE.bits();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Fd;

    #[test]
    fn an_address_too_long_for_the_entry_does_not_become_a_short_one() {
        let send = |len| Send::new(Fd(1), std::ptr::null(), 0).dest_addr_len(len).build();
        assert_eq!(send(16).sqe().addr_len(), 16);
        assert_eq!(send(65536 + 16).sqe().addr_len(), u16::MAX);
    }

    #[test]
    fn the_registered_buffer_and_the_flags_do_not_undo_each_other() {
        let both = RecvSendFlags::FIXED_BUF.bits() | RecvSendFlags::POLL_FIRST.bits();
        let first = RecvSendFlags::POLL_FIRST.bits();
        let send = Send::new(Fd(1), std::ptr::null(), 0);
        let one = send.clone().buf_index(Some(3)).ioprio(first).build();
        let other = send.clone().ioprio(first).buf_index(Some(3)).build();
        assert_eq!((one.get_ioprio(), one.get_buf_index()), (both, 3));
        assert_eq!(one, other);
        assert_eq!(send.buf_index(Some(3)).buf_index(None).build().get_ioprio(), 0);
    }

    #[test]
    fn a_vectored_send_says_so() {
        let send = SendVectored::new(Fd(1), std::ptr::without_provenance(64), 2).build();
        assert_eq!((send.get_ioprio(), send.get_addr(), send.get_len()), (1 << 5, 64, 2));
        let first = SendVectored::new(Fd(1), std::ptr::null(), 2).ioprio(1).build();
        assert_eq!(first.get_ioprio(), 1 << 5 | 1);
    }
}
