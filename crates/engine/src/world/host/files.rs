//! Descriptors of this process.
#![allow(unsafe_code, reason = "borrows and closes descriptors by number, as entries name them")]

use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FileType, OFlags, fstat};
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
        // Container profiles forbid kcmp(2).
        let access = |fd| borrow(fd).and_then(rustix::fs::fcntl_getfl);
        let (Ok(identity), Ok(flags)) = (self.identity(one), access(one)) else { return false };
        if self.identity(other) != Ok(identity) || access(other) != Ok(flags) {
            return false;
        }
        // Eventfds and their like have one inode together, and a file may be open twice in the same way.
        shares_notice_signal(one, other, flags).unwrap_or(true)
    }
}

/// Whether what is set for an open file through one descriptor is seen through the other: the signal that tells of I/O
/// (fcntl(2), `F_SETSIG`), which is put back at once. `None` if it cannot be borrowed, as it is in use (`O_ASYNC`) or the
/// descriptor has none (`O_PATH`).
fn shares_notice_signal(one: RawFd, other: RawFd, flags: OFlags) -> Option<bool> {
    const F_SETSIG: libc::c_int = 10;
    const F_GETSIG: libc::c_int = 11;
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: takes numbers, and answers with one; no memory is named.
    let signal = |fd: RawFd| match unsafe { libc::fcntl(fd, F_GETSIG) } {
        -1 => None,
        signal => Some(signal),
    };
    // SAFETY: as above.
    let set = |signal: libc::c_int| (unsafe { libc::fcntl(one, F_SETSIG, signal) } == 0).then_some(());
    let before =
        signal(one).filter(|_| !flags.contains(OFlags::from_bits_retain(libc::O_ASYNC.cast_unsigned())))?;
    if signal(other)? != before {
        return Some(false);
    }
    // Both are ignored unless the program wants them.
    let mark = if before == libc::SIGURG { libc::SIGWINCH } else { libc::SIGURG };
    set(mark)?;
    let seen = signal(other);
    set(before)?;
    Some(seen == Some(mark))
}
