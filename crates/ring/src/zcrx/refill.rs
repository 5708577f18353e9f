//! The refill ring of zero-copy receive: how buffers go back to the network card.
//!
//! The program writes entries and the tail, the kernel reads both and writes the head. What does not
//! fit waits in a list on the program's side, so that giving back never fails; the list is no longer than
//! the number of pieces that the program held.
#![allow(unsafe_code, reason = "writes entries in pages that the kernel reads")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use annulus_abi::{IORING_ZCRX_AREA_MASK, ZcrxOffsets, ZcrxRqe};
use rustix::io::Errno;

use crate::pages::Pages;

/// The program's end of a refill ring.
#[derive(Debug)]
pub(super) struct RefillRing {
    pages: Arc<Pages>,
    offsets: ZcrxOffsets,
    /// A power of two.
    entries: u32,
    /// What the kernel wants in the upper bits of an entry.
    area_token: u64,
    tail: Cell<u32>,
    waiting: RefCell<VecDeque<ZcrxRqe>>,
}

impl RefillRing {
    /// The ring that lies in `pages` where the kernel said.
    ///
    /// # Errors
    ///
    /// `EIO` if what the kernel said does not fit the pages, or the number of entries is no power of two.
    pub(super) fn new(
        pages: Arc<Pages>,
        offsets: ZcrxOffsets,
        entries: u32,
        area_token: u64,
    ) -> Result<Self, Errno> {
        let end = |offset: u32, len: u64| u64::from(offset) + len;
        let rqes = u64::from(entries) * size_of::<ZcrxRqe>() as u64;
        let ends = [end(offsets.head, 4), end(offsets.tail, 4), end(offsets.rqes, rqes)];
        let inside = ends.into_iter().all(|end| end <= pages.len() as u64);
        let aligned = offsets.head.is_multiple_of(4)
            && offsets.tail.is_multiple_of(4)
            && offsets.rqes.is_multiple_of(8);
        if !(inside && aligned && entries.is_power_of_two()) {
            return Err(Errno::IO);
        }
        let ring =
            Self { pages, offsets, entries, area_token, tail: Cell::new(0), waiting: RefCell::default() };
        // Relaxed: the program alone writes it, and nobody has before.
        ring.tail.set(ring.index(offsets.tail).load(Ordering::Relaxed));
        Ok(ring)
    }

    /// Gives `len` bytes back that a completion brought at `offset`.
    pub(super) fn give_back(&self, offset: u64, len: u32) {
        let off = (offset & !IORING_ZCRX_AREA_MASK) | self.area_token;
        self.waiting.borrow_mut().push_back(ZcrxRqe { off, len, ..ZcrxRqe::default() });
        self.flush();
    }

    /// Moves what waits into the ring, as far as there is room. Returns how many still wait.
    pub(super) fn flush(&self) -> usize {
        let mut waiting = self.waiting.borrow_mut();
        // Acquire pairs with the kernel's release: it has read the entries before the head.
        let head = self.index(self.offsets.head).load(Ordering::Acquire);
        let mut tail = self.tail.get();
        while tail.wrapping_sub(head) < self.entries {
            let Some(entry) = waiting.pop_front() else { break };
            self.write(tail & (self.entries - 1), entry);
            tail = tail.wrapping_add(1);
        }
        if self.tail.replace(tail) != tail {
            // Release: the entries before the tail are written when the kernel's acquire sees it.
            self.index(self.offsets.tail).store(tail, Ordering::Release);
        }
        waiting.len()
    }

    fn write(&self, place: u32, entry: ZcrxRqe) {
        let offset = self.offsets.rqes as usize + place as usize * size_of::<ZcrxRqe>();
        // SAFETY: `place` is below `entries`, which `new` found to fit into the pages, aligned.
        unsafe { self.at(offset).cast::<ZcrxRqe>().write(entry) };
    }

