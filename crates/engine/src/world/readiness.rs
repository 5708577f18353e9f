//! Readiness: which descriptors can be read or written now, without asking each of them.

use std::os::fd::RawFd;
use std::time::Duration;

use rustix::io::Errno;

/// Bits of poll(2) and epoll_ctl(2), which are the same: `POLLIN`, `POLLOUT`, `POLLERR`, ...
pub(crate) type ReadySet = u32;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A descriptor became ready.
    Ready {
        /// What it was armed with.
        token: u64,
        /// Which of the bits.
        ready: ReadySet,
    },
    /// A transfer that went on by itself has ended ([`DirectIo`](super::DirectIo)).
    Done {
        /// What it was started with.
        token: u64,
        /// Bytes, or a negated errno.
        result: i32,
    },
}

/// A set of descriptors that are watched. Edge-triggered: what was told is not told again until it changes;
/// what is ready when it is armed is told once.
pub(crate) trait Readiness {
    /// Watches a descriptor for `events` (errors and hang-ups are told without being asked for).
    ///
    /// # Errors
    ///
    /// `EPERM`: such a file cannot be watched, it is always ready. `EEXIST`: this number is watched already.
    /// `EBADF`; `ENOMEM`, `ENOSPC` when the system's limits are reached.
    fn arm(&self, fd: RawFd, events: ReadySet, token: u64) -> Result<(), Errno>;

    /// Watches it for something else from now on.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it is not watched, and those of [`arm`](Self::arm).
    fn rearm(&self, fd: RawFd, events: ReadySet, token: u64) -> Result<(), Errno>;

    /// Watches it no longer. To be called before the descriptor is closed.
    fn disarm(&self, fd: RawFd);

    /// Waits for events, at most for `timeout`, with `sigmask` in force (the kernel's 64-bit set) if there is one.
    /// Events are appended to `into`. Returns at once with what there is if `timeout` is zero. Says whether a
    /// [`wake`](Self::wake) was among it, which nobody else will hear of.
    ///
    /// # Errors
    ///
    /// `EINTR`.
    fn wait(
        &self,
        timeout: Option<Duration>,
        sigmask: Option<u64>,
        into: &mut Vec<Event>,
    ) -> Result<bool, Errno>;

    /// Ends one present or the next future wait.
    fn wake(&self);

    /// A descriptor that polls readable while events wait: for the ring's own descriptor.
    fn descriptor(&self) -> RawFd;

    /// Which of `events` (and errors) hold at this moment: poll(2) without waiting.
    ///
    /// # Errors
    ///
    /// `EBADF`.
    fn ready(&self, fd: RawFd, events: ReadySet) -> Result<ReadySet, Errno>;

    /// Waits until some of `events` (or errors) hold.
    ///
    /// # Errors
    ///
    /// `EINTR`, `EBADF`.
    fn await_ready(&self, fd: RawFd, events: ReadySet) -> Result<ReadySet, Errno>;

    /// Waits until the descriptor is readable, at most for `timeout`. Says whether it is.
    fn await_readable(&self, fd: RawFd, timeout: Option<Duration>) -> bool;

    /// Makes an epoll(7) set readable while events wait here.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `ENOSPC`.
    fn watch_from(&self, set: std::os::fd::BorrowedFd<'_>) -> Result<(), Errno>;

    /// Whether the descriptor is an eventfd.
    fn is_eventfd(&self, fd: RawFd) -> bool;

    /// Adds one to an eventfd.
    fn signal(&self, eventfd: RawFd);
}
