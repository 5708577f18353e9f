//! Operations that move bytes between a socket and buffers: receive, send.
#![allow(unsafe_code, reason = "names buffers that the operations own")]

use std::io;
use std::rc::Rc;

use annulus::{BufRing, opcode, squeue};

use super::{filled, length, number};
use crate::buf::{BufResult, Held, IoBuf, IoBufMut, Pool};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;
use crate::net::inbound::Inbound;

/// recv(2). What a dropped one still receives is kept for the next receive of the stream.
pub(crate) struct Recv<B> {
    fd: SharedFd,
    inbound: Rc<Inbound>,
    buf: Held<B>,
    flags: i32,
}

impl<B: IoBufMut> Recv<B> {
    pub(crate) fn new(fd: SharedFd, inbound: Rc<Inbound>, buf: B, flags: i32) -> Self {
        Self { fd, inbound, buf: Held::new(buf), flags }
    }
}

// SAFETY: the buffer keeps its address (`Held`), the share keeps the descriptor open.
unsafe impl<B: IoBufMut> Operation for Recv<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.buf.as_stable_mut_ptr(), length(self.buf.capacity()));
        opcode::Recv::new(self.fd.target(), start, len).flags(self.flags).build()
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
    flags: i32,
}

impl<B: IoBuf> Send<B> {
    pub(crate) fn new(fd: SharedFd, buf: B, flags: i32) -> Self {
        Self { fd, buf: Held::new(buf), flags }
    }
}

// SAFETY: as for `Recv`.
unsafe impl<B: IoBuf> Operation for Send<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.buf.as_stable_ptr(), length(self.buf.filled()));
        opcode::Send::new(self.fd.target(), start, len).flags(self.flags).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (number(completion), self.buf.into_inner())
    }
}

/// sendmsg(2) of several buffers in a row.
pub(crate) struct SendMsg<B> {
    fd: SharedFd,
    bufs: Vec<Held<B>>,
    flags: i32,
    /// Points to `iovecs`, which points to `bufs`; all on the heap, so that moving this changes nothing.
    header: Box<libc::msghdr>,
    iovecs: Vec<libc::iovec>,
}

impl<B: IoBuf> SendMsg<B> {
    /// Sends the buffers in order, without the first `skip` bytes.
    pub(crate) fn new(fd: SharedFd, bufs: Vec<B>, skip: usize, flags: i32) -> Self {
        let bufs = bufs.into_iter().map(Held::new).collect();
        // SAFETY: a header of zeros has no name, no buffers, no control data.
        let header = Box::new(unsafe { std::mem::zeroed::<libc::msghdr>() });
        let mut op = Self { fd, bufs, flags, header, iovecs: Vec::new() };
        op.fill(skip);
        op
    }

    fn fill(&mut self, mut skip: usize) {
        for buf in &self.bufs {
            let len = buf.filled();
            let gone = skip.min(len);
            skip -= gone;
            if gone < len && self.iovecs.len() < libc::UIO_MAXIOV.unsigned_abs() as usize {
                let start = buf.as_stable_ptr().wrapping_add(gone).cast_mut().cast();
                self.iovecs.push(libc::iovec { iov_base: start, iov_len: len - gone });
            }
        }
        self.header.msg_iov = self.iovecs.as_mut_ptr();
        self.header.msg_iovlen = self.iovecs.len() as _;
    }
}

// SAFETY: the buffers keep their addresses (`Held`), the header and the vectors are on the heap and
// never touched again.
unsafe impl<B: IoBuf> Operation for SendMsg<B> {
    type Output = (io::Result<usize>, Vec<B>);

    fn entry(&mut self) -> squeue::Entry {
        let flags = self.flags.cast_unsigned();
        opcode::SendMsg::new(self.fd.target(), &raw const *self.header).flags(flags).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (number(completion), self.bufs.into_iter().map(Held::into_inner).collect())
    }
}
