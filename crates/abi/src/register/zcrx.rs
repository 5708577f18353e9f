//! Zero-copy receive: registering an interface queue, its memory area and refill ring, and controlling
//! it.
//!
//! The completions of `IORING_OP_RECV_ZC` are 32 bytes long; their second half is a [`ZcrxCqe`]. A
//! buffer is given back by a [`ZcrxRqe`] in the refill ring.

use crate::flags::flag_words;

/// One entry of the refill ring: a buffer that is given back (`struct io_uring_zcrx_rqe`). Linux 6.15.
#[doc(alias = "io_uring_zcrx_rqe")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ZcrxRqe {
    /// The offset from the completion, with the area's token in the upper bits
    /// ([`IORING_ZCRX_AREA_SHIFT`]).
    pub off: u64,
    /// Its length in bytes.
    pub len: u32,
    /// Zero.
    pub __pad: u32,
}

/// The second half of a `RECV_ZC` completion (`struct io_uring_zcrx_cqe`). Linux 6.15.
#[doc(alias = "io_uring_zcrx_cqe")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ZcrxCqe {
    /// Where the data lies: an offset into the area, whose number is in the upper bits.
    pub off: u64,
    /// Zero.
    pub __pad: u64,
}

/// Where the parts of the refill ring lie, in bytes (`struct io_uring_zcrx_offsets`). Linux 6.15.
#[doc(alias = "io_uring_zcrx_offsets")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ZcrxOffsets {
    /// Of the index that the kernel consumes from (`u32`).
    pub head: u32,
    /// Of the index that the application has produced up to (`u32`).
    pub tail: u32,
    /// Of the entries ([`ZcrxRqe`]).
    pub rqes: u32,
    /// Zero.
    pub __resv2: u32,
    /// Zero.
    pub __resv: [u64; 2],
}

/// The memory that packets land in (`struct io_uring_zcrx_area_reg`). Linux 6.15.
#[doc(alias = "io_uring_zcrx_area_reg")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ZcrxAreaReg {
    /// Its address, page-aligned; with [`ZcrxAreaFlags::DMABUF`] an offset into the dma-buf.
    pub addr: u64,
    /// Its size in bytes.
    pub len: u64,
    /// What refill entries carry in their upper bits; filled in by the kernel.
    pub rq_area_token: u64,
    /// [`ZcrxAreaFlags`]. Linux 6.16.
    pub flags: u32,
    /// The dma-buf, with [`ZcrxAreaFlags::DMABUF`]. Linux 6.16.
    pub dmabuf_fd: u32,
    /// Zero.
    pub __resv2: [u64; 2],
}

/// An interface queue for zero-copy receive (`struct io_uring_zcrx_ifq_reg`). Linux 6.15.
#[doc(alias = "io_uring_zcrx_ifq_reg")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ZcrxIfqReg {
    /// Index of the interface.
    pub if_idx: u32,
    /// Index of its receive queue; with [`ZcrxRegFlags::IMPORT`] the descriptor that was exported.
    pub if_rxq: u32,
    /// Entries of the refill ring; rounded up to a power of two.
    pub rq_entries: u32,
    /// [`ZcrxRegFlags`].
    pub flags: u32,
    /// Address of a [`ZcrxAreaReg`], which the kernel also writes.
    pub area_ptr: u64,
    /// Address of a [`RegionDesc`](crate::RegionDesc) for the refill ring, which the kernel also writes.
    pub region_ptr: u64,
    /// Where the parts of the refill ring lie; filled in by the kernel.
    pub offsets: ZcrxOffsets,
    /// The number of the queue; filled in by the kernel.
    pub zcrx_id: u32,
    /// Size of the receive buffers in bytes, with [`ZcrxFeatures::RX_PAGE_SIZE`]; 0 means a page.
    /// Newer than Linux 6.18: 7.0; zero before.
    pub rx_buf_len: u32,
    /// Address of a [`ZcrxEventDesc`], or 0. Newer than Linux 6.18: 7.2 has it; zero before.
    pub event_desc: u64,
    /// Zero.
    pub __resv: [u64; 2],
}

