//! Operations that move bytes between a file and a buffer: read, write.
#![allow(unsafe_code, reason = "names buffers that the operations own")]

use annulus::{opcode, squeue};

use super::{filled, length, number};
use crate::buf::{BufResult, Held, IoBuf, IoBufMut};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;

/// read(2) or pread(2).
pub(crate) struct Read<B> {
    fd: SharedFd,
    buf: Held<B>,
    /// Where in the file; `u64::MAX` is the file's own position, and right for what has none.
    offset: u64,
    /// `RWF_*`.
    flags: i32,
    worker: squeue::Flags,
}

impl<B: IoBufMut> Read<B> {
    pub(crate) fn new(fd: SharedFd, buf: B, offset: u64) -> Self {
        Self { fd, buf: Held::new(buf), offset, flags: 0, worker: squeue::Flags::empty() }
    }

    /// Not even tried at once: reading ahead in the call that submits would hold up everything else.
    pub(crate) const fn on_a_worker(mut self) -> Self {
        self.worker = squeue::Flags::ASYNC;
        self
    }

    /// With `RWF_*`, as by preadv2(2).
    pub(crate) const fn with(mut self, flags: i32) -> Self {
        self.flags = flags;
        self
    }
}

// SAFETY: the buffer keeps its address (`Held`), the share keeps the descriptor open.
unsafe impl<B: IoBufMut> Operation for Read<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.buf.as_stable_mut_ptr(), length(self.buf.capacity()));
        let read = opcode::Read::new(self.fd.target(), start, len).offset(self.offset);
        read.rw_flags(self.flags).build().flags(self.worker)
    }

    fn complete(self, completion: Completion) -> Self::Output {
        filled(completion, self.buf.into_inner())
    }
}

/// write(2) or pwrite(2).
pub(crate) struct Write<B> {
    fd: SharedFd,
    buf: Held<B>,
    /// As in [`Read`].
    offset: u64,
    /// `RWF_*`.
    flags: i32,
}

impl<B: IoBuf> Write<B> {
    pub(crate) fn new(fd: SharedFd, buf: B, offset: u64) -> Self {
        Self { fd, buf: Held::new(buf), offset, flags: 0 }
    }

    /// With `RWF_*`, as by pwritev2(2).
    pub(crate) const fn with(mut self, flags: i32) -> Self {
        self.flags = flags;
        self
    }
}

// SAFETY: as for `Read`.
unsafe impl<B: IoBuf> Operation for Write<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.buf.as_stable_ptr(), length(self.buf.filled()));
        opcode::Write::new(self.fd.target(), start, len).offset(self.offset).rw_flags(self.flags).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (number(completion), self.buf.into_inner())
    }
}
