//! What a program holds of a buffer ring: bytes that a completion brought, a buffer to be filled.
//!
//! Each guard gives its buffers back when it is dropped. It holds the ring by reference or by count.
#![allow(unsafe_code, reason = "makes slices of buffers that the bookkeeping says are the program's")]

use std::fmt::{self, Debug, Formatter};
use std::rc::Rc;

use annulus_abi::CqeFlags;

use super::BufRing;
use super::slots::Span;

mod sealed {
    #[allow(unnameable_types, reason = "which is what seals the trait")]
    pub trait Sealed {}
    impl Sealed for &super::BufRing {}
    impl Sealed for std::rc::Rc<super::BufRing> {}
}

/// How a guard holds its ring: by reference, or by count for guards that go where no reference can.
pub trait BufRingHandle: sealed::Sealed {
    /// The ring.
    fn buf_ring(&self) -> &BufRing;
}

impl BufRingHandle for &BufRing {
    #[inline]
    fn buf_ring(&self) -> &BufRing {
        self
    }
}

impl BufRingHandle for Rc<BufRing> {
    #[inline]
    fn buf_ring(&self) -> &BufRing {
        self
    }
}

/// The bytes that one completion brought. Dropping it gives the buffers back to the ring, those of an
/// incremental ring once the kernel is done with them too.
///
/// Bytes lie in one buffer, or, for operations with bundles (`RecvBundle`, `RecvMultiBundle`), in several
/// neighbouring ones.
pub struct Filled<H: BufRingHandle> {
    ring: H,
    span: Span,
}

impl<H: BufRingHandle> Filled<H> {
    /// The bytes of a completion with this flag word and this result, or nothing if it names no buffer.
    /// [`BufRing::take`] is this for a reference and a completion.
    ///
    /// # Panics
    ///
    /// As [`BufRing::take`].
    pub fn of(ring: H, flags: u32, result: i32) -> Option<Self> {
        let flags = CqeFlags::from_bits_retain(flags);
        let first = flags.buffer_id()?;
        let span = ring.buf_ring().span(first, result, flags.contains(CqeFlags::BUF_MORE));
        Some(Self { ring, span })
    }

    /// How many bytes there are.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.span.len as usize
    }

    /// Whether there are none: the end of a stream, or an error.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.span.len == 0
    }

    /// The number of the first buffer.
    #[must_use]
    #[inline]
    pub const fn buffer_id(&self) -> u16 {
        self.span.first
    }

    /// The bytes, buffer by buffer, in the order in which they came.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let ring = self.ring.buf_ring();
        ring.slots.pieces(self.span).map(|(bid, start, len)| {
            // SAFETY: the span was handed out once, and neither kernel nor program writes it while it is held.
            unsafe { ring.buffers.slice(bid, start, len) }
        })
    }

    /// The bytes, if they lie in one buffer: those of every operation without bundles.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> Option<&[u8]> {
        let Span { first, start, len, pieces } = self.span;
        match pieces {
            0 => Some(&[]),
            // SAFETY: as in `chunks`.
            1 => Some(unsafe { self.ring.buf_ring().buffers.slice(first, start, len) }),
            _ => None,
        }
    }

    /// A copy of all bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        self.chunks().for_each(|chunk| all.extend_from_slice(chunk));
        all
    }
}

impl<H: BufRingHandle> Drop for Filled<H> {
    fn drop(&mut self) {
        let ring = self.ring.buf_ring();
        ring.slots.release(self.span, |bid| ring.give_back(bid));
        ring.publish_unless_held();
    }
}

impl<H: BufRingHandle> Debug for Filled<H> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filled")
            .field("group", &self.ring.buf_ring().group())
            .field("buffer_id", &self.buffer_id())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// A buffer that is in nobody's hands but the program's, to be filled and put into the ring.
pub struct Vacant<'a> {
    ring: &'a BufRing,
    bid: u16,
}

impl<'a> Vacant<'a> {
    pub(super) const fn new(ring: &'a BufRing, bid: u16) -> Self {
        Self { ring, bid }
    }

    /// The buffer's number.
    #[must_use]
    pub const fn buffer_id(&self) -> u16 {
        self.bid
    }

    /// The whole buffer, with whatever it held before.
    pub fn bytes(&mut self) -> &mut [u8] {
        let buffers = &self.ring.buffers;
        // SAFETY: the buffer is idle, and this guard, which has its number, is borrowed exclusively.
        unsafe { buffers.slice_mut(self.bid, 0, buffers.each()) }
    }

    /// Puts the first `len` bytes into the ring as one buffer.
    ///
    /// # Panics
    ///
    /// If the buffer is shorter, or `len` is 0: the kernel takes an empty buffer for a broken one.
    pub fn provide(self, len: usize) {
        let each = self.ring.buffer_len();
        assert!((1..=each).contains(&len), "{len} bytes of a buffer of {each}");
        // At most `each`, which came from a `u32`.
        self.ring.add(self.bid, u32::try_from(len).unwrap_or(u32::MAX));
        self.ring.publish_unless_held();
        let _kept = std::mem::ManuallyDrop::new(self);
    }
}

impl Drop for Vacant<'_> {
    fn drop(&mut self) {
        self.ring.slots.make_idle(self.bid);
    }
}

impl Debug for Vacant<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vacant").field("group", &self.ring.group()).field("buffer_id", &self.bid).finish()
    }
}

/// While it lives, buffers that come back are put into the ring but not shown to the kernel; see
/// [`BufRing::hold`].
#[derive(Debug)]
pub struct Hold<'a> {
    ring: &'a BufRing,
}

impl<'a> Hold<'a> {
    pub(super) fn new(ring: &'a BufRing) -> Self {
        ring.holds.set(ring.holds.get() + 1);
        Self { ring }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.ring.holds.set(self.ring.holds.get() - 1);
        self.ring.publish_unless_held();
    }
}