/// Which events of a queue post a completion (`struct zcrx_event_desc`). Newer than Linux 6.18: 7.2 has
/// it.
#[doc(alias = "zcrx_event_desc")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ZcrxEventDesc {
    /// What those completions carry.
    pub user_data: u64,
    /// A bit for each `ZCRX_EVENT_*`.
    pub type_mask: u32,
    /// [`ZcrxEventDescFlags`].
    pub flags: u32,
    /// Offset of a [`ZcrxStats`] from the start of the refill ring's region.
    pub stats_offset: u64,
    /// Zero.
    pub __resv2: [u64; 9],
}

/// What the kernel counts for a queue (`struct zcrx_stats`). Newer than Linux 6.18: 7.2 has it.
#[doc(alias = "zcrx_stats")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ZcrxStats {
    /// Completions whose data had to be copied.
    pub copy_count: u64,
    /// Bytes copied.
    pub copy_bytes: u64,
}

/// Controls a queue (`struct zcrx_ctrl`). Newer than Linux 6.18: 6.19.
///
/// The kernel's union of arguments is the plain field [`ZcrxCtrl::arg`], with a constructor for each
/// operation.
#[doc(alias = "zcrx_ctrl")]
#[doc(alias = "zcrx_ctrl_flush_rq")]
#[doc(alias = "zcrx_ctrl_export")]
#[doc(alias = "zcrx_ctrl_arm_event")]
#[doc(alias = "zcrx_ctrl_add_area")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ZcrxCtrl {
    /// The queue, as registering it returned.
    pub zcrx_id: u32,
    /// One of `ZCRX_CTRL_*`.
    pub op: u32,
    /// Zero.
    pub __resv: [u64; 2],
    /// The operation's argument.
    pub arg: [u32; 12],
}

impl ZcrxCtrl {
    /// Takes back every buffer that waits in the refill ring. Newer than Linux 6.18: 6.19.
    #[must_use]
    pub const fn flush_rq(zcrx_id: u32) -> Self {
        Self::of(zcrx_id, ZCRX_CTRL_FLUSH_RQ)
    }

    /// Makes a descriptor of the queue, to import it on another ring; [`ZcrxCtrl::zcrx_fd`] reads
    /// it afterwards. Newer than Linux 6.18: 6.19.
    #[must_use]
    pub const fn export(zcrx_id: u32) -> Self {
        Self::of(zcrx_id, ZCRX_CTRL_EXPORT)
    }

    /// Lets an event post its next completion. Newer than Linux 6.18: 7.2 has it.
    #[must_use]
    pub const fn arm_event(zcrx_id: u32, event_type: u32) -> Self {
        let mut ctrl = Self::of(zcrx_id, ZCRX_CTRL_ARM_EVENT);
        ctrl.arg[0] = event_type;
        ctrl
    }

    /// Adds memory; the argument is the address of a [`ZcrxAreaReg`], which the kernel also writes.
    /// Newer than Linux 6.18: 7.3 has it.
    #[must_use]
    pub const fn add_area(zcrx_id: u32, area_ptr: u64) -> Self {
        let mut ctrl = Self::of(zcrx_id, ZCRX_CTRL_ADD_AREA);
        let [a, b, c, d, e, f, g, h] = area_ptr.to_ne_bytes();
        ctrl.arg[0] = u32::from_ne_bytes([a, b, c, d]);
        ctrl.arg[1] = u32::from_ne_bytes([e, f, g, h]);
        ctrl
    }

    /// The descriptor that [`ZcrxCtrl::export`] made.
    #[must_use]
    pub const fn zcrx_fd(&self) -> u32 {
        self.arg[0]
    }

    const fn of(zcrx_id: u32, op: u32) -> Self {
        Self { zcrx_id, op, __resv: [0; 2], arg: [0; 12] }
    }
}

