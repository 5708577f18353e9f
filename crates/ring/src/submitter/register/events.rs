//! An eventfd that tells of completions, for programs that wait with poll or epoll.

use std::io;
use std::os::fd::RawFd;

use annulus_abi::RegisterOp;

use crate::Submitter;

impl Submitter<'_> {
    /// Has every completion signal `eventfd`. It can be kept silent for a while:
    /// [`set_eventfd_enabled`](crate::CompletionQueue::set_eventfd_enabled). Linux 5.2.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the ring has an eventfd already, `EBADF` if the descriptor is not open, `EINVAL` if it is no
    /// eventfd.
    pub fn register_eventfd(&self, eventfd: RawFd) -> io::Result<()> {
        self.register_told(RegisterOp::REGISTER_EVENTFD, &eventfd, 1).map(drop)
    }

    /// Has only those completions signal `eventfd` that did not happen during the submission itself.
    /// Linux 5.6.
    ///
    /// # Errors
    ///
    /// As [`register_eventfd`](Self::register_eventfd).
    pub fn register_eventfd_async(&self, eventfd: RawFd) -> io::Result<()> {
        self.register_told(RegisterOp::REGISTER_EVENTFD_ASYNC, &eventfd, 1).map(drop)
    }

    /// Ends the signalling.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the ring has no eventfd.
    pub fn unregister_eventfd(&self) -> io::Result<()> {
        self.register_plain(RegisterOp::UNREGISTER_EVENTFD, 0).map(drop)
    }
}
