//! A ring of buffers that the kernel picks from when data is there.
//!
//! [`BufRing`] owns the buffers and the ring that describes them, registers it, hands out what
//! completions brought, and gives buffers back. Which buffer is where is decided in `slots`, without
//! memory; `memory` writes what the kernel reads. Memory that the kernel may still use is leaked, never freed.
#![allow(unsafe_code, reason = "unregisters and asks through the back end that it shares with the ring")]

mod builder;
mod filled;
mod memory;
mod slots;

use std::cell::Cell;
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::sync::Arc;

use annulus_abi::{BufReg, BufStatus, RegisterOp};
use rustix::io::Errno;

pub use builder::BufRingBuilder;
pub use filled::{BufRingHandle, Filled, Hold, Vacant};
use memory::{Buffers, Entries};
use slots::{Slots, Span};

use crate::shared::SharedBackend;
use crate::{CompletionQueue, Submitter, cqueue};

/// A ring of buffers of one size, registered as a group: an operation with that group takes the next
/// buffer when its data is there, and its completion says which. Linux 5.19.
///
/// The number of idle connections then costs no memory. When the ring is empty an operation fails with
/// `ENOBUFS`; a multishot one ends with it and is to be submitted again once buffers came back.
///
/// Dropping it unregisters the group. Operations that select from the group name its memory: as for any
/// other, whoever pushes them sees to it that the memory, this value, stays until their last completion, and
/// hands their completions to [`take`](Self::take) as they came, each once and in their order.
///
/// # Examples
///
/// ```
/// use annulus::{BufRing, IoUring, opcode, types};
/// use std::io::Write;
/// use std::os::{fd::AsRawFd, unix::net::UnixStream};
///
/// fn main() -> std::io::Result<()> {
///     let mut ring = IoUring::new(8)?;
///     let buffers = BufRing::register(&ring.submitter(), 7, 16, 4096)?;
///     let (mut near, far) = UnixStream::pair()?;
///
///     let receive = opcode::RecvMulti::new(types::Fd(far.as_raw_fd()), buffers.group()).build();
///     // Sound: the buffers and the socket stay until the last completion.
///     unsafe { ring.submission().push(&receive) }.expect("a new queue has room");
///     near.write_all(b"hello")?;
///     ring.submit_and_wait(1)?;
///
///     let cqe = ring.completion().next().expect("one completion was waited for");
///     let data = buffers.take(&cqe).expect("data came in a buffer");
///     assert_eq!(data.as_slice(), Some(&b"hello"[..]));
///     drop(data); // The buffer is back in the ring.
///     assert_eq!(buffers.available()?, 16);
///
///     drop(near); // The end of the stream is the last completion.
///     ring.submit_and_wait(1)?;
///     assert_eq!(ring.completion().next().map(|cqe| cqe.result()), Some(0));
///     Ok(())
/// }
/// ```
#[doc(alias = "io_uring_setup_buf_ring")]
pub struct BufRing {
    entries: Entries,
    buffers: Buffers,
    slots: Slots,
    backend: Arc<SharedBackend>,
    bgid: u16,
    incremental: bool,
    /// Used buffers go back into the ring, rather than to the idle ones.
    recycles: bool,
    /// The tail that the kernel has been shown.
    published: Cell<u16>,
    /// How many [`Hold`]s there are.
    holds: Cell<u32>,
}

impl BufRing {
    /// Registers `entries` buffers of `buffer_len` bytes as group `bgid`, all of them in the ring. The number
    /// of entries is a power of two up to 32,768.
    ///
    /// # Errors
    ///
    /// Those of [`BufRingBuilder::register`].
    pub fn register(submitter: &Submitter<'_>, bgid: u16, entries: u16, buffer_len: u32) -> io::Result<Self> {
        Ok(Self::builder(entries, buffer_len).register(submitter, bgid)?)
    }

    /// Starts to describe a ring of `entries` buffers of `buffer_len` bytes.
    #[must_use]
    pub const fn builder(entries: u16, buffer_len: u32) -> BufRingBuilder {
        BufRingBuilder::new(entries, buffer_len)
    }

    /// The bytes that a completion brought, or nothing if it names no buffer (such as `ENOBUFS`, and the end
    /// of a stream). Whether more completions follow, and whether it failed, the completion itself says.
    ///
    /// # Panics
    ///
    /// If the buffer is not with the kernel: the completion was handed in before, or is of another ring or
    /// group.
    #[inline]
    pub fn take(&self, completion: &impl cqueue::EntryMarker) -> Option<Filled<&Self>> {
        let cqe = completion.cqe();
        Filled::of(self, cqe.flags, cqe.res)
    }

