//! epoll sets, driven through the ring.

use super::{address, operation, set_target};
use crate::types::{self, UseFd, UseFixed};

operation! {
    /// Changes an epoll set: epoll_ctl(2). Linux 5.6.
    pub struct EpollCtl: IORING_OP_EPOLL_CTL;

    /// Does `op` (`EPOLL_CTL_ADD`, `_MOD`, `_DEL`) with `fd` in the set `epfd`. `ev` is the address of a
    /// `libc::epoll_event`, or null to delete.
    pub fn new(
        sqe,
        epfd: impl UseFixed,
        fd: impl UseFd,
        op: i32,
        ev: *const types::epoll_event,
    ) {
        set_target(sqe, epfd);
        sqe.addr = address(ev);
        sqe.len = op.cast_unsigned();
        sqe.off = i64::from(fd.raw_fd()).cast_unsigned();
    }
}

operation! {
    /// Waits for events of an epoll set: epoll_wait(2), without a time limit. Linux 6.15.
    ///
    /// The result is their number.
    pub struct EpollWait: IORING_OP_EPOLL_WAIT;

    /// Writes at most `max_events` to `events`, an array of `libc::epoll_event`.
    pub fn new(sqe, fd: impl UseFixed, events: *mut types::epoll_event, max_events: u32) {
        set_target(sqe, fd);
        sqe.addr = address(events);
        sqe.len = max_events;
    }

    /// Sets the flag word; no flag is known today and others than 0 are refused (`EINVAL`).
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }
}
