//! SIGINT and SIGTERM as a descriptor that becomes readable, instead of as interruptions.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};

/// Blocks both signals, for this thread and those that it starts, and gives the descriptor (signalfd(2)).
pub(crate) fn signals() -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the call fills in the set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: filled in just now.
    let mut set: libc::sigset_t = unsafe { set.assume_init() };
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the set is valid, and so is the signal.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    // SAFETY: the set is valid; no old one is asked for.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: the set is valid.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made just now, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
