//! Epoll sets of the program's: changed, and asked for what is ready.

use std::os::fd::RawFd;

use rustix::io::Errno;

use super::Span;

/// `struct epoll_event`, as the program laid it out. Nobody between the program and the system looks into it.
pub(crate) type RawEvent = [u8; size_of::<libc::epoll_event>()];

/// epoll(7), as operations use it.
pub(crate) trait Sets {
    /// Adds (`EPOLL_CTL_ADD`), changes or removes a member of a set. `event` is not read for `EPOLL_CTL_DEL`.
    ///
    /// # Errors
    ///
    /// Those of epoll_ctl(2).
    fn change_set(&self, set: RawFd, how: i32, member: RawFd, event: RawEvent) -> Result<(), Errno>;

    /// Puts at most `most` events of a set's members into memory, without waiting, and says how many.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is no set or `most` is out of range, `EFAULT`, `EBADF`.
    fn take_events(&self, set: RawFd, into: Span, most: i32) -> Result<u32, Errno>;
}
