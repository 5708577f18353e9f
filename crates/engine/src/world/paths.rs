//! Files by their paths, relative to a directory as openat(2) says.

use std::ffi::CStr;
use std::os::fd::RawFd;

use rustix::io::Errno;

use super::{Mode, Span};

/// How a file is opened: openat2(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    /// `O_*`.
    pub(crate) flags: u64,
    /// Of a file that is made.
    pub(crate) mode: u64,
    /// `RESOLVE_*`.
    pub(crate) resolve: u64,
    /// As openat(2) takes it: unknown flags are ignored.
    pub(crate) lenient: bool,
}

/// A path, and the directory it is relative to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    /// The directory, or `AT_FDCWD`.
    pub(crate) directory: RawFd,
    /// The path.
    pub(crate) path: &'a CStr,
}

/// Files by their paths. The errors are those of the system calls named.
pub(crate) trait Paths {
    /// openat(2), or openat2(2). Not blocking means: only with what is in memory, and without waiting for the other end of a FIFO.
    ///
    /// # Errors
    ///
    /// `EAGAIN`: it would have to wait, or cannot tell. Those of openat2(2).
    fn open(&self, at: At<'_>, how: &Opening, mode: Mode) -> Result<RawFd, Errno>;

    /// statx(2).
    ///
    /// # Errors
    ///
    /// Those of statx(2).
    fn stat(&self, at: At<'_>, flags: u32, mask: u32, into: Span) -> Result<(), Errno>;

    /// renameat2(2).
    ///
    /// # Errors
    ///
    /// Those of renameat2(2).
    fn rename(&self, from: At<'_>, to: At<'_>, flags: u32) -> Result<(), Errno>;

    /// unlinkat(2).
    ///
    /// # Errors
    ///
    /// Those of unlinkat(2).
    fn unlink(&self, at: At<'_>, flags: u32) -> Result<(), Errno>;

    /// mkdirat(2).
    ///
    /// # Errors
    ///
    /// Those of mkdirat(2).
    fn make_directory(&self, at: At<'_>, mode: u32) -> Result<(), Errno>;

    /// symlinkat(2).
    ///
    /// # Errors
    ///
    /// Those of symlinkat(2).
    fn make_symlink(&self, target: &CStr, at: At<'_>) -> Result<(), Errno>;

    /// linkat(2).
    ///
    /// # Errors
    ///
    /// Those of linkat(2).
    fn link(&self, from: At<'_>, to: At<'_>, flags: u32) -> Result<(), Errno>;

    /// Whether closing this descriptor, even as the last one, waits for nobody: its file system is on this machine.
    fn closes_at_once(&self, fd: RawFd) -> bool;

    /// A second descriptor for the same file, for the program.
    ///
    /// # Errors
    ///
    /// `EBADF`, `EMFILE`.
    fn duplicate(&self, fd: RawFd, close_on_exec: bool) -> Result<RawFd, Errno>;
}
