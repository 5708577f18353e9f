//! Reading and writing several buffers with one operation.
#![allow(unsafe_code, reason = "names buffers that the operation owns")]

use std::fmt;

use rustix::io::Errno;

use super::buffer::entry_len;
use super::{Buffers, BuffersMut, Handle, Operation};
use crate::{cqueue, opcode, squeue};

/// Where the pieces lie, as the kernel reads it.
#[derive(Default)]
pub(super) struct Pieces(Vec<libc::iovec>);

// SAFETY: addresses of memory that the operation owns, which is `Send` itself.
unsafe impl Send for Pieces {}

impl Pieces {
    /// The room of each buffer.
    pub(super) fn of_space<V: BuffersMut + ?Sized>(buffers: &mut V) -> Self {
        let mut pieces = Vec::new();
        buffers.spaces(&mut |start, room| {
            pieces.push(libc::iovec { iov_base: start.as_ptr().cast(), iov_len: room });
        });
        Self(pieces)
    }

    /// The bytes of each buffer.
    pub(super) fn of_bytes<V: Buffers + ?Sized>(buffers: &V) -> Self {
        let mut pieces = Vec::new();
        buffers.each_bytes(&mut |bytes| {
            pieces.push(libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() });
        });
        Self(pieces)
    }

    pub(super) const fn as_mut_ptr(&mut self) -> *mut libc::iovec {
        self.0.as_mut_ptr()
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}

/// Reads into several buffers: preadv(2). At most 1,024 of them (`EINVAL`).
pub struct Readv<V> {
    handle: Handle,
    buffers: V,
    pieces: Pieces,
    offset: u64,
    flags: i32,
}

impl<V: BuffersMut> Readv<V> {
    /// Reads as much as `buffers` hold together, at offset 0.
    pub fn new(handle: impl Into<Handle>, buffers: V) -> Self {
        Self { handle: handle.into(), buffers, pieces: Pieces::default(), offset: 0, flags: 0 }
    }

    /// Sets where in the file to read, in bytes; `u64::MAX` (-1) is the file's position.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Sets `RWF_*`, as preadv2(2) has them.
    #[must_use]
    pub fn flags(mut self, flags: i32) -> Self {
        self.flags = flags;
        self
    }
}

// SAFETY: the entry names the pieces and they the rooms of the buffers; the value owns both and leaves them alone.
unsafe impl<V: BuffersMut> Operation for Readv<V> {
    type Output = (Result<usize, Errno>, V);

    fn entry(&mut self) -> squeue::Entry {
        self.pieces = Pieces::of_space(&mut self.buffers);
        let len = entry_len(self.pieces.len());
        opcode::Readv::new(self.handle.target(), self.pieces.as_mut_ptr(), len)
            .offset(self.offset)
            .rw_flags(self.flags)
            .build()
    }

    unsafe fn complete(mut self, cqe: &cqueue::Entry) -> Self::Output {
        let result = cqe.to_result().map(|len| len as usize);
        if let Ok(len) = result {
            // SAFETY: the kernel wrote that many bytes to the rooms, one after the other.
            unsafe { self.buffers.filled(len) };
        }
        (result, self.buffers)
    }
}

/// Writes several buffers: pwritev(2). At most 1,024 of them (`EINVAL`).
pub struct Writev<V> {
    handle: Handle,
    buffers: V,
    pieces: Pieces,
    offset: u64,
    flags: i32,
}

impl<V: Buffers> Writev<V> {
    /// Writes `buffers` one behind the other, at offset 0.
    pub fn new(handle: impl Into<Handle>, buffers: V) -> Self {
        Self { handle: handle.into(), buffers, pieces: Pieces::default(), offset: 0, flags: 0 }
    }

    /// Sets where in the file to write, in bytes; `u64::MAX` (-1) is the file's position.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Sets `RWF_*`, as pwritev2(2) has them.
    #[must_use]
    pub fn flags(mut self, flags: i32) -> Self {
        self.flags = flags;
        self
    }
}

// SAFETY: the entry names the pieces and they the bytes of the buffers; the value owns both.
unsafe impl<V: Buffers> Operation for Writev<V> {
    type Output = (Result<usize, Errno>, V);

    fn entry(&mut self) -> squeue::Entry {
        self.pieces = Pieces::of_bytes(&self.buffers);
        let len = entry_len(self.pieces.len());
        opcode::Writev::new(self.handle.target(), self.pieces.as_mut_ptr(), len)
            .offset(self.offset)
            .rw_flags(self.flags)
            .build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        (cqe.to_result().map(|len| len as usize), self.buffers)
    }
}

impl<V> fmt::Debug for Readv<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readv").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl<V> fmt::Debug for Writev<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writev").field("handle", &self.handle).finish_non_exhaustive()
    }
}
