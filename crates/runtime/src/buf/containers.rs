//! The containers that are buffers: those of the standard library, those of the `bytes` crate, the pool's guard.
//!
//! Most keep their bytes on the heap or in static memory, where moving the container leaves them. Arrays do not, and say
//! so (`IoBuf::STABLE`).
#![allow(unsafe_code, reason = "promises what the containers keep")]

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{IoBuf, IoBufMut, PooledBuf};

/// Containers that are written from, and whose bytes lie elsewhere.
macro_rules! written_from {
    ($($Container:ty,)*) => { $(
        // SAFETY: the bytes are on the heap, in static memory or in a pool, where moving the container leaves them. Where
        // they are shared (`Rc`, `Arc`, `Bytes`), none of these changes them as long as two handles exist.
        unsafe impl IoBuf for $Container {
            #[inline]
            fn as_stable_ptr(&self) -> *const u8 {
                self.as_ptr()
            }

            #[inline]
            fn filled(&self) -> usize {
                self.len()
            }
        }
    )* };
}

written_from! {
    Vec<u8>,
    Box<[u8]>,
    Box<str>,
    String,
    &'static [u8],
    &'static mut [u8],
    &'static str,
    Cow<'static, [u8]>,
    Cow<'static, str>,
    Rc<[u8]>,
    Rc<str>,
    Rc<Vec<u8>>,
    Rc<String>,
    Arc<[u8]>,
    Arc<str>,
    Arc<Vec<u8>>,
    Arc<String>,
    Bytes,
    BytesMut,
    PooledBuf,
}

/// Containers of a vector's kind: a length that reads set, inside of a capacity.
macro_rules! growing {
    ($($Container:ty,)*) => { $(
        // SAFETY: as for `IoBuf`; the capacity is the size of an allocation, or of a view that no other handle overlaps.
        unsafe impl IoBufMut for $Container {
            fn as_stable_mut_ptr(&mut self) -> *mut u8 {
                self.as_mut_ptr()
            }

            fn capacity(&self) -> usize {
                Self::capacity(self)
            }

            unsafe fn set_filled(&mut self, len: usize) {
                // SAFETY: the contract of this function.
                unsafe { self.set_len(len) };
            }
        }
    )* };
}

growing! {
    Vec<u8>,
    BytesMut,
}

/// Containers whose bytes are all initialised always.
macro_rules! of_fixed_length {
    ($([$($generic:tt)*] $Container:ty,)*) => { $(
        // SAFETY: as for `IoBuf`; all of it is initialised, and this is its only handle.
        unsafe impl<$($generic)*> IoBufMut for $Container {
            fn as_stable_mut_ptr(&mut self) -> *mut u8 {
                self.as_mut_ptr()
            }

            fn capacity(&self) -> usize {
                self.len()
            }

            unsafe fn set_filled(&mut self, _len: usize) {}
        }
    )* };
}

of_fixed_length! {
    [] Box<[u8]>,
    [] &'static mut [u8],
    [const N: usize] Box<[u8; N]>,
    [const N: usize] [u8; N],
}

// SAFETY: on the heap, where moving the box leaves it.
unsafe impl<const N: usize> IoBuf for Box<[u8; N]> {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        N
    }
}

// SAFETY: static memory moves nowhere.
unsafe impl<const N: usize> IoBuf for &'static [u8; N] {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        N
    }
}

// SAFETY: inside of the value, so they stay where they are as long as it does.
unsafe impl<const N: usize> IoBuf for [u8; N] {
    const STABLE: bool = false;

    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        N
    }
}
