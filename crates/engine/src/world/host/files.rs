//! Descriptors of this process.
#![allow(unsafe_code, reason = "borrows and closes descriptors by number, as entries name them")]

use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::Host;
use crate::world::{FileKind, Files};

/// Held descriptors stay out of the way of the program's own, which get the lowest free numbers.
const HELD_FROM: RawFd = 256;

/// A descriptor by its number.
///
/// # Errors
///
/// `EBADF` for a negative number.
pub(super) fn borrow<'a>(fd: RawFd) -> Result<BorrowedFd<'a>, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: a number that an entry named or that the engine holds. If it is open no more, the call that
    // it is used for answers EBADF, as the kernel would.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

impl Files for Host {
    fn hold(&self, fd: RawFd) -> Result<RawFd, Errno> {
        let fd = borrow(fd)?;
        let held = match rustix::io::fcntl_dupfd_cloexec(fd, HELD_FROM) {
            // The limit lies below: any number will do.
            Err(Errno::INVAL) => rustix::io::fcntl_dupfd_cloexec(fd, 0),
            held => held,
        };
        held.map(IntoRawFd::into_raw_fd)
    }

    fn close(&self, fd: RawFd) -> Result<(), Errno> {
        if fd < 0 {
            return Err(Errno::BADF);
        }
        // SAFETY: whoever owns the number gives it up: the holder of `hold`, or the program by its entry.
        if unsafe { libc::close(fd) } == 0 {
            return Ok(());
        }
        Err(std::io::Error::last_os_error().raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))
    }

    fn kind(&self, fd: RawFd) -> Result<FileKind, Errno> {
        let stat = fstat(borrow(fd)?)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile | FileType::Directory => FileKind::Regular,
            FileType::BlockDevice => FileKind::Block,
            FileType::Socket => FileKind::Socket,
            FileType::Fifo => FileKind::Pipe,
            _ => FileKind::Other,
        })
    }

    fn identity(&self, fd: RawFd) -> Result<(u64, u64), Errno> {
        let stat = fstat(borrow(fd)?)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    fn open_limit(&self) -> u64 {
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    }

    fn is_same(&self, one: RawFd, other: RawFd) -> bool {
        if one == other {
            return true;
        }
        const KCMP_FILE: libc::c_int = 0;
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        // SAFETY: compares two numbers of this process; no memory is named.
        let order = unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_FILE, one, other) };
        if order >= 0 {
            return order == 0;
        }
        // Container profiles forbid kcmp(2). The same inode, opened the same way, is as near as can be told.
        let access = |fd| borrow(fd).and_then(rustix::fs::fcntl_getfl);
        self.identity(one).is_ok_and(|identity| self.identity(other) == Ok(identity))
            && access(one) == access(other)
    }
}
