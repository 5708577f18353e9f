//! Pipes: making them, and moving bytes through them without copies.

use std::os::fd::RawFd;

use rustix::io::Errno;

/// One side of a splice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// The file.
    pub(crate) fd: RawFd,
    /// Where in it; nothing for a pipe, and for a file's own position.
    pub(crate) offset: Option<u64>,
}

/// Pipes. The errors are those of the system calls named.
pub(crate) trait Pipes {
    /// splice(2).
    ///
    /// # Errors
    ///
    /// Those of splice(2).
    fn splice(&self, from: End, to: End, len: usize, flags: u32) -> Result<usize, Errno>;

    /// tee(2).
    ///
    /// # Errors
    ///
    /// Those of tee(2).
    fn tee(&self, from: RawFd, to: RawFd, len: usize, flags: u32) -> Result<usize, Errno>;

    /// pipe2(2): the end to read from, and the one to write to.
    ///
    /// # Errors
    ///
    /// Those of pipe2(2).
    fn pipe(&self, flags: u32) -> Result<[RawFd; 2], Errno>;
}
