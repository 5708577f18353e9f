//! Files that are replaced as a whole: written under no name, or a name of their own, and then given the real one.
//!
//! What is made on the way is undone wherever the future is dropped: an open file without a name by closing it, a name by the operation
//! that made it if that ends late, and by a guard after that.

use std::ffi::{CString, OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use annulus::types::OpenHow;
use rustix::fs::{AtFlags, unlinkat};

use super::{Dir, File, Metadata, OpenOptions, RenameMode, c_path};
use crate::buf::{BufResult, IoBuf};
use crate::driver::Op;
use crate::driver::op::file::Fsync;
use crate::driver::op::name::{Naming, Place};
use crate::driver::op::path::{Base, Open};
use crate::executor::Context;

/// Writes a whole file so that everybody, at every moment and after a crash, finds what it held before or what it is to hold, and
/// nothing else.
///
/// The contents go into a file without a name (`O_TMPFILE`; where there is none, under a name that begins with `.annulus-`) in
/// the same directory, then to the disk, then under the real name, and then the directory goes to the disk. An ordinary file
/// that is replaced passes its permissions on; a symbolic link is replaced itself.
///
/// If the future is dropped, the file is the old one or the new one, and nothing else remains.
///
/// # Examples
///
/// ```
/// use annulus_rt::fs;
///
/// # let dir = tempfile::tempdir_in(".")?;
/// # let path = dir.path().join("settings");
/// annulus_rt::run(async {
///     fs::write_atomic(&path, "colour = blue\n").await.0?;
///     fs::write_atomic(&path, "colour = green\n").await.0?;
///     assert_eq!(fs::read_to_string(&path).await?, "colour = green\n");
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// As [`AtomicFile::create`], [`File::write_all_at`] and [`AtomicFile::commit`]. The file is as it was then, unless it was the last
/// step that failed, bringing the directory to the disk (`EIO`).
pub async fn write_atomic<B: IoBuf>(path: impl AsRef<Path>, contents: B) -> BufResult<(), B> {
    replace(AtomicFile::create(path).await, contents).await
}

impl Dir {
    /// Writes a whole file whose path starts here, as [`write_atomic`](super::write_atomic).
    ///
    /// # Errors
    ///
    /// As [`write_atomic`](super::write_atomic).
    pub async fn write_atomic<B: IoBuf>(&self, path: impl AsRef<Path>, contents: B) -> BufResult<(), B> {
        replace(AtomicFile::create_in(self, path).await, contents).await
    }
}

async fn replace<B: IoBuf>(new: io::Result<AtomicFile>, contents: B) -> BufResult<(), B> {
    let new = match new {
        Ok(new) => new,
        Err(error) => return (Err(error), contents),
    };
    let (written, contents) = new.file().write_all_at(contents, 0).await;
    if let Err(error) = written {
        return (Err(error), contents);
    }
    (new.commit().await, contents)
}

/// A file that is going to take the place of another, or of none, when it is [committed](Self::commit). Dropped before, it leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    dir: Dir,
    /// The last part of the path.
    name: OsString,
    /// The name that it has meanwhile, where it needs one.
    temporary: Option<Temporary>,
}

