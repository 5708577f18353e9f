//! The program's handle on the completion queue.
//!
//! Entries are read where they lie in shared memory, by value or by reference; their slots go back
//! to the back end when the handle is dropped or synced. This file makes no system call.
#![allow(unsafe_code, reason = "the status of a queue that is borrowed elsewhere is read without a borrow")]

use std::fmt::{self, Debug, Formatter};
use std::mem::MaybeUninit;

use annulus_abi::{Backend, CqConsumer, CqRingFlags, RingMemory, Slot};
use rustix::io::Errno;

use crate::cqueue::{Entry, Entry32, EntryMarker};

/// The completion queue of a ring, exclusively borrowed: an iterator over the completions that are
/// there.
///
/// It sees what had arrived when it was made or last [synced](Self::sync). What was taken out is given
/// back to the back end when the handle is dropped or synced; a handle that took nothing stores nothing.
pub struct CompletionQueue<'a, E: EntryMarker = Entry> {
    end: CqConsumer<'a, E::Slot>,
    /// A back end that cannot see by itself what is given back.
    follower: Option<&'a dyn Backend>,
}

/// A look at the completion queue that does not keep it borrowed.
pub struct CompletionStatus {
    memory: RingMemory,
}

impl<'a, E: EntryMarker> CompletionQueue<'a, E> {
    /// # Safety
    ///
    /// It is the only one while it lives, and `E` has the size of the ring's entries.
    #[inline]
    pub(crate) unsafe fn new(memory: &'a RingMemory, follower: Option<&'a dyn Backend>) -> Self {
        // SAFETY: the contract of this function.
        Self { end: unsafe { memory.cq_consumer() }, follower }
    }

    #[inline]
    fn give_back(&mut self) {
        if self.end.publish()
            && let Some(follower) = self.follower
        {
            follower.consumed();
        }
    }

    /// Gives back what was taken out, and learns what has arrived meanwhile.
    #[inline]
    pub fn sync(&mut self) {
        self.give_back();
        self.end.sync();
    }

    /// Completions that were lost because the queue was full. Stays zero on kernels with
    /// `IORING_FEAT_NODROP` (Linux 5.5), which keep them; see
    /// [`cq_overflow`](crate::SubmissionQueue::cq_overflow).
    #[must_use]
    pub fn overflow(&self) -> u32 {
        self.end.memory().cq_overflow()
    }

    /// Whether the registered eventfd is kept silent.
    #[must_use]
    pub fn eventfd_disabled(&self) -> bool {
        self.end.memory().cq_flags().is_some_and(|flags| flags.contains(CqRingFlags::EVENTFD_DISABLED))
    }

    /// Keeps the registered eventfd silent. On a kernel before 5.8, which cannot, nothing happens: see
    /// [`set_eventfd_enabled`](Self::set_eventfd_enabled), which says so.
    pub fn disable_eventfd(&self) {
        let _ = self.end.memory().set_cq_flags(CqRingFlags::EVENTFD_DISABLED, true);
    }

    /// Lets the registered eventfd signal completions again.
    pub fn enable_eventfd(&self) {
        let _ = self.end.memory().set_cq_flags(CqRingFlags::EVENTFD_DISABLED, false);
    }

    /// Lets the registered eventfd signal completions, or keeps it silent.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` before Linux 5.8, whose rings have no such flag.
    pub fn set_eventfd_enabled(&self, enabled: bool) -> Result<(), Errno> {
        let known = self.end.memory().set_cq_flags(CqRingFlags::EVENTFD_DISABLED, !enabled);
        if known { Ok(()) } else { Err(Errno::OPNOTSUPP) }
    }

    /// How many entries the queue holds at most.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.end.memory().cq_entries() as usize
    }

    /// Whether nothing is there, as of the last [`sync`](Self::sync).
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.end.is_empty()
    }

    /// Whether every slot is taken, as of the last [`sync`](Self::sync).
    #[must_use]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Takes out as many entries as are there and fit. Returns those.
    #[inline]
    pub fn fill<'b>(&mut self, entries: &'b mut [MaybeUninit<E>]) -> &'b mut [E] {
        let mut filled = 0;
        for place in entries.iter_mut() {
            let Some(entry) = self.next() else { break };
            place.write(entry);
            filled += 1;
        }
        let written: *mut [MaybeUninit<E>] = &raw mut entries[..filled];
        // SAFETY: the first `filled` places were just written, and `MaybeUninit<E>` is laid out as `E`.
        unsafe { &mut *(written as *mut [E]) }
    }

    /// The oldest entry, left where it is.
    #[must_use]
    #[inline]
    pub fn peek(&self) -> Option<E> {
        let (older, newer) = self.end.ready();
        E::first(older).or_else(|| E::first(newer))
    }

    /// The entries that are there, in order, where they lie in shared memory. The end of the ring
    /// splits them into two slices. [`advance`](Self::advance) moves past those that were handled.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::{IoUring, opcode};
    ///
    /// let mut ring = IoUring::new(8)?;
    /// for n in 0..5 {
    ///     // SAFETY: a NOP names no memory.
    ///     unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(n)) }.unwrap();
    /// }
    /// ring.submit_and_wait(5)?;
    ///
    /// let mut completions = ring.completion();
    /// let (older, newer) = completions.ready();
    /// let sum: u64 = older.iter().chain(newer).map(|cqe| cqe.user_data()).sum();
    /// completions.advance(5);
    /// assert_eq!((sum, completions.len()), (10, 0));
    /// # Ok(()) }
    /// ```
    #[must_use]
    #[inline]
    pub fn ready(&self) -> (&[E::Slot], &[E::Slot]) {
        self.end.ready()
    }

    /// Moves past `n` entries, or past all if fewer are there. Returns how many.
    #[inline]
    pub fn advance(&mut self, n: usize) -> usize {
        self.end.advance(u32::try_from(n).unwrap_or(u32::MAX)) as usize
    }

    /// A look at the queue that can be kept while the queue itself is borrowed again.
    ///
    /// # Safety
    ///
    /// The status must not be used after the ring is gone, or was [resized](crate::IoUring::resize).
    #[must_use]
    pub unsafe fn status(&self) -> CompletionStatus {
        // SAFETY: the ring, and with it its memory, outlives the status (this function's contract).
        CompletionStatus { memory: unsafe { self.end.memory().alias() } }
    }
}

// SAFETY: a transparent wrapper of `Cqe`, which is a slot.
unsafe impl Slot for Entry {}
// SAFETY: a transparent wrapper of `Cqe32`, which is a slot.
unsafe impl Slot for Entry32 {}

impl CompletionStatus {
    /// Whether nothing was there, at this moment.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.memory.cq_len() == 0
    }
}

impl<E: EntryMarker> Iterator for CompletionQueue<'_, E> {
    type Item = E;

    #[inline]
    fn next(&mut self) -> Option<E> {
        E::take(&mut self.end)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.end.len() as usize;
        (len, Some(len))
    }
}

impl<E: EntryMarker> Drop for CompletionQueue<'_, E> {
    #[inline]
    fn drop(&mut self) {
        self.give_back();
    }
}

impl<E: EntryMarker> ExactSizeIterator for CompletionQueue<'_, E> {
    #[inline]
    fn len(&self) -> usize {
        self.end.len() as usize
    }
}

impl<E: EntryMarker> Debug for CompletionQueue<'_, E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionQueue")
            .field("len", &self.end.len())
            .field("capacity", &self.end.memory().cq_entries())
            .field("overflow", &self.overflow())
            .finish()
    }
}

impl Debug for CompletionStatus {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionStatus").field("is_empty", &self.is_empty()).finish()
    }
}
