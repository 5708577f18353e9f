//! Transfers that go on by themselves: reads and writes past the page cache, which wait for a device and need no thread
//! meanwhile.

use std::os::fd::RawFd;

use rustix::io::Errno;

use super::{Direction, Event, Span};

/// A transfer between one piece of memory and a file that is open for direct I/O.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direct {
    /// Which way.
    pub(crate) direction: Direction,
    /// The file; it may be closed once the transfer was launched.
    pub(crate) fd: RawFd,
    /// The memory.
    pub(crate) span: Span,
    /// Where in the file.
    pub(crate) offset: u64,
}

/// Transfers that go on by themselves.
pub(crate) trait DirectIo {
    /// Prepares one, which starts with the next [`launch`](Self::launch). Its result comes as an [`Event::Done`]
    /// with this token: the number of bytes, or a negated errno, of which `EAGAIN` says that it could not be done without
    /// waiting.
    ///
    /// # Errors
    ///
    /// Any: it will not start, and a call that may wait must do it.
    fn prepare(&self, direct: &Direct, token: u64) -> Result<(), Errno>;

    /// Starts what was prepared, all of it by one call. What cannot start is an event already.
    fn launch(&self, into: &mut Vec<Event>);

    /// Waits until none goes on any more; none starts from then on.
    fn finish(&self);
}
