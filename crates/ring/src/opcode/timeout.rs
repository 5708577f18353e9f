//! Timeouts: of the ring, and of other requests.

use super::{address, operation};
use crate::types::{TimeoutFlags, Timespec};

operation! {
    /// Completes when a time has passed, or a number of other requests have completed. Linux 5.4.
    ///
    /// `ETIME` when the time was up, 0 when the number was reached first, `ECANCELED` when it was removed.
    /// The time is read on submission.
    ///
    /// ```
    /// use annulus::{opcode, types};
    ///
    /// let second = types::Timespec::new().sec(1);
    /// let timeout = opcode::Timeout::new(&second).build();
    /// let precise = opcode::Timeout::immediate(1_000_000_000).build(); // Linux 7.1
    /// # let _ = (timeout, precise);
    /// ```
    pub struct Timeout: IORING_OP_TIMEOUT;

    /// Waits for the time at `timespec`: a span, or a point with [`TimeoutFlags::ABS`].
    pub fn new(sqe, timespec: *const Timespec) {
        sqe.fd = -1;
        sqe.addr = address(timespec);
        sqe.len = 1;
    }

    /// Sets how many other completions end it; 0 is none. With [`TimeoutFlags::MULTISHOT`], how many times
    /// it fires; 0 is without end.
    pub const fn count(sqe, count: u32) {
        sqe.off = count as u64;
    }

    /// Sets `IORING_TIMEOUT_*`.
    pub const fn flags(sqe, flags: TimeoutFlags) {
        sqe.op_flags = flags.bits() | immediate(sqe.op_flags);
    }
}

impl Timeout {
    /// Waits for a span in nanoseconds that lies in the entry itself, so that nothing must be kept alive;
    /// at most `i64::MAX`, and not together with [`TimeoutFlags::ABS`]. Linux 7.1 (`EINVAL` before).
    #[inline]
    pub fn immediate(nanoseconds: u64) -> Self {
        let mut timeout = Self::new(std::ptr::null());
        timeout.0.addr = nanoseconds;
        timeout.0.op_flags = TimeoutFlags::IMMEDIATE_ARG.bits();
        timeout
    }
}

operation! {
    /// Ends a timeout before its time. Linux 5.5.
    ///
    /// 0, or `ENOENT` if none is found, `EALREADY` or `EBUSY` if it is firing just now. The timeout itself
    /// ends with `ECANCELED`.
    pub struct TimeoutRemove: IORING_OP_TIMEOUT_REMOVE;

    /// Ends the timeout that carries `user_data`.
    pub fn new(sqe, user_data: u64) {
        sqe.fd = -1;
        sqe.addr = user_data;
    }
}

operation! {
    /// Gives a timeout that runs another time; a count of completions is lost by it. Linux 5.11.
    ///
    /// 0, or `ENOENT` if none is found, `EALREADY` if it is firing just now.
    pub struct TimeoutUpdate: IORING_OP_TIMEOUT_REMOVE;

    /// Gives the timeout that carries `user_data` the time at `timespec`, counted from now.
    pub fn new(sqe, user_data: u64, timespec: *const Timespec) {
        sqe.fd = -1;
        sqe.addr = user_data;
        sqe.off = address(timespec);
        sqe.op_flags = TimeoutFlags::UPDATE.bits();
    }

    /// Sets `IORING_TIMEOUT_*`: [`TimeoutFlags::ABS`] for a point in time,
    /// [`TimeoutFlags::LINK_TIMEOUT_UPDATE`] to change a [`LinkTimeout`].
    pub const fn flags(sqe, flags: TimeoutFlags) {
        sqe.op_flags = flags.bits() | TimeoutFlags::UPDATE.bits() | immediate(sqe.op_flags);
    }
}

impl TimeoutUpdate {
    /// Gives it a span in nanoseconds that lies in the entry itself. Linux 7.1 (`EINVAL` before).
    #[inline]
    pub fn immediate(user_data: u64, nanoseconds: u64) -> Self {
        let mut update = Self::new(user_data, std::ptr::null());
        update.0.off = nanoseconds;
        update.0.op_flags |= TimeoutFlags::IMMEDIATE_ARG.bits();
        update
    }
}

operation! {
    /// Cancels the request before it in the chain when that takes too long: push it behind an entry with
    /// [`Flags::IO_LINK`](crate::squeue::Flags::IO_LINK). Linux 5.5.
    ///
    /// `ETIME` when the time was up (the request ends with `ECANCELED` or `EINTR`, or may yet succeed),
    /// `ECANCELED` when the request was faster, `ENOENT` if it was gone already. What a cancelled receive
    /// had taken from the socket may be lost.
    pub struct LinkTimeout: IORING_OP_LINK_TIMEOUT;

    /// Gives the request the time at `timespec`: a span, or a point with [`TimeoutFlags::ABS`].
    pub fn new(sqe, timespec: *const Timespec) {
        sqe.fd = -1;
        sqe.addr = address(timespec);
        sqe.len = 1;
    }

    /// Sets `IORING_TIMEOUT_*`.
    pub const fn flags(sqe, flags: TimeoutFlags) {
        sqe.op_flags = flags.bits() | immediate(sqe.op_flags);
    }
}

impl LinkTimeout {
    /// Gives the request a span in nanoseconds that lies in the entry itself. Linux 7.1 (`EINVAL` before).
    #[inline]
    pub fn immediate(nanoseconds: u64) -> Self {
        let mut timeout = Self::new(std::ptr::null());
        timeout.0.addr = nanoseconds;
        timeout.0.op_flags = TimeoutFlags::IMMEDIATE_ARG.bits();
        timeout
    }
}

/// What `immediate` set stays whatever flags are given.
const fn immediate(op_flags: u32) -> u32 {
    op_flags & TimeoutFlags::IMMEDIATE_ARG.bits()
}
