//! What a file's owner may change of its metadata: permissions, times, owner. io_uring has no opcodes for these, so they run
//! on a helper thread.

use std::ffi::CString;
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, chmodat, chownat, fchmod, fchown,
    futimens, utimensat,
};

use super::blocking::blocking;
use super::{Dir, File, c_path};

/// Times to be set; what is not given stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileTimes {
    accessed: Option<SystemTime>,
    modified: Option<SystemTime>,
}

impl FileTimes {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { accessed: None, modified: None }
    }

    /// When the file was read last.
    #[must_use]
    pub const fn set_accessed(mut self, time: SystemTime) -> Self {
        self.accessed = Some(time);
        self
    }

    /// When its contents changed last.
    #[must_use]
    pub const fn set_modified(mut self, time: SystemTime) -> Self {
        self.modified = Some(time);
        self
    }
}

/// Times as the kernel takes them.
///
/// # Errors
///
/// `EINVAL` for a time that the kernel cannot hold.
pub fn timestamps(times: FileTimes) -> io::Result<Timestamps> {
    Ok(Timestamps { last_access: timestamp(times.accessed)?, last_modification: timestamp(times.modified)? })
}

/// As the kernel takes it.
fn timestamp(time: Option<SystemTime>) -> io::Result<Timespec> {
    let Some(time) = time else {
        return Ok(Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT });
    };
    let invalid = |_| io::Error::from_raw_os_error(libc::EINVAL);
    let (seconds, nanoseconds) = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()).map_err(invalid)?, since.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            let seconds = -i64::try_from(before.as_secs()).map_err(invalid)?;
            match before.subsec_nanos() {
                0 => (seconds, 0),
                // Nanoseconds count forward, before 1970 too.
                part => (seconds - 1, 1_000_000_000 - part),
            }
        }
    };
    Ok(Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() })
}

/// Where a path starts, for a helper thread: a descriptor of its own, as that of the directory belongs to this thread.
pub(super) enum Start {
    Working,
    Dir(OwnedFd),
}

impl Start {
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    pub(super) fn of(dir: Option<&Dir>) -> io::Result<Self> {
        dir.map_or(Ok(Self::Working), |dir| Ok(Self::Dir(dir.as_fd().try_clone_to_owned()?)))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Working => CWD,
            Self::Dir(fd) => fd.as_fd(),
        }
    }
}

/// A call on a path.
async fn on_path<T: Send + 'static>(
    dir: Option<&Dir>,
    path: &Path,
    call: impl FnOnce(BorrowedFd<'_>, CString) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (start, path) = (Start::of(dir)?, c_path(path)?);
    blocking(move || call(start.fd(), path)).await
}

/// Sets the permissions of what a path leads to.
///
/// # Errors
///
/// Those of fchmodat(2): `ENOENT`, `EPERM`, `EROFS`; `EINVAL` for a path with a zero byte; `EAGAIN` if too much waits for a helper thread.
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    permissions_at(None, path.as_ref(), permissions).await
}

/// Sets the times of what a path leads to.
///
/// # Errors
///
/// Those of utimensat(2): `ENOENT`, `EACCES`, `EPERM`, `EROFS`; `EINVAL` for a time that the kernel cannot hold; and as
/// [`set_permissions`].
pub async fn set_times(path: impl AsRef<Path>, times: FileTimes) -> io::Result<()> {
    times_at(None, path.as_ref(), times).await
}

/// Gives what a path leads to another owner or group; `None` leaves it.
///
/// # Errors
///
/// Those of fchownat(2): `ENOENT`, `EPERM`, `EROFS`; and as [`set_permissions`].
pub async fn chown(path: impl AsRef<Path>, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    owner_at(None, path.as_ref(), user, group, AtFlags::empty()).await
}

/// As [`chown`], for a symbolic link itself.
///
/// # Errors
///
/// As [`chown`].
pub async fn lchown(path: impl AsRef<Path>, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    owner_at(None, path.as_ref(), user, group, AtFlags::SYMLINK_NOFOLLOW).await
}

