//! Operations that move bytes between a socket and buffers: receive, send.
#![allow(unsafe_code, reason = "names buffers that the operations own")]

use std::rc::Rc;

use annulus::{BufRing, opcode, squeue};

use super::round::Round;
use super::{filled_from, keep_late, length, number};
use crate::buf::{BufResult, Held, IoBuf, IoBufMut, Pool};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;
use crate::net::inbound::Inbound;

/// recv(2). What a dropped one still receives is kept for the next receive of the stream, behind what earlier rounds of the
/// same call had received.
pub(crate) struct Recv<B> {
    fd: SharedFd,
    inbound: Rc<Inbound>,
    buf: Held<B>,
    round: Round,
    flags: i32,
}

impl<B: IoBufMut> Recv<B> {
    pub(crate) fn new(fd: SharedFd, inbound: Rc<Inbound>, buf: B, flags: i32) -> Self {
        Self { fd, inbound, buf: Held::new(buf), round: Round::only(), flags }
    }

    /// One of those that fill a part of the buffer.
    pub(crate) fn round(fd: SharedFd, inbound: Rc<Inbound>, buf: B, round: Round) -> Self {
        debug_assert!(round.at() <= buf.filled(), "{round:?} of a buffer of {} bytes", buf.filled());
        Self { fd, inbound, buf: Held::new(buf), round, flags: 0 }
    }
}

// SAFETY: the buffer keeps its address (`Held`), the share keeps the descriptor open; a round lies in its buffer.
unsafe impl<B: IoBufMut> Operation for Recv<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let start = self.buf.as_stable_mut_ptr().wrapping_add(self.round.at());
        let len = length(self.round.room(&self.buf));
        opcode::Recv::new(self.fd.target(), start, len).flags(self.flags).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        filled_from(self.round.at(), completion, self.buf.into_inner())
    }

    fn abandoned(&mut self) {
        self.inbound.doubt();
        self.inbound.put_front(self.round.earlier(&self.buf));
    }

    fn late(&mut self, completion: Completion) {
        // What was only looked at is still there.
        if self.flags & libc::MSG_PEEK == 0 {
            keep_late(&self.inbound, self.round, completion, &mut self.buf);
        }
    }

    fn over(&mut self) {
        self.inbound.settle();
    }
}

/// recv(2) again and again, into buffers of the pool's ring. What a dropped one still receives is kept for
/// the next receive of the stream.
pub(crate) struct RecvMulti {
    pub(crate) fd: SharedFd,
    pub(crate) inbound: Rc<Inbound>,
    pub(crate) pool: Rc<Pool>,
    pub(crate) ring: Rc<BufRing>,
}

// SAFETY: the buffers stay with the ring, which this holds; the share keeps the descriptor open.
unsafe impl Operation for RecvMulti {
    type Output = ();

    fn entry(&mut self) -> squeue::Entry {
        opcode::RecvMulti::new(self.fd.target(), self.ring.group()).build()
    }

    fn complete(self, _completion: Completion) {}

    fn abandoned(&mut self) {
        self.inbound.doubt();
    }

    fn late(&mut self, completion: Completion) {
        if let Some(bytes) = self.pool.filled(&self.ring, completion) {
            self.inbound.keep(&bytes);
        }
        if completion.result < 0 {
            self.inbound.keep_error(-completion.result);
        }
    }

    fn over(&mut self) {
        self.inbound.settle();
    }
}

/// send(2).
pub(crate) struct Send<B> {
    fd: SharedFd,
    buf: Held<B>,
    /// How many bytes of the buffer are left out at its begin.
    skip: usize,
    flags: i32,
}

impl<B: IoBuf> Send<B> {
    pub(crate) fn new(fd: SharedFd, buf: B, flags: i32) -> Self {
        Self::rest(fd, buf, 0, flags)
    }

    /// Of a buffer without its first `skip` bytes.
    pub(crate) fn rest(fd: SharedFd, buf: B, skip: usize, flags: i32) -> Self {
        Self { fd, buf: Held::new(buf), skip, flags }
    }
}

// SAFETY: as for `Recv`; what is left out lies before what is named.
unsafe impl<B: IoBuf> Operation for Send<B> {
    type Output = BufResult<usize, B>;

    #[inline]
    fn entry(&mut self) -> squeue::Entry {
        let rest = self.buf.filled().saturating_sub(self.skip);
        let start = self.buf.as_stable_ptr().wrapping_add(self.skip);
        opcode::Send::new(self.fd.target(), start, length(rest)).flags(self.flags).build()
    }

    #[inline]
    fn complete(self, completion: Completion) -> Self::Output {
        (number(completion), self.buf.into_inner())
    }
}
