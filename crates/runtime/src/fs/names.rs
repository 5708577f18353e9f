//! What is done to names: make a directory, remove, rename, link. Each from the working directory on, and from a [`Dir`] on.
//!
//! Paths from a `Dir` may lead out of it by `..`, by links, or by being absolute; to stay below, open the directory that
//! holds the last name with [`Dir::open_dir_beneath`], and name no more than that.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::readlinkat;

use super::attributes::Start;
use super::blocking::blocking;
use super::{Dir, c_path};
use crate::driver::Op;
use crate::driver::op::name::{Naming, Place};
use crate::driver::op::path::{Base, Statx};

/// How a name is changed for another (`RENAME_*` of renameat2(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RenameMode {
    /// What has the new name already is replaced.
    #[default]
    Replace,
    /// `EEXIST` if something has the new name already.
    NoReplace,
    /// The two change names. Both must exist (`ENOENT`).
    Exchange,
}

impl RenameMode {
    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Replace => 0,
            Self::NoReplace => libc::RENAME_NOREPLACE,
            Self::Exchange => libc::RENAME_EXCHANGE,
        }
    }
}

/// Where a path starts: `None` is the working directory.
type Origin<'d> = Option<&'d Dir>;

fn base(from: Origin<'_>) -> Base {
    from.map_or(Base::Working, |dir| Base::Dir(dir.shared().clone()))
}

fn place(from: Origin<'_>, path: &Path) -> io::Result<Place> {
    Ok(Place { base: base(from), path: c_path(path)? })
}

/// Removes the name of a file, and the file with its last name and its last descriptor. A symbolic link is removed itself.
///
/// # Errors
///
/// Those of unlinkat(2): `ENOENT`, `EACCES`, `EPERM`, `EROFS`, `EISDIR` for a directory; `EINVAL` for a path with a zero byte; `EBUSY` if too
/// many operations are in flight.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    unlink(None, path.as_ref(), 0).await
}

/// Removes an empty directory.
///
/// # Errors
///
/// Those of unlinkat(2) with `AT_REMOVEDIR`: `ENOTEMPTY`, `ENOTDIR`; and as [`remove_file`].
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    unlink(None, path.as_ref(), libc::AT_REMOVEDIR).await
}

/// Gives a file or directory another name, and takes that from whatever had it: at every moment the new name has the one
/// or the other.
///
/// # Errors
///
/// Those of renameat2(2): `ENOENT`, `EXDEV` across file systems, `ENOTEMPTY` and `EISDIR` for what is not replaced, `EINVAL` for a
/// directory that would go into itself; and as [`remove_file`].
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    rename_with(from, to, RenameMode::Replace).await
}

/// As [`rename`], in another way.
///
/// ```
/// use annulus_rt::fs::{self, RenameMode};
///
/// # let dir = tempfile::tempdir()?;
/// # let (old, new) = (dir.path().join("old"), dir.path().join("new"));
/// annulus_rt::run(async {
///     fs::write(&old, "old").await.0?;
///     fs::write(&new, "new").await.0?;
///     let refused = fs::rename_with(&old, &new, RenameMode::NoReplace).await.unwrap_err();
///     assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists);
///     fs::rename_with(&old, &new, RenameMode::Exchange).await?;
///     assert_eq!(fs::read(&old).await?, b"new");
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// As [`rename`]; `EINVAL` where the file system does not know the mode.
pub async fn rename_with(from: impl AsRef<Path>, to: impl AsRef<Path>, mode: RenameMode) -> io::Result<()> {
    rename_at((None, from.as_ref()), (None, to.as_ref()), mode).await
}

/// Gives a file another name beside those that it has. A symbolic link gets the name itself.
///
/// # Errors
///
/// Those of linkat(2): `ENOENT`, `EEXIST`, `EXDEV` across file systems, `EPERM` for a directory, `EMLINK`; and as [`remove_file`].
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    link_at((None, original.as_ref()), (None, link.as_ref())).await
}

/// Makes a symbolic link that says `original`, which need not exist.
///
/// # Errors
///
/// Those of symlinkat(2): `EEXIST`, `ENOENT`, `EACCES`, `EROFS`; and as [`remove_file`].
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    symlink_at(original.as_ref(), (None, link.as_ref())).await
}

/// What a symbolic link says. On a helper thread.
///
/// # Errors
///
/// Those of readlinkat(2): `ENOENT`, `EACCES`, `EINVAL` for what is no symbolic link or a path with a zero byte; `EAGAIN` if too much waits
/// for a helper thread.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    read_link_at(None, path.as_ref()).await
}

