//! The guard of a registered buffer, and what an operation asks of it.
#![allow(unsafe_code, reason = "passes the promises of the inner buffer on")]

use std::fmt::{self, Debug, Formatter};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::Slots;
use crate::buf::{AlignedBuf, IoBuf, IoBufMut, Slice};
use crate::executor::Context;

/// A registered buffer, with a length and a capacity that does not grow, at an address that 4096 divides. It goes back to its pool when
/// it is dropped; an operation that it was given to keeps it as long as it takes.
///
/// Every operation takes it; those whose names have `fixed` in them make use of its registration:
/// [`File::read_fixed_at`](crate::fs::File::read_fixed_at) and [`write_fixed_at`](crate::fs::File::write_fixed_at),
/// [`Stream::recv_fixed`](crate::net::Stream::recv_fixed), [`send_fixed`](crate::net::Stream::send_fixed),
/// [`send_zc_fixed`](crate::net::Stream::send_zc_fixed) and what is like them.
pub struct RegisteredBuf {
    /// Gone only while it is dropped.
    buf: Option<AlignedBuf>,
    slot: u16,
    slots: Rc<Slots>,
}

impl RegisteredBuf {
    pub(super) const fn new(buf: AlignedBuf, slot: u16, slots: Rc<Slots>) -> Self {
        Self { buf: Some(buf), slot, slots }
    }

    /// How many bytes there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buf().capacity()
    }

    /// Makes it hold `len` bytes; those that are new are `value`.
    ///
    /// # Panics
    ///
    /// If that is more than the capacity.
    pub fn resize(&mut self, len: usize, value: u8) {
        self.buf_mut().resize(len, value);
    }

    /// Puts bytes behind those that it holds.
    ///
    /// # Panics
    ///
    /// If they do not fit into the capacity.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.buf_mut().extend_from_slice(bytes);
    }

    /// Holds nothing any more.
    pub fn clear(&mut self) {
        self.buf_mut().clear();
    }

    fn buf(&self) -> &AlignedBuf {
        self.buf.as_ref().expect("gone only while it is dropped")
    }

    fn buf_mut(&mut self) -> &mut AlignedBuf {
        self.buf.as_mut().expect("gone only while it is dropped")
    }
}

impl Drop for RegisteredBuf {
    fn drop(&mut self) {
        let Some(buf) = self.buf.take() else { return };
        self.slots.give_back(self.slot, buf);
    }
}

impl Deref for RegisteredBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buf()
    }
}

impl DerefMut for RegisteredBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.buf_mut()
    }
}

impl AsRef<[u8]> for RegisteredBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Debug for RegisteredBuf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (len, capacity) = (self.len(), self.capacity());
        f.debug_struct("RegisteredBuf")
            .field("slot", &self.slot)
            .field("len", &len)
            .field("capacity", &capacity)
            .finish_non_exhaustive()
    }
}

// SAFETY: passes on what `AlignedBuf` promises; the guard alone has it.
unsafe impl IoBuf for RegisteredBuf {
    fn as_stable_ptr(&self) -> *const u8 {
        self.buf().as_stable_ptr()
    }

    fn filled(&self) -> usize {
        self.buf().filled()
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for RegisteredBuf {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.buf_mut().as_stable_mut_ptr()
    }

    fn capacity(&self) -> usize {
        self.buf().capacity()
    }

    unsafe fn set_filled(&mut self, len: usize) {
        // SAFETY: the contract of this function.
        unsafe { self.buf_mut().set_filled(len) };
    }
}

/// A registered buffer or a part of one.
pub trait FixedBuf: IoBufMut + sealed::Registered {}

impl FixedBuf for RegisteredBuf {}
impl<B: FixedBuf> FixedBuf for Slice<B> {}

pub(crate) mod sealed {
    /// What is registered.
    #[allow(unnameable_types, reason = "so that nobody else implements it")]
    pub trait Registered {
        /// The slot in the table of this thread's ring; `None` for a buffer of another run, which is memory like any
        /// other here.
        fn slot(&self) -> Option<u16>;
    }
}

impl sealed::Registered for RegisteredBuf {
    fn slot(&self) -> Option<u16> {
        let own = Context::try_current().is_some_and(|context| context.has_registered(&self.slots));
        own.then_some(self.slot)
    }
}

impl<B: FixedBuf> sealed::Registered for Slice<B> {
    fn slot(&self) -> Option<u16> {
        self.get_ref().slot()
    }
}
