//! What is done to open files and sockets beside moving data. None of these names memory.
#![allow(unsafe_code, reason = "implements the contract of operations; names no memory")]

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use rustix::io::Errno;

use super::{Handle, Operation, plain_operation};
use crate::types::{Fd, Fixed, FsyncFlags};
use crate::{cqueue, opcode, squeue};

plain_operation! {
    /// Does nothing.
    pub struct Nop {}
    entry(self) { opcode::Nop::new().build() }
}

impl Nop {
    /// A request to do nothing.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "there is nothing to be default")]
    pub const fn new() -> Self {
        Self {}
    }
}

plain_operation! {
    /// Brings a file's data to the disk: fsync(2), fdatasync(2).
    pub struct Sync { handle: Handle, flags: FsyncFlags }
    entry(self) { opcode::Fsync::new(self.handle.target()).flags(self.flags).build() }
}

impl Sync {
    /// Data and metadata: fsync(2).
    pub fn all(handle: impl Into<Handle>) -> Self {
        Self { handle: handle.into(), flags: FsyncFlags::empty() }
    }

    /// What is needed to read the data back: fdatasync(2).
    pub fn data(handle: impl Into<Handle>) -> Self {
        Self { handle: handle.into(), flags: FsyncFlags::DATASYNC }
    }
}

plain_operation! {
    /// Makes or takes away room in a file: fallocate(2).
    pub struct Allocate { handle: Handle, offset: u64, len: u64, mode: i32 }
    entry(self) {
        opcode::Fallocate::new(self.handle.target(), self.len).offset(self.offset).mode(self.mode).build()
    }
}

impl Allocate {
    /// Makes room for `len` bytes from `offset`.
    pub fn new(handle: impl Into<Handle>, offset: u64, len: u64) -> Self {
        Self { handle: handle.into(), offset, len, mode: 0 }
    }

    /// Sets `FALLOC_FL_*`.
    #[must_use]
    pub fn mode(mut self, mode: i32) -> Self {
        self.mode = mode;
        self
    }
}

plain_operation! {
    /// Cuts or extends a file: ftruncate(2). Linux 6.9.
    pub struct Truncate { handle: Handle, len: u64 }
    entry(self) { opcode::Ftruncate::new(self.handle.target(), self.len).build() }
}

impl Truncate {
    /// Makes the file `len` bytes long.
    pub fn new(handle: impl Into<Handle>, len: u64) -> Self {
        Self { handle: handle.into(), len }
    }
}

plain_operation! {
    /// Says how a part of a file is going to be used: posix_fadvise(2).
    pub struct Advise { handle: Handle, offset: u64, len: u32, advice: i32 }
    entry(self) {
        let len = libc::off_t::from(self.len);
        opcode::Fadvise::new(self.handle.target(), len, self.advice).offset(self.offset).build()
    }
}

impl Advise {
    /// Gives an advice, `POSIX_FADV_*`, for `len` bytes from `offset`; 0 of them reach to the end.
    pub fn new(handle: impl Into<Handle>, offset: u64, len: u32, advice: i32) -> Self {
        Self { handle: handle.into(), offset, len, advice }
    }
}

plain_operation! {
    /// Writes what the page cache has of a part of a file to the disk: sync_file_range(2).
    pub struct SyncRange { handle: Handle, offset: u64, len: u32, flags: u32 }
    entry(self) {
        opcode::SyncFileRange::new(self.handle.target(), self.len)
            .offset(self.offset)
            .flags(self.flags)
            .build()
    }
}

impl SyncRange {
    /// Does what `flags`, `SYNC_FILE_RANGE_*`, say with `len` bytes from `offset`; 0 of them reach to the end.
    pub fn new(handle: impl Into<Handle>, offset: u64, len: u32, flags: u32) -> Self {
        Self { handle: handle.into(), offset, len, flags }
    }
}

plain_operation! {
    /// Shuts a connection down, one way or both: shutdown(2).
    pub struct Shutdown { handle: Handle, how: i32 }
    entry(self) { opcode::Shutdown::new(self.handle.target(), self.how).build() }
}

impl Shutdown {
    /// Shuts down `how`.
    pub fn new(handle: impl Into<Handle>, how: std::net::Shutdown) -> Self {
        let how = match how {
            std::net::Shutdown::Read => libc::SHUT_RD,
            std::net::Shutdown::Write => libc::SHUT_WR,
            std::net::Shutdown::Both => libc::SHUT_RDWR,
        };
        Self { handle: handle.into(), how }
    }
}

plain_operation! {
    /// Moves data between a file and a pipe: splice(2). The result is the number of bytes.
    pub struct Splice { from: Handle, from_offset: i64, to: Handle, to_offset: i64, len: u32 }
    entry(self) {
        let (from, to) = (self.from.target(), self.to.target());
        opcode::Splice::new(from, self.from_offset, to, self.to_offset, self.len).build()
    }
}

impl Splice {
    /// Moves at most `len` bytes, at the positions of both files.
    pub fn new(from: impl Into<Handle>, to: impl Into<Handle>, len: u32) -> Self {
        Self { from: from.into(), from_offset: -1, to: to.into(), to_offset: -1, len }
    }

    /// Sets where in the file to read, in bytes; not for a pipe (`ESPIPE`).
    #[must_use]
    pub fn from_offset(mut self, offset: u64) -> Self {
        self.from_offset = offset.cast_signed();
        self
    }

    /// Sets where in the file to write, in bytes; not for a pipe (`ESPIPE`).
    #[must_use]
    pub fn to_offset(mut self, offset: u64) -> Self {
        self.to_offset = offset.cast_signed();
        self
    }
}

/// Closes a file: close(2). The result tells of errors that came late, such as those of a network file
/// system; the descriptor is gone in any case.
#[derive(Debug)]
pub struct Close {
    fd: OwnedFd,
}

impl Close {
    /// Closes a descriptor of the process.
    #[must_use]
    pub const fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

// SAFETY: the entry names no memory, only a descriptor, which the value holds.
unsafe impl Operation for Close {
    type Output = Result<(), Errno>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Close::new(Fd(self.fd.as_raw_fd())).build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        let result = cqe.to_result().map(drop);
        // Closed by the kernel, unless the request did not come to run: then it is dropped, and so closed, here.
        if !matches!(result, Err(Errno::CANCELED | Errno::INVAL)) {
            let _ = self.fd.into_raw_fd();
        }
        result
    }
}

plain_operation! {
    /// Empties a slot of the ring's file table. Linux 5.15.
    pub struct CloseSlot { slot: Fixed }
    entry(self) { opcode::Close::new(self.slot).build() }
}

impl CloseSlot {
    /// Empties `slot`.
    #[must_use]
    pub const fn new(slot: Fixed) -> Self {
        Self { slot }
    }
}
