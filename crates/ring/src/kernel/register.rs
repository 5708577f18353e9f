//! io_uring_register(2) through the table, with its argument placed where the table's host reads it.
#![allow(unsafe_code, reason = "passes arguments on that its callers vouch for")]

use std::ffi::c_void;
use std::os::fd::RawFd;

use annulus_abi::{ArgDirection, RegisterOp};
use rustix::io::Errno;

use super::calls::SystemCalls;
use super::nested::Nested;
use super::staging::Staged;

/// Calls with an argument of as many bytes as the table of operations says. An operation that is not in
/// the table is passed as it is, as [`SystemCalls::shared`] says.
///
/// # Errors
///
/// Those of the operation, and whatever the table's allocator says.
///
/// # Safety
///
/// `arg` and `nr` are what `op` asks for on `fd`, and memory that becomes registered stays valid until it
/// is unregistered or the ring is gone.
pub(super) unsafe fn register(
    calls: &SystemCalls,
    fd: RawFd,
    op: RegisterOp,
    arg: *mut c_void,
    nr: u32,
) -> Result<u32, Errno> {
    let len = op.info().and_then(|info| info.layout.size(nr)).unwrap_or(0);
    // SAFETY: the argument of a known operation has the size that the table of operations says.
    unsafe { register_sized(calls, fd, op, arg, nr, len) }
}

/// Calls with an argument of `len` bytes: see [`register`].
///
/// # Errors
///
/// As [`register`].
///
/// # Safety
///
/// That of [`register`]; `len` bytes are at `arg`.
pub(crate) unsafe fn register_sized(
    calls: &SystemCalls,
    fd: RawFd,
    op: RegisterOp,
    arg: *mut c_void,
    nr: u32,
    len: usize,
) -> Result<u32, Errno> {
    // SAFETY: `len` bytes are at `arg` by contract.
    let staged = unsafe { Staged::new(calls, arg, len) }?;
    // SAFETY: the staged bytes are those of the argument; what it points to is the caller's to vouch for.
    let nested = unsafe { Nested::new(calls, op, staged.arg(), nr) }?;
    // SAFETY: the caller's contract, passed on with the copies.
    let result = unsafe { (calls.register)(fd, op.raw(), staged.arg(), nr) };
    // SAFETY: the argument of just above.
    unsafe { nested.copy_back(staged.arg()) };
    let writes =
        op.info().is_some_and(|info| matches!(info.direction, ArgDirection::Out | ArgDirection::InOut));
    if writes {
        // SAFETY: `arg` is as large as what was staged from it, and the operation writes it.
        unsafe { staged.copy_back(arg) };
    }
    result
}
