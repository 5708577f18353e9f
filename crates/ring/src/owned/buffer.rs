//! Memory that operations read from and write to.
#![allow(unsafe_code, reason = "says which memory stays where it is")]

use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes to write or send.
///
/// # Safety
///
/// As long as the value is neither moved nor changed, [`bytes`](Self::bytes) gives the same memory, and nobody
/// writes to it.
pub unsafe trait Buffer: Send + 'static {
    /// The bytes.
    fn bytes(&self) -> &[u8];
}

/// Room to read or receive into.
///
/// # Safety
///
/// As long as the value is neither moved nor used, what [`space`](Self::space) gave stays valid for writes, and
/// nobody else reads or writes it.
pub unsafe trait BufferMut: Send + 'static {
    /// Where the room starts, and how many bytes it has.
    fn space(&mut self) -> (NonNull<u8>, usize);

    /// Takes note that the first `len` bytes of the room were written.
    ///
    /// # Safety
    ///
    /// They were, and `len` is at most the size of the room.
    unsafe fn filled(&mut self, len: usize);
}

/// Several buffers to write from, one after the other: a vector of them, or another row.
///
/// # Safety
///
/// As long as the value is neither moved nor changed, [`each_bytes`](Self::each_bytes) names the same memory, and nobody
/// writes to it.
pub unsafe trait Buffers: Send + 'static {
    /// Names the bytes of each buffer in turn.
    fn each_bytes(&self, each: &mut dyn FnMut(&[u8]));
}

/// Several buffers to read into, one after the other.
///
/// # Safety
///
/// As long as the value is neither moved nor used, what [`spaces`](Self::spaces) named stays valid for writes, and nobody
/// else reads or writes it.
pub unsafe trait BuffersMut: Send + 'static {
    /// Names the room of each buffer in turn: where it starts, and how many bytes it has.
    fn spaces(&mut self, each: &mut dyn FnMut(NonNull<u8>, usize));

    /// Takes note that the first `len` bytes of the rooms were written, one room after the other.
    ///
    /// # Safety
    ///
    /// They were, and `len` is at most the size of all the rooms.
    unsafe fn filled(&mut self, len: usize);
}

// SAFETY: the buffers stay in the vector, which is not changed; each keeps its bytes then.
unsafe impl<B: Buffer> Buffers for Vec<B> {
    fn each_bytes(&self, each: &mut dyn FnMut(&[u8])) {
        for buffer in self {
            each(buffer.bytes());
        }
    }
}

// SAFETY: as above.
unsafe impl<B: BufferMut> BuffersMut for Vec<B> {
    fn spaces(&mut self, each: &mut dyn FnMut(NonNull<u8>, usize)) {
        for buffer in self {
            let (start, room) = buffer.space();
            each(start, room);
        }
    }

    unsafe fn filled(&mut self, mut len: usize) {
        for buffer in self {
            let here = len.min(buffer.space().1);
            // SAFETY: the rooms are filled in order (contract), so the first `here` bytes of this one were.
            unsafe { buffer.filled(here) };
            len -= here;
        }
    }
}

macro_rules! buffers {
    ($($Buffer:ty),*) => { $(
        // SAFETY: the bytes lie on the heap or are static, or in the value itself, which is not moved; no type
        // here lets them be written through a shared reference.
        unsafe impl Buffer for $Buffer {
            fn bytes(&self) -> &[u8] {
                self.as_ref()
            }
        }
    )* };
}

buffers!(Vec<u8>, Box<[u8]>, Arc<[u8]>, String, &'static [u8], &'static str);

// SAFETY: the bytes lie in the value itself, which is not moved.
unsafe impl<const N: usize> Buffer for [u8; N] {
    fn bytes(&self) -> &[u8] {
        self
    }
}

// SAFETY: as above.
unsafe impl<const N: usize> Buffer for Box<[u8; N]> {
    fn bytes(&self) -> &[u8] {
        self.as_slice()
    }
}

/// The whole capacity is written over from its start, and the length becomes what was read: a
/// `vec![0; n]` and a `Vec::with_capacity(n)` have the same room.
// SAFETY: the allocation of a vector stays while the vector is not used.
unsafe impl BufferMut for Vec<u8> {
    fn space(&mut self) -> (NonNull<u8>, usize) {
        let room = self.capacity();
        // A pointer of the whole allocation, not of the length that is in use.
        let start = NonNull::new(self.as_mut_ptr()).unwrap_or(NonNull::dangling());
        (start, room)
    }

    unsafe fn filled(&mut self, len: usize) {
        // SAFETY: `len` bytes were written, and there is room for them (contract).
        unsafe { self.set_len(len) };
    }
}

/// Written over from its start; its length does not change.
// SAFETY: the allocation of a box stays while the box is not used.
unsafe impl BufferMut for Box<[u8]> {
    fn space(&mut self) -> (NonNull<u8>, usize) {
        (NonNull::from(self.as_mut()).cast(), self.len())
    }

    unsafe fn filled(&mut self, _len: usize) {}
}

/// Written over from its start.
// SAFETY: as above.
unsafe impl<const N: usize> BufferMut for Box<[u8; N]> {
    fn space(&mut self) -> (NonNull<u8>, usize) {
        (NonNull::from(self.as_mut()).cast(), N)
    }

    unsafe fn filled(&mut self, _len: usize) {}
}

/// Written over from its start.
// SAFETY: the bytes lie in the value itself, which is not moved.
unsafe impl<const N: usize> BufferMut for [u8; N] {
    fn space(&mut self) -> (NonNull<u8>, usize) {
        (NonNull::from(self).cast(), N)
    }

    unsafe fn filled(&mut self, _len: usize) {}
}

/// A length as an entry takes it: what is above goes with the next operation, as after a short write.
pub(super) fn entry_len(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
