//! Buffers that operations can own: memory that keeps its address, and comes back with the result.
//!
//! This file holds the two traits and their implementations for the standard containers and those of
//! the `bytes` crate; parts of buffers and the pool of receive buffers stand beside it.
#![allow(unsafe_code, reason = "the traits promise what entries rest on")]

mod held;
mod pool;
mod slice;

use std::ops::RangeBounds;

pub(crate) use held::Held;
pub(crate) use pool::Pool;
pub use pool::PooledBuf;
pub use slice::Slice;

/// The result of an operation, and the buffer that it had.
pub type BufResult<T, B> = (std::io::Result<T>, B);

/// Memory that can be written from: sent, or stored in a file.
///
/// # Safety
///
/// The address of [`as_stable_ptr`](Self::as_stable_ptr) stays the same while the value is only moved (where
/// [`STABLE`](Self::STABLE) is `false`: while it is not even moved), and [`filled`](Self::filled) bytes from there on are
/// initialised and are neither changed nor freed before the value is used through `&mut` or dropped.
#[allow(clippy::missing_safety_doc, reason = "stated above; clippy looks for it on the trait and finds it")]
pub unsafe trait IoBuf: 'static {
    /// Whether the bytes keep their address when the value is moved, as those on the heap do. An operation puts a
    /// buffer that is not stable (an array) on the heap for the time that it takes.
    const STABLE: bool = true;

    /// Where the bytes lie.
    fn as_stable_ptr(&self) -> *const u8;

    /// How many bytes it holds.
    fn filled(&self) -> usize;

    /// The bytes.
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: that many bytes are initialised there (the trait's contract), and `&self` keeps them.
        unsafe { std::slice::from_raw_parts(self.as_stable_ptr(), self.filled()) }
    }

    /// A part of this buffer, as a buffer. For reading into, the part may reach from what is filled into what
    /// is not yet, up to the capacity.
    ///
    /// ```
    /// use annulus_rt::buf::IoBuf;
    ///
    /// let part = b"annulus".to_vec().slice(2..5);
    /// assert_eq!(part.as_bytes(), b"nul");
    /// assert_eq!(part.into_inner(), b"annulus");
    /// ```
    ///
    /// # Panics
    ///
    /// If the range starts behind what is filled, or ends before it starts.
    fn slice(self, range: impl RangeBounds<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        Slice::new(self, range)
    }
}

/// Memory that can be read into.
///
/// Operations fill it from the start, whatever it held, and set the length to what came: a `Vec` of
/// length 100 and capacity 4096 takes up to 4096 bytes, and its length is then their number. To keep
/// what is there, read into [`slice`](IoBuf::slice)`(len..)`.
///
/// # Safety
///
/// That of [`IoBuf`]; and [`capacity`](Self::capacity) bytes from the address on belong to the value and may be
/// written.
pub unsafe trait IoBufMut: IoBuf {
    /// Where the bytes go.
    fn as_stable_mut_ptr(&mut self) -> *mut u8;

    /// How many bytes there is room for, from the start.
    fn capacity(&self) -> usize;

    /// Says that the first `len` bytes, and no others, are contents now. What has a fixed length ignores it.
    ///
    /// # Safety
    ///
    /// The first `len` bytes are initialised, and `len` is at most the capacity.
    unsafe fn set_filled(&mut self, len: usize);
}

/// Fills a buffer with bytes that came by another way. Returns how many fitted.
pub(crate) fn fill<B: IoBufMut>(buf: &mut B, bytes: &[u8]) -> usize {
    let n = bytes.len().min(buf.capacity());
    let start = buf.as_stable_mut_ptr();
    // SAFETY: `n` bytes from the start on may be written (`IoBufMut`); `bytes` is borrowed from elsewhere, as `buf`
    // is borrowed uniquely.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, n) };
    // SAFETY: just written.
    unsafe { buf.set_filled(n) };
    n
}

// SAFETY: a vector's bytes are on the heap, where moving the vector leaves them.
unsafe impl IoBuf for Vec<u8> {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        self.len()
    }
}

// SAFETY: as above; the capacity is the allocation's size.
unsafe impl IoBufMut for Vec<u8> {
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

// SAFETY: on the heap, where moving the box leaves it.
unsafe impl IoBuf for Box<[u8]> {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        self.len()
    }
}

// SAFETY: as above; all of it is initialised always.
unsafe impl IoBufMut for Box<[u8]> {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn capacity(&self) -> usize {
        self.len()
    }

    unsafe fn set_filled(&mut self, _len: usize) {}
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

// SAFETY: as above; all of it is initialised always.
unsafe impl<const N: usize> IoBufMut for Box<[u8; N]> {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn capacity(&self) -> usize {
        N
    }

    unsafe fn set_filled(&mut self, _len: usize) {}
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

// SAFETY: as above; all of it is initialised always.
unsafe impl<const N: usize> IoBufMut for [u8; N] {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn capacity(&self) -> usize {
        N
    }

    unsafe fn set_filled(&mut self, _len: usize) {}
}

// SAFETY: static memory moves nowhere.
unsafe impl IoBuf for &'static [u8] {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        self.len()
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

// SAFETY: static memory moves nowhere.
unsafe impl IoBuf for &'static str {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        self.len()
    }
}

// SAFETY: bytes in the pool's memory, or on the heap; moving the guard leaves them, and it alone has them.
unsafe impl IoBuf for PooledBuf {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        self.len()
    }
}

// SAFETY: a string's bytes are on the heap, where moving the string leaves them.
unsafe impl IoBuf for String {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        self.len()
    }
}

// SAFETY: shared and immutable as long as one handle on it exists.
unsafe impl IoBuf for std::rc::Rc<[u8]> {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        self.len()
    }
}

// SAFETY: shared and immutable as long as one handle on it exists.
unsafe impl IoBuf for std::sync::Arc<[u8]> {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        self.len()
    }
}

// SAFETY: shared and immutable as long as one handle on it exists; moving a handle leaves the bytes.
unsafe impl IoBuf for bytes::Bytes {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        self.len()
    }
}

// SAFETY: a view of a heap allocation that no other handle overlaps; moving the handle leaves the bytes.
unsafe impl IoBuf for bytes::BytesMut {
    fn as_stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn filled(&self) -> usize {
        self.len()
    }
}

// SAFETY: as above; the capacity is the size of the view.
unsafe impl IoBufMut for bytes::BytesMut {
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
