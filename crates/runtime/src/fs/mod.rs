//! Files and directories through the ring.
//!
//! [`File`] reads and writes at offsets, and [`Cursor`] makes a stream of it. The functions take paths from the working directory on;
//! [`Dir`] has the same from an open directory on, and opens [beneath](Dir::open_beneath) it. [`write_atomic`] and
//! [`AtomicFile`] replace files as a whole, [`DirectFile`] goes around the page cache, [`xattr`] has extended attributes.
//!
//! | Through the ring | On a helper thread ([`spawn_blocking`](crate::spawn_blocking)), as there is no opcode | In place, as the call does not wait |
//! |---|---|---|
//! | Open, close, read, write, sync, allocate, cut, advise, metadata, extended attributes (get, set), making, renaming, linking and removing names | Listing directories, [`read_link`], [`canonicalize`], permissions, times, owners, extended attributes (list, remove, of links), [`remove_dir_all`], [`copy`] inside of the kernel | Locks: [`File::try_lock`], [`File::lock_range`] |
//!
//! A future that is dropped leaves nothing half made: a file that was opened meanwhile is closed, a name of the module's own is taken
//! back. What takes many steps ([`remove_dir_all`], [`copy`], [`create_dir_all`], [`write()`]) stops between two of them.

mod atomic;
mod attributes;
mod blocking;
mod copy;
mod cursor;
mod dir;
mod direct;
mod direct_file;
mod file;
mod list;
mod lock;
mod make_dir;
mod metadata;
mod names;
mod options;
mod range_lock;
mod remove;
mod space;
mod transfer;
mod whole;
pub mod xattr;

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use atomic::{AtomicFile, write_atomic};
pub use attributes::{FileTimes, chown, lchown, set_permissions, set_times};
pub use copy::copy;
pub use cursor::Cursor;
pub use dir::{Dir, open_beneath};
pub use direct::DirectAlignment;
pub use direct_file::DirectFile;
pub use file::File;
pub use list::{DirEntry, ReadDir, read_dir};
pub use make_dir::{DirBuilder, create_dir, create_dir_all};
pub use metadata::{FileType, Metadata, statx};
pub use names::{
    RenameMode, canonicalize, exists, hard_link, read_link, remove_dir, remove_file, rename, rename_with,
    symlink, try_exists,
};
pub use options::{OpenOptions, Resolve};
pub use range_lock::RangeLock;
pub use remove::remove_dir_all;
pub use space::{Advice, AllocateMode};
pub use transfer::RwFlags;
pub use whole::{read, read_to_string, write};

/// What of this needs no runtime: calls that block, in steps, and what goes before and after them. For crates that bring files
/// through rings to other runtimes; not for programs, and without the promises that are made to those.
#[doc(hidden)]
pub mod parts {
    pub use super::atomic::{knows_unnamed, split, unique};
    pub use super::attributes::{mode, timestamps};
    pub use super::blocking::{Stop, StopGuard};
    pub use super::c_path;
    pub use super::copy::copy_inside;
    pub use super::list::{Batch, Found, batch, first_batch};
    pub use super::remove::remove_tree;
}

use crate::driver::Op;
use crate::driver::op::path::{Base, Statx};

/// Opens a file for reading.
///
/// # Errors
///
/// Those of openat2(2), `ENOENT` and `EACCES` above all; `EINVAL` for a path with a zero byte; `EBUSY` if too
/// many operations are in flight ([`Builder::operations`](crate::Builder::operations)).
pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
    OpenOptions::new().read(true).open(path).await
}

/// Asks about what a path leads to. Symbolic links are followed.
///
/// # Errors
///
/// Those of statx(2); `EINVAL` for a path with a zero byte; `EBUSY` as with [`open`].
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    Op::new(Statx::new(Base::Working, c_path(path.as_ref())?, 0)).await.map(Metadata)
}

/// Asks about a path itself. A symbolic link at its end is not followed.
///
/// # Errors
///
/// As [`metadata`].
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = c_path(path.as_ref())?;
    Op::new(Statx::new(Base::Working, path, libc::AT_SYMLINK_NOFOLLOW)).await.map(Metadata)
}

/// A path as the kernel takes it.
///
/// # Errors
///
/// `EINVAL` for a path with a zero byte.
pub fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
