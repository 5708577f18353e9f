//! Extended attributes: xattr(7).

use std::ffi::CStr;
use std::os::fd::RawFd;

use rustix::io::Errno;

use super::Span;

/// Whose attribute it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bearer<'a> {
    /// An open file.
    File(RawFd),
    /// What a path leads to.
    Path(&'a CStr),
}

/// Extended attributes. The errors are those of the system calls named.
pub(crate) trait Attributes {
    /// fgetxattr(2), getxattr(2). Says how long the value is.
    ///
    /// # Errors
    ///
    /// Those of getxattr(2).
    fn attribute(&self, bearer: Bearer<'_>, name: &CStr, into: Span) -> Result<usize, Errno>;

    /// fsetxattr(2), setxattr(2).
    ///
    /// # Errors
    ///
    /// Those of setxattr(2).
    fn set_attribute(&self, bearer: Bearer<'_>, name: &CStr, value: &[u8], flags: u32) -> Result<(), Errno>;
}
