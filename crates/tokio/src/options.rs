//! How a file is opened.

use std::io;
use std::path::Path;

use annulus::owned::{Directory, Open};
use annulus_rt::fs::Resolve;
use annulus_rt::fs::parts::c_path;

use crate::File;
use crate::running::run;

/// How to open a file, as by [`std::fs::OpenOptions`]. Close-on-exec is always set.
///
/// # Examples
///
/// ```
/// use annulus_tokio::OpenOptions;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("log");
/// let log = OpenOptions::new().append(true).create(true).open(&path).await?;
/// log.write_all_at("one line\n", 0).await.0?;
/// assert_eq!(annulus_tokio::read(&path).await?, b"one line\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open` is awaited"]
#[allow(clippy::struct_excessive_bools, reason = "each is one flag that the caller sets")]
pub struct OpenOptions {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
    tmpfile: bool,
    custom: i32,
    /// Those of the setters below, which `custom_flags` does not take back.
    more: i32,
    mode: u32,
    resolve: Resolve,
}

impl OpenOptions {
    /// Nothing is allowed yet.
    pub const fn new() -> Self {
        Self {
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            tmpfile: false,
            custom: 0,
            more: 0,
            mode: 0o666,
            resolve: Resolve::ANYTHING,
        }
    }

    /// Whether the file can be read.
    pub const fn read(mut self, on: bool) -> Self {
        self.read = on;
        self
    }

    /// Whether the file can be written.
    pub const fn write(mut self, on: bool) -> Self {
        self.write = on;
        self
    }

    /// Whether everything is written at the end of the file, whatever the offset.
    pub const fn append(mut self, on: bool) -> Self {
        self.append = on;
        self
    }

    /// Whether what the file holds is dropped.
    pub const fn truncate(mut self, on: bool) -> Self {
        self.truncate = on;
        self
    }

    /// Whether the file is made if it is not there.
    pub const fn create(mut self, on: bool) -> Self {
        self.create = on;
        self
    }

    /// Whether the file is made, and must not be there yet (`EEXIST`).
    pub const fn create_new(mut self, on: bool) -> Self {
        self.create_new = on;
        self
    }

    /// Further flags of open(2), as `libc::O_DIRECT`.
    pub const fn custom_flags(mut self, flags: i32) -> Self {
        self.custom = flags;
        self
    }

    /// The permissions of a file that is made, without those that the umask takes away; 0666 unless said otherwise.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Reads and writes go around the page cache (`O_DIRECT`); addresses, offsets and lengths are aligned then:
    /// [`File::direct_alignment`]. `EINVAL` on a file system without it.
    pub const fn direct(self, on: bool) -> Self {
        self.flag(libc::O_DIRECT, on)
    }

    /// A write is on the disk when it completes, with what is needed to read it again (`O_DSYNC`).
    pub const fn dsync(self, on: bool) -> Self {
        self.flag(libc::O_DSYNC, on)
    }

    /// A symbolic link at the end of the path is not followed but refused (`O_NOFOLLOW`, `ELOOP`).
    pub const fn nofollow(self, on: bool) -> Self {
        self.flag(libc::O_NOFOLLOW, on)
    }

    /// Only a directory is opened (`O_DIRECTORY`, `ENOTDIR`).
    pub const fn directory(self, on: bool) -> Self {
        self.flag(libc::O_DIRECTORY, on)
    }

    /// Makes a file without a name in the directory that the path names (`O_TMPFILE`), for writing. It is gone with its last
    /// descriptor. `EOPNOTSUPP` on a file system without it.
    pub const fn tmpfile(mut self, on: bool) -> Self {
        self.tmpfile = on;
        self
    }

    /// How far the path may lead. Default: anywhere.
    ///
    /// ```
    /// use annulus_tokio::{OpenOptions, Resolve};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let beneath = OpenOptions::new().read(true).resolve(Resolve::BENEATH | Resolve::NO_SYMLINKS);
    /// let refused = beneath.open("../Cargo.toml").await.unwrap_err();
    /// assert_eq!(refused.raw_os_error(), Some(libc::EXDEV));
    /// # }
    /// ```
    pub const fn resolve(mut self, resolve: Resolve) -> Self {
        self.resolve = resolve;
        self
    }

    /// Opens the file. If the future is dropped, a file that was opened in spite of it is closed.
    ///
    /// # Errors
    ///
    /// Those of openat2(2): `ENOENT`, `EACCES`, `EEXIST`, `EMFILE`; `EXDEV` or `ELOOP` if the path goes where
    /// [`resolve`](Self::resolve) forbids; `EINVAL` for a path with a zero byte, and for options that make no sense together, as for
    /// the standard library's.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of tokio's, or in one whose I/O is not enabled.
    pub fn open<P: AsRef<Path>>(&self, path: P) -> impl Future<Output = io::Result<File>> + Send + use<P> {
        self.open_at(Directory::working(), path.as_ref())
    }

    pub(crate) fn open_at(
        &self,
        from: Directory,
        path: &Path,
    ) -> impl Future<Output = io::Result<File>> + Send + use<> {
        let flags = self.flags().ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL));
        let path = c_path(path);
        let (mode, resolve) = (self.mode, self.resolve.bits());
        async move {
            let (flags, path) = (flags?, path?);
            let makes = flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE;
            let mode = if makes { mode } else { 0 };
            let open = || Open::new(path.clone()).at(&from).flags(flags).mode(mode).resolve(resolve);
            run(open).await.map(File::from)
        }
    }

    const fn flag(mut self, flag: i32, on: bool) -> Self {
        self.more = if on { self.more | flag } else { self.more & !flag };
        self
    }

    /// `O_*`; `None` for what makes no sense.
    const fn flags(&self) -> Option<i32> {
        let access = match (self.read, self.write, self.append) {
            (true, false, false) => libc::O_RDONLY,
            (false, true, false) => libc::O_WRONLY,
            (true, true, false) => libc::O_RDWR,
            (false, _, true) => libc::O_WRONLY | libc::O_APPEND,
            (true, _, true) => libc::O_RDWR | libc::O_APPEND,
            (false, false, false) => return None,
        };
        let writes = self.write || self.append;
        if !writes && (self.truncate || self.create || self.create_new) {
            return None;
        }
        if self.append && self.truncate && !self.create_new {
            return None;
        }
        let makes = match (self.create, self.truncate, self.create_new) {
            (_, _, true) => libc::O_CREAT | libc::O_EXCL,
            (true, true, false) => libc::O_CREAT | libc::O_TRUNC,
            (true, false, false) => libc::O_CREAT,
            (false, true, false) => libc::O_TRUNC,
            (false, false, false) => 0,
        };
        let makes = if self.tmpfile { makes | libc::O_TMPFILE } else { makes };
        Some(access | makes | self.more | (self.custom & !libc::O_ACCMODE))
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}
