//! Operations on sockets: send, receive, accept, socket commands, time stamps.

use crate::Cqe;
use crate::flags::flag_words;

flag_words! {
    /// `IORING_RECVSEND_*`, `IORING_RECV_*` and `IORING_SEND_*`: sends and receives (in `ioprio`).
    pub struct RecvSendFlags: u16 {
        /// Wait for readiness first, without an attempt. Linux 5.19.
        IORING_RECVSEND_POLL_FIRST as POLL_FIRST = 1 << 0;
        /// Receive again and again; only with buffer selection. Linux 6.0.
        IORING_RECV_MULTISHOT as MULTISHOT = 1 << 1;
        /// Use the registered buffer `buf_index`: zero-copy sends since Linux 6.0, plain sends and
        /// receives newer than 6.18 (7.3 has it).
        IORING_RECVSEND_FIXED_BUF as FIXED_BUF = 1 << 2;
        /// Zero-copy send: the notification tells whether data was copied
        /// ([`IORING_NOTIF_USAGE_ZC_COPIED`]). Linux 6.2.
        IORING_SEND_ZC_REPORT_USAGE as ZC_REPORT_USAGE = 1 << 3;
        /// Take as many provided buffers as there are; the completion names the first. Linux 6.10.
        IORING_RECVSEND_BUNDLE as BUNDLE = 1 << 4;
        /// `addr` and `len` describe an array of `struct iovec`. Linux 6.17.
        IORING_SEND_VECTORIZED as VECTORIZED = 1 << 5;
    }

    /// `IORING_ACCEPT_*`: accepting (in `ioprio`).
    pub struct AcceptFlags: u16 {
        /// Accept again and again. Linux 5.19.
        IORING_ACCEPT_MULTISHOT as MULTISHOT = 1 << 0;
        /// Fail with `EAGAIN` rather than wait. Linux 6.10.
        IORING_ACCEPT_DONTWAIT as DONTWAIT = 1 << 1;
        /// Wait for readiness first, without an attempt. Linux 6.10.
        IORING_ACCEPT_POLL_FIRST as POLL_FIRST = 1 << 2;
    }
}

/// In the result of a notification that was asked to report: data was copied, at least in part. All
/// other bits are reserved. Linux 6.2.
pub const IORING_NOTIF_USAGE_ZC_COPIED: u32 = 1 << 31;

/// Socket command: bytes in the receive queue, as the `SIOCINQ` ioctl. Linux 6.5.
pub const SOCKET_URING_OP_SIOCINQ: u32 = 0;
/// Socket command: bytes in the send queue, as the `SIOCOUTQ` ioctl. Linux 6.5.
pub const SOCKET_URING_OP_SIOCOUTQ: u32 = 1;
/// Socket command: getsockopt(2) of level `SOL_SOCKET`. Linux 6.7.
pub const SOCKET_URING_OP_GETSOCKOPT: u32 = 2;
/// Socket command: setsockopt(2). Linux 6.7.
pub const SOCKET_URING_OP_SETSOCKOPT: u32 = 3;
/// Socket command: transmit time stamps, each a completion with an [`IoTimespec`] in its second half;
/// multishot. Linux 6.17.
pub const SOCKET_URING_OP_TX_TIMESTAMP: u32 = 4;
/// Socket command: getsockname(2), or getpeername(2) if `optlen` is 1. Newer than Linux 6.18: 6.19.
pub const SOCKET_URING_OP_GETSOCKNAME: u32 = 5;

/// The bit of a completion's flags that says whether hardware took the time stamp. Linux 6.17.
pub const IORING_TIMESTAMP_HW_SHIFT: u32 = 16;
/// The bit from which on a completion's flags hold the time stamp's type (`SCM_TSTAMP_*`). Linux 6.17.
pub const IORING_TIMESTAMP_TYPE_SHIFT: u32 = IORING_TIMESTAMP_HW_SHIFT + 1;

/// A transmit time stamp, the second half of its completion (`struct io_timespec`). Linux 6.17.
#[doc(alias = "io_timespec")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct IoTimespec {
    /// Seconds.
    pub tv_sec: u64,
    /// Nanoseconds.
    pub tv_nsec: u64,
}

impl IoTimespec {
    /// The type of the time stamp that this completion carries: `SCM_TSTAMP_SND` (0), `_SCHED` (1),
    /// `_ACK` (2) or `_COMPLETION` (3). Its key is the completion's result.
    #[must_use]
    pub const fn kind(cqe: &Cqe) -> u32 {
        cqe.flags >> IORING_TIMESTAMP_TYPE_SHIFT
    }
}

/// What a multishot `RECVMSG` puts at the start of its buffer (`struct io_uring_recvmsg_out`); name,
/// control data and payload follow, the first two as long as they were allowed to be. Linux 6.0.
#[doc(alias = "io_uring_recvmsg_out")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RecvmsgOut {
    /// Size of the sender's address in bytes; if it is more than was allowed, the address is cut.
    pub namelen: u32,
    /// Size of the control data in bytes.
    pub controllen: u32,
    /// Size of the payload in bytes; with `MSG_TRUNC` of the whole datagram.
    pub payloadlen: u32,
    /// `MSG_*` as recvmsg(2) returns them.
    pub flags: u32,
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<IoTimespec>() == 16);
    assert!(size_of::<RecvmsgOut>() == 16);
    assert!(offset_of!(RecvmsgOut, payloadlen) == 8);
};
