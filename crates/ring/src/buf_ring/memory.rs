//! The memory of a buffer ring: the entries that the kernel reads, the tail among them, and the buffers.
//!
//! The program writes entries and tail, the kernel reads them. The tail overlays the reserved field of
//! the first entry, so entries are written field by field and that field never. With incremental use the
//! kernel also changes address and length of the entry at its head; the program never reads entries.
#![allow(unsafe_code, reason = "writes entries and reads buffers in memory that the kernel shares")]

use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

use annulus_abi::{Buf, BufRingHeader};
use rustix::io::Errno;

use crate::pages::Pages;

/// The entries of a ring.
#[derive(Debug)]
pub(super) struct Entries {
    pages: Pages,
    entries: u16,
}

impl Entries {
    /// How many bytes a ring of this many entries takes.
    pub(super) fn size(entries: u16) -> usize {
        usize::from(entries) * size_of::<Buf>()
    }

    /// A ring in these pages, of which there are enough.
    pub(super) fn new(pages: Pages, entries: u16) -> Self {
        assert!(pages.len() >= Self::size(entries), "{} bytes for {entries} entries", pages.len());
        Self { pages, entries }
    }

    /// Writes the entry at a place: `len` bytes at `address`, known as `bid`.
    ///
    /// The kernel does not read it before the tail that includes it is published.
    #[inline]
    pub(super) fn write(&self, place: u16, address: u64, len: u32, bid: u16) {
        assert!(place < self.entries, "entry {place} of {}", self.entries);
        // SAFETY: the place is inside the ring, which `new` found to fit into the pages.
        let entry = unsafe { self.pages.start().cast::<Buf>().add(usize::from(place)) }.as_ptr();
        // SAFETY: inside the pages, aligned as they are; the kernel does not look at the entry now.
        unsafe { (*entry).addr = address };
        // SAFETY: as above.
        unsafe { (*entry).len = len };
        // SAFETY: as above.
        unsafe { (*entry).bid = bid };
    }

    /// Shows the kernel every entry up to `tail`.
    #[inline]
    pub(super) fn publish(&self, tail: u16) {
        // SAFETY: the header is as large as an entry, and there is at least one.
        let place = unsafe { &raw mut (*self.pages.start().cast::<BufRingHeader>().as_ptr()).tail };
        // SAFETY: aligned, in pages that live as long as `self`; only atomic accesses go there.
        let shared = unsafe { AtomicU16::from_ptr(place) };
        // Release: the entries before the tail are written when the kernel, whose load is an acquire, sees it.
        shared.store(tail, Ordering::Release);
    }

    pub(super) const fn leak(&mut self) {
        self.pages.leak();
    }
}

/// The buffers of a ring, all of one size, one after the other.
#[derive(Debug)]
pub(super) struct Buffers {
    pages: Pages,
    entries: u16,
    each: u32,
}

impl Buffers {
    /// # Errors
    ///
    /// `ENOMEM`, also if the size of all does not fit an address.
    pub(super) fn new(entries: u16, each: u32) -> Result<Self, Errno> {
        let each_bytes = usize::try_from(each).map_err(|_| Errno::NOMEM)?;
        let pages = Pages::own(usize::from(entries).checked_mul(each_bytes).ok_or(Errno::NOMEM)?)?;
        Ok(Self { pages, entries, each })
    }

    /// Bytes of each buffer.
    #[inline]
    pub(super) const fn each(&self) -> u32 {
        self.each
    }

    #[inline]
    pub(super) fn address(&self, bid: u16) -> u64 {
        self.pages.address() + u64::from(bid) * u64::from(self.each)
    }

    /// Bytes of a buffer.
    ///
    /// # Safety
    ///
    /// Neither the kernel nor anybody else writes them while the slice lives.
    #[inline]
    pub(super) unsafe fn slice(&self, bid: u16, start: u32, len: u32) -> &[u8] {
        let place = self.place(bid, start, len);
        // SAFETY: `place` found the bytes inside the pages, which were zeroed at first; nobody writes them
        // by contract.
        unsafe { slice::from_raw_parts(place.as_ptr(), len as usize) }
    }

    /// Bytes of a buffer, to be written.
    ///
    /// # Safety
    ///
    /// Nobody else, the kernel included, reads or writes them while the slice lives.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "the contract makes the slice the only access to those bytes")]
    pub(super) unsafe fn slice_mut(&self, bid: u16, start: u32, len: u32) -> &mut [u8] {
        let place = self.place(bid, start, len);
        // SAFETY: `place` found the bytes inside the pages; nobody else touches them by contract.
        unsafe { slice::from_raw_parts_mut(place.as_ptr(), len as usize) }
    }

    pub(super) const fn leak(&mut self) {
        self.pages.leak();
    }

    fn place(&self, bid: u16, start: u32, len: u32) -> NonNull<u8> {
        let inside = bid < self.entries && u64::from(start) + u64::from(len) <= u64::from(self.each);
        assert!(inside, "{len} bytes at {start} of buffer {bid}, which has {}", self.each);
        let offset = usize::from(bid) * self.each as usize + start as usize;
        // SAFETY: inside the pages, as was just checked.
        unsafe { self.pages.start().add(offset) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_and_the_tail_over_it_do_not_disturb_each_other() {
        let entries = Entries::new(Pages::own(Entries::size(4)).unwrap(), 4);
        entries.publish(0xabcd);
        entries.write(0, 0x1111, 22, 33);
        entries.write(3, 0x4444, 55, 66);
        // SAFETY: four entries lie there, which nobody writes now.
        let [first, second, _, last] = unsafe { entries.pages.start().cast::<[Buf; 4]>().read() };
        assert_eq!(first, Buf { addr: 0x1111, len: 22, bid: 33, resv: 0xabcd });
        assert_eq!((second, last), (Buf::default(), Buf { addr: 0x4444, len: 55, bid: 66, resv: 0 }));
    }

    #[test]
    #[should_panic(expected = "9 bytes at 8 of buffer 1, which has 16")]
    fn bytes_beyond_a_buffer_are_not_handed_out() {
        let buffers = Buffers::new(2, 16).unwrap();
        // SAFETY: nobody writes the buffer.
        unsafe { buffers.slice(1, 8, 9) };
    }
}
