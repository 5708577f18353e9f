//! Open files.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use super::{Metadata, OpenOptions};
use crate::driver::Op;
use crate::driver::op::file::Fsync;
use crate::driver::op::path::{Base, Statx};
use crate::fd::SharedFd;

/// An open file. Closed through the ring when it and everything in flight on it are gone.
///
/// Reads and writes name their offset; several may be in flight at once. Cheap to clone: clones share the descriptor, and
/// the last one closes it.
///
/// # Examples
///
/// ```
/// use annulus_rt::fs::OpenOptions;
///
/// let dir = tempfile::tempdir()?;
/// annulus_rt::run(async {
///     let options = OpenOptions::new().read(true).write(true).create_new(true);
///     let file = options.open(dir.path().join("note")).await?;
///     file.write_all_at("a ring of bytes", 0).await.0?;
///     let (read, buf) = file.read_at(Vec::with_capacity(4), 2).await;
///     assert_eq!((read?, buf.as_slice()), (4, &b"ring"[..]));
///     assert_eq!(file.metadata().await?.len(), 15);
///     file.close().await
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct File(SharedFd);

impl File {
    pub(super) const fn from_shared(fd: SharedFd) -> Self {
        Self(fd)
    }

    pub(super) fn into_shared(self) -> SharedFd {
        self.0
    }

    pub(crate) const fn shared(&self) -> &SharedFd {
        &self.0
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of openat2(2), `ENOENT` and `EACCES` above all; `EINVAL` for a path with a zero byte; `EBUSY` if too
    /// many operations are in flight ([`Builder::operations`](crate::Builder::operations)).
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing: a new one, or what is there, emptied.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and `ENOSPC`, `EROFS`.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path).await
    }

    /// Makes a new file, and opens it for reading and writing.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and `EEXIST`.
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path).await
    }

    /// How to open a file otherwise: [`OpenOptions::new`].
    #[must_use]
    pub const fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Asks about the file.
    ///
    /// # Errors
    ///
    /// Those of statx(2); `EBUSY` if too many operations are in flight.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let base = Base::Dir(self.0.clone());
        Op::new(Statx::new(base, c"".to_owned(), libc::AT_EMPTY_PATH)).await.map(Metadata)
    }

    /// Asks with flags (`AT_*`) and for the facts that are wanted (`STATX_*`); see [`statx`](super::statx).
    ///
    /// # Errors
    ///
    /// As [`metadata`](Self::metadata).
    pub async fn statx(&self, flags: i32, mask: u32) -> io::Result<Metadata> {
        let base = Base::Dir(self.0.clone());
        let statx = Statx::new(base, c"".to_owned(), flags | libc::AT_EMPTY_PATH).mask(mask);
        Op::new(statx).await.map(Metadata)
    }

    /// Brings contents and metadata to the disk: fsync(2).
    ///
    /// # Errors
    ///
    /// Those of fsync(2).
    pub async fn sync_all(&self) -> io::Result<()> {
        Op::new(Fsync { fd: self.0.clone(), data_only: false }).await
    }

    /// Brings the contents to the disk: fdatasync(2).
    ///
    /// # Errors
    ///
    /// Those of fdatasync(2).
    pub async fn sync_data(&self) -> io::Result<()> {
        Op::new(Fsync { fd: self.0.clone(), data_only: true }).await
    }

    /// Closes and waits for it. Dropping closes too, without a word about errors.
    ///
    /// # Errors
    ///
    /// Those of close(2), such as an `EIO` or `EDQUOT` of earlier writes on a network file system.
    pub async fn close(self) -> io::Result<()> {
        self.0.close().await
    }

    /// The descriptor itself, for other uses.
    ///
    /// # Errors
    ///
    /// Gives the file back while an operation is still in flight on it, or a clone exists.
    pub fn try_into_owned_fd(self) -> Result<OwnedFd, Self> {
        self.0.try_into_owned().map_err(Self)
    }
}

impl TryFrom<File> for std::fs::File {
    type Error = File;

    /// Gives the file back as [`File::try_into_owned_fd`] does.
    fn try_from(file: File) -> Result<Self, File> {
        file.try_into_owned_fd().map(Self::from)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        Self(SharedFd::new(fd))
    }
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> Self {
        OwnedFd::from(file).into()
    }
}
