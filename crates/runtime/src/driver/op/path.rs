//! Operations on paths: openat2 and statx.
#![allow(unsafe_code, reason = "names paths and structures that the operations own")]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use annulus::{opcode, squeue, types};
use rustix::fs::Statx as Facts;

use super::number;
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;

/// Where a path starts from.
#[derive(Clone, Debug)]
pub(crate) enum Base {
    /// The working directory, unless the path is absolute.
    Working,
    /// A directory.
    Dir(SharedFd),
}

impl Base {
    /// As system calls outside of the ring take it.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Working => rustix::fs::CWD,
            Self::Dir(dir) => dir.as_fd(),
        }
    }

    pub(super) fn fd(&self) -> types::Fd {
        match self {
            Self::Working => types::Fd(libc::AT_FDCWD),
            Self::Dir(dir) => dir.fd_target(),
        }
    }
}

/// The descriptor that a completion made, if it made one.
pub(super) fn made(completion: Completion) -> io::Result<OwnedFd> {
    if completion.result < 0 {
        return Err(io::Error::from_raw_os_error(-completion.result));
    }
    // SAFETY: the operation made this descriptor for us, and its completion is read once.
    Ok(unsafe { OwnedFd::from_raw_fd(completion.result) })
}

/// openat2(2).
pub(crate) struct Open {
    base: Base,
    path: CString,
    how: Box<types::OpenHow>,
    /// The name is to go if nobody wants the file any more that was made under it.
    temporary: bool,
}

impl Open {
    pub(crate) fn new(base: Base, path: CString, how: types::OpenHow) -> Self {
        Self { base, path, how: Box::new(how), temporary: false }
    }

    /// Of a file that is made, under a name that nothing else has: if the future is dropped, the name goes too.
    pub(crate) const fn temporary(mut self) -> Self {
        self.temporary = true;
        self
    }
}

// SAFETY: the path and the structure are on the heap, the share keeps the directory open.
unsafe impl Operation for Open {
    type Output = io::Result<SharedFd>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::OpenAt2::new(self.base.fd(), self.path.as_ptr(), &raw const *self.how).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        made(completion).map(SharedFd::new)
    }

    /// Nobody wants the file any more.
    fn late(&mut self, completion: Completion) {
        let made = made(completion).map(SharedFd::new);
        if self.temporary && made.is_ok() {
            // In place, as there may be no other time: the ring waits for this before it goes.
            let _ = rustix::fs::unlinkat(self.base.as_fd(), &self.path, rustix::fs::AtFlags::empty());
        }
    }
}

/// statx(2).
pub(crate) struct Statx {
    base: Base,
    path: CString,
    flags: i32,
    mask: u32,
    facts: Box<MaybeUninit<Facts>>,
}

impl Statx {
    pub(crate) fn new(base: Base, path: CString, flags: i32) -> Self {
        let mask = libc::STATX_BASIC_STATS | libc::STATX_BTIME;
        Self { base, path, flags, mask, facts: Box::new(MaybeUninit::zeroed()) }
    }

    /// Asks for this (`STATX_*`), instead of the basic facts and when the file was made.
    pub(crate) const fn mask(mut self, mask: u32) -> Self {
        self.mask = mask;
        self
    }
}

// SAFETY: the path and the structure are on the heap, the share keeps the directory open.
unsafe impl Operation for Statx {
    type Output = io::Result<Facts>;

    fn entry(&mut self) -> squeue::Entry {
        let facts = self.facts.as_mut_ptr().cast();
        opcode::Statx::new(self.base.fd(), self.path.as_ptr(), facts)
            .flags(self.flags)
            .mask(self.mask)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        number(completion)?;
        // SAFETY: zeroed when it was made, which is a value of it, and filled in by the kernel now.
        Ok(*unsafe { self.facts.assume_init() })
    }
}

const _: () = assert!(size_of::<Facts>() == 256);
