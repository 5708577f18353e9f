//! Buffers that operations can own: memory that keeps its address, and comes back with the result.
//!
//! This file holds the two traits. Beside it stand the containers that implement them, parts of buffers
//! ([`Slice`]), several as one ([`IoVectoredBuf`]), memory that is aligned for `O_DIRECT` ([`AlignedBuf`]), memory that is
//! registered with the ring ([`FixedPool`]) and the pool of receive buffers ([`PooledBuf`]).
#![allow(unsafe_code, reason = "the traits promise what entries rest on")]

mod aligned;
mod containers;
mod fixed;
mod held;
mod pool;
mod slice;
mod turns;
mod vectored;

use std::ops::RangeBounds;

pub use aligned::AlignedBuf;
pub(crate) use fixed::Slots;
pub use fixed::{FixedBuf, FixedPool, RegisteredBuf};
pub(crate) use held::Held;
pub(crate) use pool::Pool;
pub use pool::PooledBuf;
pub use slice::Slice;
pub(crate) use turns::Turn;
pub use vectored::{IoVectoredBuf, IoVectoredBufMut};

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
