//! The buffers of the runtime as those of owned operations.
#![allow(unsafe_code, reason = "passes the promises of one pair of traits on to another")]

use std::ptr::NonNull;

use annulus::owned::{Buffer, BufferMut, Buffers, BuffersMut};
use annulus_rt::buf::{IoBuf, IoBufMut, IoVectoredBuf, IoVectoredBufMut};

/// The most pieces that one call takes (`UIO_MAXIOV`); what is more is left for the next, as with a short write.
const MOST_PIECES: usize = 1024;

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
        room(self.0.as_stable_mut_ptr(), self.0.capacity())
    }

    unsafe fn filled(&mut self, len: usize) {
        // SAFETY: the contract of this function.
        unsafe { self.0.set_filled(len) };
    }
}

/// How far the buffers of a row are read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Up to their capacities; what was read is their contents then.
    Capacity,
    /// As far as they hold bytes already, which are replaced.
    Filled,
}

/// Several buffers while an operation has them.
pub(crate) struct LentRow<V> {
    pub(crate) row: V,
    extent: Extent,
    /// How many bytes of the row are done already.
    done: usize,
}

impl<V> LentRow<V> {
    pub(crate) const fn new(row: V, extent: Extent) -> Self {
        Self { row, extent, done: 0 }
    }

    /// Without the first bytes, as many as are done.
    pub(crate) const fn without(row: V, done: usize) -> Self {
        Self { row, extent: Extent::Filled, done }
    }
}

/// Counts pieces off: the bytes that are done first, and then no more than one call takes.
struct Rest {
    done: usize,
    pieces: usize,
}

impl Rest {
    const fn after(done: usize) -> Self {
        Self { done, pieces: MOST_PIECES }
    }

    /// How many bytes of a piece of this length to leave out at its start; `None` for all of it.
    fn of(&mut self, len: usize) -> Option<usize> {
        let skipped = self.done.min(len);
        self.done -= skipped;
        if skipped == len || self.pieces == 0 {
            return None;
        }
        self.pieces -= 1;
        Some(skipped)
    }
}

// SAFETY: a row that is not moved keeps the bytes of all its buffers, and nobody changes them but through `&mut`
// (`IoVectoredBuf`).
unsafe impl<V: IoVectoredBuf + Send> Buffers for LentRow<V> {
    fn each_bytes(&self, each: &mut dyn FnMut(&[u8])) {
        let mut rest = Rest::after(self.done);
        self.row.pieces(&mut |start, len| {
            if let Some(skip) = rest.of(len) {
                // SAFETY: that many bytes are initialised there, and stay as long as the row is borrowed (`IoVectoredBuf`).
                let bytes = unsafe { std::slice::from_raw_parts(start, len) };
                each(&bytes[skip..]);
            }
        });
    }
}

// SAFETY: as above; each capacity belongs to the row and may be written (`IoVectoredBufMut`).
unsafe impl<V: IoVectoredBufMut + Send> BuffersMut for LentRow<V> {
    fn spaces(&mut self, each: &mut dyn FnMut(NonNull<u8>, usize)) {
        let (extent, mut rest) = (self.extent, Rest::after(self.done));
        self.row.pieces_mut(&mut |start, filled, capacity| {
            let len = if extent == Extent::Capacity { capacity } else { filled };
            if let Some(skip) = rest.of(len) {
                let (start, len) = room(start.wrapping_add(skip), len - skip);
                each(start, len);
            }
        });
    }

    unsafe fn filled(&mut self, len: usize) {
        if self.extent == Extent::Capacity {
            // SAFETY: the contract of this function; nothing was left out before these bytes, as nothing was done.
            unsafe { self.row.set_filled(len) };
        }
    }
}

/// Null is the address of nothing, if of anything.
fn room(start: *mut u8, len: usize) -> (NonNull<u8>, usize) {
    NonNull::new(start).map_or((NonNull::dangling(), 0), |start| (start, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(row: &LentRow<Vec<Vec<u8>>>) -> Vec<usize> {
        let mut lengths = Vec::new();
        row.each_bytes(&mut |bytes| lengths.push(bytes.len()));
        lengths
    }

    #[test]
    fn what_is_done_is_left_out_and_empty_pieces_too() {
        let row = || vec![vec![1; 3], Vec::new(), vec![2; 5]];
        assert_eq!(lengths(&LentRow::without(row(), 0)), [3, 5]);
        assert_eq!(lengths(&LentRow::without(row(), 2)), [1, 5]);
        assert_eq!(lengths(&LentRow::without(row(), 3)), [5]);
        assert_eq!(lengths(&LentRow::without(row(), 7)), [1]);
        assert_eq!(lengths(&LentRow::without(row(), 8)), [0; 0]);
    }

    #[test]
    fn more_pieces_than_a_call_takes_are_left_for_the_next() {
        let row = LentRow::without(vec![vec![0; 2]; 1030], 2);
        assert_eq!(lengths(&row), [2; 1024]);
    }

    #[test]
    fn room_is_the_capacity_or_what_is_filled() {
        let rooms = |mut row: LentRow<Vec<Vec<u8>>>| {
            let mut rooms = Vec::new();
            row.spaces(&mut |_, len| rooms.push(len));
            rooms
        };
        let mut half = Vec::with_capacity(8);
        half.extend([0; 4]);
        assert_eq!(rooms(LentRow::new(vec![half.clone()], Extent::Filled)), [4]);
        assert_eq!(rooms(LentRow::without(vec![half.clone()], 1)), [3]);
        let capacity = half.capacity();
        assert_eq!(rooms(LentRow::new(vec![half], Extent::Capacity)), [capacity]);
    }
}
