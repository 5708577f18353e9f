//! Files that are replaced as a whole: written under no name, or a name of their own, and then given the real one.
//!
//! What makes a name is done in one piece on a thread that blocks, so that no dropped future stops halfway: a name that was made there is
//! changed for the real one there, or taken back by a guard.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annulus_rt::buf::{BufResult, IoBuf};
use annulus_rt::fs::parts::{knows_unnamed, split, unique};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::blocking::blocking;
use crate::{Dir, File, OpenOptions};

/// Writes a whole file so that everybody, at every moment and after a crash, finds what it held before or what it is to hold, and
/// nothing else.
///
/// The contents go into a file without a name (`O_TMPFILE`; where there is none, under a name that begins with `.annulus-`) in
/// the same directory, then to the disk, then under the real name, and then the directory goes to the disk. An ordinary file
/// that is replaced passes its permissions on; a symbolic link is replaced itself.
///
/// If the future is dropped, the file is the old one or the new one, and nothing else remains.
///
/// # Errors
///
/// As [`AtomicFile::create`], [`File::write_all_at`] and [`AtomicFile::commit`]. The file is as it was then, unless it was the last
/// step that failed, bringing the directory to the disk (`EIO`).
pub fn write_atomic<B: IoBuf + Send>(
    path: impl AsRef<Path>,
    contents: B,
) -> impl Future<Output = BufResult<(), B>> + Send {
    replace(split(path.as_ref()), contents)
}

async fn replace<B: IoBuf + Send>(place: io::Result<(PathBuf, OsString)>, contents: B) -> BufResult<(), B> {
    let new = match AtomicFile::create_at(place).await {
        Ok(new) => new,
        Err(error) => return (Err(error), contents),
    };
    let (written, contents) = new.file().write_all_at(contents, 0).await;
    match written {
        Ok(()) => (new.commit().await, contents),
        Err(error) => (Err(error), contents),
    }
}

/// A file that is going to take the place of another, or of none, when it is [committed](Self::commit). Dropped before, it leaves nothing.
///
/// ```
/// use annulus_tokio::{AtomicFile, read_to_string};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("table");
/// let new = AtomicFile::create(&path).await?;
/// new.file().write_all_at("first half, ", 0).await.0?;
/// new.file().write_all_at("second half", 12).await.0?;
/// assert!(!path.exists());
/// new.commit().await?;
/// assert_eq!(read_to_string(&path).await?, "first half, second half");
/// # Ok(())
/// # }
/// ```
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
    /// path that does not end in a name, or has a zero byte.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::create_at(split(path.as_ref())).await
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
    /// Those of fsync(2), linkat(2) and renameat(2): `EIO`, `ENOSPC`, `EDQUOT`, `EISDIR` if there is a directory of that name.
    pub async fn commit(self) -> io::Result<()> {
        let Self { file, dir, name, temporary } = self;
        let before = match dir.statx_with(&name, libc::AT_SYMLINK_NOFOLLOW).await {
            Ok(before) => Some(before),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(before) = before.filter(|before| before.is_file())
            && before.mode() != file.metadata().await?.mode()
        {
            file.set_permissions(before.permissions()).await?;
        }
        file.sync_all().await?;
        let there = dir.clone();
        blocking(move || put(&file, &there, &name, temporary, before.is_none())).await?;
        match File::from_shared(dir.shared().clone()).sync_all().await {
            // A file system that does not bring directories to the disk.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            synced => synced,
        }
    }

    async fn create_at(place: io::Result<(PathBuf, OsString)>) -> io::Result<Self> {
        let (above, name) = place?;
        Self::create_named(Dir::open(above).await?, name).await
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
        let there = dir.clone();
        // Dropped meanwhile, the guard comes back to nobody, and takes the name back.
        let (file, temporary) = blocking(move || Ok(Temporary::made(&there)?)).await?;
        Ok(Self { file: file.into(), dir, name, temporary: Some(temporary) })
    }
}

/// Gives a file the name that it is to have.
fn put(file: &File, dir: &Dir, name: &OsStr, temporary: Option<Temporary>, is_new: bool) -> io::Result<()> {
    let temporary = match temporary {
        Some(temporary) => temporary,
        None if is_new && link(file.as_fd(), dir.as_fd(), name)? => return Ok(()),
        // No link replaces what is there, but a rename does.
        None => Temporary::linked(file, dir)?,
    };
    Ok(temporary.rename(name)?)
}

/// Gives a file without a name one. `false` if something has it already.
fn link(file: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<bool> {
    // By its descriptor, which needs privileges before Linux 6.10; else by the way that leads there for everybody.
    let by_proc = format!("/proc/self/fd/{}", file.as_raw_fd());
    let by_descriptor = linkat(file, "", dir, name, AtFlags::EMPTY_PATH);
    let linked = match by_descriptor {
        Ok(()) | Err(Errno::EXIST) => by_descriptor,
        Err(_) => linkat(CWD, by_proc, dir, name, AtFlags::SYMLINK_FOLLOW),
    };
    match linked {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// A name that is taken back, in place, when this is dropped.
#[derive(Debug)]
struct Temporary {
    dir: Arc<OwnedFd>,
    name: String,
    /// Nothing has that name any more.
    is_gone: bool,
}

impl Temporary {
    /// Makes a file under a name that nothing else has.
    fn made(dir: &Dir) -> rustix::io::Result<(OwnedFd, Self)> {
        loop {
            let name = unique();
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            match openat(dir, &name, flags, Mode::from_raw_mode(0o666)) {
                Ok(fd) => return Ok((fd, Self::of(dir, name))),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Gives a file without a name one that nothing else has.
    fn linked(file: &File, dir: &Dir) -> rustix::io::Result<Self> {
        loop {
            let name = unique();
            if link(file.as_fd(), dir.as_fd(), OsStr::new(&name))? {
                return Ok(Self::of(dir, name));
            }
        }
    }

    fn of(dir: &Dir, name: String) -> Self {
        Self { dir: dir.shared().clone(), name, is_gone: false }
    }

    /// Changes the name for the one that it is to have.
    fn rename(mut self, name: &OsStr) -> rustix::io::Result<()> {
        renameat(&*self.dir, &self.name, &*self.dir, name)?;
        self.is_gone = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_gone {
            // There is nobody to tell.
            let _ = unlinkat(&*self.dir, &self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    /// The way that file systems without unnamed files need.
    #[test]
    fn a_file_under_a_name_of_its_own_takes_the_place_or_leaves_none() {
        let folder = tempfile::tempdir().unwrap();
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            for text in ["first", "second"] {
                let dir = Dir::open(folder.path()).await.unwrap();
                let new = AtomicFile::create_under_a_name(dir.clone(), "file".into()).await.unwrap();
                new.file().write_all_at(text, 0).await.0.unwrap();
                let others = names();
                drop(AtomicFile::create_under_a_name(dir, "file".into()).await.unwrap());
                assert_eq!(names(), others);
                new.commit().await.unwrap();
                assert_eq!(names(), 1);
                assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), text);
            }
        });
    }
}