/// The absolute path of what a path leads to, without links and dots. On a helper thread.
///
/// # Errors
///
/// Those of realpath(3): `ENOENT`, `EACCES`, `ELOOP`, `ENOTDIR`; `EAGAIN` if too much waits for a helper thread.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::canonicalize(path)).await
}

/// Whether a path leads to something. A link that leads nowhere does not.
///
/// # Errors
///
/// Those of statx(2) but `ENOENT`: `EACCES`, `ELOOP`, `ENOTDIR`; and as [`remove_file`].
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    exists_at(None, path.as_ref()).await
}

/// As [`try_exists`], under the name that the standard library has for it.
///
/// # Errors
///
/// As [`try_exists`].
pub async fn exists(path: impl AsRef<Path>) -> io::Result<bool> {
    try_exists(path).await
}

async fn unlink(from: Origin<'_>, path: &Path, flags: i32) -> io::Result<()> {
    Op::new(Naming::Unlink { at: place(from, path)?, flags }).await
}

async fn rename_at(from: (Origin<'_>, &Path), to: (Origin<'_>, &Path), mode: RenameMode) -> io::Result<()> {
    let (from, to) = (place(from.0, from.1)?, place(to.0, to.1)?);
    Op::new(Naming::Rename { from, to, flags: mode.bits() }).await
}

async fn link_at(from: (Origin<'_>, &Path), to: (Origin<'_>, &Path)) -> io::Result<()> {
    let (from, to) = (place(from.0, from.1)?, place(to.0, to.1)?);
    Op::new(Naming::Link { from, to, flags: 0, temporary: false }).await
}

async fn symlink_at(text: &Path, link: (Origin<'_>, &Path)) -> io::Result<()> {
    Op::new(Naming::Symlink { text: c_path(text)?, at: place(link.0, link.1)? }).await
}

async fn read_link_at(from: Origin<'_>, path: &Path) -> io::Result<PathBuf> {
    let (start, path) = (Start::of(from)?, c_path(path)?);
    let text = blocking(move || Ok(readlinkat(start.fd(), &path, Vec::new())?));
    Ok(std::ffi::OsString::from_vec(text.await?.into_bytes()).into())
}

async fn exists_at(from: Origin<'_>, path: &Path) -> io::Result<bool> {
    match Op::new(Statx::new(base(from), c_path(path)?, 0)).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) async fn make_dir(from: Origin<'_>, path: &Path, mode: u32) -> io::Result<()> {
    Op::new(Naming::MakeDir { at: place(from, path)?, mode }).await
}

/// Names below this directory, and links to and from it.
impl Dir {
    /// Removes the name of a file. As [`remove_file`](super::remove_file).
    ///
    /// # Errors
    ///
    /// As [`remove_file`](super::remove_file).
    pub async fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        unlink(Some(self), path.as_ref(), 0).await
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// As [`remove_dir`](super::remove_dir).
    pub async fn remove_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        unlink(Some(self), path.as_ref(), libc::AT_REMOVEDIR).await
    }

    /// Gives what a path that starts here leads to another name, which starts at `to_dir`.
    ///
    /// # Errors
    ///
    /// As [`rename_with`](super::rename_with).
    pub async fn rename(
        &self,
        from: impl AsRef<Path>,
        to_dir: &Self,
        to: impl AsRef<Path>,
        mode: RenameMode,
    ) -> io::Result<()> {
        rename_at((Some(self), from.as_ref()), (Some(to_dir), to.as_ref()), mode).await
    }

    /// Gives a file another name, which starts at `link_dir`, beside those that it has.
    ///
    /// # Errors
    ///
    /// As [`hard_link`](super::hard_link).
    pub async fn hard_link(
        &self,
        original: impl AsRef<Path>,
        link_dir: &Self,
        link: impl AsRef<Path>,
    ) -> io::Result<()> {
        link_at((Some(self), original.as_ref()), (Some(link_dir), link.as_ref())).await
    }

    /// Makes a symbolic link here that says `original`.
    ///
    /// # Errors
    ///
    /// As [`symlink`](super::symlink).
    pub async fn symlink(&self, original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
        symlink_at(original.as_ref(), (Some(self), link.as_ref())).await
    }

    /// What a symbolic link says.
    ///
    /// # Errors
    ///
    /// As [`read_link`](super::read_link).
    pub async fn read_link(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        read_link_at(Some(self), path.as_ref()).await
    }

    /// Whether a path that starts here leads to something.
    ///
    /// # Errors
    ///
    /// As [`try_exists`](super::try_exists).
    pub async fn try_exists(&self, path: impl AsRef<Path>) -> io::Result<bool> {
        exists_at(Some(self), path.as_ref()).await
    }
}
