//! Extended attributes of the machine's files.
#![allow(unsafe_code, reason = "system calls by number and address, as entries name them")]

use std::ffi::CStr;

use rustix::io::Errno;

use super::Host;
use super::sockets::{bytes, pointer, result};
use crate::world::Span;
use crate::world::attributes::{Attributes, Bearer};

impl Attributes for Host {
    fn attribute(&self, bearer: Bearer<'_>, name: &CStr, into: Span) -> Result<usize, Errno> {
        let (name, value, size) = (name.as_ptr(), pointer(into), into.len());
        bytes(match bearer {
            // SAFETY: the name lives for the call; the kernel checks the other address, for which the
            // submission vouched.
            Bearer::File(fd) => unsafe { libc::fgetxattr(fd, name, value, size) },
            // SAFETY: as above.
            Bearer::Path(path) => unsafe { libc::getxattr(path.as_ptr(), name, value, size) },
        })
    }

    fn set_attribute(&self, bearer: Bearer<'_>, name: &CStr, value: &[u8], flags: u32) -> Result<(), Errno> {
        let (name, flags) = (name.as_ptr(), flags.cast_signed());
        let (value, size) = (value.as_ptr().cast(), value.len());
        result(match bearer {
            // SAFETY: name and value live for the call.
            Bearer::File(fd) => unsafe { libc::fsetxattr(fd, name, value, size, flags) },
            // SAFETY: as above.
            Bearer::Path(path) => unsafe { libc::setxattr(path.as_ptr(), name, value, size, flags) },
        })
        .map(drop)
    }
}
