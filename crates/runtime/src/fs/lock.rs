//! Locks on whole files (flock(2)): advisory, between open files of this and other processes.

use std::io;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::File;
use crate::time;

/// How long one waits before one asks again: this at first, twice as long each time, up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

/// Locks.
impl File {
    /// Waits until nobody else has the file locked, and locks it for itself alone.
    ///
    /// A lock belongs to the open file, which clones share, and ends with [`unlock`](Self::unlock) or when the last of them is closed. It
    /// binds only those who lock too. A file that is locked for reading and then for itself alone may lose the lock in
    /// between to somebody else.
    ///
    /// It asks again and again, 32 ms apart at the most. A thread that sleeps in flock(2) could not be called
    /// back, and would take what it is given when nobody wants it any more; so dropping the future leaves nothing behind.
    ///
    /// ```
    /// use annulus_rt::fs::OpenOptions;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("lock");
    /// let options = OpenOptions::new().write(true).create(true);
    /// annulus_rt::run(async {
    ///     let (one, other) = (options.open(&path).await?, options.open(&path).await?);
    ///     one.lock().await?;
    ///     assert!(!other.try_lock()?);
    ///     one.unlock()?;
    ///     assert!(other.try_lock()?);
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of flock(2): `ENOLCK`; `EBADF` on a network file system if the file is not open for writing.
    pub async fn lock(&self) -> io::Result<()> {
        self.wait_for(FlockOperation::NonBlockingLockExclusive).await
    }

    /// Waits until nobody has the file locked for itself alone, and locks it together with others who do the same.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    pub async fn lock_shared(&self) -> io::Result<()> {
        self.wait_for(FlockOperation::NonBlockingLockShared).await
    }

    /// Locks the file for itself alone if nobody else has it locked. Whether it did.
    ///
    /// The call does not wait: it is a look at a list in the kernel, but one question over the network on a network file system.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    pub fn try_lock(&self) -> io::Result<bool> {
        self.attempt(FlockOperation::NonBlockingLockExclusive)
    }

    /// Locks the file together with others if nobody has it locked for itself alone. Whether it did.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    pub fn try_lock_shared(&self) -> io::Result<bool> {
        self.attempt(FlockOperation::NonBlockingLockShared)
    }

    /// Gives the lock back.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock). That there was none is no error.
    pub fn unlock(&self) -> io::Result<()> {
        Ok(flock(self.shared(), FlockOperation::NonBlockingUnlock)?)
    }

    async fn wait_for(&self, how: FlockOperation) -> io::Result<()> {
        until(|| self.attempt(how)).await
    }

    fn attempt(&self, how: FlockOperation) -> io::Result<bool> {
        match flock(self.shared(), how) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Asks until the answer is yes.
pub(super) async fn until(ask: impl Fn() -> io::Result<bool>) -> io::Result<()> {
    let mut pause = FIRST_PAUSE;
    while !ask()? {
        time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}
