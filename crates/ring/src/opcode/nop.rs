//! Nothing, and the ways to make nothing interesting.

use super::{operation, set_target};
use crate::types::{NopFlags, UseFixed};

operation! {
    /// Does nothing and completes with 0: to measure a ring, to wake one that waits, or to test what links
    /// and flags do. Linux 5.1.
    pub struct Nop: IORING_OP_NOP;

    /// A request to do nothing.
    pub fn new(sqe) {
        sqe.fd = -1;
    }

    /// Completes with `result` instead of 0. A negative one breaks links as an error does.
    /// Linux 6.10.
    pub const fn inject_result(sqe, result: i32) {
        sqe.op_flags |= NopFlags::INJECT_RESULT.bits();
        sqe.len = result.cast_unsigned();
    }

    /// Looks up a registered buffer; `EFAULT` if it is not there. Linux 6.13.
    pub const fn fixed_buffer(sqe, buf_index: u16) {
        sqe.op_flags |= NopFlags::FIXED_BUFFER.bits();
        sqe.buf_index = buf_index;
    }

    /// Completes by task work, as most operations do, instead of at once. Linux 6.15.
    pub const fn task_work(sqe, on: bool) {
        let rest = sqe.op_flags & !NopFlags::TW.bits();
        sqe.op_flags = if on { rest | NopFlags::TW.bits() } else { rest };
    }

    /// Completes with an entry of 32 bytes that carries these words. Needs a ring set up with
    /// `IORING_SETUP_CQE32` or `IORING_SETUP_CQE_MIXED` (`EINVAL`). Linux 6.18.
    pub const fn cqe32(sqe, extra: [u64; 2]) {
        sqe.op_flags |= NopFlags::CQE32.bits();
        [sqe.off, sqe.addr] = extra;
    }

    /// Replaces the flag word: for flags that have no setter here.
    pub const fn nop_flags(sqe, flags: NopFlags) {
        sqe.op_flags = flags.bits();
    }
}

impl Nop {
    /// Looks up a file; `EBADF` if it is not there. Linux 6.13.
    #[inline]
    pub fn file(mut self, fd: impl UseFixed) -> Self {
        use crate::squeue::Flags;
        set_target(&mut self.0, fd);
        // The operation looks the file up itself and has a flag of its own for the table.
        let fixed = self.0.flags & Flags::FIXED_FILE.bits() != 0;
        self.0.flags &= !Flags::FIXED_FILE.bits();
        let kind = if fixed { NopFlags::FILE.union(NopFlags::FIXED_FILE) } else { NopFlags::FILE };
        self.0.op_flags &= !NopFlags::FIXED_FILE.bits();
        self.0.op_flags |= kind.bits();
        self
    }
}

impl Default for Nop {
    fn default() -> Self {
        Self::new()
    }
}

operation! {
    /// Does nothing, in 128 bytes: for rings set up with `IORING_SETUP_SQE128` or
    /// `IORING_SETUP_SQE_MIXED`. Linux 6.19.
    pub struct Nop128(Sqe128 => Entry128): IORING_OP_NOP128;

    /// A request to do nothing.
    pub fn new(sqe) {
        sqe.base.fd = -1;
    }

    /// Completes with `result` instead of 0.
    pub const fn inject_result(sqe, result: i32) {
        sqe.base.op_flags |= NopFlags::INJECT_RESULT.bits();
        sqe.base.len = result.cast_unsigned();
    }
}

impl Default for Nop128 {
    fn default() -> Self {
        Self::new()
    }
}