impl AtomicFile {
    /// Makes a file that is to have this path, with the permissions `0o666` as far as the umask leaves them.
    ///
    /// # Errors
    ///
    /// Those of openat2(2) for the directory (`ENOENT`, `ENOTDIR`, `EACCES`) and the file (`ENOSPC`, `EROFS`, `EDQUOT`); `EINVAL` for a
    /// path that does not end in a name, or has a zero byte; `EBUSY` if too many operations are in flight.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let (above, name) = split(path.as_ref())?;
        Self::create_named(Dir::open(above).await?, name).await
    }

    /// Makes a file that is to have this path, which starts at a directory.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub async fn create_in(dir: &Dir, path: impl AsRef<Path>) -> io::Result<Self> {
        let (above, name) = split(path.as_ref())?;
        let options = OpenOptions::new().read(true).directory(true);
        let dir = dir.open_with(above, &options).await?;
        Self::create_named(Dir::from_shared(dir.into_shared()), name).await
    }

    /// What is to be written.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Brings the contents to the disk, gives the file its name, and brings the directory to the disk.
    ///
    /// # Errors
    ///
    /// Those of fsync(2), linkat(2) and renameat(2): `EIO`, `ENOSPC`, `EDQUOT`, `EISDIR` if there is a directory of that name; `EAGAIN` if
    /// permissions are to be passed on and too much waits for a helper thread.
    pub async fn commit(self) -> io::Result<()> {
        let Self { file, dir, name, temporary } = self;
        let is_new = match dir.statx_with(&name, libc::AT_SYMLINK_NOFOLLOW).await {
            Ok(before) => {
                pass_permissions(&before, &file).await?;
                false
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        file.sync_all().await?;
        let temporary = match temporary {
            Some(temporary) => temporary,
            None if is_new
                && link(&file, Base::Dir(dir.shared().clone()), Path::new(&name), false).await? =>
            {
                return sync(&dir).await;
            }
            // No link replaces what is there, but a rename does.
            None => Temporary::linked(&file, &dir).await?,
        };
        temporary.rename(&name).await?;
        sync(&dir).await
    }

    async fn create_named(dir: Dir, name: OsString) -> io::Result<Self> {
        let unnamed = OpenOptions::new().read(true).write(true).tmpfile(true);
        match dir.open_with(".", &unnamed).await {
            Ok(file) => Ok(Self { file, dir, name, temporary: None }),
            // The file system has no files without names, or the kernel took the flag for another.
            Err(error) if !knows_unnamed(&error) => Self::create_under_a_name(dir, name).await,
            Err(error) => Err(error),
        }
    }

    async fn create_under_a_name(dir: Dir, name: OsString) -> io::Result<Self> {
        let (file, temporary) = Temporary::made(&dir).await?;
        Ok(Self { file, dir, name, temporary: Some(temporary) })
    }
}

/// Whether a file without a name was refused for another reason than that the file system has none, or the kernel took the flag for
/// another.
#[must_use]
pub fn knows_unnamed(refused: &io::Error) -> bool {
    !matches!(refused.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL))
}

/// The directory and the name of a path.
///
/// # Errors
///
/// `EINVAL` for a path that does not end in a name, or with a zero byte in it.
pub fn split(path: &Path) -> io::Result<(PathBuf, OsString)> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let name = path.file_name().ok_or_else(invalid)?;
    let is_named = path.as_os_str().as_bytes().ends_with(name.as_bytes());
    if !is_named || name.as_bytes().contains(&0) {
        return Err(invalid());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    Ok((above.unwrap_or_else(|| Path::new(".")).to_owned(), name.to_owned()))
}

async fn pass_permissions(before: &Metadata, file: &File) -> io::Result<()> {
    if before.is_file() && before.mode() != file.metadata().await?.mode() {
        file.set_permissions(before.permissions()).await?;
    }
    Ok(())
}

/// Gives a file without a name one. `false` if something has it already. A `temporary` name is taken back if this is dropped.
async fn link(file: &File, base: Base, path: &Path, temporary: bool) -> io::Result<bool> {
    let to = Place { base, path: c_path(path)? };
    // By its descriptor, which needs privileges before Linux 6.10; else by the way that leads there for everybody.
    let by_descriptor = Place { base: Base::Dir(file.shared().clone()), path: CString::default() };
    let by_proc = format!("/proc/self/fd/{}", file.as_raw_fd());
    let by_proc = Place { base: Base::Working, path: c_path(Path::new(&by_proc))? };
    let mut outcome = Ok(());
    for (from, flags) in [(by_descriptor, libc::AT_EMPTY_PATH), (by_proc, libc::AT_SYMLINK_FOLLOW)] {
        outcome = Op::new(Naming::Link { from, to: to.clone(), flags, temporary }).await;
        match &outcome {
            Ok(()) => return Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => return Ok(false),
            Err(_) => {}
        }
    }
    outcome.map(|()| true)
}

