//! Reading, writing, receiving, sending: one buffer.
//!
//! Each gives the number of bytes and the buffer back; fewer bytes than asked for are no error.
#![allow(unsafe_code, reason = "names buffers that the operation owns")]

use std::fmt;

use rustix::io::Errno;

use super::buffer::entry_len;
use super::{Buffer, BufferMut, Handle, Operation};
use crate::{cqueue, opcode, squeue};

/// Reads into a buffer: pread(2).
///
/// With a `Vec` the whole capacity is written over from its start, and the length becomes what was read.
pub struct Read<B> {
    handle: Handle,
    buffer: B,
    offset: u64,
    flags: i32,
}

impl<B: BufferMut> Read<B> {
    /// Reads as much as `buffer` holds, at offset 0.
    pub fn new(handle: impl Into<Handle>, buffer: B) -> Self {
        Self { handle: handle.into(), buffer, offset: 0, flags: 0 }
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

// SAFETY: the entry names the room of the buffer, which the value owns and leaves alone.
unsafe impl<B: BufferMut> Operation for Read<B> {
    type Output = (Result<usize, Errno>, B);

    fn entry(&mut self) -> squeue::Entry {
        let (start, room) = self.buffer.space();
        opcode::Read::new(self.handle.target(), start.as_ptr(), entry_len(room))
            .offset(self.offset)
            .rw_flags(self.flags)
            .build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        // SAFETY: the contract of this function.
        unsafe { filled(cqe, self.buffer) }
    }
}

/// Receives into a buffer: recv(2).
///
/// With a `Vec` the whole capacity is written over from its start, and the length becomes what was received.
pub struct Recv<B> {
    handle: Handle,
    buffer: B,
    flags: i32,
}

impl<B: BufferMut> Recv<B> {
    /// Receives as much as is there and `buffer` holds.
    pub fn new(handle: impl Into<Handle>, buffer: B) -> Self {
        Self { handle: handle.into(), buffer, flags: 0 }
    }

    /// Sets `MSG_*`, but `MSG_TRUNC`, which has no meaning here.
    #[must_use]
    pub fn flags(mut self, flags: i32) -> Self {
        // With it the result tells of more bytes than were written.
        self.flags = flags & !libc::MSG_TRUNC;
        self
    }
}

// SAFETY: the entry names the room of the buffer, which the value owns and leaves alone.
unsafe impl<B: BufferMut> Operation for Recv<B> {
    type Output = (Result<usize, Errno>, B);

    fn entry(&mut self) -> squeue::Entry {
        let (start, room) = self.buffer.space();
        opcode::Recv::new(self.handle.target(), start.as_ptr(), entry_len(room)).flags(self.flags).build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        // SAFETY: the contract of this function.
        unsafe { filled(cqe, self.buffer) }
    }
}

/// Writes a buffer: pwrite(2).
pub struct Write<B> {
    handle: Handle,
    buffer: B,
    offset: u64,
    flags: i32,
}

impl<B: Buffer> Write<B> {
    /// Writes `buffer` at offset 0.
    pub fn new(handle: impl Into<Handle>, buffer: B) -> Self {
        Self { handle: handle.into(), buffer, offset: 0, flags: 0 }
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

// SAFETY: the entry names the bytes of the buffer, which the value owns.
unsafe impl<B: Buffer> Operation for Write<B> {
    type Output = (Result<usize, Errno>, B);

    fn entry(&mut self) -> squeue::Entry {
        let bytes = self.buffer.bytes();
        opcode::Write::new(self.handle.target(), bytes.as_ptr(), entry_len(bytes.len()))
            .offset(self.offset)
            .rw_flags(self.flags)
            .build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        (cqe.to_result().map(|len| len as usize), self.buffer)
    }
}

/// Sends a buffer: send(2).
pub struct Send<B> {
    handle: Handle,
    buffer: B,
    flags: i32,
}

impl<B: Buffer> Send<B> {
    /// Sends `buffer` on a connected socket.
    pub fn new(handle: impl Into<Handle>, buffer: B) -> Self {
        Self { handle: handle.into(), buffer, flags: 0 }
    }

    /// Sets `MSG_*`; with `MSG_WAITALL` it is sent whole (Linux 5.19).
    #[must_use]
    pub fn flags(mut self, flags: i32) -> Self {
        self.flags = flags;
        self
    }
}

// SAFETY: the entry names the bytes of the buffer, which the value owns.
unsafe impl<B: Buffer> Operation for Send<B> {
    type Output = (Result<usize, Errno>, B);

    fn entry(&mut self) -> squeue::Entry {
        let bytes = self.buffer.bytes();
        opcode::Send::new(self.handle.target(), bytes.as_ptr(), entry_len(bytes.len()))
            .flags(self.flags)
            .build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        (cqe.to_result().map(|len| len as usize), self.buffer)
    }
}

/// The result of an operation that wrote its result's number of bytes to the buffer.
///
/// # Safety
///
/// `cqe` is the last completion of an entry that named the buffer's room.
unsafe fn filled<B: BufferMut>(cqe: &cqueue::Entry, mut buffer: B) -> (Result<usize, Errno>, B) {
    let result = cqe.to_result().map(|len| len as usize);
    if let Ok(len) = result {
        // SAFETY: the kernel wrote that many bytes, and never more than the entry's length.
        unsafe { buffer.filled(len) };
    }
    (result, buffer)
}

macro_rules! debug_without_buffer {
    ($($Op:ident),*) => { $(
        impl<B> fmt::Debug for $Op<B> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Op)).field("handle", &self.handle).finish_non_exhaustive()
            }
        }
    )* };
}

debug_without_buffer!(Read, Recv, Write, Send);
