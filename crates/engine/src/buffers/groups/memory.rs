//! The memory of a buffer ring: the program's own, or pages that were allocated for it.
//!
//! It keeps true that nothing outside the ring is touched, whatever index or tail is found there: an index is masked
//! before it is used. Every field is read and written as an atomic, since the program may write at any time.
//! What the values mean is not known here.
#![allow(unsafe_code, reason = "reads and writes entries in memory that the program shares")]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use annulus_abi::Buf;
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use crate::world::Vouched;

/// Rings begin at a page and fill pages.
pub(super) const PAGE: usize = 4096;

/// The entries of a ring, of which there are a power of two.
#[derive(Debug)]
pub(super) struct RingMemory {
    slots: NonNull<Slot>,
    mask: u16,
    pages: Option<Pages>,
}

/// An entry as both sides see it ([`Buf`]). The tail counts in the first entry alone.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Slot {
    pub(super) addr: AtomicU64,
    pub(super) len: AtomicU32,
    pub(super) bid: AtomicU16,
    pub(super) tail: AtomicU16,
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<Slot>() == size_of::<Buf>() && align_of::<Slot>() <= PAGE);
    assert!(offset_of!(Slot, len) == offset_of!(Buf, len));
    assert!(offset_of!(Slot, bid) == offset_of!(Buf, bid));
    assert!(offset_of!(Slot, tail) == offset_of!(annulus_abi::BufRingHeader, tail));
};

/// Pages that the engine allocated; the program maps them for itself.
#[derive(Debug)]
struct Pages {
    memory: OwnedFd,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is reached through atomics alone, from whichever thread holds the ring.
unsafe impl Send for RingMemory {}
// SAFETY: as above.
unsafe impl Sync for RingMemory {}

impl RingMemory {
    /// The program's memory from `addr` on, which `_vouched` says stays valid until the ring is unregistered.
    ///
    /// # Errors
    ///
    /// `EFAULT` for no address, `EINVAL` for one in the middle of a page.
    pub(super) fn borrow(_vouched: Vouched, addr: u64, count: u16) -> Result<Self, Errno> {
        let addr = usize::try_from(addr).map_err(|_| Errno::FAULT)?;
        if !addr.is_multiple_of(PAGE) {
            return Err(Errno::INVAL);
        }
        let slots = NonNull::new(std::ptr::with_exposed_provenance_mut(addr)).ok_or(Errno::FAULT)?;
        Ok(Self { slots, mask: mask(count), pages: None })
    }

    /// Fresh pages, all zero, which can be mapped a second time.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EMFILE`, `ENFILE`.
    pub(super) fn allocate(count: u16) -> Result<Self, Errno> {
        let len = size(count);
        let memory = rustix::fs::memfd_create("annulus-buffers", MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&memory, len as u64)?;
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping at an address that the system chooses; it is unmapped once, by `Pages`.
        let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, access, flags, &memory, 0) }?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(Errno::NOMEM)?;
        Ok(Self { slots: start.cast(), mask: mask(count), pages: Some(Pages { memory, start, len }) })
    }

    /// The file behind allocated pages, and its size; nothing if the memory is the program's.
    pub(super) fn file(&self) -> Option<(BorrowedFd<'_>, usize)> {
        self.pages.as_ref().map(|pages| (pages.memory.as_fd(), pages.len))
    }

    /// How far the program has come. What it wrote before it published this is visible afterwards.
    pub(super) fn tail(&self) -> u16 {
        // Acquire: pairs with the program's release of the entries below the tail.
        self.slot(0).tail.load(Ordering::Acquire)
    }

    /// The entry of a running index.
    pub(super) fn load(&self, index: u16) -> Buf {
        let slot = self.slot(index);
        // Relaxed: published by the tail, or by nobody, and then any value does.
        let (addr, len) = (slot.addr.load(Ordering::Relaxed), slot.len.load(Ordering::Relaxed));
        Buf { addr, len, bid: slot.bid.load(Ordering::Relaxed), resv: 0 }
    }

    /// Puts what is left of a buffer into its entry.
    pub(super) fn store(&self, index: u16, addr: u64, len: u32) {
        let slot = self.slot(index);
        // Relaxed: whoever reads them has seen the completion, which is published behind them.
        slot.addr.store(addr, Ordering::Relaxed);
        slot.len.store(len, Ordering::Relaxed);
    }

    fn slot(&self, index: u16) -> &Slot {
        // SAFETY: the masked index lies inside the ring.
        let slot = unsafe { self.slots.add(usize::from(index & self.mask)) };
        // SAFETY: the ring is aligned to pages and valid while this value lives (see `borrow`); all its fields are
        // atomics, which any value fits.
        unsafe { slot.as_ref() }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping of `allocate`, which nothing refers to any more: entries are reached through the
        // `RingMemory` that goes with it.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert_eq!(unmapped, Ok(()), "a mapping of {} bytes", self.len);
    }
}

/// The bytes of a ring, in whole pages.
pub(super) fn size(count: u16) -> usize {
    (usize::from(count) * size_of::<Buf>()).next_multiple_of(PAGE)
}

fn mask(count: u16) -> u16 {
    assert!(count.is_power_of_two(), "a ring of {count} entries");
    count - 1
}
