//! Arguments of the system calls, placed where the host of the table can read them.
//!
//! With the ordinary table an argument is passed where it lies. With a table that has
//! [`SharedMemory`](super::SharedMemory) it is copied into memory of the host's for the call, and
//! what the call wrote is copied back. One [`Staged`] lives for one call and frees its memory itself.
#![allow(unsafe_code, reason = "copies arguments byte by byte into memory that the host reaches")]

use std::ffi::c_void;
use std::mem::size_of;
use std::ptr::NonNull;

use annulus_abi::{GeteventsArg, KernelTimespec};
use rustix::io::Errno;

use super::calls::{SharedMemory, SystemCalls};

/// Size of the kernel's signal set in bytes.
pub(super) const SIGSET_SIZE: usize = GeteventsArg::SIGMASK_SIZE as usize;

/// Memory that holds a call's argument, if the table wants one at all.
#[derive(Debug)]
pub(super) struct Staged {
    memory: Option<(SharedMemory, NonNull<u8>, usize)>,
    arg: *mut c_void,
}

impl Staged {
    /// Hands over `len` bytes at `arg`.
    ///
    /// # Errors
    ///
    /// Whatever the table's allocator says.
    ///
    /// # Safety
    ///
    /// `len` bytes at `arg` are readable.
    pub(super) unsafe fn new(calls: &SystemCalls, arg: *const c_void, len: usize) -> Result<Self, Errno> {
        let Some(shared) = calls.shared.filter(|_| !arg.is_null() && len > 0) else {
            return Ok(Self { memory: None, arg: arg.cast_mut() });
        };
        // SAFETY: any size may be asked for; the table's author answers for the rest.
        let start = unsafe { (shared.allocate)(len) }?;
        // SAFETY: `len` bytes are readable at `arg` (contract) and were just allocated at `start`.
        unsafe { start.as_ptr().copy_from_nonoverlapping(arg.cast(), len) };
        Ok(Self { memory: Some((shared, start, len)), arg: start.as_ptr().cast() })
    }

    /// Hands over an enter argument with the timeout and the signal set that it points to.
    ///
    /// # Errors
    ///
    /// Whatever the table's allocator says.
    ///
    /// # Safety
    ///
    /// The pointers inside `arg` are null or readable.
    pub(super) unsafe fn extended(calls: &SystemCalls, arg: &GeteventsArg) -> Result<Self, Errno> {
        const TS: usize = size_of::<GeteventsArg>();
        const SIGMASK: usize = TS + size_of::<KernelTimespec>();
        if calls.shared.is_none() {
            return Ok(Self { memory: None, arg: std::ptr::from_ref(arg).cast_mut().cast() });
        }
        let mut bytes = [0_u8; SIGMASK + SIGSET_SIZE];
        let sigmask = if arg.sigmask_sz as usize == SIGSET_SIZE { arg.sigmask } else { 0 };
        // SAFETY: the contract of this function: null, or a timeout.
        let has_ts = unsafe { copy_in(&mut bytes[TS..SIGMASK], arg.ts) };
        // SAFETY: the contract of this function: null, or a signal set of the size that is told.
        let has_sigmask = unsafe { copy_in(&mut bytes[SIGMASK..], sigmask) };
        // SAFETY: `bytes` is readable over its whole length.
        let staged = unsafe { Self::new(calls, bytes.as_ptr().cast(), bytes.len()) }?;
        let mut head = *arg;
        let base = staged.arg.expose_provenance() as u64;
        head.ts = if has_ts { base + TS as u64 } else { 0 };
        head.sigmask = if has_sigmask { base + SIGMASK as u64 } else { arg.sigmask };
        // SAFETY: the allocation holds `SIGMASK + SIGSET_SIZE` bytes aligned to 16; the argument comes first.
        unsafe { staged.arg.cast::<GeteventsArg>().write(head) };
        Ok(staged)
    }

    /// What to pass to the call.
    pub(super) const fn arg(&self) -> *mut c_void {
        self.arg
    }

    /// Copies what the call wrote back to where the argument came from.
    ///
    /// # Safety
    ///
    /// As many bytes as were handed over are writable at `arg`.
    pub(super) unsafe fn copy_back(&self, arg: *mut c_void) {
        if let Some((_, start, len)) = self.memory {
            // SAFETY: `start` holds `len` bytes; `arg` is writable for as many (contract).
            unsafe { arg.cast::<u8>().copy_from_nonoverlapping(start.as_ptr(), len) };
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some((shared, start, len)) = self.memory.take() {
            // SAFETY: allocated from the same table with the same size; the call is over.
            unsafe { (shared.release)(start, len) };
        }
    }
}

/// Fills `into` from an address, unless that is zero. Says whether it did.
///
/// # Safety
///
/// `from` is zero or `into.len()` bytes are readable there.
unsafe fn copy_in(into: &mut [u8], from: u64) -> bool {
    let from = std::ptr::with_exposed_provenance::<u8>(usize::try_from(from).unwrap_or(0));
    if from.is_null() {
        return false;
    }
    // SAFETY: the contract of this function.
    unsafe { into.as_mut_ptr().copy_from_nonoverlapping(from, into.len()) };
    true
}
