//! Descriptors as such: what they are, holding and closing them. Reading and writing is in the traits beside it.

use std::os::fd::RawFd;

use rustix::io::Errno;

/// What a descriptor stands for, as far as it decides how an operation is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A regular file or a directory: never pollable, its reads end.
    Regular,
    /// A block device: as a regular file.
    Block,
    /// A socket.
    Socket,
    /// A pipe or FIFO.
    Pipe,
    /// Everything else: terminals, eventfds, timers, devices. May take for ever.
    Other,
}

impl FileKind {
    /// Whether operations on it end by themselves.
    #[must_use]
    pub(crate) const fn is_bounded(self) -> bool {
        matches!(self, Self::Regular | Self::Block)
    }
}

/// Descriptors as such.
pub(crate) trait Files {
    /// A second descriptor for the same open file, so that the program may close its own.
    ///
    /// # Errors
    ///
    /// `EBADF`; `EMFILE` if there are no numbers left.
    fn hold(&self, fd: RawFd) -> Result<RawFd, Errno>;

    /// Closes a descriptor (of [`hold`](Self::hold), of a call that made one, or the program's own on its behalf).
    ///
    /// # Errors
    ///
    /// `EBADF`; `EIO`, `EINTR` and others as close(2) says: the number is free all the same.
    fn close(&self, fd: RawFd) -> Result<(), Errno>;

    /// What it stands for.
    ///
    /// # Errors
    ///
    /// `EBADF`.
    fn kind(&self, fd: RawFd) -> Result<FileKind, Errno>;

    /// Device and inode: what hashed writes are ordered by.
    ///
    /// # Errors
    ///
    /// `EBADF`.
    fn identity(&self, fd: RawFd) -> Result<(u64, u64), Errno>;

    /// How many descriptors a program may have (`RLIMIT_NOFILE`).
    fn open_limit(&self) -> u64;

    /// Whether two descriptors stand for the same open file, as after dup(2).
    fn is_same(&self, one: RawFd, other: RawFd) -> bool;
}