/// Names for files that were opened without one.
impl File {
    /// Gives a file that was opened without a name ([`OpenOptions::tmpfile`]) this one, which nothing may have.
    ///
    /// # Errors
    ///
    /// Those of linkat(2): `EEXIST`, `EXDEV` on another file system, `ENOENT` for a file that had a name and has lost it, or where `/proc`
    /// is not mounted (before Linux 6.10); `EINVAL` for a path with a zero byte; `EBUSY` if too many operations are in flight.
    pub async fn link(&self, path: impl AsRef<Path>) -> io::Result<()> {
        named(link(self, Base::Working, path.as_ref(), false).await)
    }

    /// As [`link`](Self::link), for a path that starts at a directory.
    ///
    /// # Errors
    ///
    /// As [`link`](Self::link).
    pub async fn link_in(&self, dir: &Dir, path: impl AsRef<Path>) -> io::Result<()> {
        named(link(self, Base::Dir(dir.shared().clone()), path.as_ref(), false).await)
    }
}

fn named(outcome: io::Result<bool>) -> io::Result<()> {
    if outcome? { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EEXIST)) }
}

/// Brings a directory to the disk, where the file system knows how.
async fn sync(dir: &Dir) -> io::Result<()> {
    match Op::new(Fsync { fd: dir.shared().clone(), data_only: false }).await {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        outcome => outcome,
    }
}

/// A name that is taken back when this is dropped: through the ring, or where nothing can be spawned any more, in place.
#[derive(Debug)]
struct Temporary(Option<Name>);

impl Temporary {
    /// Makes a file under a name that nothing else has.
    async fn made(dir: &Dir) -> io::Result<(File, Self)> {
        loop {
            let name = unique();
            let flags = (libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC).cast_unsigned();
            let how = OpenHow::new().flags(flags.into()).mode(0o666);
            let base = Base::Dir(dir.shared().clone());
            match Op::new(Open::new(base, c_path(Path::new(&name))?, how).temporary()).await {
                Ok(fd) => return Ok((File::from_shared(fd), Self::of(dir, name))),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives a file without a name one that nothing else has.
    async fn linked(file: &File, dir: &Dir) -> io::Result<Self> {
        loop {
            let name = unique();
            if link(file, Base::Dir(dir.shared().clone()), Path::new(&name), true).await? {
                return Ok(Self::of(dir, name));
            }
        }
    }

    fn of(dir: &Dir, name: String) -> Self {
        Self(Some(Name { dir: dir.clone(), name, there: true }))
    }

    /// Changes the name for the one that it is to have.
    async fn rename(mut self, name: &OsStr) -> io::Result<()> {
        let Some(own) = self.0.as_mut() else { return Ok(()) };
        own.dir.rename(&own.name, &own.dir, name, RenameMode::Replace).await?;
        own.is_gone();
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let Some(name) = self.0.take().filter(|name| name.there) else { return };
        if Context::try_current().is_some() {
            // Refused, the name is dropped here.
            drop(crate::try_spawn(name.take_back()));
        }
    }
}

/// A name, which is removed in place when this is dropped, unless it is gone.
#[derive(Debug)]
struct Name {
    dir: Dir,
    name: String,
    there: bool,
}

impl Name {
    async fn take_back(mut self) {
        if self.dir.remove_file(&self.name).await.is_ok() {
            self.is_gone();
        }
    }

    const fn is_gone(&mut self) {
        self.there = false;
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if self.there {
            // There is nobody left to tell.
            let _ = unlinkat(self.dir.shared(), &self.name, AtFlags::empty());
        }
    }
}

/// A name that nothing else has, by all likelihood.
#[must_use]
pub fn unique() -> String {
    format!(".annulus-{:016x}.tmp", RandomState::new().hash_one(std::process::id()))
}

#[cfg(test)]
#[path = "atomic_tests.rs"]
mod tests;
