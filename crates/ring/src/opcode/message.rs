//! Messages from ring to ring.

use annulus_abi::{IORING_MSG_DATA, IORING_MSG_SEND_FD};

use super::operation;
use crate::types::{DestinationSlot, Fixed, MsgRingFlags, UseFd};

operation! {
    /// Posts a completion on another ring: to wake its thread, or to tell it something. Linux 5.18.
    ///
    /// 0, or `EBADFD` if `ring_fd` is no ring or is disabled, `EOVERFLOW` if its queue is full,
    /// `EAGAIN` if it is busy.
    pub struct MsgRingData: IORING_OP_MSG_RING;

    /// Posts a completion of `result` and `user_data` on `ring_fd`, with the flags `user_flags` if some are
    /// given (Linux 6.3).
    pub fn new(sqe, ring_fd: impl UseFd, result: i32, user_data: u64, user_flags: Option<u32>) {
        sqe.addr = IORING_MSG_DATA;
        sqe.fd = ring_fd.raw_fd();
        sqe.len = result.cast_unsigned();
        sqe.off = user_data;
        if let Some(flags) = user_flags {
            sqe.file_index = flags;
            sqe.op_flags = MsgRingFlags::FLAGS_PASS.bits();
        }
    }

    /// Sets [`MsgRingFlags`], beside the one that `user_flags` needs.
    pub const fn opcode_flags(sqe, flags: u32) {
        sqe.op_flags = flags | (sqe.op_flags & MsgRingFlags::FLAGS_PASS.bits());
    }
}

operation! {
    /// Gives another ring a file of this ring's table. Linux 6.0.
    ///
    /// 0, or the slot's number if the other ring picked it. `EBADF` if the slot here is empty, otherwise as
    /// [`MsgRingData`].
    pub struct MsgRingSendFd: IORING_OP_MSG_RING;

    /// Puts the file of slot `fixed_slot_src` into `dest_slot_index` of `ring_fd`, and posts a completion
    /// with `user_data` there.
    pub fn new(
        sqe,
        ring_fd: impl UseFd,
        fixed_slot_src: Fixed,
        dest_slot_index: DestinationSlot,
        user_data: u64,
    ) {
        sqe.addr = IORING_MSG_SEND_FD;
        sqe.fd = ring_fd.raw_fd();
        sqe.off = user_data;
        sqe.addr3 = u64::from(fixed_slot_src.0);
        sqe.file_index = dest_slot_index.kernel_index_arg();
    }

    /// Sets [`MsgRingFlags`]: [`MsgRingFlags::CQE_SKIP`] posts no completion there.
    pub const fn opcode_flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }
}
