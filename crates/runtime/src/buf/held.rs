//! `Held`: a buffer whose address stays, whatever becomes of the value that holds it.
#![allow(unsafe_code, reason = "passes the promises of the inner buffer on")]

use super::{IoBuf, IoBufMut};

/// A buffer of an operation. What holds its bytes in itself, as an array does, is put on the heap.
pub(crate) enum Held<B> {
    Stable(B),
    Boxed(Box<B>),
}

impl<B: IoBuf> Held<B> {
    pub(crate) fn new(buf: B) -> Self {
        if B::STABLE { Self::Stable(buf) } else { Self::Boxed(Box::new(buf)) }
    }

    pub(crate) fn into_inner(self) -> B {
        match self {
            Self::Stable(buf) => buf,
            Self::Boxed(buf) => *buf,
        }
    }

    const fn get(&self) -> &B {
        match self {
            Self::Stable(buf) => buf,
            Self::Boxed(buf) => buf,
        }
    }

    const fn get_mut(&mut self) -> &mut B {
        match self {
            Self::Stable(buf) => buf,
            Self::Boxed(buf) => buf,
        }
    }
}

// SAFETY: the address of a stable buffer stays when it is moved; the others are in a box, which is never moved out of
// before `into_inner`, so their address stays too.
unsafe impl<B: IoBuf> IoBuf for Held<B> {
    const STABLE: bool = true;

    fn as_stable_ptr(&self) -> *const u8 {
        self.get().as_stable_ptr()
    }

    fn filled(&self) -> usize {
        self.get().filled()
    }
}

// SAFETY: as above; what the buffer promises of its capacity holds for it here.
unsafe impl<B: IoBufMut> IoBufMut for Held<B> {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.get_mut().as_stable_mut_ptr()
    }

    fn capacity(&self) -> usize {
        self.get().capacity()
    }

    unsafe fn set_filled(&mut self, len: usize) {
        // SAFETY: the contract of this function.
        unsafe { self.get_mut().set_filled(len) };
    }
}
