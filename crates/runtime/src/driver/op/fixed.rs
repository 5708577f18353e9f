//! Operations that move bytes between a file or a stream and registered memory.
#![allow(unsafe_code, reason = "names buffers that the operations own")]

use std::rc::Rc;

use annulus::{opcode, squeue};

use super::{filled, length, number};
use crate::buf::{BufResult, FixedBuf};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;
use crate::net::inbound::Inbound;

/// What both have: a file, a buffer of the pool, where in the file, `RWF_*`.
struct Transfer<B> {
    fd: SharedFd,
    buf: B,
    offset: u64,
    flags: i32,
    /// The entry was made already: it is wanted for another ring now, which has not registered the buffer.
    again: bool,
}

impl<B: FixedBuf> Transfer<B> {
    /// The slot of the buffer in the ring that the entry is for, if it has one there.
    fn slot(&mut self) -> Option<u16> {
        if std::mem::replace(&mut self.again, true) { None } else { self.buf.slot() }
    }
}

/// pread(2) into a registered buffer; into one that is not registered here, an ordinary one.
pub(crate) struct ReadFixed<B>(Transfer<B>);

impl<B: FixedBuf> ReadFixed<B> {
    pub(crate) const fn new(fd: SharedFd, buf: B, offset: u64, flags: i32) -> Self {
        Self(Transfer { fd, buf, offset, flags, again: false })
    }
}

// SAFETY: the guard keeps its memory and address, the share keeps the descriptor open.
unsafe impl<B: FixedBuf> Operation for ReadFixed<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let slot = self.0.slot();
        let Transfer { fd, buf, offset, flags, .. } = &mut self.0;
        let (start, len) = (buf.as_stable_mut_ptr(), length(buf.capacity()));
        match slot {
            Some(slot) => {
                opcode::ReadFixed::new(fd.target(), start, len, slot).offset(*offset).rw_flags(*flags).build()
            }
            None => opcode::Read::new(fd.target(), start, len).offset(*offset).rw_flags(*flags).build(),
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        filled(completion, self.0.buf)
    }
}

/// pwrite(2) from a registered buffer; from one that is not registered here, an ordinary one.
pub(crate) struct WriteFixed<B>(Transfer<B>);

impl<B: FixedBuf> WriteFixed<B> {
    pub(crate) const fn new(fd: SharedFd, buf: B, offset: u64, flags: i32) -> Self {
        Self(Transfer { fd, buf, offset, flags, again: false })
    }
}

// SAFETY: as for `ReadFixed`.
unsafe impl<B: FixedBuf> Operation for WriteFixed<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let slot = self.0.slot();
        let Transfer { fd, buf, offset, flags, .. } = &mut self.0;
        let (start, len) = (buf.as_stable_ptr(), length(buf.filled()));
        match slot {
            Some(slot) => opcode::WriteFixed::new(fd.target(), start, len, slot)
                .offset(*offset)
                .rw_flags(*flags)
                .build(),
            None => opcode::Write::new(fd.target(), start, len).offset(*offset).rw_flags(*flags).build(),
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (number(completion), self.0.buf)
    }
}

/// recv(2) into a registered buffer, as a read of the stream. What a dropped one still receives is kept for the next receive of
/// the stream.
pub(crate) struct RecvFixed<B> {
    read: ReadFixed<B>,
    inbound: Rc<Inbound>,
}

impl<B: FixedBuf> RecvFixed<B> {
    pub(crate) const fn new(fd: SharedFd, inbound: Rc<Inbound>, buf: B) -> Self {
        Self { read: ReadFixed::new(fd, buf, u64::MAX, 0), inbound }
    }
}

// SAFETY: that of the read.
unsafe impl<B: FixedBuf> Operation for RecvFixed<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        self.read.entry()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        self.read.complete(completion)
    }

    fn abandoned(&mut self) {
        self.inbound.doubt();
    }

    fn late(&mut self, completion: Completion) {
        if let Ok(n) = number(completion) {
            let buf = &mut self.read.0.buf;
            // SAFETY: the kernel has written `n` bytes from the start of the buffer on.
            unsafe { buf.set_filled(n) };
            self.inbound.keep(&buf.as_bytes()[..n]);
        } else {
            self.inbound.keep_error(-completion.result);
        }
    }

    fn over(&mut self) {
        self.inbound.settle();
    }
}
