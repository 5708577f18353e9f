//! Reading and writing several buffers with one operation.
#![allow(unsafe_code, reason = "names buffers that the operation owns")]

use std::fmt;

use rustix::io::Errno;

use super::buffer::entry_len;
use super::{Buffer, BufferMut, Handle, Operation};
use crate::{cqueue, opcode, squeue};

/// Where the pieces lie, as the kernel reads it.
#[derive(Default)]
pub(super) struct Pieces(Vec<libc::iovec>);

// SAFETY: addresses of memory that the operation owns, which is `Send` itself.
unsafe impl Send for Pieces {}

impl Pieces {
    /// The room of each buffer.
    pub(super) fn of_space<B: BufferMut>(buffers: &mut [B]) -> Self {
        let piece = |buffer: &mut B| {
            let (start, room) = buffer.space();
            libc::iovec { iov_base: start.as_ptr().cast(), iov_len: room }
        };
        Self(buffers.iter_mut().map(piece).collect())
    }

    /// The bytes of each buffer.
    pub(super) fn of_bytes<B: Buffer>(buffers: &[B]) -> Self {
        let piece = |buffer: &B| {
            let bytes = buffer.bytes();
            libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
        };
        Self(buffers.iter().map(piece).collect())
    }

    pub(super) const fn as_mut_ptr(&mut self) -> *mut libc::iovec {
        self.0.as_mut_ptr()
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Spreads `len` bytes over the buffers that were given to [`of_space`](Self::of_space).
    ///
    /// # Safety
    ///
    /// That many bytes were written to the pieces, one after the other.
    pub(super) unsafe fn filled<B: BufferMut>(&self, buffers: &mut [B], mut len: usize) {
        for (piece, buffer) in self.0.iter().zip(buffers) {
            let here = len.min(piece.iov_len);
            // SAFETY: the pieces are filled in order (contract), so the first `here` bytes of this one were.
            unsafe { buffer.filled(here) };
            len -= here;
        }
    }
}

/// Reads into several buffers: preadv(2). At most 1,024 of them (`EINVAL`).
pub struct Readv<B> {
    handle: Handle,
    buffers: Vec<B>,
    pieces: Pieces,
    offset: u64,
}

impl<B: BufferMut> Readv<B> {
    /// Reads as much as `buffers` hold together, at offset 0.
    pub fn new(handle: impl Into<Handle>, buffers: Vec<B>) -> Self {
        Self { handle: handle.into(), buffers, pieces: Pieces::default(), offset: 0 }
    }

    /// Sets where in the file to read, in bytes; `u64::MAX` (-1) is the file's position.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }
}

// SAFETY: the entry names the pieces and they the rooms of the buffers; the value owns both and leaves them alone.
unsafe impl<B: BufferMut> Operation for Readv<B> {
    type Output = (Result<usize, Errno>, Vec<B>);

    fn entry(&mut self) -> squeue::Entry {
        self.pieces = Pieces::of_space(&mut self.buffers);
        let len = entry_len(self.pieces.len());
        opcode::Readv::new(self.handle.target(), self.pieces.as_mut_ptr(), len).offset(self.offset).build()
    }

    unsafe fn complete(mut self, cqe: &cqueue::Entry) -> Self::Output {
        let result = cqe.to_result().map(|len| len as usize);
        if let Ok(len) = result {
            // SAFETY: the kernel wrote that many bytes to the pieces, in order.
            unsafe { self.pieces.filled(&mut self.buffers, len) };
        }
        (result, self.buffers)
    }
}

/// Writes several buffers: pwritev(2). At most 1,024 of them (`EINVAL`).
pub struct Writev<B> {
    handle: Handle,
    buffers: Vec<B>,
    pieces: Pieces,
    offset: u64,
}

impl<B: Buffer> Writev<B> {
    /// Writes `buffers` one behind the other, at offset 0.
    pub fn new(handle: impl Into<Handle>, buffers: Vec<B>) -> Self {
        Self { handle: handle.into(), buffers, pieces: Pieces::default(), offset: 0 }
    }

    /// Sets where in the file to write, in bytes; `u64::MAX` (-1) is the file's position.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }
}

// SAFETY: the entry names the pieces and they the bytes of the buffers; the value owns both.
unsafe impl<B: Buffer> Operation for Writev<B> {
    type Output = (Result<usize, Errno>, Vec<B>);

    fn entry(&mut self) -> squeue::Entry {
        self.pieces = Pieces::of_bytes(&self.buffers);
        let len = entry_len(self.pieces.len());
        opcode::Writev::new(self.handle.target(), self.pieces.as_mut_ptr(), len).offset(self.offset).build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        (cqe.to_result().map(|len| len as usize), self.buffers)
    }
}

impl<B> fmt::Debug for Readv<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readv").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for Writev<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writev").field("handle", &self.handle).finish_non_exhaustive()
    }
}
