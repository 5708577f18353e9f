//! Whole pages of memory that are shared with a back end: the program's own, or the back end's, mapped.
//!
//! Nothing here reads or writes them. Whoever holds [`Pages`] decides when they may go; those that may
//! still be in use are [leaked](Pages::leak), never freed.
#![allow(unsafe_code, reason = "maps and unmaps")]

use std::ptr::NonNull;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use crate::shared::SharedBackend;

/// Bytes of a page. Asked of libc, which answers under valgrind(1) too, where rustix, which looks for the auxiliary
/// vector itself, reads memory that is not there.
pub(crate) fn page_size() -> usize {
    // SAFETY: takes a number and returns one.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(4096)
}

/// A mapping that is undone when this is dropped.
#[derive(Debug)]
pub(crate) struct Pages {
    start: NonNull<u8>,
    len: usize,
    /// Whose memory it is, if it is not the program's own.
    backend: Option<Arc<SharedBackend>>,
    leaked: bool,
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Pages {}
// SAFETY: shared access only reads the address and the size.
unsafe impl Sync for Pages {}

impl Pages {
    /// Zeroed memory of the program's own, of at least `len` bytes.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn own(len: usize) -> Result<Self, Errno> {
        let len = len.checked_next_multiple_of(page_size()).ok_or(Errno::NOMEM)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let start =
            unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), len, protection, MapFlags::PRIVATE) };
        let start = NonNull::new(start?.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { start, len, backend: None, leaked: false })
    }

    /// Memory that the back end allocated when something was registered.
    ///
    /// # Errors
    ///
    /// Those of [`Backend::map`](annulus_abi::Backend::map).
    pub(crate) fn of_backend(backend: &Arc<SharedBackend>, len: usize, offset: u64) -> Result<Self, Errno> {
        let len = len.checked_next_multiple_of(page_size()).ok_or(Errno::NOMEM)?;
        let start = backend.map(len, offset)?;
        Ok(Self { start, len, backend: Some(Arc::clone(backend)), leaked: false })
    }

    /// The first byte, on a page boundary.
    #[inline]
    pub(crate) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes there are: whole pages.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The first byte's address as structures hold it.
    pub(crate) fn address(&self) -> u64 {
        self.start.as_ptr().expose_provenance() as u64
    }

    /// Leaves the memory mapped for good, whatever becomes of this.
    pub(crate) const fn leak(&mut self) {
        self.leaked = true;
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.leaked {
            return;
        }
        if let Some(backend) = &self.backend {
            // SAFETY: mapped by this back end, and its owner is going away.
            unsafe { backend.unmap(self.start, self.len) };
            return;
        }
        // SAFETY: mapped by `own` with this length, and its owner is going away.
        let result = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert_eq!(result, Ok(()), "unmapping {} bytes", self.len);
    }
}
