//! Directories as places that paths start from.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::{File, Metadata, OpenOptions, ReadDir, Resolve, c_path};
use crate::driver::Op;
use crate::driver::op::path::{Base, Statx};
use crate::fd::SharedFd;

/// An open directory. Cheap to clone: clones share the descriptor.
#[derive(Clone, Debug)]
pub struct Dir(SharedFd);

impl Dir {
    /// Opens a directory.
    ///
    /// # Errors
    ///
    /// Those of openat2(2), `ENOENT`, `ENOTDIR` and `EACCES` above all; `EBUSY` if too many operations are in flight.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let options = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY);
        options.open(path).await.map(|file| Self(file.into_shared()))
    }

    /// Opens a path that starts here, for reading.
    ///
    /// # Errors
    ///
    /// As [`File::open`].
    pub async fn open_file(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_with(path, &OpenOptions::new().read(true)).await
    }

    /// Opens a path that starts here.
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open`]; `EXDEV` or `ELOOP` if the path goes where the options'
    /// [`resolve`](OpenOptions::resolve) forbids.
    pub async fn open_with(&self, path: impl AsRef<Path>, options: &OpenOptions) -> io::Result<File> {
        options.open_at(Base::Dir(self.0.clone()), path.as_ref()).await
    }

    /// Opens a path that starts here and does not lead out, for reading.
    ///
    /// # Errors
    ///
    /// As [`open_with`](Self::open_with): `EXDEV` for a path that leads out.
    pub async fn open_beneath(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let options = OpenOptions::new().read(true).resolve(Resolve::BENEATH | Resolve::NO_MAGICLINKS);
        self.open_with(path, &options).await
    }

    /// Opens a directory that starts here and does not lead out.
    ///
    /// # Errors
    ///
    /// As [`open_with`](Self::open_with), and `ENOTDIR`.
    pub async fn open_dir_beneath(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        let options = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .resolve(Resolve::BENEATH | Resolve::NO_MAGICLINKS);
        self.open_with(path, &options).await.map(|file| Self(file.into_shared()))
    }

    /// Asks about a path that starts here. statx(2) does not know `RESOLVE_BENEATH`: `..`, absolute paths and
    /// links lead wherever they lead. To stay below, open with [`open_beneath`](Self::open_beneath) and ask the
    /// file.
    ///
    /// # Errors
    ///
    /// Those of statx(2); `EINVAL` for a path with a zero byte; `EBUSY` if too many operations are in flight.
    pub async fn statx(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        self.statx_with(path, 0).await
    }

    /// As [`statx`](Self::statx), with flags, such as `libc::AT_SYMLINK_NOFOLLOW`.
    ///
    /// # Errors
    ///
    /// As [`statx`](Self::statx).
    pub async fn statx_with(&self, path: impl AsRef<Path>, flags: i32) -> io::Result<Metadata> {
        let base = Base::Dir(self.0.clone());
        Op::new(Statx::new(base, c_path(path.as_ref())?, flags)).await.map(Metadata)
    }

    /// As [`statx_with`](Self::statx_with), for the facts that are wanted (`STATX_*`); see [`statx`](super::statx).
    ///
    /// # Errors
    ///
    /// As [`statx`](Self::statx).
    pub async fn statx_masked(&self, path: impl AsRef<Path>, flags: i32, mask: u32) -> io::Result<Metadata> {
        let base = Base::Dir(self.0.clone());
        Op::new(Statx::new(base, c_path(path.as_ref())?, flags).mask(mask)).await.map(Metadata)
    }

    /// Asks about the directory itself.
    ///
    /// # Errors
    ///
    /// As [`statx`](Self::statx).
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.statx_with("", libc::AT_EMPTY_PATH).await
    }

    /// Lists the directory, on a helper thread. It may be listed several times, and at once.
    ///
    /// # Errors
    ///
    /// `EMFILE` if there is no descriptor for the helper thread. What the listing meets, [`ReadDir::next_entry`] says.
    pub async fn read_dir(&self) -> io::Result<ReadDir> {
        self.list(PathBuf::new())
    }

    /// Lists the directory; `path` is what paths of entries begin with.
    pub(super) fn list(&self, path: PathBuf) -> io::Result<ReadDir> {
        Ok(ReadDir::new(self.clone(), self.0.as_fd().try_clone_to_owned()?, path))
    }

    pub(super) const fn from_shared(fd: SharedFd) -> Self {
        Self(fd)
    }

    pub(super) const fn shared(&self) -> &SharedFd {
        &self.0
    }

    /// Closes and waits for it. Dropping closes too, without a word about errors.
    ///
    /// # Errors
    ///
    /// Those of close(2).
    pub async fn close(self) -> io::Result<()> {
        self.0.close().await
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Dir {
    fn from(fd: OwnedFd) -> Self {
        Self(SharedFd::new(fd))
    }
}

/// Opens a path that starts at `dir` and does not lead out, for reading. [`Dir::open_beneath`] as a function.
///
/// # Errors
///
/// As [`Dir::open_beneath`].
pub async fn open_beneath(dir: &Dir, path: impl AsRef<Path>) -> io::Result<File> {
    dir.open_beneath(path).await
}
