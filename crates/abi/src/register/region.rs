//! Memory regions: memory shared with the kernel beside the rings (registered waits, refill rings).

use crate::flags::flag_words;

/// A piece of memory shared with the kernel (`struct io_uring_region_desc`). Linux 6.13.
#[doc(alias = "io_uring_region_desc")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RegionDesc {
    /// Its address, page-aligned, with [`RegionFlags::USER`]; 0 otherwise.
    pub user_addr: u64,
    /// Its size in bytes, a multiple of the page size.
    pub size: u64,
    /// [`RegionFlags`].
    pub flags: u32,
    /// Zero.
    pub id: u32,
    /// Where to map it, filled in when the kernel allocated it.
    pub mmap_offset: u64,
    /// Zero.
    pub __resv: [u64; 4],
}

/// Registers a region (`struct io_uring_mem_region_reg`). Linux 6.13.
#[doc(alias = "io_uring_mem_region_reg")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MemRegionReg {
    /// Address of a [`RegionDesc`], which the kernel also writes.
    pub region_uptr: u64,
    /// [`MemRegionFlags`].
    pub flags: u64,
    /// Zero.
    pub __resv: [u64; 2],
}

flag_words! {
    /// `IORING_MEM_REGION_TYPE_*`: where a region's memory comes from.
    pub struct RegionFlags: u32 {
        /// From the application, at `user_addr`. Linux 6.13.
        IORING_MEM_REGION_TYPE_USER as USER = 1 << 0;
    }

    /// `IORING_MEM_REGION_REG_*`: what a region is for.
    pub struct MemRegionFlags: u64 {
        /// It holds [`RegWait`](crate::RegWait)s; only on a ring that is still disabled. Linux 6.13.
        IORING_MEM_REGION_REG_WAIT_ARG as WAIT_ARG = 1 << 0;
    }
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<RegionDesc>() == 64);
    assert!(offset_of!(RegionDesc, flags) == 16);
    assert!(offset_of!(RegionDesc, mmap_offset) == 24);
    assert!(size_of::<MemRegionReg>() == 32);
    assert!(offset_of!(MemRegionReg, flags) == 8);
};
