//! The memory of a ring: of the engine's own, or the program's (`IORING_SETUP_NO_MMAP`).
//!
//! Own memory is a memfd whose size is sealed, so that nothing can shrink it under the queues. It is shared, as
//! that of the kernel's rings, and its descriptor is closed once it is mapped. A [`Mapping`] is unmapped once, when it is
//! dropped; memory that was given never is. What lies in the queues is `RingMemory`'s matter: this file writes
//! the words that stand in them before they are used.
#![allow(unsafe_code, reason = "maps and unmaps; reaches words of the mapping")]

use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use annulus_abi::{Region, Regions};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use rustix::process::{Resource, getrlimit};

use super::layout::Layout;

/// The regions of a ring, and what is to be unmapped for them.
#[derive(Debug)]
pub(crate) struct Mapping {
    regions: Regions,
    owned: Option<Region>,
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference only atomic words are written.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Zeroed memory of the engine's own.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EMFILE`, `ENFILE`.
    pub(super) fn allocate(layout: &Layout) -> Result<Self, Errno> {
        let at = page_aligned(layout.rings_len);
        let len = at + page_aligned(layout.sqes_len);
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let start = match sealed(len) {
            Ok(fd) => {
                // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
                unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, protection, MapFlags::SHARED, fd, 0) }?
            }
            // Where a filter knows no memfd, or files must stay small, memory without a name does as well.
            Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::FBIG) => {
                // SAFETY: as above.
                unsafe {
                    rustix::mm::mmap_anonymous(std::ptr::null_mut(), len, protection, MapFlags::SHARED)
                }?
            }
            Err(errno) => return Err(errno),
        };
        let whole = Region { start: NonNull::new(start.cast()).ok_or(Errno::NOMEM)?, len };
        let ring = Region { start: whole.start, len: at };
        // SAFETY: `len` bytes are mapped, of which `at` are the first part.
        let sqes = Region { start: unsafe { whole.start.add(at) }, len: len - at };
        Ok(Self { regions: Regions { sq_ring: ring, cq_ring: ring, sqes }, owned: Some(whole) })
    }

    /// Memory that the program gave, and that is zeroed here: whole pages, as the kernel pins them.
    ///
    /// # Errors
    ///
    /// `EFAULT` if there is no address or memory that cannot be written, `EINVAL` if an address is not
    /// that of a page, `EOVERFLOW` if a region would run over the end of the address space.
    ///
    /// # Safety
    ///
    /// If there is memory at the addresses of `layout`, it is the ring's for as long as the result lives: nobody
    /// unmaps it or holds a Rust reference into it.
    pub(super) unsafe fn adopt(layout: &Layout) -> Result<Self, Errno> {
        let rings = given(layout.cq.user_addr, layout.rings_len)?;
        let sqes = given(layout.sq.user_addr, layout.sqes_len)?;
        let zeros = zeros(rings.len.max(sqes.len))?;
        for region in [rings, sqes] {
            // The kernel writes for us, as it answers where a store of our own would raise a signal.
            // SAFETY: the memory is the ring's (this function's contract), if it is memory at all.
            let copied =
                unsafe { libc::pread(zeros.as_raw_fd(), region.start.as_ptr().cast(), region.len, 0) };
            if usize::try_from(copied) != Ok(region.len) {
                return Err(Errno::FAULT);
            }
        }
        Ok(Self { regions: Regions { sq_ring: rings, cq_ring: rings, sqes }, owned: None })
    }

    /// Where the parts of the ring lie.
    pub(super) const fn regions(&self) -> &Regions {
        &self.regions
    }

    /// A word among the indices.
    ///
    /// # Panics
    ///
    /// If `offset` is not that of a word in the first region.
    pub(super) fn word(&self, offset: u32) -> &AtomicU32 {
        let (ring, offset) = (&self.regions.sq_ring, offset as usize);
        assert!(offset.is_multiple_of(4) && offset + 4 <= ring.len, "no word at {offset} of {}", ring.len);
        // SAFETY: the offset lies inside the region, as just checked.
        let word = unsafe { ring.start.add(offset) };
        // SAFETY: regions start on pages, so the word is aligned; it is mapped as long as `self` lives, and nobody
        // reaches it but through atomics (`RingMemory`).
        unsafe { word.cast::<AtomicU32>().as_ref() }
    }

    /// Stores a word that others see only once the ring is handed out.
    pub(super) fn store(&self, offset: u32, value: u32) {
        self.word(offset).store(value, Ordering::Relaxed);
    }

    /// Keeps the queues out of children of fork(2).
    ///
    /// # Errors
    ///
    /// What madvise(2) says.
    pub(crate) fn dontfork(&self) -> Result<(), Errno> {
        for region in [self.regions.sq_ring, self.regions.sqes] {
            // SAFETY: the region is mapped, and whether children inherit it changes nothing here.
            unsafe { rustix::mm::madvise(region.start.as_ptr().cast(), region.len, Advice::LinuxDontFork) }?;
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let Some(whole) = self.owned else { return };
        // SAFETY: `allocate` mapped it, nothing else unmaps it, and who took pointers from `regions` promised
        // not to outlive this value.
        let unmapped = unsafe { rustix::mm::munmap(whole.start.as_ptr().cast(), whole.len) };
        if let Err(errno) = unmapped {
            tracing::error!(%errno, len = whole.len, "the memory of a ring could not be unmapped");
        }
    }
}

/// The pages from an address of the program's on.
fn given(address: u64, len: usize) -> Result<Region, Errno> {
    let len = page_aligned(len);
    let address = usize::try_from(address).map_err(|_| Errno::OVERFLOW)?;
    let start = NonNull::new(std::ptr::with_exposed_provenance_mut::<u8>(address)).ok_or(Errno::FAULT)?;
    if !address.is_multiple_of(page_size()) {
        return Err(Errno::INVAL);
    }
    address.checked_add(len).ok_or(Errno::OVERFLOW)?;
    Ok(Region { start, len })
}

/// A file from which `len` zeros can be read.
fn zeros(len: usize) -> Result<OwnedFd, Errno> {
    match sealed(len) {
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::FBIG) => {
            rustix::fs::open(c"/dev/zero", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        }
        sealed => sealed,
    }
}

/// A memfd of `len` zeros that can neither grow nor shrink.
///
/// # Errors
///
/// Those of memfd_create(2) and ftruncate(2). `EFBIG` if it would be larger than files may be (`RLIMIT_FSIZE`); found here,
/// as the kernel would send a signal too, which ends the process.
fn sealed(len: usize) -> Result<OwnedFd, Errno> {
    let create = |more| {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | more;
        rustix::fs::memfd_create(c"annulus-ring", flags)
    };
    // Before Linux 6.3 nobody asks whether it may be executed.
    let fd = match create(MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => create(MemfdFlags::empty()),
        created => created,
    }?;
    if getrlimit(Resource::Fsize).current.is_some_and(|limit| limit < len as u64) {
        return Err(Errno::FBIG);
    }
    rustix::fs::ftruncate(&fd, len as u64)?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(fd)
}

/// Bytes of a page. Asked of libc, which answers under valgrind(1) too, where rustix, which looks for the auxiliary
/// vector itself, reads memory that is not there.
pub(crate) fn page_size() -> usize {
    // SAFETY: takes a number and returns one.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(4096)
}

fn page_aligned(len: usize) -> usize {
    len.next_multiple_of(page_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_change_the_size_of_a_rings_memory() {
        let fd = sealed(8192).expect("a memfd");
        assert_eq!(rustix::fs::ftruncate(&fd, 4096), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&fd, 16384), Err(Errno::PERM));
    }
}
