//! The completion queue entry: one result, 16 bytes (or 32).

use crate::flags::flag_words;

/// A completion queue entry with the kernel's exact layout (`struct io_uring_cqe`, io_uring(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Cqe {
    /// What the request carried.
    pub user_data: u64,
    /// The result: what the system call would have returned, or a negated errno.
    pub res: i32,
    /// `IORING_CQE_F_*` and, in the upper half, a buffer number; see [`CqeFlags`].
    pub flags: u32,
}

/// A 32-byte completion queue entry, for rings set up with `IORING_SETUP_CQE32` and for the
/// entries of mixed rings that carry [`CqeFlags::F_32`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Cqe32 {
    /// The first half, as on every ring.
    pub base: Cqe,
    /// The second half: what the operation defines.
    pub extra: [u64; 2],
}

flag_words! {
    /// `IORING_CQE_F_*` (io_uring_enter(2)). The upper 16 bits of a flag word are no flags but
    /// the number of the buffer that was used: [`CqeFlags::buffer_id`].
    pub struct CqeFlags: u32 {
        /// The upper 16 bits name the buffer that was used. Linux 5.7.
        IORING_CQE_F_BUFFER as BUFFER = 1 << 0;
        /// More completions of the same request follow. Linux 5.13.
        IORING_CQE_F_MORE as MORE = 1 << 1;
        /// The socket had more to read. Linux 5.19.
        IORING_CQE_F_SOCK_NONEMPTY as SOCK_NONEMPTY = 1 << 2;
        /// The notification of a zero-copy send: the buffer is free again. Linux 6.0.
        IORING_CQE_F_NOTIF as NOTIF = 1 << 3;
        /// The named buffer stays in use: more of it will be filled (incremental mode). Linux 6.12.
        IORING_CQE_F_BUF_MORE as BUF_MORE = 1 << 4;
        /// An entry without meaning that fills the ring's end; skip it. Linux 6.18.
        IORING_CQE_F_SKIP as SKIP = 1 << 5;
        /// This entry of a mixed ring is 32 bytes long. Linux 6.18.
        IORING_CQE_F_32 as F_32 = 1 << 15;
        /// The time stamp of a `TX_TIMESTAMP` completion was taken by hardware. Linux 6.17.
        IORING_CQE_F_TSTAMP_HW as TSTAMP_HW = 1 << 16;
        _ = !0;
    }
}

/// How far the buffer number lies in the flag word. Linux 5.7.
pub const IORING_CQE_BUFFER_SHIFT: u32 = 16;

impl CqeFlags {
    /// How far the buffer number lies in the flag word.
    pub const BUFFER_SHIFT: u32 = IORING_CQE_BUFFER_SHIFT;

    /// The buffer that was used, if one was selected.
    #[must_use]
    pub const fn buffer_id(self) -> Option<u16> {
        let [_, _, low, high] = self.bits().to_le_bytes();
        if self.contains(Self::BUFFER) { Some(u16::from_le_bytes([low, high])) } else { None }
    }
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Cqe>() == 16 && size_of::<Cqe32>() == 32);
    assert!(offset_of!(Cqe, res) == 8 && offset_of!(Cqe, flags) == 12);
    assert!(offset_of!(Cqe32, extra) == 16);
};
