//! Making directories: one, or with all that are missing above it.

use std::io;
use std::path::Path;

use annulus::opcode::MkDirAt;
use annulus::owned::{Directory, MakeDir};
use annulus_rt::fs::FileType;
use annulus_rt::fs::parts::c_path;

use crate::facts::ask;
use crate::running::run_new;

/// How directories are made.
///
/// ```
/// use annulus_tokio::{DirBuilder, metadata};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a/b/c");
/// DirBuilder::new().recursive(true).mode(0o700).create(&path).await?;
/// assert_eq!(metadata(&path).await?.mode(), 0o700);
/// # Ok(())
/// # }
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
    /// path with a zero byte.
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.create_from(&Directory::working(), path.as_ref()).await
    }

    pub(crate) async fn create_from(&self, from: &Directory, path: &Path) -> io::Result<()> {
        if !self.recursive {
            return self.make(from, path).await;
        }
        // Up until one can be made or is there, then down again.
        let mut missing = Vec::new();
        for above in path.ancestors().take_while(|above| !above.as_os_str().is_empty()) {
            match self.make_or_find(from, above).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(above),
                made => {
                    made?;
                    break;
                }
            }
        }
        while let Some(below) = missing.pop() {
            self.make_or_find(from, below).await?;
        }
        Ok(())
    }

    async fn make(&self, from: &Directory, path: &Path) -> io::Result<()> {
        let path = c_path(path)?;
        run_new(MkDirAt::CODE, || MakeDir::new(path.clone()).at(from).mode(self.mode)).await
    }

    /// That there is a directory already, by whomever it was made, is as good; also on file systems that say something else first, as
    /// that they are read-only.
    async fn make_or_find(&self, from: &Directory, path: &Path) -> io::Result<()> {
        let Err(error) = self.make(from, path).await else { return Ok(()) };
        let found = ask(from, path, 0, libc::STATX_TYPE).await;
        match found.map(|found| found.file_type()) {
            Ok(FileType::Dir) => Ok(()),
            _ => Err(error),
        }
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
