//! Cancelling requests.

use super::operation;
use crate::types::CancelBuilder;

operation! {
    /// Cancels a request by its user data. Linux 5.5.
    ///
    /// 0 if it was found and cancelled, `ENOENT` if not found, `EALREADY` if it runs and cannot be stopped for
    /// certain. Whatever comes of it, the request posts its own completion, before or after this one.
    pub struct AsyncCancel: IORING_OP_ASYNC_CANCEL;

    /// Cancels the first request that carries `user_data`.
    pub fn new(sqe, user_data: u64) {
        sqe.fd = -1;
        sqe.addr = user_data;
    }
}

operation! {
    /// Cancels requests by user data, file, operation, or all of them. Linux 5.19.
    ///
    /// The result is as that of [`AsyncCancel`]; with [`CancelBuilder::all`] and [`CancelBuilder::any`] it is
    /// the number of requests.
    pub struct AsyncCancel2: IORING_OP_ASYNC_CANCEL;

    /// Cancels what `builder` matches.
    pub fn new(sqe, builder: CancelBuilder) {
        sqe.fd = builder.to_fd();
        sqe.addr = builder.user_data.unwrap_or(0);
        sqe.op_flags = builder.flags.bits();
        sqe.len = builder.opcode.map_or(0, u32::from);
    }
}
