//! Operations that move bytes between a descriptor and a buffer: read, write, receive, send.
#![allow(unsafe_code, reason = "names buffers that the operations own")]

use std::io;
use std::rc::Rc;

use annulus::{BufRing, opcode, squeue};

use super::number;
use crate::buf::{BufResult, IoBuf, IoBufMut, Pool};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;
use crate::net::inbound::Inbound;

/// The most that one call moves (`MAX_RW_COUNT` of the kernel with pages of 4 KiB).
const MOST: usize = 0x7fff_f000;

/// The length of a buffer as an entry takes it; what is longer is moved in parts, as by read(2).
fn length(len: usize) -> u32 {
    u32::try_from(len.min(MOST)).unwrap_or(u32::MAX)
}

/// Marks what was received as the buffer's contents.
fn filled<B: IoBufMut>(completion: Completion, mut buf: B) -> BufResult<usize, B> {
    let result = number(completion);
    if let Ok(n) = result {
        // SAFETY: the kernel has written `n` bytes from the start of the buffer on.
        unsafe { buf.set_filled(n) };
    }
    (result, buf)
}

/// read(2) or pread(2).
pub(crate) struct Read<B> {
    pub(crate) fd: SharedFd,
    pub(crate) buf: B,
    /// Where in the file; `u64::MAX` is the file's own position, and right for what has none.
    pub(crate) offset: u64,
}

// SAFETY: the buffer keeps its address (`IoBuf`), the share keeps the descriptor open.
unsafe impl<B: IoBufMut> Operation for Read<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.buf.as_stable_mut_ptr(), length(self.buf.capacity()));
        opcode::Read::new(self.fd.target(), start, len).offset(self.offset).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        filled(completion, self.buf)
    }
}

/// write(2) or pwrite(2).
pub(crate) struct Write<B> {
    pub(crate) fd: SharedFd,
    pub(crate) buf: B,
    /// As in [`Read`].
    pub(crate) offset: u64,
}

// SAFETY: as for `Read`.
unsafe impl<B: IoBuf> Operation for Write<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.buf.as_stable_ptr(), length(self.buf.filled()));
        opcode::Write::new(self.fd.target(), start, len).offset(self.offset).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (number(completion), self.buf)
    }
}

/// recv(2). What a dropped one still receives is kept for the next receive of the stream.
pub(crate) struct Recv<B> {
    pub(crate) fd: SharedFd,
    pub(crate) inbound: Rc<Inbound>,
    pub(crate) buf: B,
    pub(crate) flags: i32,
}

// SAFETY: as for `Read`.
unsafe impl<B: IoBufMut> Operation for Recv<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.buf.as_stable_mut_ptr(), length(self.buf.capacity()));
        opcode::Recv::new(self.fd.target(), start, len).flags(self.flags).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        filled(completion, self.buf)
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
    pub(crate) fd: SharedFd,
    pub(crate) buf: B,
    pub(crate) flags: i32,
}

// SAFETY: as for `Read`.
unsafe impl<B: IoBuf> Operation for Send<B> {
    type Output = BufResult<usize, B>;

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.buf.as_stable_ptr(), length(self.buf.filled()));
        opcode::Send::new(self.fd.target(), start, len).flags(self.flags).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (number(completion), self.buf)
    }
}

/// sendmsg(2) of several buffers in a row.
pub(crate) struct SendMsg<B> {
    fd: SharedFd,
    bufs: Vec<B>,
    flags: i32,
    /// Points to `iovecs`, which points to `bufs`; all on the heap, so that moving this changes nothing.
    header: Box<libc::msghdr>,
    iovecs: Vec<libc::iovec>,
}

impl<B: IoBuf> SendMsg<B> {
    /// Sends the buffers in order, without the first `skip` bytes.
    pub(crate) fn new(fd: SharedFd, bufs: Vec<B>, skip: usize, flags: i32) -> Self {
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

// SAFETY: the buffers keep their addresses (`IoBuf`), the header and the vectors are on the heap and
// never touched again.
unsafe impl<B: IoBuf> Operation for SendMsg<B> {
    type Output = (io::Result<usize>, Vec<B>);

    fn entry(&mut self) -> squeue::Entry {
        let flags = self.flags.cast_unsigned();
        opcode::SendMsg::new(self.fd.target(), &raw const *self.header).flags(flags).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (number(completion), self.bufs)
    }
}
