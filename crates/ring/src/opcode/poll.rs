//! Waiting until a file is ready.

use super::{operation, set_target};
use crate::types::{PollFlags, UseFixed};

operation! {
    /// Waits until a file is ready: poll(2). Linux 5.1.
    ///
    /// The result is the events that hold (`libc::POLL*`). It reports once, unless it is
    /// [multishot](Self::multi). `ECANCELED` if it was removed.
    pub struct PollAdd: IORING_OP_POLL_ADD;

    /// Waits for one of the events `flags` (`libc::POLLIN`, `POLLOUT`, ..., and `EPOLLEXCLUSIVE`);
    /// `POLLERR` and `POLLHUP` are always among them.
    pub fn new(sqe, fd: impl UseFixed, flags: u32) {
        set_target(sqe, fd);
        sqe.op_flags = events(flags);
    }

    /// Reports whenever an event happens, until a completion comes without `IORING_CQE_F_MORE`. Linux 5.13.
    pub const fn multi(sqe, multi: bool) {
        sqe.len = with(sqe.len, PollFlags::ADD_MULTI, multi);
    }

    /// Reports as long as an event holds, not only when it begins. The flag is in the interface since Linux
    /// 6.0, but kernels at least to 7.3 refuse it on this operation (`EINVAL`).
    pub const fn level(sqe, level: bool) {
        sqe.len = with(sqe.len, PollFlags::ADD_LEVEL, level);
    }
}

operation! {
    /// Ends a poll that waits. Linux 5.1.
    ///
    /// 0, or `ENOENT` if none is found, `EALREADY` if it is about to report. The poll itself ends with
    /// `ECANCELED`.
    pub struct PollRemove: IORING_OP_POLL_REMOVE;

    /// Ends the poll that carries `user_data`.
    pub fn new(sqe, user_data: u64) {
        sqe.fd = -1;
        sqe.addr = user_data;
    }
}

operation! {
    /// Changes a poll that waits, without ending it. Linux 5.13.
    ///
    /// 0, or `ENOENT` if none is found, `EALREADY` if it is about to report. If the change cannot be made, the poll
    /// ends with `ECANCELED`. Without any change asked for it is a [`PollRemove`].
    pub struct PollUpdate: IORING_OP_POLL_REMOVE;

    /// Changes the poll that carries `user_data`.
    pub fn new(sqe, user_data: u64) {
        sqe.fd = -1;
        sqe.addr = user_data;
    }

    /// Waits for these events from now on.
    pub const fn events(sqe, flags: u32) {
        sqe.len |= PollFlags::UPDATE_EVENTS.bits();
        sqe.op_flags = events(flags);
    }

    /// Carries this user data from now on.
    pub const fn new_user_data(sqe, user_data: u64) {
        sqe.len |= PollFlags::UPDATE_USER_DATA.bits();
        sqe.off = user_data;
    }

    /// Whether it stays multishot: must be said again when the events change.
    pub const fn multi(sqe, multi: bool) {
        sqe.len = with(sqe.len, PollFlags::ADD_MULTI, multi);
    }
}

/// `poll32_events`, which the kernel reads as two 16-bit halves, the lower one first.
const fn events(flags: u32) -> u32 {
    if cfg!(target_endian = "big") { flags.rotate_left(16) } else { flags }
}

/// The word with a flag set or cleared.
const fn with(word: u32, flag: PollFlags, on: bool) -> u32 {
    if on { word | flag.bits() } else { word & !flag.bits() }
}
