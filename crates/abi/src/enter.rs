//! Entering the kernel: the flags of io_uring_enter(2) and the structures that it reads.
//!
//! Deliberately not here: the call itself, which a back end makes.

use crate::flags::flag_words;

flag_words! {
    /// `IORING_ENTER_*`: what one io_uring_enter(2) does.
    pub struct EnterFlags: u32 {
        /// Wait for `min_complete` completions, and run pending completion work. Linux 5.1.
        IORING_ENTER_GETEVENTS as GETEVENTS = 1 << 0;
        /// Wake the submission thread. Linux 5.1.
        IORING_ENTER_SQ_WAKEUP as SQ_WAKEUP = 1 << 1;
        /// Wait until the submission ring has room. Linux 5.10.
        IORING_ENTER_SQ_WAIT as SQ_WAIT = 1 << 2;
        /// The argument is a [`GeteventsArg`]. Linux 5.11.
        IORING_ENTER_EXT_ARG as EXT_ARG = 1 << 3;
        /// The ring is named by its index among the registered ring descriptors. Linux 5.18.
        IORING_ENTER_REGISTERED_RING as REGISTERED_RING = 1 << 4;
        /// The timeout is a point in time of the ring's clock. Linux 6.12.
        IORING_ENTER_ABS_TIMER as ABS_TIMER = 1 << 5;
        /// The argument is the offset of a [`RegWait`] in the registered region. Linux 6.13.
        IORING_ENTER_EXT_ARG_REG as EXT_ARG_REG = 1 << 6;
        /// The wait does not count as I/O wait. Linux 6.15.
        IORING_ENTER_NO_IOWAIT as NO_IOWAIT = 1 << 7;
    }

    /// `IORING_REG_WAIT_*`: which members of a [`RegWait`] are valid.
    pub struct RegWaitFlags: u32 {
        /// `ts` holds a timeout. Linux 6.13.
        IORING_REG_WAIT_TS as TS = 1 << 0;
    }
}

/// How long and under which signal mask to wait (`struct io_uring_getevents_arg`). Linux 5.11.
#[doc(alias = "io_uring_getevents_arg")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct GeteventsArg {
    /// Address of the signal mask during the wait, or 0.
    pub sigmask: u64,
    /// Size of that mask in bytes: 8, the kernel's `sigset_t`, whatever libc's is.
    pub sigmask_sz: u32,
    /// With a timeout: microseconds to wait for the full number of completions; after them one is
    /// enough. Linux 6.12.
    pub min_wait_usec: u32,
    /// Address of the timeout, a [`KernelTimespec`], or 0.
    pub ts: u64,
}

impl GeteventsArg {
    /// Size of the kernel's signal set in bytes, whatever libc's is (128 with glibc).
    pub const SIGMASK_SIZE: u32 = 8;
}

/// A wait described in registered memory (`struct io_uring_reg_wait`). Linux 6.13.
#[doc(alias = "io_uring_reg_wait")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RegWait {
    /// The timeout, with [`RegWaitFlags::TS`].
    pub ts: KernelTimespec,
    /// As [`GeteventsArg::min_wait_usec`].
    pub min_wait_usec: u32,
    /// [`RegWaitFlags`].
    pub flags: u32,
    /// Address of the signal mask during the wait, or 0.
    pub sigmask: u64,
    /// Size of that mask in bytes: 8.
    pub sigmask_sz: u32,
    /// Zero.
    pub pad: [u32; 3],
    /// Zero.
    pub pad2: [u64; 2],
}

/// Seconds and nanoseconds, 64 bits each on every architecture (`struct __kernel_timespec`).
#[doc(alias = "__kernel_timespec")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct KernelTimespec {
    /// Seconds.
    pub tv_sec: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub tv_nsec: i64,
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<GeteventsArg>() == 24);
    assert!(offset_of!(GeteventsArg, min_wait_usec) == 12);
    assert!(offset_of!(GeteventsArg, ts) == 16);
    assert!(size_of::<RegWait>() == 64);
    assert!(offset_of!(RegWait, flags) == 20);
    assert!(offset_of!(RegWait, sigmask_sz) == 32);
    assert!(offset_of!(RegWait, pad2) == 48);
    assert!(size_of::<KernelTimespec>() == 16);
};
