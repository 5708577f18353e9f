//! Registration: what a ring is told once, so that operations need not say it each time.
//!
//! This file is the door to io_uring_register(2): the files beside it, one for each topic, come through
//! here. Where the table of operations ([`RegisterOp::info`]) says that an argument holds no addresses,
//! the door checks its size against that table, and registration is safe; where there are addresses, the
//! file of the topic says what makes them good. Nothing is remembered here.
#![allow(unsafe_code, reason = "the door to io_uring_register(2), for arguments with addresses and without")]

mod access;
mod buf_ring;
mod buffers;
mod cancel;
mod events;
mod files;
mod napi;
mod region;
mod ring_fd;
mod settings;
mod workers;
mod zcrx;

use std::ffi::c_void;
use std::io;
use std::mem::{size_of, size_of_val};

use annulus_abi::{ArgDirection, ArgLayout, RegisterOp};

use super::Submitter;

impl Submitter<'_> {
    /// Calls io_uring_register(2) as it is, for operations that are not known here yet. Returns what the
    /// operation returns.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    ///
    /// # Safety
    ///
    /// `arg` and `nr` are what `op` asks for, and memory that becomes registered stays valid until it is
    /// unregistered or the ring is gone. With [`SystemCalls::shared`](crate::kernel::SystemCalls::shared) the
    /// argument of an operation that is not known here must lie in shared memory.
    pub unsafe fn register_raw(&self, op: RegisterOp, arg: *mut c_void, nr: u32) -> io::Result<u32> {
        // SAFETY: the contract of this function.
        Ok(unsafe { self.backend.register(op, arg, nr) }?)
    }

    /// An operation without an argument, or with a number for one.
    fn register_plain(&self, op: RegisterOp, number: u32) -> io::Result<u32> {
        let layout = op.info().map(|info| info.layout);
        assert!(matches!(layout, Some(ArgLayout::None | ArgLayout::Number)), "{op} takes an argument");
        // SAFETY: the operation takes no memory, as was just checked.
        unsafe { self.register_raw(op, std::ptr::null_mut(), number) }
    }

    /// An operation that reads an argument without addresses.
    fn register_told<A: ?Sized>(&self, op: RegisterOp, arg: &A, nr: u32) -> io::Result<u32> {
        check_flat(op, size_of_val(arg), nr, &[ArgDirection::In]);
        let arg = std::ptr::from_ref(arg).cast_mut().cast();
        // SAFETY: the operation only reads, and only as many bytes as `arg` has, as was just checked.
        unsafe { self.register_raw(op, arg, nr) }
    }

    /// An operation that writes its argument, which holds no addresses.
    fn register_asked<A: Flat>(&self, op: RegisterOp, arg: &mut A, nr: u32) -> io::Result<u32> {
        check_flat(op, size_of::<A>(), nr, &[ArgDirection::Out, ArgDirection::InOut]);
        let arg = std::ptr::from_mut(arg).cast();
        // SAFETY: the operation touches as many bytes as `arg` has, as was just checked, and whatever it
        // writes is a value of `A` because that is flat.
        unsafe { self.register_raw(op, arg, nr) }
    }
}

/// Plain data: any bytes are a value.
///
/// # Safety
///
/// Implementers are `repr(C)` or primitive and have a value for every pattern of bits.
unsafe trait Flat {}

// SAFETY: integers only.
unsafe impl Flat for annulus_abi::Probe {}
// SAFETY: integers only.
unsafe impl Flat for annulus_abi::Napi {}
// SAFETY: integers only.
unsafe impl Flat for annulus_abi::BufStatus {}
// SAFETY: integers only.
unsafe impl Flat for [u32; 2] {}

/// Holds a call against the table of operations. A mismatch is a mistake in this crate.
fn check_flat(op: RegisterOp, size: usize, nr: u32, directions: &[ArgDirection]) {
    let info = op.info().unwrap_or_else(|| panic!("{op} is not in the table"));
    assert!(!info.has_pointers, "{op} takes addresses");
    assert!(directions.contains(&info.direction), "{op} goes the other way: {:?}", info.direction);
    assert_eq!(info.layout.size(nr), Some(size), "{op} with nr {nr}: the size of the argument");
}

/// The number of elements as the system call takes it. More than that is refused by the kernel anyway.
fn count<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

/// The address of a list as structures hold it, and 0 for an empty one.
fn address<T>(list: &[T]) -> u64 {
    if list.is_empty() { 0 } else { list.as_ptr().expose_provenance() as u64 }
}