flag_words! {
    /// `IORING_ZCRX_AREA_*`: what an area is made of.
    pub struct ZcrxAreaFlags: u32 {
        /// A dma-buf, of device memory for example. Linux 6.16.
        IORING_ZCRX_AREA_DMABUF as DMABUF = 1 << 0;
    }

    /// `ZCRX_REG_*`: how a queue is registered.
    pub struct ZcrxRegFlags: u32 {
        /// Import a queue that another ring exported. Newer than Linux 6.18: 6.19.
        ZCRX_REG_IMPORT as IMPORT = 1 << 0;
        /// No network device: all data is copied. Newer than Linux 6.18: 7.1.
        ZCRX_REG_NODEV as NODEV = 1 << 1;
    }

    /// `ZCRX_FEATURE_*`: what the kernel's zero-copy receive does.
    pub struct ZcrxFeatures: u32 {
        /// The size of receive buffers can be chosen: [`ZcrxIfqReg::rx_buf_len`]. Newer than Linux
        /// 6.18: 7.0.
        ZCRX_FEATURE_RX_PAGE_SIZE as RX_PAGE_SIZE = 1 << 0;
        /// Events are reported: [`ZcrxEventDesc`]. Newer than Linux 6.18: 7.2 has it.
        ZCRX_FEATURE_EVENT as EVENT = 1 << 1;
        _ = !0;
    }

    /// `ZCRX_EVENT_DESC_FLAG_*`: which members of a [`ZcrxEventDesc`] are valid.
    pub struct ZcrxEventDescFlags: u32 {
        /// `stats_offset` is the place of a [`ZcrxStats`]. Newer than Linux 6.18: 7.2 has it.
        ZCRX_EVENT_DESC_FLAG_STATS as STATS = 1 << 0;
    }
}

/// How far the area's number is shifted in an offset. Linux 6.15.
pub const IORING_ZCRX_AREA_SHIFT: u32 = 48;
/// The bits of an offset that hold the area's number. Linux 6.15.
pub const IORING_ZCRX_AREA_MASK: u64 = !((1 << IORING_ZCRX_AREA_SHIFT) - 1);

/// [`ZcrxCtrl::flush_rq`]. Newer than Linux 6.18: 6.19.
pub const ZCRX_CTRL_FLUSH_RQ: u32 = 0;
/// [`ZcrxCtrl::export`]. Newer than Linux 6.18: 6.19.
pub const ZCRX_CTRL_EXPORT: u32 = 1;
/// [`ZcrxCtrl::arm_event`]. Newer than Linux 6.18: 7.2 has it.
pub const ZCRX_CTRL_ARM_EVENT: u32 = 2;
/// [`ZcrxCtrl::add_area`]. Newer than Linux 6.18: 7.3 has it.
pub const ZCRX_CTRL_ADD_AREA: u32 = 3;

/// There was no buffer for a packet. Newer than Linux 6.18: 7.2 has it.
pub const ZCRX_EVENT_ALLOC_FAIL: u32 = 0;
/// Data was copied. Newer than Linux 6.18: 7.2 has it.
pub const ZCRX_EVENT_COPY: u32 = 1;

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<ZcrxRqe>() == 16);
    assert!(offset_of!(ZcrxRqe, len) == 8);
    assert!(size_of::<ZcrxCqe>() == 16);
    assert!(size_of::<ZcrxOffsets>() == 32);
    assert!(offset_of!(ZcrxOffsets, rqes) == 8);
    assert!(offset_of!(ZcrxOffsets, __resv) == 16);
    assert!(size_of::<ZcrxAreaReg>() == 48);
    assert!(offset_of!(ZcrxAreaReg, rq_area_token) == 16);
    assert!(offset_of!(ZcrxAreaReg, dmabuf_fd) == 28);
    assert!(size_of::<ZcrxIfqReg>() == 96);
    assert!(offset_of!(ZcrxIfqReg, area_ptr) == 16);
    assert!(offset_of!(ZcrxIfqReg, offsets) == 32);
    assert!(offset_of!(ZcrxIfqReg, zcrx_id) == 64);
    assert!(offset_of!(ZcrxIfqReg, event_desc) == 72);
    assert!(size_of::<ZcrxEventDesc>() == 96);
    assert!(offset_of!(ZcrxEventDesc, stats_offset) == 16);
    assert!(size_of::<ZcrxStats>() == 16);
    assert!(size_of::<ZcrxCtrl>() == 72);
    assert!(offset_of!(ZcrxCtrl, arg) == 24);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_an_area_is_the_first_word_of_the_argument() {
        let ctrl = ZcrxCtrl::add_area(7, 0x1122_3344_5566_7788);
        let [first, second, rest @ ..] = ctrl.arg;
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&first.to_ne_bytes());
        bytes[4..].copy_from_slice(&second.to_ne_bytes());
        assert_eq!(u64::from_ne_bytes(bytes), 0x1122_3344_5566_7788);
        assert_eq!((ctrl.zcrx_id, ctrl.op, rest), (7, 3, [0; 10]));
    }
}
