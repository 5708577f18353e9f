//! What is done to names: remove, rename, link. Each from the working directory, and from a [`Dir`](crate::Dir) on.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annulus::opcode::{LinkAt, RenameAt, SymlinkAt, UnlinkAt};
use annulus::owned::{Directory, HardLink, Rename, Symlink, Unlink};
use annulus_rt::fs::RenameMode;
use annulus_rt::fs::parts::{c_path, remove_tree};
use rustix::fs::{CWD, readlinkat};

use crate::blocking::{blocking, in_steps};
use crate::running::run_new;

/// Removes the name of a file, and the file with its last name and its last descriptor. A symbolic link is removed itself.
///
/// # Errors
///
/// Those of unlinkat(2): `ENOENT`, `EACCES`, `EPERM`, `EROFS`, `EISDIR` for a directory; `EINVAL` for a path with a zero byte.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    unlink(&Directory::working(), path.as_ref(), Unlink::file).await
}

/// Removes an empty directory.
///
/// # Errors
///
/// Those of unlinkat(2) with `AT_REMOVEDIR`: `ENOTEMPTY`, `ENOTDIR`; and as [`remove_file`].
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    unlink(&Directory::working(), path.as_ref(), Unlink::directory).await
}

/// Removes a directory and all that is in it, on a thread that blocks. Symbolic links are removed themselves, also the one at the end of
/// the path; whoever puts a link in place of a directory meanwhile loses the link, not what it leads to.
///
/// It has one descriptor open for each level that it is in. If the future is dropped, it ends after the name that it is at, and the
/// rest stays.
///
/// # Errors
///
/// Those of unlinkat(2) and openat(2): `ENOENT`, `ENOTDIR` for a file, `EACCES`, `EPERM`, `EROFS`, `EMFILE`, `ENOTEMPTY` if others add to
/// it as fast as it is removed; `EINVAL` for a path with a zero byte. What was removed until then is gone.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    remove_all(None, path.as_ref()).await
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
/// use annulus_tokio::{RenameMode, read, rename_with, write};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let (old, new) = (dir.path().join("old"), dir.path().join("new"));
/// write(&old, "old").await.0?;
/// write(&new, "new").await.0?;
/// let refused = rename_with(&old, &new, RenameMode::NoReplace).await.unwrap_err();
/// assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists);
/// rename_with(&old, &new, RenameMode::Exchange).await?;
/// assert_eq!(read(&old).await?, b"new");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`rename`]; `EEXIST` as the mode asks for it; `EINVAL` where the file system does not know the mode.
pub async fn rename_with(from: impl AsRef<Path>, to: impl AsRef<Path>, mode: RenameMode) -> io::Result<()> {
    let here = Directory::working();
    change_name((&here, from.as_ref()), (&here, to.as_ref()), mode).await
}

/// Gives a file another name beside those that it has. A symbolic link gets the name itself.
///
/// # Errors
///
/// Those of linkat(2): `ENOENT`, `EEXIST`, `EXDEV` across file systems, `EPERM` for a directory, `EMLINK`; and as [`remove_file`].
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let here = Directory::working();
    add_name((&here, original.as_ref()), (&here, link.as_ref())).await
}

/// Makes a symbolic link that says `original`, which need not exist.
///
/// # Errors
///
/// Those of symlinkat(2): `EEXIST`, `ENOENT`, `EACCES`, `EROFS`; and as [`remove_file`].
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    make_link(original.as_ref(), &Directory::working(), link.as_ref()).await
}

/// What a symbolic link says. On a thread that blocks.
///
/// # Errors
///
/// Those of readlinkat(2): `ENOENT`, `EACCES`, `EINVAL` for what is no symbolic link or a path with a zero byte.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    read_name(None, path.as_ref()).await
}

/// The absolute path of what a path leads to, without links and dots. On a thread that blocks.
///
/// # Errors
///
/// Those of realpath(3): `ENOENT`, `EACCES`, `ELOOP`, `ENOTDIR`.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::canonicalize(path)).await
}

/// Removes a name, in the way that `how` makes.
pub(crate) async fn unlink(from: &Directory, path: &Path, how: fn(CString) -> Unlink) -> io::Result<()> {
    let path = c_path(path)?;
    run_new(UnlinkAt::CODE, || how(path.clone()).at(from)).await
}

pub(crate) async fn change_name(
    from: (&Directory, &Path),
    to: (&Directory, &Path),
    mode: RenameMode,
) -> io::Result<()> {
    let (old, new) = (c_path(from.1)?, c_path(to.1)?);
    let rename = || Rename::new(old.clone(), new.clone()).at(from.0, to.0).flags(mode.bits());
    run_new(RenameAt::CODE, rename).await
}

pub(crate) async fn add_name(of: (&Directory, &Path), link: (&Directory, &Path)) -> io::Result<()> {
    let (original, name) = (c_path(of.1)?, c_path(link.1)?);
    run_new(LinkAt::CODE, || HardLink::new(original.clone(), name.clone()).at(of.0, link.0)).await
}

pub(crate) async fn make_link(original: &Path, from: &Directory, link: &Path) -> io::Result<()> {
    let (original, link) = (c_path(original)?, c_path(link)?);
    run_new(SymlinkAt::CODE, || Symlink::new(original.clone(), link.clone()).at(from)).await
}

pub(crate) async fn read_name(from: Option<Arc<OwnedFd>>, path: &Path) -> io::Result<PathBuf> {
    let path = c_path(path)?;
    blocking(move || {
        let from = from.as_ref().map_or(CWD, AsFd::as_fd);
        Ok(std::ffi::OsString::from_vec(readlinkat(from, &path, Vec::new())?.into_bytes()).into())
    })
    .await
}

pub(crate) async fn remove_all(from: Option<Arc<OwnedFd>>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    in_steps(move |stop| remove_tree(from.as_ref().map_or(CWD, AsFd::as_fd), path, stop)).await
}
