//! `Slice`: a part of a buffer as a buffer.
#![allow(unsafe_code, reason = "passes the promises of the inner buffer on")]

use std::ops::{Bound, Deref, RangeBounds};

use super::{IoBuf, IoBufMut};

/// A part of a buffer; see [`IoBuf::slice`]. The buffer comes back by [`into_inner`](Self::into_inner).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<B> {
    buf: B,
    begin: usize,
    end: Option<usize>,
}

impl<B: IoBuf> Slice<B> {
    pub(super) fn new(buf: B, range: impl RangeBounds<usize>) -> Self {
        let begin = match range.start_bound() {
            Bound::Included(&at) => at,
            Bound::Excluded(&before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => Some(last + 1),
            Bound::Excluded(&end) => Some(end),
            Bound::Unbounded => None,
        };
        assert!(
            begin <= buf.filled(),
            "a slice from {begin} on of a buffer that holds {} bytes",
            buf.filled()
        );
        assert!(end.is_none_or(|end| begin <= end), "a slice from {begin} to {end:?}");
        Self { buf, begin, end }
    }

    /// The buffer that this is a part of.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.buf
    }

    /// The buffer that this is a part of.
    #[must_use]
    pub const fn get_ref(&self) -> &B {
        &self.buf
    }
}

impl<B: IoBuf> Deref for Slice<B> {
    type Target = [u8];

    /// What the part holds.
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<B: IoBuf> AsRef<[u8]> for Slice<B> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY: an address inside a buffer that keeps its address.
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    const STABLE: bool = B::STABLE;

    fn as_stable_ptr(&self) -> *const u8 {
        self.buf.as_stable_ptr().wrapping_add(self.begin)
    }

    fn filled(&self) -> usize {
        let end = self.end.unwrap_or(usize::MAX).min(self.buf.filled());
        end.saturating_sub(self.begin)
    }
}

// SAFETY: as above; `begin` lies within what is filled, so within the capacity.
unsafe impl<B: IoBufMut> IoBufMut for Slice<B> {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.buf.as_stable_mut_ptr().wrapping_add(self.begin)
    }

    fn capacity(&self) -> usize {
        let end = self.end.unwrap_or(usize::MAX).min(self.buf.capacity());
        end.saturating_sub(self.begin)
    }

    unsafe fn set_filled(&mut self, len: usize) {
        // SAFETY: what lies before `begin` is filled (`new`), and what follows is by this function's contract.
        unsafe { self.buf.set_filled(self.begin + len) };
    }
}
