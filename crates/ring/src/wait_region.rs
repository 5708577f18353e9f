//! Descriptions of waits in memory that the kernel reads without copying: registered waits.
//!
//! Each slot is a `struct io_uring_reg_wait`; behind the slots lies one signal mask for each, so that a
//! slot never points outside the region. Only the thread that waits has the kernel read a slot, and it
//! does so during its call, for which it borrows the region.
#![allow(unsafe_code, reason = "writes slots in pages that the kernel reads")]

use std::mem::size_of;
use std::sync::Arc;

use annulus_abi::{GeteventsArg, KernelTimespec, RegWait, RegWaitFlags};
use rustix::io::Errno;

use crate::pages::Pages;
use crate::types::SubmitArgs;

/// The size of the kernel's signal set in bytes.
const SIGSET_SIZE: usize = 8;

/// Descriptions of waits that are registered with a ring, made by
/// [`Submitter::register_wait_region`](crate::Submitter::register_wait_region). Linux 6.13.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::IoUring;
/// use annulus::types::{SubmitArgs, Timespec};
///
/// let mut builder = IoUring::builder();
/// let ring: IoUring = builder.setup_r_disabled().build(8)?;
/// let mut waits = ring.submitter().register_wait_region(2)?;
/// ring.submitter().register_enable_rings()?;
///
/// let millisecond = Timespec::new().nsec(1_000_000);
/// waits.set(0, &SubmitArgs::new().timespec(&millisecond));
/// let nothing = ring.submitter().submit_and_wait_slot(1, &waits, 0);
/// assert_eq!(nothing.unwrap_err().raw_os_error(), Some(libc::ETIME));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct WaitRegion {
    pages: Arc<Pages>,
    slots: usize,
}

impl WaitRegion {
    /// # Errors
    ///
    /// `EINVAL` for no slots, `ENOMEM`.
    pub(crate) fn new(slots: usize) -> Result<Self, Errno> {
        if slots == 0 {
            return Err(Errno::INVAL);
        }
        let len = slots.checked_mul(size_of::<RegWait>() + SIGSET_SIZE).ok_or(Errno::NOMEM)?;
        Ok(Self { pages: Arc::new(Pages::own(len)?), slots })
    }

    /// How many slots there are.
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// Has a slot describe this wait: its timeout, minimum wait and signal mask. They are copied.
    ///
    /// # Panics
    ///
    /// If there is no such slot.
    pub fn set(&mut self, slot: usize, wait: &SubmitArgs<'_, '_>) {
        let offset = self.offset_of_slot(slot);
        let mask_offset = self.slots * size_of::<RegWait>() + slot * SIGSET_SIZE;
        let GeteventsArg { sigmask, sigmask_sz, min_wait_usec, ts } = wait.args;
        let mut entry = RegWait { min_wait_usec, ..RegWait::default() };
        if ts != 0 {
            // SAFETY: `wait` borrows the timeout that this is the address of.
            entry.ts = unsafe { load::<KernelTimespec>(ts) };
            entry.flags = RegWaitFlags::TS.bits();
        }
        if sigmask != 0 {
            // SAFETY: `wait` borrows the signal set that this is the address of, which has at least 8 bytes.
            let mask = unsafe { load::<u64>(sigmask) };
            self.store(mask_offset, mask);
            entry.sigmask = self.pages.address() + mask_offset as u64;
            entry.sigmask_sz = sigmask_sz;
        }
        self.store(offset, entry);
    }

    pub(crate) const fn pages(&self) -> &Arc<Pages> {
        &self.pages
    }

    /// Where a slot lies in the region.
    pub(crate) fn offset(&self, slot: usize) -> u64 {
        self.offset_of_slot(slot) as u64
    }

    fn offset_of_slot(&self, slot: usize) -> usize {
        assert!(slot < self.slots, "slot {slot} of {}", self.slots);
        slot * size_of::<RegWait>()
    }

    fn store<T>(&self, offset: usize, value: T) {
        assert!(offset + size_of::<T>() <= self.pages.len(), "byte {offset} of {}", self.pages.len());
        // SAFETY: inside the pages, as was just checked.
        let place = unsafe { self.pages.start().add(offset) };
        // SAFETY: aligned: slots and masks lie at multiples of 8. No reference into the pages exists.
        unsafe { place.cast::<T>().write(value) };
    }
}

/// # Safety
///
/// A value of a `T` whose address was exposed is there, and stays for the call.
unsafe fn load<T>(address: u64) -> T {
    let place = std::ptr::with_exposed_provenance::<T>(usize::try_from(address).unwrap_or(0));
    // SAFETY: the contract of this function.
    unsafe { place.read_unaligned() }
}
