//! Waiting on memory (futex(2), futex_waitv(2)).

use super::{address, operation};
use crate::types;

operation! {
    /// Waits until another thread wakes a futex. Linux 6.7.
    ///
    /// 0 when woken, `EAGAIN` if the futex does not have the value `val`, `ECANCELED` when cancelled.
    pub struct FutexWait: IORING_OP_FUTEX_WAIT;

    /// Waits on `futex`, if it has the value `val`, for wakers whose mask shares a bit with `mask`
    /// (`FUTEX_BITSET_MATCH_ANY` for all). `futex_flags` are [`Futex2Flags`](types::Futex2Flags): size
    /// and whether other processes use it.
    pub fn new(sqe, futex: *const u32, val: u64, mask: u64, futex_flags: u32) {
        sqe.fd = futex_flags.cast_signed();
        sqe.addr = address(futex);
        sqe.off = val;
        sqe.addr3 = mask;
    }

    /// Sets the flag word; no flag is known today and others than 0 are refused (`EINVAL`).
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }
}

operation! {
    /// Wakes threads and requests that wait on a futex. Linux 6.7.
    ///
    /// The result is how many were woken.
    pub struct FutexWake: IORING_OP_FUTEX_WAKE;

    /// Wakes at most `val` waiters of `futex` whose mask shares a bit with `mask`. `futex_flags` as with
    /// [`FutexWait`].
    pub fn new(sqe, futex: *const u32, val: u64, mask: u64, futex_flags: u32) {
        sqe.fd = futex_flags.cast_signed();
        sqe.addr = address(futex);
        sqe.off = val;
        sqe.addr3 = mask;
    }

    /// Sets the flag word; no flag is known today and others than 0 are refused (`EINVAL`).
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }
}

operation! {
    /// Waits on several futexes until one is woken. Linux 6.7.
    ///
    /// The result is the index of the one that was. `EAGAIN` if one does not have its value.
    pub struct FutexWaitV: IORING_OP_FUTEX_WAITV;

    /// Waits on the `nr_futex` futexes (at most 128) that the array `futexv` describes.
    pub fn new(sqe, futexv: *const types::FutexWaitV, nr_futex: u32) {
        sqe.addr = address(futexv);
        sqe.len = nr_futex;
    }

    /// Sets the flag word; no flag is known today and others than 0 are refused (`EINVAL`).
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }
}
