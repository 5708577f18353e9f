//! Memory regions, and waits that are described in one.
#![allow(unsafe_code, reason = "registers memory that is kept for as long as the ring")]

use std::io;
use std::sync::Arc;

use annulus_abi::{EnterArg, EnterFlags, MemRegionFlags, MemRegionReg, RegionDesc, RegionFlags, RegisterOp};
use rustix::io::Errno;

use crate::Submitter;
use crate::wait_region::WaitRegion;

impl Submitter<'_> {
    /// Registers a memory region; the kernel fills in the descriptor that `reg` points to. Linux 6.13.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the ring has a region, `EINVAL` for fields that do not fit each other, for wait arguments on
    /// a ring that is enabled, and before 6.13; `EFAULT` for memory that is not there; `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `region_uptr` points to a descriptor that can be written, and the program's memory that it describes, if
    /// any, stays until the ring is gone.
    pub unsafe fn register_region(&self, reg: &mut MemRegionReg) -> io::Result<()> {
        let arg = std::ptr::from_mut(reg).cast();
        // SAFETY: the contract of this function.
        unsafe { self.register_raw(RegisterOp::REGISTER_MEM_REGION, arg, 1) }.map(drop)
    }

    /// Registers `slots` descriptions of waits, which the kernel then need not copy for each wait. Only while
    /// the ring is still [disabled](crate::Builder::setup_r_disabled), and once. The memory stays as long as
    /// the ring, whatever becomes of the returned value. Linux 6.13.
    ///
    /// # Errors
    ///
    /// `EINVAL` on a ring that is enabled, for no slots, and before 6.13; `EBUSY` if the ring has a region;
    /// `ENOMEM`.
    pub fn register_wait_region(&self, slots: usize) -> io::Result<WaitRegion> {
        let region = WaitRegion::new(slots)?;
        let mut desc = RegionDesc {
            user_addr: region.pages().address(),
            size: region.pages().len() as u64,
            flags: RegionFlags::USER.bits(),
            ..RegionDesc::default()
        };
        let mut reg = MemRegionReg {
            region_uptr: (&raw mut desc).expose_provenance() as u64,
            flags: MemRegionFlags::WAIT_ARG.bits(),
            ..MemRegionReg::default()
        };
        // SAFETY: `desc` is there for the call, and the ring keeps the pages as long as itself.
        unsafe { self.register_region(&mut reg) }?;
        // The ring had no region, or the kernel had refused this one.
        let _ = self.state.waits.set(Arc::clone(region.pages()));
        Ok(region)
    }

    /// Submits and waits as the slot of a registered region says: [`WaitRegion::set`].
    ///
    /// # Errors
    ///
    /// As [`submit_with_args`](Self::submit_with_args); `EINVAL` for a region of another ring.
    ///
    /// # Panics
    ///
    /// If the region has no such slot.
    pub fn submit_and_wait_slot(&self, want: usize, region: &WaitRegion, slot: usize) -> io::Result<usize> {
        let offset = self.slot_offset(region, slot)?;
        self.submit_and(want, EnterFlags::empty(), EnterArg::Registered(offset))
    }

    /// As [`submit_and_wait_slot`](Self::submit_and_wait_slot), but the slot's timeout is a point in time of the
    /// ring's clock: see [`submit_until`](Self::submit_until).
    ///
    /// # Errors
    ///
    /// As `submit_and_wait_slot`.
    ///
    /// # Panics
    ///
    /// If the region has no such slot.
    pub fn submit_until_slot(&self, want: usize, region: &WaitRegion, slot: usize) -> io::Result<usize> {
        let offset = self.slot_offset(region, slot)?;
        self.submit_and(want, EnterFlags::ABS_TIMER, EnterArg::Registered(offset))
    }

    fn slot_offset(&self, region: &WaitRegion, slot: usize) -> io::Result<u64> {
        let own = self.state.waits.get().is_some_and(|pages| Arc::ptr_eq(pages, region.pages()));
        if own { Ok(region.offset(slot)) } else { Err(Errno::INVAL.into()) }
    }
}
