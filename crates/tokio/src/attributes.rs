//! What a file's owner may change of its metadata: permissions, times. io_uring has no opcodes for these.

use std::fs::Permissions;
use std::io;
use std::path::Path;

use annulus_rt::fs::FileTimes;
use annulus_rt::fs::parts::{c_path, mode, timestamps};
use rustix::fs::{AtFlags, CWD, chmodat, fchmod, futimens, utimensat};

use crate::File;
use crate::blocking::blocking;

/// Sets the permissions of what a path leads to. On a thread that blocks.
///
/// # Errors
///
/// Those of fchmodat(2): `ENOENT`, `EPERM`, `EROFS`; `EINVAL` for a path with a zero byte.
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    let (path, mode) = (c_path(path.as_ref())?, mode(&permissions));
    blocking(move || Ok(chmodat(CWD, &path, mode, AtFlags::empty())?)).await
}

/// Sets the times of what a path leads to. On a thread that blocks.
///
/// # Errors
///
/// Those of utimensat(2): `ENOENT`, `EACCES`, `EPERM`, `EROFS`; `EINVAL` for a time that the kernel cannot hold, or a path with a
/// zero byte.
pub async fn set_times(path: impl AsRef<Path>, times: FileTimes) -> io::Result<()> {
    let (path, times) = (c_path(path.as_ref())?, timestamps(times)?);
    blocking(move || Ok(utimensat(CWD, &path, &times, AtFlags::empty())?)).await
}

/// Permissions, times.
impl File {
    /// Sets the permissions. On a thread that blocks.
    ///
    /// # Errors
    ///
    /// Those of fchmod(2): `EPERM`, `EROFS`.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        let (file, mode) = (self.shared().clone(), mode(&permissions));
        blocking(move || Ok(fchmod(&*file, mode)?)).await
    }

    /// Sets when it was read and changed last. On a thread that blocks.
    ///
    /// # Errors
    ///
    /// Those of futimens(3): `EPERM`, `EROFS`; `EINVAL` for a time that the kernel cannot hold.
    pub async fn set_times(&self, times: FileTimes) -> io::Result<()> {
        let (file, times) = (self.shared().clone(), timestamps(times)?);
        blocking(move || Ok(futimens(&*file, &times)?)).await
    }
}
