//! Buffers that were provided by `PROVIDE_BUFFERS`: a list of each group, from whose front they are taken.

use std::collections::VecDeque;

use rustix::io::Errno;

use crate::world::{Span, Vouched};

/// Buffer numbers have 16 bits: more at once could not be told apart.
const MOST: usize = u16::MAX as usize;
/// What one read or write transfers at most.
const MAX_TRANSFER: u32 = 0x7fff_f000;

/// The buffers of a group.
#[derive(Debug, Default)]
pub(super) struct Provided {
    buffers: VecDeque<Buffer>,
}

/// A buffer and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Buffer {
    pub(super) span: Span,
    pub(super) id: u16,
}

/// `count` buffers of `len` bytes, one behind the other from `addr` on, numbered from `first_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) addr: u64,
    pub(crate) len: u32,
    pub(crate) count: u32,
    pub(crate) first_id: u16,
}

impl Provided {
    pub(super) fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    /// Appends as many as fit.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` if not even one fits.
    pub(super) fn add(&mut self, vouched: Vouched, batch: Batch) -> Result<(), Errno> {
        let room = MOST - self.buffers.len();
        if room == 0 {
            return Err(Errno::OVERFLOW);
        }
        let len = batch.len.min(MAX_TRANSFER) as usize;
        let count = (batch.count as usize).min(room);
        for (step, id) in (0..count as u64).zip(u32::from(batch.first_id)..) {
            let addr = batch.addr.wrapping_add(step * u64::from(batch.len));
            #[expect(clippy::cast_possible_truncation, reason = "numbers wrap as the kernel's do")]
            self.buffers.push_back(Buffer { span: vouched.span(addr, len), id: id as u16 });
        }
        Ok(())
    }

    /// Takes up to `count` away. Says how many there were.
    pub(super) fn remove(&mut self, count: u32) -> u32 {
        let count = (count as usize).min(self.buffers.len());
        self.buffers.drain(..count);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    pub(super) fn take(&mut self) -> Result<Buffer, Errno> {
        let usable = self.buffers.front().is_some_and(|buffer| buffer.span.addr() != 0);
        if usable { self.buffers.pop_front().ok_or(Errno::NOBUFS) } else { Err(Errno::NOBUFS) }
    }

    /// The buffer is the next again.
    pub(super) fn put_back(&mut self, buffer: Buffer) {
        self.buffers.push_front(buffer);
    }
}
