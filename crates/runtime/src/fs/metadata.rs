//! What statx(2) says about a file.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{Statx as Facts, StatxTimestamp};

use super::c_path;
use crate::driver::Op;
use crate::driver::op::path::{Base, Statx};

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileType {
    /// An ordinary file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A FIFO: a pipe with a name.
    Fifo,
    /// A socket of the Unix domain.
    Socket,
    /// A device of characters, as a terminal.
    CharDevice,
    /// A device of blocks, as a disk.
    BlockDevice,
    /// Something that was not known when this was written.
    Other,
}

impl FileType {
    /// Of the bits of a mode (`S_IFMT`).
    const fn of_mode(mode: u32) -> Self {
        match mode & libc::S_IFMT {
            libc::S_IFREG => Self::File,
            libc::S_IFDIR => Self::Dir,
            libc::S_IFLNK => Self::Symlink,
            libc::S_IFIFO => Self::Fifo,
            libc::S_IFSOCK => Self::Socket,
            libc::S_IFCHR => Self::CharDevice,
            libc::S_IFBLK => Self::BlockDevice,
            _ => Self::Other,
        }
    }

    /// Of an entry of a directory; `None` where the file system does not say it there.
    pub(super) const fn of_entry(kind: rustix::fs::FileType) -> Option<Self> {
        match kind {
            rustix::fs::FileType::Unknown => None,
            kind => Some(Self::of_mode(kind.as_raw_mode())),
        }
    }
}

/// Asks with flags (`AT_*`, such as `AT_SYMLINK_NOFOLLOW`, `AT_STATX_DONT_SYNC`, `AT_NO_AUTOMOUNT`) and for the facts that are wanted
/// (`STATX_*`): fewer than [`metadata`](super::metadata) asks for may cost less on a network file system, more tell more. What came of it:
/// [`Metadata::has`] and [`Metadata::as_statx`].
///
/// ```
/// annulus_rt::run(async {
///     let facts = annulus_rt::fs::statx("Cargo.toml", libc::AT_STATX_DONT_SYNC, libc::STATX_SIZE | libc::STATX_MNT_ID).await?;
///     assert!(facts.has(libc::STATX_SIZE) && facts.len() > 0);
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// As [`metadata`](super::metadata); `EINVAL` for flags that the kernel does not know.
pub async fn statx(path: impl AsRef<Path>, flags: i32, mask: u32) -> io::Result<Metadata> {
    Op::new(Statx::new(Base::Working, c_path(path.as_ref())?, flags).mask(mask)).await.map(Metadata)
}

/// What is known about a file.
#[derive(Clone, Copy, Debug)]
pub struct Metadata(pub(super) Facts);

impl Metadata {
    /// The size in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "the size of a file is a number, the file no collection")]
    pub const fn len(&self) -> u64 {
        self.0.stx_size
    }

    /// What kind of file it is.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        FileType::of_mode(u32::from(self.0.stx_mode))
    }

    /// Whether it is an ordinary file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.file_type() == FileType::File
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.file_type() == FileType::Dir
    }

    /// Whether it is a symbolic link: only of metadata that did not follow it.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.file_type() == FileType::Symlink
    }

    /// The permissions, as the standard library has them.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        Permissions::from_mode(self.mode())
    }

    /// Who owns it, and its group.
    #[must_use]
    pub const fn owner(&self) -> (u32, u32) {
        (self.0.stx_uid, self.0.stx_gid)
    }

    /// How many bytes it takes on the disk: less than [`len`](Self::len) if it has holes.
    #[must_use]
    pub const fn allocated(&self) -> u64 {
        self.0.stx_blocks.saturating_mul(512)
    }

    /// How many bytes are best read and written at once.
    #[must_use]
    pub const fn block_size(&self) -> u32 {
        self.0.stx_blksize
    }

    /// When it was read last.
    #[must_use]
    pub fn accessed(&self) -> SystemTime {
        time(&self.0.stx_atime)
    }

    /// When it or its metadata changed last.
    #[must_use]
    pub fn changed(&self) -> SystemTime {
        time(&self.0.stx_ctime)
    }

    /// Whether both are of one file, under whatever names.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.inode(), self.device()) == (other.inode(), other.device())
    }

    /// Whether the system gave all of these facts (`STATX_*`): those that were asked for and that the file system has.
    #[must_use]
    pub const fn has(&self, mask: u32) -> bool {
        self.0.stx_mask & mask == mask
    }

    /// The permission bits.
    #[must_use]
    pub const fn mode(&self) -> u32 {
        self.0.stx_mode as u32 & 0o7777
    }

    /// When the contents changed last.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        time(&self.0.stx_mtime)
    }

    /// That time in nanoseconds since 1970, negative before.
    #[must_use]
    pub const fn modified_ns(&self) -> i128 {
        let time = &self.0.stx_mtime;
        time.tv_sec as i128 * 1_000_000_000 + time.tv_nsec as i128
    }

    /// When the file was made, where the file system knows.
    #[must_use]
    pub fn created(&self) -> Option<SystemTime> {
        (self.0.stx_mask & libc::STATX_BTIME != 0).then(|| time(&self.0.stx_btime))
    }

    /// Its number in its file system.
    #[must_use]
    pub const fn inode(&self) -> u64 {
        self.0.stx_ino
    }

    /// The device that it is on: major and minor number.
    #[must_use]
    pub const fn device(&self) -> (u32, u32) {
        (self.0.stx_dev_major, self.0.stx_dev_minor)
    }

    /// How many names it has.
    #[must_use]
    pub const fn links(&self) -> u32 {
        self.0.stx_nlink
    }

    /// Everything else, as the kernel gave it.
    #[must_use]
    pub const fn as_statx(&self) -> &Facts {
        &self.0
    }
}

impl From<Facts> for Metadata {
    /// What statx(2) has said, by whatever way.
    fn from(facts: Facts) -> Self {
        Self(facts)
    }
}

fn time(stamp: &StatxTimestamp) -> SystemTime {
    let part = Duration::from_nanos(u64::from(stamp.tv_nsec));
    let seconds = Duration::from_secs(stamp.tv_sec.unsigned_abs());
    // Times that do not fit (a damaged file system) count as 1970.
    let whole =
        if stamp.tv_sec < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
    whole.and_then(|whole| whole.checked_add(part)).unwrap_or(UNIX_EPOCH)
}
