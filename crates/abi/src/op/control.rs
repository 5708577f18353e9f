//! Operations on requests and rings: timeouts, poll, cancellation, messages, no-ops, commands.

use crate::flags::flag_words;

flag_words! {
    /// `IORING_TIMEOUT_*`: timeouts (`timeout_flags`).
    pub struct TimeoutFlags: u32 {
        /// The time is a point on the clock, not a duration. Linux 5.5.
        IORING_TIMEOUT_ABS as ABS = 1 << 0;
        /// `TIMEOUT_REMOVE`: change the timeout instead. Linux 5.11.
        IORING_TIMEOUT_UPDATE as UPDATE = 1 << 1;
        /// Use `CLOCK_BOOTTIME`. Linux 5.15.
        IORING_TIMEOUT_BOOTTIME as BOOTTIME = 1 << 2;
        /// Use `CLOCK_REALTIME`. Linux 5.15.
        IORING_TIMEOUT_REALTIME as REALTIME = 1 << 3;
        /// `TIMEOUT_REMOVE`: change a linked timeout instead. Linux 5.15.
        IORING_LINK_TIMEOUT_UPDATE as LINK_TIMEOUT_UPDATE = 1 << 4;
        /// An expired timeout counts as success for what is linked to it. Linux 5.16.
        IORING_TIMEOUT_ETIME_SUCCESS as ETIME_SUCCESS = 1 << 5;
        /// Fire again and again; `off` limits how often, 0 does not. Linux 6.4.
        IORING_TIMEOUT_MULTISHOT as MULTISHOT = 1 << 6;
        /// The address field holds nanoseconds, not an address. Newer than Linux 6.18: 7.1.
        IORING_TIMEOUT_IMMEDIATE_ARG as IMMEDIATE_ARG = 1 << 7;
    }

    /// `IORING_POLL_*`: poll requests; they lie in `len`, because the flag field holds the events.
    pub struct PollFlags: u32 {
        /// Report every event, until it is removed. Linux 5.13.
        IORING_POLL_ADD_MULTI as ADD_MULTI = 1 << 0;
        /// `POLL_REMOVE`: change the events instead. Linux 5.13.
        IORING_POLL_UPDATE_EVENTS as UPDATE_EVENTS = 1 << 1;
        /// `POLL_REMOVE`: change the `user_data` instead. Linux 5.13.
        IORING_POLL_UPDATE_USER_DATA as UPDATE_USER_DATA = 1 << 2;
        /// Level-triggered instead of edge-triggered. In the header since Linux 6.0, but 6.18 answers
        /// `EINVAL`.
        IORING_POLL_ADD_LEVEL as ADD_LEVEL = 1 << 3;
    }

    /// `IORING_ASYNC_CANCEL_*`: which requests to cancel (`cancel_flags`).
    pub struct CancelFlags: u32 {
        /// All that match; the result is how many. Linux 5.19.
        IORING_ASYNC_CANCEL_ALL as ALL = 1 << 0;
        /// Match the descriptor instead of the `user_data`. Linux 5.19.
        IORING_ASYNC_CANCEL_FD as FD = 1 << 1;
        /// Match every request. Linux 5.19.
        IORING_ASYNC_CANCEL_ANY as ANY = 1 << 2;
        /// The descriptor is an index of the registered files. Linux 6.0.
        IORING_ASYNC_CANCEL_FD_FIXED as FD_FIXED = 1 << 3;
        /// Match the `user_data`, beside another key. Linux 6.6.
        IORING_ASYNC_CANCEL_USERDATA as USERDATA = 1 << 4;
        /// Match the opcode, which lies in `len`. Linux 6.6.
        IORING_ASYNC_CANCEL_OP as OP = 1 << 5;
    }

    /// `IORING_MSG_RING_*`: messages to another ring (`msg_ring_flags`).
    pub struct MsgRingFlags: u32 {
        /// Post no completion there; only with [`IORING_MSG_SEND_FD`]. Linux 6.0.
        IORING_MSG_RING_CQE_SKIP as CQE_SKIP = 1 << 0;
        /// That completion's flags are those in `file_index`. Linux 6.3.
        IORING_MSG_RING_FLAGS_PASS as FLAGS_PASS = 1 << 1;
    }

    /// `IORING_NOP_*`: what a no-op does nevertheless (`nop_flags`).
    pub struct NopFlags: u32 {
        /// The result is what `len` holds. Linux 6.10.
        IORING_NOP_INJECT_RESULT as INJECT_RESULT = 1 << 0;
        /// Look up the file `fd`. Linux 6.13.
        IORING_NOP_FILE as FILE = 1 << 1;
        /// That file is a registered one. Linux 6.13.
        IORING_NOP_FIXED_FILE as FIXED_FILE = 1 << 2;
        /// Look up the registered buffer `buf_index`. Linux 6.13.
        IORING_NOP_FIXED_BUFFER as FIXED_BUFFER = 1 << 3;
        /// Complete from task work. Linux 6.17.
        IORING_NOP_TW as TW = 1 << 4;
        /// Post a 32-byte completion, whose second half is `off` and `addr`. Linux 6.18.
        IORING_NOP_CQE32 as CQE32 = 1 << 5;
    }

    /// `IORING_URING_CMD_*`: commands of drivers and protocols (`uring_cmd_flags`).
    pub struct UringCmdFlags: u32 {
        /// Use the registered buffer `buf_index`. Linux 6.1.
        IORING_URING_CMD_FIXED as FIXED = 1 << 0;
        /// Complete again and again; only with buffer selection, and not with `FIXED`. Linux 6.18.
        IORING_URING_CMD_MULTISHOT as MULTISHOT = 1 << 1;
    }
}

/// The flags that choose a timeout's clock; at most one of them.
pub const IORING_TIMEOUT_CLOCK_MASK: u32 = IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME;
/// The flags that turn the removal of a timeout into a change.
pub const IORING_TIMEOUT_UPDATE_MASK: u32 = IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE;
/// The flags that an application may set on a command.
pub const IORING_URING_CMD_MASK: u32 = IORING_URING_CMD_FIXED | IORING_URING_CMD_MULTISHOT;

/// `MSG_RING` command (in `addr`): post a completion with result `len` and `user_data` `off`. Linux
/// 5.18.
pub const IORING_MSG_DATA: u64 = 0;
/// `MSG_RING` command (in `addr`): register the file in slot `addr3` there as well. Linux 6.0.
pub const IORING_MSG_SEND_FD: u64 = 1;
