//! Commands that a file or device defines itself, as ioctl(2) has them.

use annulus_abi::{BLOCK_URING_CMD_DISCARD, BLOCK_URING_CMD_ZONE_RESET_ALL, Sqe, Sqe128};

use super::{operation, select_buffer, set_target};
use crate::types::{UringCmdFlags, UseFixed};

operation! {
    /// A command with up to 16 bytes of its own. Linux 5.19.
    ///
    /// The result is the command's. `EOPNOTSUPP` if the file has no commands.
    pub struct UringCmd16: IORING_OP_URING_CMD;

    /// Gives the command `cmd_op`.
    pub fn new(sqe, fd: impl UseFixed, cmd_op: u32) {
        set_target(sqe, fd);
        sqe.set_cmd_op(cmd_op);
    }

    /// Uses the registered buffer of this number. Linux 6.1.
    pub const fn buf_index(sqe, buf_index: Option<u16>) {
        registered_buffer(sqe, buf_index);
    }

    /// Sets the command's own bytes.
    pub const fn cmd(sqe, cmd: [u8; 16]) {
        sqe.set_cmd(cmd);
    }

    /// Sets the address field, which many commands use.
    pub const fn addr(sqe, addr: Option<u64>) {
        sqe.addr = match addr {
            Some(addr) => addr,
            None => 0,
        };
    }

    /// Completes again and again, with a buffer of this group each time, where the command knows how. Not
    /// together with a registered buffer. Linux 6.18.
    pub const fn multishot(sqe, buf_group: u16) {
        multishot(sqe, buf_group);
    }
}

/// Defines a command of 80 bytes; the two differ in their number and in the rings that take them.
macro_rules! wide_command {
    ($(#[$doc:meta])* pub struct $Op:ident: $code:ident;) => {
        operation! {
            $(#[$doc])*
            pub struct $Op(Sqe128 => Entry128): $code;

            /// Gives the command `cmd_op`.
            pub fn new(sqe, fd: impl UseFixed, cmd_op: u32) {
                set_target(&mut sqe.base, fd);
                sqe.base.set_cmd_op(cmd_op);
            }

            /// Uses the registered buffer of this number. Linux 6.1.
            pub const fn buf_index(sqe, buf_index: Option<u16>) {
                registered_buffer(&mut sqe.base, buf_index);
            }

            /// Sets the command's own bytes.
            pub const fn cmd(sqe, cmd: [u8; 80]) {
                set_wide_command(sqe, &cmd);
            }

            /// Sets the address field, which many commands use.
            pub const fn addr(sqe, addr: Option<u64>) {
                sqe.base.addr = match addr {
                    Some(addr) => addr,
                    None => 0,
                };
            }

            /// Completes again and again, with a buffer of this group each time, where the command knows
            /// how. Not together with a registered buffer. Linux 6.18.
            pub const fn multishot(sqe, buf_group: u16) {
                multishot(&mut sqe.base, buf_group);
            }
        }
    };
}

wide_command! {
    /// A command with up to 80 bytes of its own, for rings set up with `IORING_SETUP_SQE128`. Linux 5.19.
    ///
    /// The result is the command's. `EOPNOTSUPP` if the file has no commands.
    pub struct UringCmd80: IORING_OP_URING_CMD;
}

wide_command! {
    /// A command with up to 80 bytes of its own, for rings that mix entries of both sizes
    /// (`IORING_SETUP_SQE_MIXED`); good on rings with `IORING_SETUP_SQE128` too. Linux 6.19.
    ///
    /// The result is the command's. `EOPNOTSUPP` if the file has no commands.
    pub struct UringCmd128: IORING_OP_URING_CMD128;
}

operation! {
    /// Tells a block device that a range holds nothing any more: `BLKDISCARD`, without blocking. Linux 6.12.
    ///
    /// `EOPNOTSUPP` where the device cannot, `EINVAL` if the range is not a multiple of its blocks.
    pub struct BlockDiscard: IORING_OP_URING_CMD;

    /// Discards `len` bytes from `offset`.
    pub fn new(sqe, fd: impl UseFixed, offset: u64, len: u64) {
        set_target(sqe, fd);
        sqe.set_cmd_op(BLOCK_URING_CMD_DISCARD);
        sqe.addr = offset;
        sqe.addr3 = len;
    }
}

operation! {
    /// Makes all zones of a zoned block device empty: `BLKRESETZONE` of the whole device. Linux 7.2.
    pub struct BlockZoneResetAll: IORING_OP_URING_CMD;

    /// Resets the zones of `fd`.
    pub fn new(sqe, fd: impl UseFixed) {
        set_target(sqe, fd);
        sqe.set_cmd_op(BLOCK_URING_CMD_ZONE_RESET_ALL);
    }
}

const fn registered_buffer(sqe: &mut Sqe, buf_index: Option<u16>) {
    match buf_index {
        Some(index) => {
            sqe.buf_index = index;
            sqe.op_flags |= UringCmdFlags::FIXED.bits();
        }
        None => {
            sqe.buf_index = 0;
            sqe.op_flags &= !UringCmdFlags::FIXED.bits();
        }
    }
}

const fn multishot(sqe: &mut Sqe, buf_group: u16) {
    select_buffer(sqe, buf_group);
    sqe.op_flags |= UringCmdFlags::MULTISHOT.bits();
}

/// Spreads the 80 bytes of a command over the end of the first half and the second half.
const fn set_wide_command(sqe: &mut Sqe128, cmd: &[u8; 80]) {
    if let Some((head, tail)) = cmd.split_first_chunk::<16>() {
        sqe.base.set_cmd(*head);
        sqe.extra.copy_from_slice(tail);
    }
}
