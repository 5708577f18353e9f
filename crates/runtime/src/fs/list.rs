//! Listing a directory, on a helper thread, as the ring has no operation for it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Dir as Listing, FileType as Kind};

use super::{Dir, FileType};

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    name: OsString,
    file_type: Option<FileType>,
    inode: u64,
}

impl DirEntry {
    /// Its name, without the directory.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.name
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
}

/// Lists a directory, without `.` and `..`, in the file system's order.
///
/// # Errors
///
/// Those of [`Dir::open`] and [`Dir::read_dir`].
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<Vec<DirEntry>> {
    let dir = Dir::open(path).await?;
    dir.read_dir().await
}

pub(super) async fn list(fd: OwnedFd) -> io::Result<Vec<DirEntry>> {
    match crate::spawn_blocking(move || entries(&fd)).await {
        Ok(entries) => entries,
        Err(crate::JoinError::Refused) => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
        Err(error) => Err(error.into()),
    }
}

fn entries(fd: &OwnedFd) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    // Opened again: the position in a directory belongs to the open file, which others may share.
    for entry in Listing::read_from(fd)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let file_type = match entry.file_type() {
            Kind::RegularFile => Some(FileType::File),
            Kind::Directory => Some(FileType::Dir),
            Kind::Symlink => Some(FileType::Symlink),
            Kind::Unknown => None,
            _ => Some(FileType::Other),
        };
        entries.push(DirEntry { name: OsStr::from_bytes(name).to_owned(), file_type, inode: entry.ino() });
    }
    Ok(entries)
}
