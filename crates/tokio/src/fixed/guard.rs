//! The guard of a registered buffer, and what an operation asks of it.
#![allow(unsafe_code, reason = "passes the promises of the inner buffer on")]

use std::fmt::{self, Debug, Formatter};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use annulus_rt::buf::{AlignedBuf, IoBuf, IoBufMut, Slice};

use super::{Block, Pool};
use crate::ring::Ring;

/// A registered buffer, with a length and a capacity that does not grow, at an address that 4096 divides. It goes back to its pool when
/// it is dropped; an operation that it was given to keeps it as long as it takes.
///
/// Every operation takes it; [`File::read_fixed_at`](crate::File::read_fixed_at) and
/// [`write_fixed_at`](crate::File::write_fixed_at) make use of its registration.
pub struct RegisteredBuf {
    /// Gone only while it is dropped.
    block: Option<Block>,
    pool: Arc<Pool>,
}

impl RegisteredBuf {
    pub(super) const fn new(block: Block, pool: Arc<Pool>) -> Self {
        Self { block: Some(block), pool }
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

    /// With how many rings it is registered at this moment. It becomes so where it is used first.
    #[must_use]
    pub fn registrations(&self) -> usize {
        self.block().registrations()
    }

    fn block(&self) -> &Block {
        self.block.as_ref().expect("gone only while it is dropped")
    }

    fn buf(&self) -> &AlignedBuf {
        &self.block().buf
    }

    /// Not for others: whoever put another allocation in its place would have that take this one's slots.
    fn buf_mut(&mut self) -> &mut AlignedBuf {
        &mut self.block.as_mut().expect("gone only while it is dropped").buf
    }
}

impl Drop for RegisteredBuf {
    fn drop(&mut self) {
        let Some(block) = self.block.take() else { return };
        self.pool.give_back(block);
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
        f.debug_struct("RegisteredBuf")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("registrations", &self.registrations())
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
pub trait FixedBuf: IoBufMut + Send + sealed::Registered {}

impl FixedBuf for RegisteredBuf {}
impl<B: FixedBuf> FixedBuf for Slice<B> {}

pub(super) mod sealed {
    use super::{Arc, FixedBuf, RegisteredBuf, Ring, Slice};

    /// What is registered.
    #[allow(unnameable_types, reason = "so that nobody else implements it")]
    pub trait Registered {
        /// The slot in the table of a ring; `None` where there is none.
        #[allow(private_interfaces, reason = "rings are nobody else's")]
        fn slot_in(&self, ring: &Arc<Ring>) -> Option<u16>;
    }

    impl Registered for RegisteredBuf {
        #[allow(private_interfaces, reason = "as above")]
        fn slot_in(&self, ring: &Arc<Ring>) -> Option<u16> {
            self.block().slot_in(ring)
        }
    }

    impl<B: FixedBuf> Registered for Slice<B> {
        #[allow(private_interfaces, reason = "as above")]
        fn slot_in(&self, ring: &Arc<Ring>) -> Option<u16> {
            self.get_ref().slot_in(ring)
        }
    }
}
