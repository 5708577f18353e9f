//! Listing a directory, batch by batch, on a thread that blocks, as the ring has no operation for it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::path::{Path, PathBuf};

use annulus_rt::fs::parts::{Batch, Found, batch, first_batch};
use annulus_rt::fs::{FileType, Metadata};
use rustix::fs::Dir as Listing;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::Dir;

/// One entry of a directory.
#[derive(Clone, Debug)]
pub struct DirEntry {
    found: (OsString, Option<FileType>, u64),
    dir: Dir,
    path: PathBuf,
}

impl DirEntry {
    /// Its name, without the directory.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.found.0
    }

    /// Its path: its name behind the path by which the directory was opened; of a [`Dir`], the name alone.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.path.join(&self.found.0)
    }

    /// What kind of file it is, if the file system says so here; else ask for the metadata. A symbolic link is one.
    #[must_use]
    pub const fn file_type(&self) -> Option<FileType> {
        self.found.1
    }

    /// Its number in the file system.
    #[must_use]
    pub const fn inode(&self) -> u64 {
        self.found.2
    }

    /// Asks about it, in the directory that was listed, wherever that is now. A symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// As [`symlink_metadata`](crate::symlink_metadata); `ENOENT` if it is gone.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.dir.statx_with(&self.found.0, libc::AT_SYMLINK_NOFOLLOW).await
    }
}

/// The entries of a directory, without `.` and `..`, in the file system's order.
///
/// At most 256 are read ahead, however many there are. What is added and removed meanwhile may be among them or not.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let mut entries = annulus_tokio::read_dir("src").await?;
/// let mut found = false;
/// while let Some(entry) = entries.next_entry().await? {
///     found |= entry.name() == "lib.rs";
/// }
/// assert!(found);
/// # Ok(())
/// # }
/// ```
pub struct ReadDir {
    dir: Dir,
    path: PathBuf,
    ready: VecDeque<Found>,
    state: State,
}

enum State {
    New,
    /// A thread is at it. Kept here, so that a future that is dropped loses nothing.
    Reading(JoinHandle<io::Result<Batch>>),
    /// The next batch can be asked for.
    Between(Listing),
    /// Nothing follows but this, once.
    Ended(io::Result<()>),
}

impl ReadDir {
    pub(crate) const fn new(dir: Dir, path: PathBuf) -> Self {
        Self { dir, path, ready: VecDeque::new(), state: State::New }
    }

    /// The next one; `None` after the last, and after an error. If the future is dropped, no entry is lost.
    ///
    /// # Errors
    ///
    /// Those of getdents64(2), `EIO` above all; `EMFILE` if there is no descriptor to list with; `ErrorKind::Other` if the runtime ends.
    /// It ends the listing. A directory that was removed has no entries.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        loop {
            if let Some(Found { name, file_type, inode }) = self.ready.pop_front() {
                let (dir, path) = (self.dir.clone(), self.path.clone());
                return Ok(Some(DirEntry { found: (name, file_type, inode), dir, path }));
            }
            if let State::Reading(reading) = &mut self.state {
                let batch = reading.await.map_err(io::Error::other).and_then(|batch| batch);
                self.state = State::Ended(Ok(()));
                let Batch { listing, found, end } = batch?;
                self.ready = found;
                self.state = end.map_or_else(|| State::Between(listing), State::Ended);
                continue;
            }
            self.state = match std::mem::replace(&mut self.state, State::Ended(Ok(()))) {
                State::New => {
                    let dir = self.dir.shared().clone();
                    State::Reading(spawn_blocking(move || first_batch(&dir)))
                }
                State::Between(listing) => State::Reading(spawn_blocking(move || Ok(batch(listing)))),
                State::Ended(end) => return end.map(|()| None),
                State::Reading(_) => unreachable!("looked at just now"),
            };
        }
    }

    /// All that are left, at once.
    ///
    /// # Errors
    ///
    /// As [`next_entry`](Self::next_entry).
    pub async fn collect(mut self) -> io::Result<Vec<DirEntry>> {
        let mut all = Vec::new();
        while let Some(entry) = self.next_entry().await? {
            all.push(entry);
        }
        Ok(all)
    }
}

impl Debug for ReadDir {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Lists a directory.
///
/// # Errors
///
/// Those of [`Dir::open`]. What the listing meets, [`ReadDir::next_entry`] says.
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let dir = Dir::open(&path).await?;
    Ok(ReadDir::new(dir, path.as_ref().to_owned()))
}
