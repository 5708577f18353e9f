//! Extended attributes (xattr(7)): small values with names of their own beside a file's contents.
//!
//! Reading and setting go through the ring; listing, removing, and what is done to symbolic links themselves have no
//! opcode and run on a helper thread.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{
    XattrFlags, flistxattr, fremovexattr, lgetxattr, listxattr, llistxattr, lremovexattr, lsetxattr,
    removexattr,
};

use super::blocking::blocking;
use super::{File, c_path};
use crate::driver::Op;
use crate::driver::op::xattr::{GetXattr, SetXattr, Whose};

/// What most values fit into, in bytes.
const USUAL: usize = 1024;

/// The most that a value, and the names of one file together, may have (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const MOST: usize = 65_536;

/// Whether an attribute may be there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SetMode {
    /// Made, or replaced.
    #[default]
    Any,
    /// Made; `EEXIST` if there is one of that name.
    Create,
    /// Replaced; `ENODATA` if there is none of that name.
    Replace,
}

impl SetMode {
    const fn flags(self) -> XattrFlags {
        match self {
            Self::Any => XattrFlags::empty(),
            Self::Create => XattrFlags::CREATE,
            Self::Replace => XattrFlags::REPLACE,
        }
    }
}

/// The value of an attribute of what a path leads to; `None` if there is none of that name. Names begin with their
/// namespace: `user.`, `trusted.`, `security.`.
///
/// # Errors
///
/// Those of getxattr(2): `ENOENT`, `EACCES`, `EOPNOTSUPP` where the file system has none or the namespace is not known; `EINVAL` for a
/// path or a name with a zero byte; `EBUSY` if too many operations are in flight.
pub async fn get(path: impl AsRef<Path>, name: impl AsRef<OsStr>) -> io::Result<Option<Vec<u8>>> {
    let path = c_path(path.as_ref())?;
    get_from(|| Whose::Path(path.clone()), &c_name(name.as_ref())?).await
}

