//! Directories as places that paths start from.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annulus::owned::{Directory, Unlink};
use annulus_rt::fs::{Metadata, RenameMode, Resolve};

use crate::facts::{USUAL, ask, exists};
use crate::names::{add_name, change_name, make_link, read_name, remove_all, unlink};
use crate::{DirBuilder, File, OpenOptions, ReadDir};

/// An open directory. Cheap to clone: clones share the descriptor.
///
/// Paths may lead out of it by `..`, by links, or by being absolute; those of [`open_beneath`](Self::open_beneath) and
/// [`open_dir_beneath`](Self::open_dir_beneath) may not. To stay below with the others, open the directory that holds the last name
/// so, and name no more than that.
///
/// ```
/// use annulus_tokio::Dir;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let here = Dir::open("src").await?;
/// assert!(here.open_beneath("lib.rs").await?.len().await? > 0);
/// let out = here.open_beneath("../Cargo.toml").await.unwrap_err();
/// assert_eq!(out.raw_os_error(), Some(libc::EXDEV));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dir(Arc<OwnedFd>);

impl Dir {
    /// Opens a directory.
    ///
    /// # Errors
    ///
    /// Those of openat2(2), `ENOENT`, `ENOTDIR` and `EACCES` above all.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::opened(OpenOptions::new().read(true).directory(true).open(path).await)
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
        options.open_at(self.as_start(), path.as_ref()).await
    }

    /// Opens a path that starts here and does not lead out, for reading.
    ///
    /// # Errors
    ///
    /// As [`open_with`](Self::open_with): `EXDEV` for a path that leads out.
    pub async fn open_beneath(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_with(path, &beneath()).await
    }

    /// Opens a directory that starts here and does not lead out.
    ///
    /// # Errors
    ///
    /// As [`open_with`](Self::open_with), and `ENOTDIR`.
    pub async fn open_dir_beneath(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        Self::opened(self.open_with(path, &beneath().directory(true)).await)
    }

    /// Asks about the directory itself.
    ///
    /// # Errors
    ///
    /// Those of statx(2).
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.statx_with("", libc::AT_EMPTY_PATH).await
    }

    /// Asks about a path that starts here, with flags, such as `libc::AT_SYMLINK_NOFOLLOW`.
    ///
    /// # Errors
    ///
    /// As [`metadata`](crate::metadata).
    pub async fn statx_with(&self, path: impl AsRef<Path>, flags: i32) -> io::Result<Metadata> {
        ask(&self.as_start(), path.as_ref(), flags, USUAL).await
    }

    /// Whether a path that starts here leads to something.
    ///
    /// # Errors
    ///
    /// As [`try_exists`](crate::try_exists).
    pub async fn try_exists(&self, path: impl AsRef<Path>) -> io::Result<bool> {
        exists(&self.as_start(), path.as_ref()).await
    }

    /// Makes a directory whose path starts here.
    ///
    /// # Errors
    ///
    /// As [`DirBuilder::create`].
    pub async fn create_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        DirBuilder::new().create_from(&self.as_start(), path.as_ref()).await
    }

    /// Makes a directory whose path starts here, and all that are missing above it.
    ///
    /// # Errors
    ///
    /// As [`DirBuilder::create`].
    pub async fn create_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        DirBuilder::new().recursive(true).create_from(&self.as_start(), path.as_ref()).await
    }

    /// Removes the name of a file.
    ///
    /// # Errors
    ///
    /// As [`remove_file`](crate::remove_file).
    pub async fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        unlink(&self.as_start(), path.as_ref(), Unlink::file).await
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// As [`remove_dir`](crate::remove_dir).
    pub async fn remove_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        unlink(&self.as_start(), path.as_ref(), Unlink::directory).await
    }

    /// Removes a directory and all that is in it.
    ///
    /// # Errors
    ///
    /// As [`remove_dir_all`](crate::remove_dir_all).
    pub async fn remove_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        remove_all(Some(self.0.clone()), path.as_ref()).await
    }

    /// Gives what has a name here another one there.
    ///
    /// # Errors
    ///
    /// As [`rename_with`](crate::rename_with).
    pub async fn rename(
        &self,
        from: impl AsRef<Path>,
        to_dir: &Self,
        to: impl AsRef<Path>,
        mode: RenameMode,
    ) -> io::Result<()> {
        let (here, there) = (self.as_start(), to_dir.as_start());
        change_name((&here, from.as_ref()), (&there, to.as_ref()), mode).await
    }

    /// Gives what has a name here another one there, beside it.
    ///
    /// # Errors
    ///
    /// As [`hard_link`](crate::hard_link).
    pub async fn hard_link(
        &self,
        original: impl AsRef<Path>,
        link_dir: &Self,
        link: impl AsRef<Path>,
    ) -> io::Result<()> {
        let (here, there) = (self.as_start(), link_dir.as_start());
        add_name((&here, original.as_ref()), (&there, link.as_ref())).await
    }

    /// Makes a symbolic link here that says `original`.
    ///
    /// # Errors
    ///
    /// As [`symlink`](crate::symlink).
    pub async fn symlink(&self, original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
        make_link(original.as_ref(), &self.as_start(), link.as_ref()).await
    }

    /// What a symbolic link says.
    ///
    /// # Errors
    ///
    /// As [`read_link`](crate::read_link).
    pub async fn read_link(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        read_name(Some(self.0.clone()), path.as_ref()).await
    }

    /// Lists the directory, on a thread that blocks. It may be listed several times, and at once.
    #[must_use]
    pub fn read_dir(&self) -> ReadDir {
        ReadDir::new(self.clone(), PathBuf::new())
    }

    pub(crate) const fn shared(&self) -> &Arc<OwnedFd> {
        &self.0
    }

    fn as_start(&self) -> Directory {
        self.0.clone().into()
    }

    fn opened(file: io::Result<File>) -> io::Result<Self> {
        file.map(|file| Self(file.into_shared()))
    }
}

const fn beneath() -> OpenOptions {
    OpenOptions::new().read(true).resolve(Resolve::BENEATH.union(Resolve::NO_MAGICLINKS))
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Dir {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }
}
