//! Which part of a buffer one receive of several fills, and what those before it have put there.
//!
//! What it keeps true: bytes that lie in the buffer of a call which has not ended belong to the stream still, so an
//! operation that is dropped knows them and gives them back.

use std::ops::Range;

use crate::buf::{IoBuf, IoBufMut};

/// One receive of those that fill a part of a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Where the first of them began.
    first: usize,
    /// Where this one begins: all before it is contents.
    at: usize,
    /// Where the last of them ends, at the latest.
    end: usize,
}

impl Round {
    /// The only one, which fills the buffer up to its capacity.
    #[inline]
    pub(crate) const fn only() -> Self {
        Self::first_of(0..usize::MAX)
    }

    /// The first of those that fill this part.
    #[inline]
    pub(crate) const fn first_of(part: Range<usize>) -> Self {
        Self { first: part.start, at: part.start, end: part.end }
    }

    /// The one after this, which has received so many bytes.
    pub(crate) const fn after(self, received: usize) -> Self {
        Self { at: self.at + received, ..self }
    }

    /// Whether nothing is left to be received.
    pub(crate) const fn is_over(self) -> bool {
        self.at >= self.end
    }

    /// Where it begins.
    #[inline]
    pub(crate) const fn at(self) -> usize {
        self.at
    }

    /// For how many bytes there is room.
    #[inline]
    pub(crate) fn room(self, buf: &impl IoBufMut) -> usize {
        self.end.min(buf.capacity()).saturating_sub(self.at)
    }

    /// What those before it have received.
    #[inline]
    pub(crate) fn earlier(self, buf: &impl IoBuf) -> &[u8] {
        &buf.as_bytes()[self.first..self.at]
    }
}
