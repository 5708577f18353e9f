//! A file kept in the page cache: mapped, and its pages locked.
//!
//! The mapping is never read through: it only holds the pages.
#![allow(unsafe_code, reason = "maps a file, locks the mapping, and unmaps it once")]

use std::ffi::c_void;
use std::io;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mlock, mmap, munmap};

use super::block::BLOCK;
use super::file::Subject;

/// Keeps the pages of a file in memory until it is dropped.
#[derive(Debug)]
pub(super) struct Resident {
    address: *mut c_void,
    length: usize,
}

impl Resident {
    /// Brings all pages of the file into memory and locks them there.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EPERM` or `EAGAIN` if the limit of locked memory (`RLIMIT_MEMLOCK`) does not allow it; those of
    /// open(2) and mmap(2).
    pub(super) fn lock(subject: &Subject) -> io::Result<Self> {
        let file = subject.open(false)?;
        let length = usize::try_from(subject.blocks * u64::from(BLOCK)).map_err(io::Error::other)?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is in use.
        let address = unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, &file, 0) }?;
        let resident = Self { address, length };
        // SAFETY: the range is the mapping made above; locking does not change what it holds.
        unsafe { mlock(address, length) }?;
        Ok(resident)
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, nobody else has its address, and this happens once. It unlocks, too.
        let unmapped = unsafe { munmap(self.address, self.length) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own at {:p}: {unmapped:?}", self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::file::Opened;

    fn locked_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mappings = status.split("annulus-bench-").skip(1);
        let locked = |text: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("Locked:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        mappings.map(locked).sum()
    }

    #[test]
    fn a_locked_file_is_in_memory_until_it_is_let_go() {
        let opened = Opened::temporary(None, 1).unwrap();
        let resident = Resident::lock(&opened.subject).unwrap();
        assert_eq!(locked_kib(), 1024);
        drop(resident);
        assert_eq!(locked_kib(), 0);
    }

    #[test]
    fn a_file_that_is_gone_cannot_be_locked() {
        let subject = Subject { path: "/no/such/file".into(), blocks: 1, stamped: false };
        assert_eq!(Resident::lock(&subject).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