async fn permissions_at(dir: Option<&Dir>, path: &Path, permissions: Permissions) -> io::Result<()> {
    let mode = mode(&permissions);
    on_path(dir, path, move |dir, path| Ok(chmodat(dir, &path, mode, AtFlags::empty())?)).await
}

async fn times_at(dir: Option<&Dir>, path: &Path, times: FileTimes) -> io::Result<()> {
    let times = timestamps(times)?;
    on_path(dir, path, move |dir, path| Ok(utimensat(dir, &path, &times, AtFlags::empty())?)).await
}

async fn owner_at(
    dir: Option<&Dir>,
    path: &Path,
    user: Option<u32>,
    group: Option<u32>,
    flags: AtFlags,
) -> io::Result<()> {
    let (user, group) = owner(user, group)?;
    on_path(dir, path, move |dir, path| Ok(chownat(dir, &path, user, group, flags)?)).await
}

/// Permissions as the kernel takes them.
#[must_use]
pub fn mode(permissions: &Permissions) -> Mode {
    Mode::from_raw_mode(permissions.mode() & 0o7777)
}

/// Names of users and groups; -1 is none, and stands for "leave it" in the system's call.
fn owner(user: Option<u32>, group: Option<u32>) -> io::Result<(Option<Uid>, Option<Gid>)> {
    if user == Some(u32::MAX) || group == Some(u32::MAX) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok((user.map(Uid::from_raw), group.map(Gid::from_raw)))
}

/// Permissions, times, owner.
impl File {
    /// Sets the permissions.
    ///
    /// # Errors
    ///
    /// Those of fchmod(2): `EPERM`, `EROFS`; `EAGAIN` if too much waits for a helper thread, `EMFILE` if there is no descriptor for it.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        let (fd, mode) = (self.as_fd().try_clone_to_owned()?, mode(&permissions));
        blocking(move || Ok(fchmod(fd, mode)?)).await
    }

    /// Sets when it was read and changed last.
    ///
    /// # Errors
    ///
    /// Those of futimens(3): `EPERM`, `EROFS`; `EINVAL` for a time that the kernel cannot hold; and as
    /// [`set_permissions`](Self::set_permissions).
    pub async fn set_times(&self, times: FileTimes) -> io::Result<()> {
        let (fd, times) = (self.as_fd().try_clone_to_owned()?, timestamps(times)?);
        blocking(move || Ok(futimens(fd, &times)?)).await
    }

    /// Gives it another owner or group; `None` leaves it.
    ///
    /// # Errors
    ///
    /// Those of fchown(2): `EPERM`, `EROFS`; and as [`set_permissions`](Self::set_permissions).
    pub async fn chown(&self, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
        let (user, group) = owner(user, group)?;
        let fd = self.as_fd().try_clone_to_owned()?;
        blocking(move || Ok(fchown(fd, user, group)?)).await
    }
}

/// Permissions, times, owner.
impl Dir {
    /// Sets the permissions of a path that starts here.
    ///
    /// # Errors
    ///
    /// As [`set_permissions`](super::set_permissions).
    pub async fn set_permissions(&self, path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
        permissions_at(Some(self), path.as_ref(), permissions).await
    }

    /// Sets the times of a path that starts here.
    ///
    /// # Errors
    ///
    /// As [`set_times`](super::set_times).
    pub async fn set_times(&self, path: impl AsRef<Path>, times: FileTimes) -> io::Result<()> {
        times_at(Some(self), path.as_ref(), times).await
    }

    /// Gives a path that starts here another owner or group; `None` leaves it.
    ///
    /// # Errors
    ///
    /// As [`chown`](super::chown).
    pub async fn chown(
        &self,
        path: impl AsRef<Path>,
        user: Option<u32>,
        group: Option<u32>,
    ) -> io::Result<()> {
        owner_at(Some(self), path.as_ref(), user, group, AtFlags::empty()).await
    }
}
