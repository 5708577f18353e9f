//! The memory that program and host share: pages of one mapping, handed out by either side.

use std::ptr::NonNull;
use std::sync::Mutex;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

const LEN: usize = 4 << 20;
const PAGE: usize = 4096;

/// One mapping, and which of its pages are free.
#[derive(Debug)]
pub(super) struct Arena {
    start: NonNull<u8>,
    taken: Mutex<[bool; LEN / PAGE]>,
}

// SAFETY: a mapping belongs to the process; the pages are handed out under a lock.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    pub(super) fn new() -> Self {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), LEN, access, flags) };
        let start = NonNull::new(start.unwrap().cast()).unwrap();
        Self { start, taken: Mutex::new([false; LEN / PAGE]) }
    }

    /// Whether all of these bytes lie in the arena.
    pub(super) fn holds(&self, address: u64, len: u64) -> bool {
        let start = self.start.as_ptr().expose_provenance() as u64;
        address >= start && address.checked_add(len).is_some_and(|end| end <= start + LEN as u64)
    }

    /// Zeroed whole pages.
    pub(super) fn allocate(&self, len: usize) -> Result<NonNull<u8>, Errno> {
        let pages = len.div_ceil(PAGE).max(1);
        let mut taken = self.taken.lock().unwrap();
        let at = taken.windows(pages).position(|run| !run.contains(&true)).ok_or(Errno::NOMEM)?;
        taken[at..at + pages].fill(true);
        // SAFETY: inside the mapping.
        let start = unsafe { self.start.add(at * PAGE) };
        // SAFETY: the pages were free, so nobody refers to them.
        unsafe { start.write_bytes(0, pages * PAGE) };
        Ok(start)
    }

    pub(super) fn release(&self, start: NonNull<u8>, len: usize) {
        let at = (start.as_ptr().addr() - self.start.as_ptr().addr()) / PAGE;
        self.taken.lock().unwrap()[at..at + len.div_ceil(PAGE).max(1)].fill(false);
    }

    /// How many pages are handed out.
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().unwrap().iter().filter(|taken| **taken).count()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the host, which ends before, was the last to use it.
        unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), LEN) }.unwrap();
    }
}
