//! Making directories: one, or with all that are missing above it.

use std::io;
use std::path::Path;

use super::names::make_dir;
use super::{Dir, FileType};
use crate::driver::Op;
use crate::driver::op::path::{Base, Statx};
use crate::fs::{Metadata, c_path};

/// How directories are made.
///
/// # Examples
///
/// ```
/// use annulus_rt::fs::{self, DirBuilder};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a/b/c");
/// annulus_rt::run(async {
///     DirBuilder::new().recursive(true).mode(0o700).create(&path).await?;
///     assert_eq!(fs::metadata(&path).await?.mode(), 0o700);
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirBuilder {
    recursive: bool,
    mode: u32,
}

impl DirBuilder {
    /// One directory, which must not be there, with permissions for everybody as far as the umask leaves them.
    #[must_use]
    pub const fn new() -> Self {
        Self { recursive: false, mode: 0o777 }
    }

    /// Makes those above it too that are missing; and that it is there already is no error.
    #[must_use]
    pub const fn recursive(mut self, on: bool) -> Self {
        self.recursive = on;
        self
    }

    /// The permissions, before the umask. Default `0o777`.
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// Those of mkdirat(2): `EEXIST`, `ENOENT` (not with [`recursive`](Self::recursive)), `ENOTDIR`, `EACCES`, `EROFS`, `ENOSPC`; `EINVAL` for a
    /// path with a zero byte; `EBUSY` if too many operations are in flight.
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.create_from(None, path.as_ref()).await
    }

    /// Makes one whose path starts at a directory.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub async fn create_in(&self, dir: &Dir, path: impl AsRef<Path>) -> io::Result<()> {
        self.create_from(Some(dir), path.as_ref()).await
    }

    async fn create_from(&self, dir: Option<&Dir>, path: &Path) -> io::Result<()> {
        if !self.recursive {
            return make_dir(dir, path, self.mode).await;
        }
        // From the bottom up until one can be made or is there, then down again.
        let mut missing = Vec::new();
        for above in path.ancestors().filter(|above| !above.as_os_str().is_empty()) {
            match make_dir(dir, above, self.mode).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(above),
                made => {
                    settle(dir, above, made).await?;
                    break;
                }
            }
        }
        for below in missing.into_iter().rev() {
            settle(dir, below, make_dir(dir, below, self.mode).await).await?;
        }
        Ok(())
    }
}

/// That there is a directory already, by whomever it was made, is as good; also on file systems that say something else first, as that
/// they are read-only.
async fn settle(dir: Option<&Dir>, path: &Path, made: io::Result<()>) -> io::Result<()> {
    let Err(error) = made else { return Ok(()) };
    let base = dir.map_or(Base::Working, |dir| Base::Dir(dir.shared().clone()));
    let found = Op::new(Statx::new(base, c_path(path)?, 0)).await.map(Metadata);
    match found.map(|found| found.file_type()) {
        Ok(FileType::Dir) => Ok(()),
        _ => Err(error),
    }
}

impl Default for DirBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes a directory.
///
/// # Errors
///
/// As [`DirBuilder::create`].
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    DirBuilder::new().create(path).await
}

/// Makes a directory and all that are missing above it. That it is there already is no error.
///
/// # Errors
///
/// As [`DirBuilder::create`].
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path).await
}

impl Dir {
    /// Makes a directory whose path starts here.
    ///
    /// # Errors
    ///
    /// As [`DirBuilder::create`].
    pub async fn create_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        DirBuilder::new().create_in(self, path).await
    }

    /// Makes a directory whose path starts here, and all that are missing above it.
    ///
    /// # Errors
    ///
    /// As [`DirBuilder::create`].
    pub async fn create_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        DirBuilder::new().recursive(true).create_in(self, path).await
    }
}
