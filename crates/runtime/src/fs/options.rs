//! How a file is opened, and how far its path may lead.

use std::io;
use std::path::Path;

use annulus::types::OpenHow;

use super::{File, c_path};
use crate::driver::Op;
use crate::driver::op::path::{Base, Open};

/// What a path may do on its way (`RESOLVE_*` of openat2(2)). Combine with `|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolve(u64);

impl Resolve {
    /// Whatever a path may do.
    pub const ANYTHING: Self = Self(0);
    /// Stay below the directory that it starts from: `..` and links that lead out, and absolute paths, are
    /// refused (`EXDEV`).
    pub const BENEATH: Self = Self(libc::RESOLVE_BENEATH);
    /// Take that directory for the root: absolute paths and links, and `..` at the top, start from it.
    pub const IN_ROOT: Self = Self(libc::RESOLVE_IN_ROOT);
    /// Follow no symbolic link (`ELOOP`).
    pub const NO_SYMLINKS: Self = Self(libc::RESOLVE_NO_SYMLINKS);
    /// Follow no magic link, as those of `/proc` (`ELOOP`).
    pub const NO_MAGICLINKS: Self = Self(libc::RESOLVE_NO_MAGICLINKS);
    /// Stay on one mount (`EXDEV`).
    pub const NO_XDEV: Self = Self(libc::RESOLVE_NO_XDEV);

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOr for Resolve {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// The flags that make a file, which then has a mode.
const MAKES: i32 = libc::O_CREAT | libc::O_TMPFILE & !libc::O_DIRECTORY;

/// How to open a file. Close-on-exec is always set.
///
/// # Examples
///
/// ```
/// use annulus_rt::fs::{OpenOptions, Resolve};
///
/// annulus_rt::run(async {
///     let beneath = OpenOptions::new().read(true).resolve(Resolve::BENEATH | Resolve::NO_SYMLINKS);
///     let refused = beneath.open("../Cargo.toml").await.unwrap_err();
///     assert_eq!(refused.raw_os_error(), Some(libc::EXDEV));
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    read: bool,
    write: bool,
    create: bool,
    create_new: bool,
    tmpfile: bool,
    sync: bool,
    dsync: bool,
    flags: i32,
    mode: u32,
    resolve: Resolve,
}

impl OpenOptions {
    /// Nothing set: say at least what the file is opened for.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            read: false,
            write: false,
            create: false,
            create_new: false,
            tmpfile: false,
            sync: false,
            dsync: false,
            flags: 0,
            mode: 0o666,
            resolve: Resolve::ANYTHING,
        }
    }

    /// For reading.
    #[must_use]
    pub const fn read(mut self, on: bool) -> Self {
        self.read = on;
        self
    }

    /// For writing.
    #[must_use]
    pub const fn write(mut self, on: bool) -> Self {
        self.write = on;
        self
    }

    /// Makes the file if there is none (`O_CREAT`).
    #[must_use]
    pub const fn create(mut self, on: bool) -> Self {
        self.create = on;
        self
    }

    /// Makes the file, and fails with `EEXIST` if there is one (`O_CREAT | O_EXCL`).
    #[must_use]
    pub const fn create_new(mut self, on: bool) -> Self {
        self.create_new = on;
        self
    }

    /// Empties the file (`O_TRUNC`).
    #[must_use]
    pub const fn truncate(self, on: bool) -> Self {
        self.flag(libc::O_TRUNC, on)
    }

    /// Every write goes to the end, whatever offset it names (`O_APPEND`).
    #[must_use]
    pub const fn append(self, on: bool) -> Self {
        self.flag(libc::O_APPEND, on)
    }

    /// The permissions of a file that is made, before the umask. Default `0o666`.
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Reads and writes go around the page cache (`O_DIRECT`); addresses, offsets and lengths are aligned then:
    /// [`File::direct_alignment`]. `EINVAL` on a file system without it.
    #[must_use]
    pub const fn direct(self, on: bool) -> Self {
        self.flag(libc::O_DIRECT, on)
    }

    /// A write is on the disk when it completes, with what is needed to read it again (`O_DSYNC`).
    #[must_use]
    pub const fn dsync(mut self, on: bool) -> Self {
        self.dsync = on;
        self
    }

    /// A write and all metadata of the file are on the disk when it completes (`O_SYNC`).
    #[must_use]
    pub const fn sync(mut self, on: bool) -> Self {
        self.sync = on;
        self
    }

    /// Makes a file without a name in the directory that the path names (`O_TMPFILE`), for writing. It is gone with its last
    /// descriptor, unless it gets a name. `EOPNOTSUPP` on a file system without it.
    #[must_use]
    pub const fn tmpfile(mut self, on: bool) -> Self {
        self.tmpfile = on;
        self
    }

    /// Reading does not change when the file was read last (`O_NOATIME`). `EPERM` for files of others.
    #[must_use]
    pub const fn noatime(self, on: bool) -> Self {
        self.flag(libc::O_NOATIME, on)
    }

    /// A symbolic link at the end of the path is not followed but refused (`O_NOFOLLOW`, `ELOOP`).
    #[must_use]
    pub const fn nofollow(self, on: bool) -> Self {
        self.flag(libc::O_NOFOLLOW, on)
    }

    /// Only a directory is opened (`O_DIRECTORY`, `ENOTDIR`).
    #[must_use]
    pub const fn directory(self, on: bool) -> Self {
        self.flag(libc::O_DIRECTORY, on)
    }

    /// Opens the place alone (`O_PATH`), to ask about it or to start paths from it, without any right to what is in it. No
    /// other access is asked for then. With [`nofollow`](Self::nofollow), a symbolic link itself.
    #[must_use]
    pub const fn path_only(self, on: bool) -> Self {
        self.flag(libc::O_PATH, on)
    }

    /// More flags of openat2(2), such as `libc::O_NONBLOCK` (so that opening a FIFO does not
    /// wait). They add to those that are set. What openat2 does not know is refused (`EINVAL`).
    #[must_use]
    pub const fn custom_flags(self, flags: i32) -> Self {
        self.flag(flags, true)
    }

    /// How far the path may lead. Default: anywhere.
    #[must_use]
    pub const fn resolve(mut self, resolve: Resolve) -> Self {
        self.resolve = resolve;
        self
    }

    /// Opens a path, from the working directory on if it is relative.
    ///
    /// # Errors
    ///
    /// Those of openat2(2); `EINVAL` for a path with a zero byte, and if neither reading nor writing was
    /// asked for; `EBUSY` if too many operations are in flight.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_at(Base::Working, path.as_ref()).await
    }

    pub(super) async fn open_at(&self, base: Base, path: &Path) -> io::Result<File> {
        let open = Open::new(base, c_path(path)?, self.how()?);
        Op::new(open).await.map(File::from_shared)
    }

    const fn flag(mut self, flag: i32, on: bool) -> Self {
        if on {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
        self
    }

    fn how(self) -> io::Result<OpenHow> {
        let append = self.flags & libc::O_APPEND != 0;
        let access = match (self.read, self.write || append) {
            (true, false) => libc::O_RDONLY,
            (false, true) => libc::O_WRONLY,
            (true, true) => libc::O_RDWR,
            (false, false) if self.flags & libc::O_PATH != 0 => 0,
            (false, false) => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
        };
        let mut flags = self.flags | access | libc::O_CLOEXEC;
        for (on, flag) in [
            (self.create, libc::O_CREAT),
            (self.create_new, libc::O_CREAT | libc::O_EXCL),
            (self.tmpfile, libc::O_TMPFILE),
            (self.sync, libc::O_SYNC),
            (self.dsync, libc::O_DSYNC),
        ] {
            flags |= if on { flag } else { 0 };
        }
        let flags = u64::from(flags.cast_unsigned());
        let makes = self.create || self.create_new || self.tmpfile || self.flags & MAKES != 0;
        let mode = if makes { u64::from(self.mode) } else { 0 };
        Ok(OpenHow::new().flags(flags).mode(mode).resolve(self.resolve.bits()))
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}
