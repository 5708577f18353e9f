//! Reading and writing, of whatever kind the file is.

use std::os::fd::RawFd;

use rustix::io::Errno;

use super::Span;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the file into memory.
    Read,
    /// From memory into the file.
    Write,
}

/// The offset that stands for the file's own position.
pub(crate) const CURRENT: u64 = u64::MAX;

/// How a file is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// It may be read.
    pub(crate) readable: bool,
    /// It may be written.
    pub(crate) writable: bool,
    /// `O_DIRECT`: past the page cache.
    pub(crate) direct: bool,
    /// `O_NONBLOCK`.
    pub(crate) nonblocking: bool,
}

/// Reading and writing.
pub(crate) trait Transfer {
    /// preadv2(2) and pwritev2(2): as far as one call goes, at an offset or at [`CURRENT`]. Waits unless `flags` have
    /// `RWF_NOWAIT`.
    ///
    /// # Errors
    ///
    /// `EAGAIN`: nothing without waiting. `EOPNOTSUPP`: one of the flags is not for this file. `ESPIPE`: it has no offsets. `EINTR`, and
    /// the others of those calls.
    fn transfer(
        &self,
        direction: Direction,
        fd: RawFd,
        memory: &[Span],
        offset: u64,
        flags: u32,
    ) -> Result<usize, Errno>;

    /// The same without waiting, for files that do not take `RWF_NOWAIT` but can be watched.
    ///
    /// # Errors
    ///
    /// Those of [`transfer`](Self::transfer).
    fn transfer_at_once(
        &self,
        direction: Direction,
        fd: RawFd,
        memory: &[Span],
        offset: u64,
        flags: u32,
    ) -> Result<usize, Errno>;

    /// How it is open.
    ///
    /// # Errors
    ///
    /// `EBADF`.
    fn status(&self, fd: RawFd) -> Result<Status, Errno>;

    /// Whether it can be watched for readiness at all.
    ///
    /// # Errors
    ///
    /// `EBADF`; `EMFILE`, `ENOMEM`, as it is tried.
    fn is_pollable(&self, fd: RawFd) -> Result<bool, Errno>;

    /// Whether the program may use this I/O priority (ioprio_set(2)).
    ///
    /// # Errors
    ///
    /// `EINVAL`: there is none like it. `EPERM`: a class that needs privileges.
    fn check_priority(&self, priority: u16) -> Result<(), Errno>;

    /// Gives the calling thread this I/O priority, and tells the one it had; nothing if that cannot be done.
    fn replace_priority(&self, priority: u16) -> Option<u16>;
}
