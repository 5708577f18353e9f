//! `File`: an open file. How it is read and written, and what is done to its extent, stand beside.

mod read;
mod space;
mod write;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use annulus::owned::{Close, Sync};
use annulus_rt::fs::{DirectAlignment, Metadata};

use crate::facts::{USUAL, ask};
use crate::running::{run, run_once};
use crate::{Cursor, OpenOptions};

/// The offset that stands for the file's own position.
pub(crate) const OWN_POSITION: u64 = u64::MAX;

/// What comes after a part of a transfer that is to be whole.
pub(crate) enum Next {
    Go,
    Stop(io::Error),
}

/// Counts a part. `end` is what a part of nothing means.
pub(crate) fn part(moved: io::Result<usize>, done: &mut usize, end: io::ErrorKind) -> Next {
    match moved {
        Ok(0) => Next::Stop(end.into()),
        Ok(n) => {
            *done += n;
            Next::Go
        }
        Err(error) => Next::Stop(error),
    }
}

/// An open file. Reads and writes name their offset; any number of them may be in flight at once, from any task and thread. As a
/// stream with a position, for all that takes those of tokio, it goes by [`cursor`](Self::cursor).
///
/// Cheap to clone: clones share the descriptor. Futures are `Send`, of static slices and strings too. Dropping the last one closes it, when nothing is in flight on it any more.
///
/// # Examples
///
/// ```
/// use annulus_tokio::File;
///
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// let folder = tempfile::tempdir()?;
/// let file = File::create(folder.path().join("note")).await?;
/// file.write_all_at("a ring of bytes", 0).await.0?;
/// file.sync_data().await?;
/// assert_eq!(file.len().await?, 15);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct File(Arc<OwnedFd>);

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing; makes it if it is not there, and empties it if it is.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::open`].
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path).await
    }

    /// How to open a file otherwise.
    pub const fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Makes a new file, and opens it for reading and writing.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::open`], `EEXIST` above all.
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path).await
    }

    /// Asks about the file.
    ///
    /// # Errors
    ///
    /// Those of statx(2).
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.statx(0, USUAL).await
    }

    /// Asks with flags (`AT_*`) and for the facts that are wanted (`STATX_*`); see [`statx`](crate::statx).
    ///
    /// # Errors
    ///
    /// As [`metadata`](Self::metadata); `EINVAL` for flags that the kernel does not know.
    pub async fn statx(&self, flags: i32, mask: u32) -> io::Result<Metadata> {
        ask(&self.0.clone().into(), Path::new(""), flags | libc::AT_EMPTY_PATH, mask).await
    }

    /// What the file wants of transfers around the page cache ([`OpenOptions::direct`]): what the system says since Linux 6.1, 4096
    /// where it does not.
    ///
    /// ```
    /// use annulus_tokio::OpenOptions;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let file = OpenOptions::new().read(true).direct(true).open("Cargo.toml").await?;
    /// let alignment = file.direct_alignment().await?;
    /// let (read, buf) = file.read_at(alignment.buf(4096), 0).await;
    /// read?;
    /// assert!(buf.starts_with(b"[package]"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the file takes no direct transfers; else as [`metadata`](Self::metadata).
    pub async fn direct_alignment(&self) -> io::Result<DirectAlignment> {
        let facts = self.statx(0, DirectAlignment::MASK).await?;
        DirectAlignment::of(&facts).ok_or_else(|| io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }

    /// How long the file is, in bytes.
    ///
    /// # Errors
    ///
    /// Those of statx(2).
    pub async fn len(&self) -> io::Result<u64> {
        self.statx(0, libc::STATX_SIZE).await.map(|facts| facts.len())
    }

    /// Whether the file holds nothing.
    ///
    /// # Errors
    ///
    /// Those of statx(2).
    pub async fn is_empty(&self) -> io::Result<bool> {
        self.len().await.map(|len| len == 0)
    }

    /// The file as a stream, from its start on; clones of the file and other cursors have positions of their own.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor::new(self.clone())
    }

    /// Brings contents and metadata to the disk: fsync(2).
    ///
    /// # Errors
    ///
    /// Those of fsync(2).
    pub async fn sync_all(&self) -> io::Result<()> {
        run(|| Sync::all(self.0.clone())).await.map(drop)
    }

    /// Brings the contents to the disk: fdatasync(2).
    ///
    /// # Errors
    ///
    /// Those of fdatasync(2).
    pub async fn sync_data(&self) -> io::Result<()> {
        run(|| Sync::data(self.0.clone())).await.map(drop)
    }

    /// Closes through the ring and waits for it. If something is still in flight, or a clone is left, the last of these closes, and
    /// nothing is waited for.
    ///
    /// # Errors
    ///
    /// Those of close(2), such as an `EIO` or `EDQUOT` of earlier writes on a network file system.
    pub async fn close(self) -> io::Result<()> {
        let Some(fd) = Arc::into_inner(self.0) else { return Ok(()) };
        run_once(Close::new(fd)).await
    }

    /// The descriptor itself, for other uses.
    ///
    /// # Errors
    ///
    /// Gives the file back while an operation is still in flight on it, or a clone exists.
    pub fn try_into_owned_fd(self) -> Result<OwnedFd, Self> {
        Arc::try_unwrap(self.0).map_err(Self)
    }

    pub(crate) const fn shared(&self) -> &Arc<OwnedFd> {
        &self.0
    }

    pub(crate) const fn from_shared(fd: Arc<OwnedFd>) -> Self {
        Self(fd)
    }

    pub(crate) fn into_shared(self) -> Arc<OwnedFd> {
        self.0
    }
}

impl TryFrom<File> for std::fs::File {
    type Error = File;

    /// Gives the file back as [`File::try_into_owned_fd`] does.
    fn try_from(file: File) -> Result<Self, File> {
        file.try_into_owned_fd().map(Self::from)
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> Self {
        OwnedFd::from(file).into()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
