//! Provided buffer rings whose memory the program manages itself.
//!
//! [`BufRing`](crate::BufRing) does all of this and owns the memory.
#![allow(unsafe_code, reason = "the kernel reads the ring and writes the buffers that are in it")]

use std::io;

use annulus_abi::{BufReg, BufStatus, RegisterOp};

use crate::Submitter;

impl Submitter<'_> {
    /// Registers a buffer ring: [`register_buf_ring_with_flags`](Self::register_buf_ring_with_flags) without
    /// flags.
    ///
    /// # Errors
    ///
    /// Those of `register_buf_ring_with_flags`.
    ///
    /// # Safety
    ///
    /// That of `register_buf_ring_with_flags`.
    #[deprecated(note = "use `BufRing`, or `register_buf_ring_with_flags`")]
    pub unsafe fn register_buf_ring(&self, ring_addr: u64, ring_entries: u16, bgid: u16) -> io::Result<()> {
        // SAFETY: the contract of this function.
        unsafe { self.register_buf_ring_with_flags(ring_addr, ring_entries, bgid, 0) }
    }

    /// Registers a buffer ring of `ring_entries` [entries](crate::types::BufRingEntry) at `ring_addr` as group
    /// `bgid`, with `IOU_PBUF_RING_*` flags. Linux 5.19.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an address that is not page-aligned, a number of entries that is no power of two or
    /// above 32,768, flags that this kernel lacks, and before 5.19; `EEXIST` if the group exists; `EFAULT` for
    /// memory that is not there; `ENOMEM`.
    ///
    /// # Safety
    ///
    /// The ring's memory is there and stays until the group is unregistered or the ring is gone (the
    /// address is 0 with `IOU_PBUF_RING_MMAP`). Each buffer that is put into it is writable until it has been
    /// used and the operation that used it is over, or the group is unregistered and no such operation is left.
    pub unsafe fn register_buf_ring_with_flags(
        &self,
        ring_addr: u64,
        ring_entries: u16,
        bgid: u16,
        flags: u16,
    ) -> io::Result<()> {
        let mut arg =
            BufReg { ring_addr, ring_entries: u32::from(ring_entries), bgid, flags, ..BufReg::default() };
        // SAFETY: the contract of this function.
        unsafe { self.register_raw(RegisterOp::REGISTER_PBUF_RING, (&raw mut arg).cast(), 1) }.map(drop)
    }

    /// Forgets a buffer ring. Operations that took a buffer out of it before keep that.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is no such group, `EINVAL` if it is not a ring or before 5.19.
    pub fn unregister_buf_ring(&self, bgid: u16) -> io::Result<()> {
        let arg = BufReg { bgid, ..BufReg::default() };
        self.register_told(RegisterOp::UNREGISTER_PBUF_RING, &arg, 1).map(drop)
    }

    /// How far the kernel has come in a buffer ring: how many buffers it has taken, modulo 65,536. Linux 6.8.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is no such group, `EINVAL` if it is not a ring or before 6.8.
    pub fn buf_ring_head(&self, bgid: u16) -> io::Result<u16> {
        let mut status = BufStatus { buf_group: u32::from(bgid), ..BufStatus::default() };
        self.register_asked(RegisterOp::REGISTER_PBUF_STATUS, &mut status, 1)?;
        let [low, high, ..] = status.head.to_le_bytes();
        Ok(u16::from_le_bytes([low, high]))
    }
}
