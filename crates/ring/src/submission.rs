//! The program's handle on the submission queue.
//!
//! Pushing copies an entry into shared memory; nothing is executed until the handle is dropped or
//! [synced](SubmissionQueue::sync) and the program submits. This file makes no system call.
#![allow(unsafe_code, reason = "push is unsafe for its caller: an entry may name memory")]

use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};

use annulus_abi::{RingMemory, Slot, SqProducer, SqRingFlags};

use crate::opcode;
use crate::squeue::{Entry, Entry128, EntryMarker, Flags};

/// The submission queue of a ring, exclusively borrowed.
///
/// What was pushed becomes visible to the back end when this handle is dropped or synced; only then
/// does a submit find it. A handle through which nothing was pushed stores nothing.
pub struct SubmissionQueue<'a, E: EntryMarker = Entry> {
    end: SqProducer<'a, E>,
}

impl<'a, E: EntryMarker> SubmissionQueue<'a, E> {
    /// # Safety
    ///
    /// It is the only one while it lives, and `E` has the size of the ring's entries.
    #[inline]
    pub(crate) unsafe fn new(memory: &'a RingMemory) -> Self {
        // SAFETY: the contract of this function.
        Self { end: unsafe { memory.sq_producer() } }
    }

    /// Publishes what was pushed, and learns how many entries the back end has consumed meanwhile.
    #[inline]
    pub fn sync(&mut self) {
        self.end.sync();
    }

    /// Copies an entry into the queue.
    ///
    /// # Errors
    ///
    /// [`PushError`] if the queue is full: submit, [sync](Self::sync), and push again.
    ///
    /// # Safety
    ///
    /// What the entry names (buffers, paths, structures, a registered slot) stays valid, and is not
    /// used otherwise where the operation writes it, until the last completion of the operation, even
    /// if the ring is dropped before.
    #[inline]
    pub unsafe fn push(&mut self, entry: &E) -> Result<(), PushError> {
        if self.end.push(entry) { Ok(()) } else { Err(PushError) }
    }

    /// Copies all entries into the queue, or none of them.
    ///
    /// # Errors
    ///
    /// [`PushError`] if they do not all fit.
    ///
    /// # Safety
    ///
    /// That of [`push`](Self::push), for each entry.
    #[inline]
    pub unsafe fn push_multiple(&mut self, entries: &[E]) -> Result<(), PushError> {
        if self.end.push_all(entries) { Ok(()) } else { Err(PushError) }
    }

    /// Takes back the entry that was pushed last, if it was not published yet: by a sync, or by the
    /// drop of an earlier handle.
    pub fn pop(&mut self) -> Option<E> {
        self.end.pop()
    }

    /// Whether the polling thread sleeps and a submit has to wake it. Meaningful on a ring with
    /// [`setup_sqpoll`](crate::Builder::setup_sqpoll), after a [`sync`](Self::sync).
    ///
    /// Includes the full fence that keeps the load of the flag behind the store of the tail.
    #[must_use]
    #[inline]
    pub fn need_wakeup(&self) -> bool {
        self.end.memory().sq_flags_after_fence().contains(SqRingFlags::NEED_WAKEUP)
    }

    /// [`need_wakeup`](Self::need_wakeup) without its fence, for a caller who placed a sequentially
    /// consistent fence between the last sync and this call. Without one, both sides may sleep forever.
    #[must_use]
    #[inline]
    pub fn need_wakeup_after_intermittent_seqcst(&self) -> bool {
        self.end.memory().sq_flags().contains(SqRingFlags::NEED_WAKEUP)
    }

    /// Entries that the back end dropped because their index was invalid. Stays zero with this crate.
    #[must_use]
    pub fn dropped(&self) -> u32 {
        self.end.memory().sq_dropped()
    }

    /// Whether completions wait in the back end because the completion queue was full. The next submit
    /// fetches them.
    #[must_use]
    pub fn cq_overflow(&self) -> bool {
        self.end.memory().sq_flags().contains(SqRingFlags::CQ_OVERFLOW)
    }

    /// Whether completions wait to be processed by an enter of this thread. Only on rings with
    /// [`setup_taskrun_flag`](crate::Builder::setup_taskrun_flag). Linux 5.19.
    #[must_use]
    pub fn taskrun(&self) -> bool {
        self.end.memory().sq_flags().contains(SqRingFlags::TASKRUN)
    }

    /// How many entries the queue holds at most.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.end.memory().sq_entries() as usize
    }

    /// How many entries wait to be consumed, as of the last [`sync`](Self::sync).
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.end.len() as usize
    }

    /// Whether none waits, as of the last [`sync`](Self::sync).
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.end.is_empty()
    }

    /// Whether no entry can be pushed, as of the last [`sync`](Self::sync).
    #[must_use]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.end.is_full()
    }

    /// How many entries can be pushed, as of the last [`sync`](Self::sync).
    #[must_use]
    #[inline]
    pub fn room(&self) -> usize {
        self.end.room() as usize
    }
}

impl SubmissionQueue<'_, Entry> {
    /// Copies a 128-byte entry into two neighbouring slots of a ring with
    /// [`setup_sqe_mixed`](crate::Builder::setup_sqe_mixed). Where the queue wraps between the two, a NOP
    /// without completion fills the odd slot. Linux 6.19.
    ///
    /// # Errors
    ///
    /// [`PushError`] if there is no room for both slots and the filler.
    ///
    /// # Safety
    ///
    /// That of [`push`](Self::push); and the ring is a mixed one, and the opcode one of the `*128`. Nor is half of it
    /// taken back: [`pop`](Self::pop) takes one slot, so twice or not at all.
    pub unsafe fn push_wide(&mut self, entry: &Entry128) -> Result<(), PushError> {
        let filler = opcode::Nop::new().build().flags(Flags::SKIP_SUCCESS);
        if self.end.push_wide(entry, &filler) { Ok(()) } else { Err(PushError) }
    }
}

impl<E: EntryMarker> Debug for SubmissionQueue<'_, E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmissionQueue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("flags", &self.end.memory().sq_flags())
            .finish()
    }
}

// SAFETY: a transparent wrapper of `Sqe`, which is a slot.
unsafe impl Slot for Entry {}
// SAFETY: a transparent wrapper of `Sqe128`, which is a slot.
unsafe impl Slot for Entry128 {}

/// The submission queue was full. Nothing was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushError;

impl Display for PushError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the submission queue is full: submit, sync the queue, and push again")
    }
}

impl Error for PushError {}
