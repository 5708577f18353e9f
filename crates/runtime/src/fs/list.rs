//! Listing a directory, batch by batch, on a helper thread, as the ring has no operation for it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use rustix::fs::Dir as Listing;

use super::blocking::blocking;
use super::{Dir, FileType, Metadata};

/// How many entries are read ahead at the most.
const BATCH: usize = 256;

/// One entry of a directory.
#[derive(Clone, Debug)]
pub struct DirEntry {
    name: OsString,
    file_type: Option<FileType>,
    inode: u64,
    dir: Dir,
    path: PathBuf,
}

impl DirEntry {
    /// Its name, without the directory.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// Its path: its name behind the path by which the directory was opened; of a [`Dir`], the name alone.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.path.join(&self.name)
    }

    /// What kind of file it is, if the file system says so here; else ask for the metadata. A symbolic link is one.
    #[must_use]
    pub const fn file_type(&self) -> Option<FileType> {
        self.file_type
    }

    /// Its number in the file system.
    #[must_use]
    pub const fn inode(&self) -> u64 {
        self.inode
    }

    /// Asks about it, in the directory that was listed, wherever that is now. A symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// As [`Dir::statx`]; `ENOENT` if it is gone.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.dir.statx_with(&self.name, libc::AT_SYMLINK_NOFOLLOW).await
    }
}

/// The entries of a directory, without `.` and `..`, in the file system's order.
///
/// At most 256 are read ahead, however many there are. What is added and removed meanwhile may be among them or not.
///
/// # Examples
///
/// ```
/// annulus_rt::run(async {
///     let mut entries = annulus_rt::fs::read_dir("src").await?;
///     let mut found = false;
///     while let Some(entry) = entries.next_entry().await? {
///         found |= entry.name() == "lib.rs";
///     }
///     assert!(found);
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct ReadDir {
    dir: Dir,
    path: PathBuf,
    ready: VecDeque<Found>,
    state: State,
}

/// What a helper thread found.
#[derive(Debug)]
pub struct Found {
    /// Its name.
    pub name: OsString,
    /// What kind of file it is, if the file system says so here.
    pub file_type: Option<FileType>,
    /// Its number in the file system.
    pub inode: u64,
}

/// A listing between two batches, and what the last one brought.
#[derive(Debug)]
pub struct Batch {
    /// How far it is.
    pub listing: Listing,
    /// What came.
    pub found: VecDeque<Found>,
    /// Nothing follows but this.
    pub end: Option<io::Result<()>>,
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Batch>>>>;

enum State {
    /// A helper thread is at it. Kept here, so that a future that is dropped loses nothing.
    Reading(Reading),
    /// The next batch can be asked for.
    Between(Box<Listing>),
    /// Nothing follows but this, once.
    Ended(io::Result<()>),
}

impl ReadDir {
    pub(super) fn new(dir: Dir, fd: OwnedFd, path: PathBuf) -> Self {
        let first = blocking(move || first_batch(&fd));
        Self { dir, path, ready: VecDeque::new(), state: State::Reading(Box::pin(first)) }
    }

    /// The next one; `None` after the last, and after an error. If the future is dropped, no entry is lost.
    ///
    /// # Errors
    ///
    /// Those of getdents64(2), `EIO` above all; `EAGAIN` if too much waits for a helper thread. It ends the listing. A directory that
    /// was removed has no entries.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        loop {
            if let Some(Found { name, file_type, inode }) = self.ready.pop_front() {
                let (dir, path) = (self.dir.clone(), self.path.clone());
                return Ok(Some(DirEntry { name, file_type, inode, dir, path }));
            }
            match &mut self.state {
                State::Reading(reading) => {
                    let batch = reading.await;
                    self.state = State::Ended(Ok(()));
                    let batch = batch?;
                    self.ready = batch.found;
                    self.state = match batch.end {
                        Some(end) => State::Ended(end),
                        None => State::Between(Box::new(batch.listing)),
                    };
                }
                State::Between(_) => {
                    let before = std::mem::replace(&mut self.state, State::Ended(Ok(())));
                    let State::Between(listing) = before else { unreachable!("looked at just now") };
                    self.state = State::Reading(Box::pin(blocking(move || Ok(batch(*listing)))));
                }
                State::Ended(end) => return std::mem::replace(end, Ok(())).map(|()| None),
            }
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
/// Those of [`Dir::open`], and `EMFILE` if there is no descriptor for the helper thread.
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let dir = Dir::open(path).await?;
    dir.list(path.to_owned())
}

/// Begins to list an open directory.
///
/// # Errors
///
/// Those of openat(2): `EMFILE`, `ENOTDIR`.
pub fn first_batch(fd: &OwnedFd) -> io::Result<Batch> {
    // Opened again: the position in a directory belongs to the open file, which others may share.
    let listing = Listing::read_from(fd)?;
    Ok(batch(listing))
}

/// Reads the next entries.
#[must_use]
pub fn batch(mut listing: Listing) -> Batch {
    let mut found = VecDeque::new();
    while found.len() < BATCH {
        let entry = match listing.read() {
            Some(Ok(entry)) => entry,
            Some(Err(errno)) => return Batch { listing, found, end: Some(Err(errno.into())) },
            None => return Batch { listing, found, end: Some(Ok(())) },
        };
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let file_type = FileType::of_entry(entry.file_type());
        found.push_back(Found { name: OsStr::from_bytes(name).to_owned(), file_type, inode: entry.ino() });
    }
    Batch { listing, found, end: None }
}
