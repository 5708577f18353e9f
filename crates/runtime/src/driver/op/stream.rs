//! The operation that reads from what has no positions: pipes, terminals, standard input.
#![allow(unsafe_code, reason = "names a buffer that the operation owns")]

use std::rc::Rc;

use annulus::{opcode, squeue};

use super::{filled, length, number};
use crate::buf::{BufResult, Held, IoBuf, IoBufMut};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;
use crate::net::inbound::Inbound;

/// read(2). What a dropped one still reads is kept for the next read of the stream.
pub(crate) struct ReadStream<B> {
    fd: SharedFd,
    inbound: Rc<Inbound>,
    buf: Held<B>,
}

impl<B: IoBufMut> ReadStream<B> {
    pub(crate) fn new(fd: SharedFd, inbound: Rc<Inbound>, buf: B) -> Self {
        Self { fd, inbound, buf: Held::new(buf) }
    }
}

// SAFETY: the buffer keeps its address (`Held`), the share keeps the descriptor open.
unsafe impl<B: IoBufMut> Operation for ReadStream<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.buf.as_stable_mut_ptr(), length(self.buf.capacity()));
        opcode::Read::new(self.fd.target(), start, len).offset(u64::MAX).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        filled(completion, self.buf.into_inner())
    }

    fn abandoned(&mut self) {
        self.inbound.doubt();
    }

    fn late(&mut self, completion: Completion) {
        if let Ok(n) = number(completion) {
            // SAFETY: the kernel has written `n` bytes from the start of the buffer on.
            unsafe { self.buf.set_filled(n) };
            self.inbound.keep(&self.buf.as_bytes()[..n]);
        } else {
            self.inbound.keep_error(-completion.result);
        }
    }

    fn over(&mut self) {
        self.inbound.settle();
    }
}
