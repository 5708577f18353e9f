//! Extended attributes (xattr(7)).

use super::{address, operation, set_target};
use crate::types::UseFixed;

operation! {
    /// Reads an extended attribute of a file named by its path: getxattr(2). Linux 5.19.
    ///
    /// The result is the size of the value; `ERANGE` if it is more than `len`, `ENODATA` if there is none.
    /// With a `len` of 0 only the size is told.
    pub struct GetXattr: IORING_OP_GETXATTR;

    /// Reads the attribute `name` of `path` into the `len` bytes at `value`.
    pub fn new(
        sqe,
        name: *const libc::c_char,
        value: *mut libc::c_void,
        path: *const libc::c_char,
        len: u32,
    ) {
        sqe.addr = address(name);
        sqe.off = address(value);
        sqe.addr3 = address(path);
        sqe.len = len;
    }
}

operation! {
    /// Sets an extended attribute of a file named by its path: setxattr(2). Linux 5.19.
    pub struct SetXattr: IORING_OP_SETXATTR;

    /// Sets the attribute `name` of `path` to the `len` bytes at `value`.
    pub fn new(
        sqe,
        name: *const libc::c_char,
        value: *const libc::c_void,
        path: *const libc::c_char,
        len: u32,
    ) {
        sqe.addr = address(name);
        sqe.off = address(value);
        sqe.addr3 = address(path);
        sqe.len = len;
    }

    /// Sets `XATTR_CREATE` (`EEXIST` if it is there) or `XATTR_REPLACE` (`ENODATA` if it is not).
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }
}

operation! {
    /// Reads an extended attribute of an open file: fgetxattr(2). Linux 5.19.
    ///
    /// The result is as that of [`GetXattr`].
    pub struct FGetXattr: IORING_OP_FGETXATTR;

    /// Reads the attribute `name` into the `len` bytes at `value`.
    pub fn new(
        sqe,
        fd: impl UseFixed,
        name: *const libc::c_char,
        value: *mut libc::c_void,
        len: u32,
    ) {
        set_target(sqe, fd);
        sqe.addr = address(name);
        sqe.off = address(value);
        sqe.len = len;
    }
}

operation! {
    /// Sets an extended attribute of an open file: fsetxattr(2). Linux 5.19.
    pub struct FSetXattr: IORING_OP_FSETXATTR;

    /// Sets the attribute `name` to the `len` bytes at `value`.
    pub fn new(
        sqe,
        fd: impl UseFixed,
        name: *const libc::c_char,
        value: *const libc::c_void,
        len: u32,
    ) {
        set_target(sqe, fd);
        sqe.addr = address(name);
        sqe.off = address(value);
        sqe.len = len;
    }

    /// Sets `XATTR_CREATE` (`EEXIST` if it is there) or `XATTR_REPLACE` (`ENODATA` if it is not).
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }
}