/// As [`get`], of a symbolic link itself.
///
/// # Errors
///
/// As [`get`]; `EAGAIN` if too much waits for a helper thread.
pub async fn lget(path: impl AsRef<Path>, name: impl AsRef<OsStr>) -> io::Result<Option<Vec<u8>>> {
    let (path, name) = (c_path(path.as_ref())?, c_name(name.as_ref())?);
    blocking(move || {
        let mut value = vec![0; MOST];
        match lgetxattr(&path, &name, &mut value[..]) {
            Ok(len) => {
                value.truncate(len);
                Ok(Some(value))
            }
            Err(rustix::io::Errno::NODATA) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    })
    .await
}

/// Sets an attribute of what a path leads to.
///
/// # Errors
///
/// Those of setxattr(2): `EEXIST` and `ENODATA` as `mode` says, `ENOSPC`, `EDQUOT`, `E2BIG` and `ERANGE` for what is too large, `EPERM`
/// for `user.` attributes of what is neither file nor directory; and as [`get`].
pub async fn set(
    path: impl AsRef<Path>,
    name: impl AsRef<OsStr>,
    value: impl Into<Vec<u8>>,
    mode: SetMode,
) -> io::Result<()> {
    let whose = Whose::Path(c_path(path.as_ref())?);
    set_to(whose, c_name(name.as_ref())?, value.into(), mode).await
}

/// As [`set`], of a symbolic link itself.
///
/// # Errors
///
/// As [`set`]; `EAGAIN` if too much waits for a helper thread.
pub async fn lset(
    path: impl AsRef<Path>,
    name: impl AsRef<OsStr>,
    value: impl Into<Vec<u8>>,
    mode: SetMode,
) -> io::Result<()> {
    let (path, name, value) = (c_path(path.as_ref())?, c_name(name.as_ref())?, value.into());
    blocking(move || Ok(lsetxattr(&path, &name, &value, mode.flags())?)).await
}

/// The names of all attributes of what a path leads to.
///
/// # Errors
///
/// Those of listxattr(2), and as [`get`]; `EAGAIN` if too much waits for a helper thread.
pub async fn list(path: impl AsRef<Path>) -> io::Result<Vec<OsString>> {
    let path = c_path(path.as_ref())?;
    listed(move |names| listxattr(&path, names)).await
}

/// As [`list`], of a symbolic link itself.
///
/// # Errors
///
/// As [`list`].
pub async fn llist(path: impl AsRef<Path>) -> io::Result<Vec<OsString>> {
    let path = c_path(path.as_ref())?;
    listed(move |names| llistxattr(&path, names)).await
}

/// Removes an attribute of what a path leads to.
///
/// # Errors
///
/// Those of removexattr(2): `ENODATA` if there is none of that name; and as [`list`].
pub async fn remove(path: impl AsRef<Path>, name: impl AsRef<OsStr>) -> io::Result<()> {
    let (path, name) = (c_path(path.as_ref())?, c_name(name.as_ref())?);
    blocking(move || Ok(removexattr(&path, &name)?)).await
}

/// As [`remove`], of a symbolic link itself.
///
/// # Errors
///
/// As [`remove`].
pub async fn lremove(path: impl AsRef<Path>, name: impl AsRef<OsStr>) -> io::Result<()> {
    let (path, name) = (c_path(path.as_ref())?, c_name(name.as_ref())?);
    blocking(move || Ok(lremovexattr(&path, &name)?)).await
}

/// Extended attributes.
impl File {
    /// The value of an attribute; `None` if there is none of that name.
    ///
    /// # Errors
    ///
    /// As [`get`].
    pub async fn get_xattr(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Vec<u8>>> {
        get_from(|| Whose::File(self.shared().clone()), &c_name(name.as_ref())?).await
    }

    /// Sets an attribute.
    ///
    /// # Errors
    ///
    /// As [`set`].
    pub async fn set_xattr(
        &self,
        name: impl AsRef<OsStr>,
        value: impl Into<Vec<u8>>,
        mode: SetMode,
    ) -> io::Result<()> {
        let whose = Whose::File(self.shared().clone());
        set_to(whose, c_name(name.as_ref())?, value.into(), mode).await
    }

    /// The names of all attributes.
    ///
    /// # Errors
    ///
    /// As [`list`]; `EMFILE` if there is no descriptor for the helper thread.
    pub async fn list_xattrs(&self) -> io::Result<Vec<OsString>> {
        let fd = self.as_fd().try_clone_to_owned()?;
        listed(move |names| flistxattr(&fd, names)).await
    }

    /// Removes an attribute.
    ///
    /// # Errors
    ///
    /// As [`remove`]; `EMFILE` if there is no descriptor for the helper thread.
    pub async fn remove_xattr(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let fd = self.as_fd().try_clone_to_owned()?;
        let name = c_name(name.as_ref())?;
        blocking(move || Ok(fremovexattr(&fd, &name)?)).await
    }
}

async fn get_from(whose: impl Fn() -> Whose, name: &CString) -> io::Result<Option<Vec<u8>>> {
    let mut size = USUAL;
    loop {
        let get = GetXattr { whose: whose(), name: name.clone(), value: Vec::with_capacity(size) };
        let (got, value) = Op::new(get).await;
        match got.map_err(|error| (error.raw_os_error(), error)) {
            Ok(_) => return Ok(Some(value)),
            Err((Some(libc::ENODATA), _)) => return Ok(None),
            Err((Some(libc::ERANGE), _)) if size < MOST => size = MOST,
            Err((_, error)) => return Err(error),
        }
    }
}

async fn set_to(whose: Whose, name: CString, value: Vec<u8>, mode: SetMode) -> io::Result<()> {
    let flags = mode.flags().bits().cast_signed();
    Op::new(SetXattr { whose, name, value, flags }).await
}

/// What a call lists, which ends each name with a zero byte.
async fn listed(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize> + Send + 'static,
) -> io::Result<Vec<OsString>> {
    let names = blocking(move || {
        let mut names = vec![0; MOST];
        let len = list(&mut names)?;
        names.truncate(len);
        Ok(names)
    });
    let names = names.await?;
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsString::from_vec(name.to_vec())).collect())
}

fn c_name(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
