//! Operations that move bytes between a file and several buffers: readv, writev.
#![allow(unsafe_code, reason = "names buffers that the operations own")]

use annulus::{opcode, squeue};

use super::number;
use crate::buf::{BufResult, IoVectoredBuf, IoVectoredBufMut};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;

/// The most pieces that one call takes (`UIO_MAXIOV`); what is more is left for the next, as with a short write.
const MOST_PIECES: usize = 1024;

/// The pieces of a transfer as the kernel takes them, without the first `skip` bytes.
struct Pieces {
    list: Vec<libc::iovec>,
    skip: usize,
}

impl Pieces {
    const fn without(skip: usize) -> Self {
        Self { list: Vec::new(), skip }
    }

    fn push(&mut self, start: *const u8, len: usize) {
        let skipped = self.skip.min(len);
        self.skip -= skipped;
        if len > skipped && self.list.len() < MOST_PIECES {
            let iov_base = start.wrapping_add(skipped).cast_mut().cast();
            self.list.push(libc::iovec { iov_base, iov_len: len - skipped });
        }
    }

    /// How many there are, as an entry takes it.
    fn count(&self) -> u32 {
        u32::try_from(self.list.len()).expect("at most MOST_PIECES")
    }
}

/// How far the buffers of a vectored read are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Up to their capacities; what was read is their contents then.
    Capacity,
    /// As far as they hold bytes already, which are replaced.
    Filled,
}

/// preadv2(2).
pub(crate) struct ReadVectored<V> {
    fd: SharedFd,
    /// Boxed, so that what lies in the value itself keeps its address.
    bufs: Box<V>,
    pieces: Vec<libc::iovec>,
    extent: Extent,
    skip: usize,
    offset: u64,
    flags: i32,
}

impl<V: IoVectoredBufMut> ReadVectored<V> {
    /// Without the first `skip` bytes of the buffers.
    pub(crate) fn new(fd: SharedFd, bufs: V, extent: Extent, skip: usize, offset: u64, flags: i32) -> Self {
        Self { fd, bufs: Box::new(bufs), pieces: Vec::new(), extent, skip, offset, flags }
    }
}

// SAFETY: the buffers are in a box and keep their addresses, the list is on the heap and not changed after the entry was made
// (but by another `entry`, when the first is over), the share keeps the descriptor open.
unsafe impl<V: IoVectoredBufMut> Operation for ReadVectored<V> {
    type Output = BufResult<usize, V>;

    fn entry(&mut self) -> squeue::Entry {
        let mut pieces = Pieces::without(self.skip);
        self.bufs.pieces_mut(&mut |start, filled, capacity| {
            pieces.push(start, if self.extent == Extent::Capacity { capacity } else { filled });
        });
        let count = pieces.count();
        self.pieces = pieces.list;
        opcode::Readv::new(self.fd.target(), self.pieces.as_ptr(), count)
            .offset(self.offset)
            .rw_flags(self.flags)
            .build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let result = number(completion);
        if let (Ok(n), Extent::Capacity) = (&result, self.extent) {
            // SAFETY: the kernel has written that many bytes, from the first buffer on: nothing was skipped.
            unsafe { self.bufs.set_filled(*n) };
        }
        (result, *self.bufs)
    }
}

/// pwritev2(2).
pub(crate) struct WriteVectored<V> {
    fd: SharedFd,
    bufs: Box<V>,
    pieces: Vec<libc::iovec>,
    skip: usize,
    offset: u64,
    flags: i32,
}

impl<V: IoVectoredBuf> WriteVectored<V> {
    /// Without the first `skip` bytes of the buffers.
    pub(crate) fn new(fd: SharedFd, bufs: V, skip: usize, offset: u64, flags: i32) -> Self {
        Self { fd, bufs: Box::new(bufs), pieces: Vec::new(), skip, offset, flags }
    }
}

// SAFETY: as for `ReadVectored`.
unsafe impl<V: IoVectoredBuf> Operation for WriteVectored<V> {
    type Output = BufResult<usize, V>;

    fn entry(&mut self) -> squeue::Entry {
        let mut pieces = Pieces::without(self.skip);
        self.bufs.pieces(&mut |start, len| pieces.push(start, len));
        let count = pieces.count();
        self.pieces = pieces.list;
        opcode::Writev::new(self.fd.target(), self.pieces.as_ptr(), count)
            .offset(self.offset)
            .rw_flags(self.flags)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (number(completion), *self.bufs)
    }
}
