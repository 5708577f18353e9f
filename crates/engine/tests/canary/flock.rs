//! Memory that is lent to requests, and looked at after it was given back.
//!
//! "Freed" means filled with a pattern; the pages stay until the canary is dropped, so that whoever writes late is caught
//! rather than a fault. They are pages of their own, as no allocator's: O_DIRECT takes them, and no sanitizer minds.
#![allow(unsafe_code, reason = "memory that somebody else may be writing")]

use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

const PAGE: usize = 4096;
const FREED: u8 = 0xa5;
const FRESH: u8 = 0x5a;

/// Whole pages that one request is lent.
pub(crate) struct Canary {
    start: NonNull<[u8; PAGE]>,
    pages: usize,
}

impl Canary {
    /// Pages for so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let pages = bytes.div_ceil(PAGE).max(1);
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new mapping at an address that the system chooses replaces nothing.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), pages * PAGE, access, flags) };
        let start = NonNull::new(start.expect("memory").cast()).expect("not at 0");
        let canary = Self { start, pages };
        canary.fill(FRESH);
        canary
    }

    /// Pages with this value at their start.
    pub(crate) fn holding<T>(value: T) -> Self {
        let canary = Self::new(size_of::<T>());
        // SAFETY: there is room, aligned for anything, and no request has been lent it yet.
        unsafe { canary.start.cast().write(value) };
        canary
    }

    /// Where it lies.
    pub(crate) const fn at<T>(&self) -> *mut T {
        self.start.as_ptr().cast()
    }

    /// From here on nobody may write into it.
    pub(crate) fn free(&self) {
        self.fill(FREED);
    }

    /// Somebody has written into it since it was freed.
    pub(crate) fn was_harmed(&self) -> bool {
        !self.holds(FREED)
    }

    /// Its bytes, of one that is lent to nobody.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: all of the mapping, which is initialised and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.at(), self.pages * PAGE) }
    }

    fn fill(&self, byte: u8) {
        for page in 0..self.pages {
            // SAFETY: inside the mapping.
            let place = unsafe { self.start.add(page) };
            // SAFETY: a page of the mapping; volatile, as somebody else may be writing.
            unsafe { place.write_volatile([byte; PAGE]) };
        }
    }

    fn holds(&self, byte: u8) -> bool {
        (0..self.pages).all(|page| {
            // SAFETY: inside the mapping.
            let place = unsafe { self.start.add(page) };
            // SAFETY: a page of the mapping; volatile, as somebody else may be writing.
            unsafe { place.read_volatile() == [byte; PAGE] }
        })
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        // SAFETY: this mapping, once; the tests are done with it.
        unsafe { munmap(self.start.as_ptr().cast(), self.pages * PAGE) }.expect("it was mapped");
    }
}
