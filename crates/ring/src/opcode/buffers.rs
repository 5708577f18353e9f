//! Provided buffers, the older way: one operation to give them, one to take them back.
//!
//! A ring of provided buffers (Linux 5.19) needs no operation at all.

use super::{address, operation};

operation! {
    /// Gives buffers to a group, from which requests with
    /// [`Flags::BUFFER_SELECT`](crate::squeue::Flags::BUFFER_SELECT) take them. Linux 5.7.
    ///
    /// A buffer that was taken must be given again after its use. `EEXIST` if the group is a buffer ring,
    /// `E2BIG` above 65,536 buffers.
    pub struct ProvideBuffers: IORING_OP_PROVIDE_BUFFERS;

    /// Gives `nbufs` buffers of `len` bytes each, one behind the other from `addr`, to the group `bgid`;
    /// they are numbered from `bid`.
    pub fn new(sqe, addr: *mut u8, len: i32, nbufs: u16, bgid: u16, bid: u16) {
        sqe.fd = i32::from(nbufs);
        sqe.addr = address(addr);
        sqe.len = len.cast_unsigned();
        sqe.off = u64::from(bid);
        sqe.buf_index = bgid;
    }
}

operation! {
    /// Takes buffers back from a group. Linux 5.7.
    ///
    /// The result is their number; `ENOENT` if there is no such group.
    pub struct RemoveBuffers: IORING_OP_REMOVE_BUFFERS;

    /// Takes at most `nbufs` buffers from the group `bgid`.
    pub fn new(sqe, nbufs: u16, bgid: u16) {
        sqe.fd = i32::from(nbufs);
        sqe.buf_index = bgid;
    }
}
