//! Removing a directory with all that is in it, on a helper thread.
//!
//! Every name is looked up in the open directory that holds it, and never through a symbolic link: whoever puts a link in place of
//! a directory meanwhile loses the link, not what it leads to.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir as Listing, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;

use super::attributes::Start;
use super::blocking::{Stop, in_steps};
use super::{Dir, c_path};

/// Removes a directory and all that is in it. Symbolic links are removed themselves, also the one at the end of the path.
///
/// It has one descriptor open for each level that it is in. If the future is dropped, it ends after the name that it is at, and the
/// rest stays.
///
/// # Errors
///
/// Those of unlinkat(2) and openat(2): `ENOENT`, `ENOTDIR` for a file, `EACCES`, `EPERM`, `EROFS`, `ENOTEMPTY` if others add to it as
/// fast as it is removed, `EMFILE`; `EINVAL` for a path with a zero byte; `EAGAIN` if too much waits for a helper thread. What was removed
/// until then is gone.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    remove(None, path.as_ref()).await
}

impl Dir {
    /// Removes a directory whose path starts here, and all that is in it.
    ///
    /// # Errors
    ///
    /// As [`remove_dir_all`](super::remove_dir_all).
    pub async fn remove_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        remove(Some(self), path.as_ref()).await
    }
}

async fn remove(dir: Option<&Dir>, path: &Path) -> io::Result<()> {
    let (start, path) = (Start::of(dir)?, c_path(path)?);
    in_steps(move |stop| remove_tree(start.fd(), path, stop)).await
}

/// A directory that is being emptied.
struct Level {
    fd: OwnedFd,
    listing: Listing,
    /// Its name in the one above.
    name: CString,
    /// Something was removed since the listing began, so another one may find more.
    removed: bool,
    /// How many more listings there may be.
    again: u32,
}

/// How often a directory is listed again that was not empty after all. Some file systems need it once; others who add to it could keep
/// it going for ever.
const AGAIN: u32 = 4;

impl Level {
    fn enter(above: BorrowedFd<'_>, name: CString) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(above, &name, flags, Mode::empty())?;
        let listing = Listing::read_from(&fd)?;
        Ok(Self { fd, listing, name, removed: false, again: AGAIN })
    }

    /// The next name in it, and whether that may be a directory.
    fn next(&mut self) -> Option<rustix::io::Result<(CString, bool)>> {
        loop {
            let entry = match self.listing.read()? {
                Ok(entry) => entry,
                Err(errno) => return Some(Err(errno)),
            };
            let name = entry.file_name();
            if name != c"." && name != c".." {
                let unclear = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
                return Some(Ok((name.to_owned(), unclear)));
            }
        }
    }
}

/// Removes a directory with all that is in it, or a symbolic link, step by step.
///
/// # Errors
///
/// As [`remove_dir_all`]; `ECANCELED` if it was stopped.
pub fn remove_tree(start: BorrowedFd<'_>, path: CString, stop: &Stop) -> io::Result<()> {
    let root = match Level::enter(start, path.clone()) {
        Ok(root) => root,
        Err(Errno::NOTDIR | Errno::LOOP) => return remove_link(start, &path),
        Err(errno) => return Err(errno.into()),
    };
    let mut levels = vec![root];
    while let Some(level) = levels.last_mut() {
        stop.check()?;
        match level.next() {
            Some(entry) => {
                let (name, unclear) = entry?;
                match enter_or_remove(level.fd.as_fd(), name, unclear)? {
                    Some(below) => levels.push(below),
                    None => level.removed = true,
                }
            }
            None => leave(start, &mut levels)?,
        }
    }
    Ok(())
}

/// Removes a name, unless it is that of a directory, which is entered.
fn enter_or_remove(dir: BorrowedFd<'_>, name: CString, unclear: bool) -> io::Result<Option<Level>> {
    if unclear {
        match Level::enter(dir, name.clone()) {
            Ok(below) => return Ok(Some(below)),
            // It is no directory, or not any more.
            Err(Errno::NOTDIR | Errno::LOOP) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
    }
    match unlinkat(dir, &name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes the directory that has been emptied, or lists it again if it turns out that it is not empty yet.
fn leave(start: BorrowedFd<'_>, levels: &mut Vec<Level>) -> io::Result<()> {
    let Some(mut level) = levels.pop() else { return Ok(()) };
    let above = levels.last().map_or(start, |above| above.fd.as_fd());
    match unlinkat(above, &level.name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => {
            if let Some(above) = levels.last_mut() {
                above.removed = true;
            }
            Ok(())
        }
        Err(Errno::NOTEMPTY | Errno::EXIST) if level.removed && level.again > 0 => {
            level.removed = false;
            level.again -= 1;
            level.listing.rewind();
            levels.push(level);
            Ok(())
        }
        Err(errno) => Err(errno.into()),
    }
}

/// A path that is no directory: a link is removed, anything else is not what was asked for.
fn remove_link(start: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    let facts = statat(start, path, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(facts.st_mode) == FileType::Symlink {
        return Ok(unlinkat(start, path, AtFlags::empty())?);
    }
    Err(Errno::NOTDIR.into())
}
