//! What is done to open files beside reading and writing, and to memory: each one call that may wait for a disk.

use std::os::fd::RawFd;

use rustix::io::Errno;

use super::Span;

/// Work on open files and on memory. The errors are those of the system calls named.
pub(crate) trait FileWork {
    /// fsync(2), or fdatasync(2).
    ///
    /// # Errors
    ///
    /// Those of fsync(2).
    fn sync(&self, fd: RawFd, data_only: bool) -> Result<(), Errno>;

    /// sync_file_range(2).
    ///
    /// # Errors
    ///
    /// Those of sync_file_range(2).
    fn sync_range(&self, fd: RawFd, offset: u64, len: u64, flags: u32) -> Result<(), Errno>;

    /// fallocate(2).
    ///
    /// # Errors
    ///
    /// Those of fallocate(2).
    fn allocate(&self, fd: RawFd, mode: u32, offset: u64, len: u64) -> Result<(), Errno>;

    /// ftruncate(2).
    ///
    /// # Errors
    ///
    /// Those of ftruncate(2).
    fn truncate(&self, fd: RawFd, len: u64) -> Result<(), Errno>;

    /// posix_fadvise(2).
    ///
    /// # Errors
    ///
    /// Those of posix_fadvise(2).
    fn advise(&self, fd: RawFd, offset: u64, len: u64, advice: u32) -> Result<(), Errno>;

    /// madvise(2).
    ///
    /// # Errors
    ///
    /// Those of madvise(2).
    fn advise_memory(&self, memory: Span, advice: u32) -> Result<(), Errno>;
}
