//! Futexes: words of the program's that threads and requests wait for.

use std::fmt::Debug;
use std::os::fd::RawFd;

use rustix::io::Errno;

use super::Span;

/// A futex of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Futex {
    /// The word, with what belongs to it behind it.
    pub(crate) word: Span,
    /// `FUTEX2_PRIVATE`, `FUTEX2_NUMA`, ... and the size.
    pub(crate) flags: u32,
}

/// A wait for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FutexWait {
    /// Which one.
    pub(crate) futex: Futex,
    /// What it has to hold, or else there is nothing to wait for.
    pub(crate) value: u32,
}

/// Waiting for futexes without a thread of the caller's, and waking who waits.
pub(crate) trait Futexes {
    /// Wakes at most `count` of those who wait with one of the bits of `mask`, and says how many.
    ///
    /// # Errors
    ///
    /// Those of futex(2): `EINVAL` for an address that is not aligned, and an empty mask; `EFAULT`.
    fn wake_futex(&self, futex: Futex, count: i32, mask: u32) -> Result<u32, Errno>;

    /// Begins to wait, for at least one and at most `FUTEX_WAITV_MAX` futexes (with a mask, for one). When this returns,
    /// it waits: whoever wakes from then on wakes it.
    ///
    /// # Errors
    ///
    /// `EAGAIN`: one of them holds another value. `EINVAL` for an address that is not aligned; `EFAULT`; `ENOMEM` if so many
    /// wait that there may be no more; `ENOSYS` for several on a system that cannot wait for more than one.
    fn wait_futexes(&self, waits: &[FutexWait], mask: u32) -> Result<Box<dyn FutexWaiting>, Errno>;
}

/// A wait that has begun. It ends when it is dropped.
pub(crate) trait FutexWaiting: Debug + Send {
    /// A descriptor that is readable once the wait is over.
    fn descriptor(&self) -> RawFd;

    /// Which of the futexes woke it, if it is over.
    ///
    /// # Errors
    ///
    /// What ended it instead.
    fn woken(&self) -> Option<Result<u32, Errno>>;

    /// Ends it. Says which of the futexes woke it if that came first: whoever did so counts on it.
    ///
    /// # Errors
    ///
    /// As for [`woken`](Self::woken).
    fn stop(&mut self) -> Option<Result<u32, Errno>>;
}
