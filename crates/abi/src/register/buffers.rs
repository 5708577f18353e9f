//! Provided buffer rings: the entries, the overlaid tail, registration and status.
//!
//! Deliberately not here: adding buffers and publishing the tail, which the user's side does.

use crate::flags::flag_words;

/// One buffer of a buffer ring (`struct io_uring_buf`). Linux 5.19.
#[doc(alias = "io_uring_buf")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Buf {
    /// Address of the buffer.
    pub addr: u64,
    /// Its length in bytes.
    pub len: u32,
    /// Its number within the group.
    pub bid: u16,
    /// In the first entry of a ring this is the ring's tail ([`BufRingHeader::tail`]): never store to
    /// it while filling an entry.
    pub resv: u16,
}

/// The view of a buffer ring's first entry that holds the tail (`struct io_uring_buf_ring`); the ring
/// itself is an array of [`Buf`] that starts at the same address. Linux 5.19.
#[doc(alias = "io_uring_buf_ring")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BufRingHeader {
    /// Belongs to the first entry.
    pub resv1: u64,
    /// Belongs to the first entry.
    pub resv2: u32,
    /// Belongs to the first entry.
    pub resv3: u16,
    /// How many buffers were added, modulo 2^16. Written by the application, read by the kernel.
    pub tail: u16,
}

/// Registers or unregisters a buffer ring (`struct io_uring_buf_reg`). Linux 5.19.
#[doc(alias = "io_uring_buf_reg")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BufReg {
    /// Address of the ring, page-aligned; 0 with [`PbufRingFlags::MMAP`].
    pub ring_addr: u64,
    /// Entries of the ring: a power of two below 65536.
    pub ring_entries: u32,
    /// The group's number.
    pub bgid: u16,
    /// [`PbufRingFlags`]. Linux 6.4.
    pub flags: u16,
    /// With [`PbufRingFlags::INC`]: a buffer with fewer bytes left than this counts as used up.
    /// Newer than Linux 6.18 (7.2 has it); zero before.
    pub min_left: u32,
    /// Zero.
    pub resv: [u32; 5],
}

/// How far the kernel has come in a buffer ring (`struct io_uring_buf_status`). Linux 6.8.
#[doc(alias = "io_uring_buf_status")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BufStatus {
    /// The group's number: an input.
    pub buf_group: u32,
    /// How many buffers the kernel has taken, modulo 2^16: the output.
    pub head: u32,
    /// Zero.
    pub resv: [u32; 8],
}

flag_words! {
    /// `IOU_PBUF_RING_*`: how a buffer ring is registered ([`BufReg::flags`]).
    pub struct PbufRingFlags: u16 {
        /// The kernel allocates the ring; map it at
        /// [`IORING_OFF_PBUF_RING`](crate::IORING_OFF_PBUF_RING). Linux 6.4.
        IOU_PBUF_RING_MMAP as MMAP = 1 << 0;
        /// Buffers are filled piece by piece, each piece where the last one ended. Linux 6.12.
        IOU_PBUF_RING_INC as INC = 1 << 1;
    }
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Buf>() == 16);
    assert!(offset_of!(Buf, len) == 8);
    assert!(offset_of!(Buf, bid) == 12);
    assert!(size_of::<BufRingHeader>() == size_of::<Buf>());
    assert!(offset_of!(BufRingHeader, tail) == offset_of!(Buf, resv));
    assert!(offset_of!(BufRingHeader, tail) == 14);
    assert!(size_of::<BufReg>() == 40);
    assert!(offset_of!(BufReg, bgid) == 12);
    assert!(offset_of!(BufReg, flags) == 14);
    assert!(offset_of!(BufReg, min_left) == 16);
    assert!(size_of::<BufStatus>() == 40);
    assert!(offset_of!(BufStatus, head) == 4);
};