    /// An idle buffer to be filled by the program, if there is one. In rings that
    /// [start empty](BufRingBuilder::start_empty); in others every buffer is with the kernel or held.
    pub fn vacant(&self) -> Option<Vacant<'_>> {
        self.slots.take_idle().map(|bid| Vacant::new(self, bid))
    }

    /// Shows the kernel all buffers that came back only when the returned value is dropped: one store for
    /// a whole batch.
    pub fn hold(&self) -> Hold<'_> {
        Hold::new(self)
    }

    /// Moves past `n` completions and shows the kernel the buffers that came back meanwhile: both in one go, for
    /// loops over [`CompletionQueue::ready`]. Returns how many completions there were to move past.
    pub fn advance<E: cqueue::EntryMarker>(
        &self,
        completions: &mut CompletionQueue<'_, E>,
        n: usize,
    ) -> usize {
        self.publish();
        let passed = completions.advance(n);
        completions.sync();
        passed
    }

    /// How many buffers wait in the ring to be taken by the kernel, which is asked. Linux 6.8.
    ///
    /// # Errors
    ///
    /// `EINVAL` before 6.8.
    pub fn available(&self) -> io::Result<u16> {
        Ok(self.published.get().wrapping_sub(self.head()?))
    }

    /// The group's number, for operations with buffer selection.
    #[must_use]
    #[inline]
    pub const fn group(&self) -> u16 {
        self.bgid
    }

    /// How many buffers there are.
    #[must_use]
    pub fn entries(&self) -> u16 {
        self.slots.entries()
    }

    /// What turns a count of buffers into a place of the ring: the number of entries less one.
    #[must_use]
    pub fn mask(&self) -> u16 {
        self.entries() - 1
    }

    /// Bytes of each buffer.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        self.buffers.each() as usize
    }

    /// Whether buffers are used up piece by piece.
    #[must_use]
    pub const fn is_incremental(&self) -> bool {
        self.incremental
    }

    /// Gives back buffers of which nobody knows yet whether they were used up, and returns how many. Call it
    /// when no operation that selects from the group is in flight.
    ///
    /// A failed read may name a buffer. Whether that was used up is not in the completion (one of a file that
    /// cannot be polled was, another was not), and another operation may have got it meanwhile. So such a
    /// buffer is left out, until its next completion or until this settles it. Receives do not do that.
    ///
    /// # Errors
    ///
    /// As [`available`](Self::available).
    pub fn settle(&self) -> io::Result<u16> {
        let head = self.head()?;
        let mut settled = 0;
        self.slots.settle(head, |bid| {
            self.give_back(bid);
            settled += 1;
        });
        self.publish_unless_held();
        Ok(settled)
    }

    /// Finds the bytes of a completion.
    fn span(&self, first: u16, result: i32, more: bool) -> Span {
        match (u32::try_from(result), self.incremental) {
            (Ok(len @ 1..), true) => self.slots.take(first, len, !more),
            (Ok(len), false) => self.slots.take(first, len, true),
            // Nothing came: the end of a stream leaves an incremental buffer with the kernel.
            (Ok(_), true) => self.slots.doubt(first),
            (Err(_), _) if self.predates_status() => self.slots.take(first, 0, true),
            (Err(_), _) => self.slots.doubt(first),
        }
    }

    /// A kernel that cannot tell its head (before 6.8) uses buffers up whenever it names them.
    fn predates_status(&self) -> bool {
        self.head() == Err(Errno::INVAL)
    }

    /// How many buffers the kernel has taken, modulo 2^16.
    fn head(&self) -> Result<u16, Errno> {
        let mut status = BufStatus { buf_group: u32::from(self.bgid), ..BufStatus::default() };
        let arg = (&raw mut status).cast();
        // SAFETY: the argument is one `io_uring_buf_status`, as the operation asks.
        unsafe { self.backend.register(RegisterOp::REGISTER_PBUF_STATUS, arg, 1) }?;
        let [low, high, ..] = status.head.to_le_bytes();
        Ok(u16::from_le_bytes([low, high]))
    }

    /// Puts a buffer that the program has at the end of the ring, not yet shown to the kernel.
    fn add(&self, bid: u16, len: u32) {
        let place = self.slots.add(bid, len);
        self.entries.write(place, self.buffers.address(bid), len, bid);
    }

    /// Does with a used buffer what this ring does with them.
    fn give_back(&self, bid: u16) {
        if self.recycles {
            self.add(bid, self.buffers.each());
        } else {
            self.slots.make_idle(bid);
        }
    }

    #[inline]
    fn publish_unless_held(&self) {
        if self.holds.get() == 0 {
            self.publish();
        }
    }

    /// Shows the kernel what was added. Stores nothing if nothing was.
    #[inline]
    fn publish(&self) {
        let tail = self.slots.tail();
        if self.published.replace(tail) != tail {
            self.entries.publish(tail);
        }
    }
}

impl Drop for BufRing {
    fn drop(&mut self) {
        let Err(errno) = unregister(&self.backend, self.bgid) else { return };
        // The kernel may go on writing: better lost than reused.
        tracing::warn!(group = self.bgid, %errno, "a buffer ring could not be unregistered; its memory is leaked");
        self.entries.leak();
        self.buffers.leak();
    }
}

impl Debug for BufRing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufRing")
            .field("group", &self.bgid)
            .field("entries", &self.entries())
            .field("buffer_len", &self.buffer_len())
            .field("incremental", &self.incremental)
            .finish_non_exhaustive()
    }
}

/// # Errors
///
/// Those of the operation: `ENOENT` if somebody else unregistered the group, `EEXIST` from another thread than
/// a single issuer, `EBADF`.
fn unregister(backend: &SharedBackend, bgid: u16) -> Result<(), Errno> {
    let mut arg = BufReg { bgid, ..BufReg::default() };
    // SAFETY: the argument is one `io_uring_buf_reg`, as the operation asks.
    unsafe { backend.register(RegisterOp::UNREGISTER_PBUF_RING, (&raw mut arg).cast(), 1) }.map(drop)
}
