//! Children of this process: waiting until one of them ends, stops or goes on.

use std::os::fd::RawFd;

use rustix::io::Errno;

use super::{Mode, Span};

/// Which children, and what of them: the arguments of waitid(2), as the program gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Children {
    /// `P_ALL`, `P_PID`, `P_PGID` or `P_PIDFD`.
    pub(crate) kind: u32,
    /// A process, a group of them or a descriptor of one.
    pub(crate) id: i32,
    /// `WEXITED`, `WNOWAIT`, ...
    pub(crate) options: i32,
}

/// What happened to a child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Its number; 0 if nothing has happened to any.
    pub(crate) pid: i32,
    /// Its user.
    pub(crate) uid: u32,
    /// `CLD_EXITED`, `CLD_STOPPED`, ...
    pub(crate) code: i32,
    /// Its exit status, or the signal.
    pub(crate) status: i32,
}

/// Children of this process.
pub(crate) trait Processes {
    /// Waits for a child, or only looks. [`Fate::pid`] is 0 if nothing has happened and it is not to wait.
    ///
    /// # Errors
    ///
    /// `ECHILD`, `EINVAL`, `EBADF`; `EINTR` for a wait.
    fn wait_child(&self, children: Children, mode: Mode) -> Result<Fate, Errno>;

    /// A descriptor that polls readable when the process has ended, closed by [`Files::close`](super::Files::close).
    ///
    /// # Errors
    ///
    /// `ESRCH`, `EINVAL`, `EMFILE`; `ENOSYS` and `EPERM` where there is no such thing.
    fn open_process(&self, pid: i32) -> Result<RawFd, Errno>;

    /// Whether who waits for the process by this descriptor of it only looks (`PIDFD_NONBLOCK`).
    fn is_nonblocking(&self, process: RawFd) -> bool;

    /// Fills in the program's `siginfo_t`, as waitid(2) does.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    fn store_fate(&self, fate: Fate, into: Span) -> Result<(), Errno>;
}
