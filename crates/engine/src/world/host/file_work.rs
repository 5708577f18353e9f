//! Work on open files of the machine, and on the memory of this process.
#![allow(unsafe_code, reason = "system calls by number and address, as entries name them")]

use std::os::fd::RawFd;

use rustix::io::Errno;

use super::Host;
use super::files::borrow;
use super::sockets::{last_errno, pointer, result};
use crate::world::Span;
use crate::world::file_work::FileWork;

impl FileWork for Host {
    fn sync(&self, fd: RawFd, data_only: bool) -> Result<(), Errno> {
        let fd = borrow(fd)?;
        if data_only { rustix::fs::fdatasync(fd) } else { rustix::fs::fsync(fd) }
    }

    fn sync_range(&self, fd: RawFd, offset: u64, len: u64, flags: u32) -> Result<(), Errno> {
        // SAFETY: takes numbers alone.
        result(unsafe { libc::sync_file_range(fd, offset.cast_signed(), len.cast_signed(), flags) }).map(drop)
    }

    fn allocate(&self, fd: RawFd, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let (mode, offset, len) = (mode.cast_signed(), offset.cast_signed(), len.cast_signed());
        // SAFETY: takes numbers alone.
        result(unsafe { libc::fallocate64(fd, mode, offset, len) }).map(drop)
    }

    fn truncate(&self, fd: RawFd, len: u64) -> Result<(), Errno> {
        // SAFETY: takes numbers alone.
        result(unsafe { libc::ftruncate64(fd, len.cast_signed()) }).map(drop)
    }

    fn advise(&self, fd: RawFd, offset: u64, len: u64, advice: u32) -> Result<(), Errno> {
        let (offset, len) = (offset.cast_signed(), len.cast_signed());
        // SAFETY: takes numbers alone.
        match unsafe { libc::posix_fadvise64(fd, offset, len, advice.cast_signed()) } {
            0 => Ok(()),
            errno => Err(Errno::from_raw_os_error(errno)),
        }
    }

    fn advise_memory(&self, memory: Span, advice: u32) -> Result<(), Errno> {
        // SAFETY: the submission vouched for the memory as the operation's, to be changed as the advice says.
        match unsafe { libc::madvise(pointer(memory), memory.len(), advice.cast_signed()) } {
            0 => Ok(()),
            _ => Err(last_errno()),
        }
    }
}
