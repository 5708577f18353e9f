//! Operations on futexes: flags and the vector of waits (futex(2), futex_waitv(2)).

use crate::flags::flag_words;

flag_words! {
    /// `FUTEX2_*`: what kind of futex (in `fd`, and in [`FutexWaitv::flags`]).
    ///
    /// The low two bits are no flags but the size, one of the `FUTEX2_SIZE_*` values:
    /// [`Futex2Flags::SIZE_U32`] is the only one that Linux to 7.3 takes.
    pub struct Futex2Flags: u32 {
        /// 16 bits, as a size. Linux 6.7.
        FUTEX2_SIZE_U16 as SIZE_U16 = 1;
        /// 32 bits, as a size. Linux 6.7.
        FUTEX2_SIZE_U32 as SIZE_U32 = 2;
        /// 64 bits, as a size. Linux 6.7.
        FUTEX2_SIZE_U64 as SIZE_U64 = 3;
        /// A second word names the NUMA node. Linux 6.16.
        FUTEX2_NUMA as NUMA = 1 << 2;
        /// The memory policy names the NUMA node. Linux 6.16.
        FUTEX2_MPOL as MPOL = 1 << 3;
        /// Only this process uses it. Linux 6.7.
        FUTEX2_PRIVATE as PRIVATE = 1 << 7;
    }
}

/// 8 bits, as a size. Linux 6.7.
pub const FUTEX2_SIZE_U8: u32 = 0;
/// The bits that hold the size. Linux 6.7.
pub const FUTEX2_SIZE_MASK: u32 = 3;
/// As a mask: wake every waiter, be woken by every waker.
pub const FUTEX_BITSET_MATCH_ANY: u64 = 0xffff_ffff;
/// How many futexes one wait may name at most. Linux 6.7 for rings.
pub const FUTEX_WAITV_MAX: u32 = 128;

/// One futex of a wait on several (`struct futex_waitv`).
#[doc(alias = "futex_waitv")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FutexWaitv {
    /// The value that it must have for the wait to begin.
    pub val: u64,
    /// Its address.
    pub uaddr: u64,
    /// [`Futex2Flags`].
    pub flags: u32,
    /// Zero.
    pub __reserved: u32,
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<FutexWaitv>() == 24);
    assert!(offset_of!(FutexWaitv, uaddr) == 8);
    assert!(offset_of!(FutexWaitv, flags) == 16);
};