    /// The shared index at `offset`, one of the two that `new` checked.
    fn index(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: inside the pages and aligned, as `new` checked; only atomic accesses go there.
        unsafe { AtomicU32::from_ptr(self.at(offset as usize).cast().as_ptr()) }
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.pages.len(), "byte {offset} of {}", self.pages.len());
        // SAFETY: inside the pages, as was just checked.
        unsafe { self.pages.start().add(offset) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSETS: ZcrxOffsets = ZcrxOffsets { head: 0, tail: 4, rqes: 64, __resv2: 0, __resv: [0; 2] };
    const TOKEN: u64 = 3 << 48;

    fn ring(entries: u32) -> RefillRing {
        RefillRing::new(Arc::new(Pages::own(4096).unwrap()), OFFSETS, entries, TOKEN).unwrap()
    }

    /// Plays the kernel: takes up to `n` entries out of the ring. Returns their offsets and lengths.
    fn consume(ring: &RefillRing, n: usize) -> Vec<(u64, u32)> {
        let tail = ring.index(OFFSETS.tail).load(Ordering::Acquire);
        let mut head = ring.index(OFFSETS.head).load(Ordering::Relaxed);
        let mut taken = Vec::new();
        while head != tail && taken.len() < n {
            let offset = OFFSETS.rqes as usize + (head & (ring.entries - 1)) as usize * 16;
            // SAFETY: below the tail, so the entry was written.
            let entry = unsafe { ring.at(offset).cast::<ZcrxRqe>().read() };
            taken.push((entry.off, entry.len));
            head = head.wrapping_add(1);
        }
        ring.index(OFFSETS.head).store(head, Ordering::Release);
        taken
    }

    #[test]
    fn a_returned_buffer_carries_the_token_of_its_area() {
        let ring = ring(4);
        ring.give_back((7 << 48) | 8192, 1500);
        assert_eq!(consume(&ring, 9), [((3 << 48) | 8192, 1500)]);
        assert_eq!(consume(&ring, 9), []);
    }

    #[test]
    fn buffers_that_find_the_ring_full_wait_and_follow_in_order() {
        let ring = ring(2);
        for n in 0..5 {
            ring.give_back(n * 4096, 1);
        }
        assert_eq!(ring.flush(), 3);
        let offsets = |taken: Vec<(u64, u32)>| taken.iter().map(|(off, _)| off - TOKEN).collect::<Vec<_>>();
        assert_eq!(offsets(consume(&ring, 1)), [0]);
        assert_eq!(ring.flush(), 2);
        assert_eq!(offsets(consume(&ring, 9)), [4096, 8192]);
        assert_eq!(ring.flush(), 0);
        assert_eq!(offsets(consume(&ring, 9)), [12288, 16384]);
    }

    #[test]
    fn the_indices_wrap_around() {
        let pages = Arc::new(Pages::own(4096).unwrap());
        // SAFETY: the two indices lie at the start of the pages, which nobody else has yet.
        unsafe { pages.start().cast::<[u32; 2]>().write([u32::MAX - 1; 2]) };
        let ring = RefillRing::new(pages, OFFSETS, 4, 0).unwrap();
        for n in 0..4 {
            ring.give_back(n, 1);
        }
        assert_eq!(ring.flush(), 0);
        assert_eq!(consume(&ring, 9), [(0, 1), (1, 1), (2, 1), (3, 1)]);
    }

    #[test]
    fn offsets_that_do_not_fit_the_memory_are_refused() {
        let pages = Arc::new(Pages::own(4096).unwrap());
        let try_with = |offsets, entries| RefillRing::new(Arc::clone(&pages), offsets, entries, 0).map(drop);
        assert_eq!(try_with(OFFSETS, 252), Err(Errno::IO), "no power of two");
        assert_eq!(try_with(OFFSETS, 256), Err(Errno::IO), "64 + 256 * 16 bytes of 4096");
        assert_eq!(try_with(ZcrxOffsets { tail: 4096, ..OFFSETS }, 4), Err(Errno::IO));
        assert_eq!(try_with(ZcrxOffsets { head: 2, ..OFFSETS }, 4), Err(Errno::IO));
        assert_eq!(try_with(OFFSETS, 128), Ok(()));
    }
}
