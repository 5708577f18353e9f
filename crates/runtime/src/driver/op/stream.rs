//! The operation that reads from what has no positions: pipes, terminals, standard input.
#![allow(unsafe_code, reason = "names a buffer that the operation owns")]

use std::rc::Rc;

use annulus::{opcode, squeue};

use super::round::Round;
use super::{filled_from, keep_late, length};
use crate::buf::{BufResult, Held, IoBufMut};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;
use crate::net::inbound::Inbound;

/// read(2). What a dropped one still reads is kept for the next read of the stream, behind what earlier rounds of the same
/// call had read.
pub(crate) struct ReadStream<B> {
    fd: SharedFd,
    inbound: Rc<Inbound>,
    buf: Held<B>,
    round: Round,
}

impl<B: IoBufMut> ReadStream<B> {
    pub(crate) fn new(fd: SharedFd, inbound: Rc<Inbound>, buf: B, round: Round) -> Self {
        debug_assert!(round.at() <= buf.filled(), "{round:?} of a buffer of {} bytes", buf.filled());
        Self { fd, inbound, buf: Held::new(buf), round }
    }
}

// SAFETY: the buffer keeps its address (`Held`), the share keeps the descriptor open; a round lies in its buffer.
unsafe impl<B: IoBufMut> Operation for ReadStream<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let start = self.buf.as_stable_mut_ptr().wrapping_add(self.round.at());
        let len = length(self.round.room(&self.buf));
        opcode::Read::new(self.fd.target(), start, len).offset(u64::MAX).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        filled_from(self.round.at(), completion, self.buf.into_inner())
    }

    fn abandoned(&mut self) {
        self.inbound.doubt();
        self.inbound.put_front(self.round.earlier(&self.buf));
    }

    fn late(&mut self, completion: Completion) {
        keep_late(&self.inbound, self.round, completion, &mut self.buf);
    }

    fn over(&mut self) {
        self.inbound.settle();
    }
}
