//! Locks on ranges of bytes of a file (the "open file description" locks of fcntl(2)): advisory, as those on whole files.
#![allow(unsafe_code, reason = "fcntl(2) takes a structure, and nothing safe makes this call")]

use std::io;
use std::ops::{Bound, RangeBounds};
use std::os::fd::AsRawFd;

use super::File;
use super::lock::until;

/// Whom a lock on a range keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RangeLock {
    /// Those who want it for themselves alone. The file must be open for reading.
    Shared,
    /// Everybody else. The file must be open for writing.
    Exclusive,
}

impl RangeLock {
    const fn kind(self) -> libc::c_int {
        match self {
            Self::Shared => libc::F_RDLCK,
            Self::Exclusive => libc::F_WRLCK,
        }
    }
}

/// Locks on ranges.
impl File {
    /// Waits until nobody else has locked a part of a range in a way that forbids this, and locks it. A range without an end reaches
    /// as far as the file ever will.
    ///
    /// As with [`lock`](Self::lock), the lock belongs to the open file, which clones share; locks on ranges and on whole files know nothing of
    /// each other. A range that this file has locked already is locked anew, in the way asked for. It waits as `lock` does, and
    /// dropping the future leaves nothing behind. Two who wait for each other wait for ever.
    ///
    /// ```
    /// use annulus_rt::fs::{OpenOptions, RangeLock};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("table");
    /// let options = OpenOptions::new().read(true).write(true).create(true);
    /// annulus_rt::run(async {
    ///     let (one, other) = (options.open(&path).await?, options.open(&path).await?);
    ///     one.lock_range(0..100, RangeLock::Exclusive).await?;
    ///     assert!(other.try_lock_range(100.., RangeLock::Exclusive)?);
    ///     assert!(!other.try_lock_range(99..=99, RangeLock::Shared)?);
    ///     one.unlock_range(50..100)?;
    ///     assert!(other.try_lock_range(99..=99, RangeLock::Shared)?);
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of fcntl(2) with `F_OFD_SETLK`: `EBADF` if the file is not open for what the lock needs, `ENOLCK`; `EINVAL` for an empty range, one
    /// that ends above `i64::MAX`, or a file without positions.
    pub async fn lock_range(&self, range: impl RangeBounds<u64>, lock: RangeLock) -> io::Result<()> {
        let part = Part::of(&range)?;
        until(|| self.ask(lock.kind(), part)).await
    }

    /// Locks a range if nobody else has locked a part of it in a way that forbids this. Whether it did.
    ///
    /// The call does not wait: it is a look at a list in the kernel, but one question over the network on a network file system.
    ///
    /// # Errors
    ///
    /// As [`lock_range`](Self::lock_range).
    pub fn try_lock_range(&self, range: impl RangeBounds<u64>, lock: RangeLock) -> io::Result<bool> {
        self.ask(lock.kind(), Part::of(&range)?)
    }

    /// Gives the locks on a range back, or on the part of it that is locked.
    ///
    /// # Errors
    ///
    /// As [`lock_range`](Self::lock_range). That there was none is no error.
    pub fn unlock_range(&self, range: impl RangeBounds<u64>) -> io::Result<()> {
        self.ask(libc::F_UNLCK, Part::of(&range)?).map(drop)
    }

    /// Whether it was done. `false` if others keep it from being done.
    fn ask(&self, kind: libc::c_int, part: Part) -> io::Result<bool> {
        let invalid = |_| io::Error::from_raw_os_error(libc::EINVAL);
        let flock = libc::flock {
            l_type: libc::c_short::try_from(kind).map_err(invalid)?,
            l_whence: 0,
            l_start: part.start,
            l_len: part.len,
            // As these locks demand.
            l_pid: 0,
        };
        // SAFETY: the descriptor is open as long as `self` is borrowed, and the structure is read during the call.
        let outcome = unsafe { libc::fcntl(self.as_raw_fd(), libc::F_OFD_SETLK, &raw const flock) };
        if outcome != -1 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(false),
            _ => Err(error),
        }
    }
}

/// A range as the system takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    start: i64,
    /// 0 is without an end.
    len: i64,
}

impl Part {
    fn of(range: &impl RangeBounds<u64>) -> io::Result<Self> {
        Self::within(range).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
    }

    fn within(range: &impl RangeBounds<u64>) -> Option<Self> {
        let start = match range.start_bound() {
            Bound::Included(first) => i64::try_from(*first).ok()?,
            Bound::Excluded(before) => i64::try_from(*before).ok()?.checked_add(1)?,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => i64::try_from(*last).ok()?.checked_add(1)?,
            Bound::Excluded(end) => i64::try_from(*end).ok()?,
            Bound::Unbounded => return Some(Self { start, len: 0 }),
        };
        let len = end.checked_sub(start).filter(|len| *len > 0)?;
        Some(Self { start, len })
    }
}
