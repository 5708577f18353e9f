//! The buffers of the runtime as those of owned operations.
#![allow(unsafe_code, reason = "passes the promises of one pair of traits on to another")]

use std::ptr::NonNull;

use annulus::owned::{Buffer, BufferMut};
use annulus_rt::buf::{IoBuf, IoBufMut};

/// A buffer while an operation has it.
pub(crate) struct Lent<B>(pub(crate) B);

// SAFETY: a value that is not moved keeps its bytes where they are, and nobody changes them but through `&mut` (`IoBuf`).
unsafe impl<B: IoBuf + Send> Buffer for Lent<B> {
    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

// SAFETY: as above; that many bytes from there on belong to the value and may be written (`IoBufMut`).
unsafe impl<B: IoBufMut + Send> BufferMut for Lent<B> {
    fn space(&mut self) -> (NonNull<u8>, usize) {
        let start = NonNull::new(self.0.as_stable_mut_ptr());
        // Null is the address of nothing, if of anything.
        start.map_or((NonNull::dangling(), 0), |start| (start, self.0.capacity()))
    }

    unsafe fn filled(&mut self, len: usize) {
        // SAFETY: the contract of this function.
        unsafe { self.0.set_filled(len) };
    }
}
