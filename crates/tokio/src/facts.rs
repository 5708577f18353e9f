//! What is known about files: statx(2), from the working directory and from open directories on.

use std::io;
use std::path::Path;

use annulus::owned::{Directory, Statx};
use annulus_rt::fs::Metadata;
use annulus_rt::fs::parts::c_path;

use crate::running::run;

/// What is asked for where nothing else is said (`STATX_*`).
pub(crate) const USUAL: u32 = libc::STATX_BASIC_STATS | libc::STATX_BTIME;

/// Asks about what a path leads to. Symbolic links are followed.
///
/// # Errors
///
/// Those of statx(2): `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`; `EINVAL` for a path with a zero byte.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    ask(&Directory::working(), path.as_ref(), 0, USUAL).await
}

/// Asks about a path itself. A symbolic link at its end is not followed.
///
/// # Errors
///
/// As [`metadata`].
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    ask(&Directory::working(), path.as_ref(), libc::AT_SYMLINK_NOFOLLOW, USUAL).await
}

/// Asks with flags (`AT_*`) and for the facts that are wanted (`STATX_*`): fewer than [`metadata`] asks for may cost less on a network
/// file system, more tell more. What came of it: [`Metadata::has`] and [`Metadata::as_statx`].
///
/// # Errors
///
/// As [`metadata`]; `EINVAL` for flags that the kernel does not know.
pub async fn statx(path: impl AsRef<Path>, flags: i32, mask: u32) -> io::Result<Metadata> {
    ask(&Directory::working(), path.as_ref(), flags, mask).await
}

/// Whether a path leads to something. A link that leads nowhere does not.
///
/// # Errors
///
/// Those of statx(2) but `ENOENT`: `EACCES`, `ELOOP`, `ENOTDIR`; `EINVAL` for a path with a zero byte.
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    exists(&Directory::working(), path.as_ref()).await
}

pub(crate) async fn ask(from: &Directory, path: &Path, flags: i32, mask: u32) -> io::Result<Metadata> {
    let path = c_path(path)?;
    let ask = || Statx::new(path.clone()).at(from).flags(flags).mask(mask);
    run(ask).await.map(|facts| Metadata::from(*facts))
}

pub(crate) async fn exists(from: &Directory, path: &Path) -> io::Result<bool> {
    match ask(from, path, 0, libc::STATX_TYPE).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
