//! The ring that operations which own their memory are submitted to.
#![allow(unsafe_code, reason = "pushes entries, whose memory the table keeps")]

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::table::{Key, Table, Ticket};
use super::{Multishot, Operation};
use crate::squeue::{Entry, Flags};
use crate::types::{CancelBuilder, SubmitArgs, Timespec};
use crate::{Builder, Chosen, IoUring, Parameters, Submitter, opcode};

/// How long a dropped ring waits without any completion before it leaves the rest to leak.
const PATIENCE_ROUNDS: u32 = 20;
const PATIENCE_ROUND: Timespec = Timespec::new().nsec(100_000_000);

/// A ring of operations that own their memory: nothing about it is unsafe.
///
/// [`push`](Self::push) takes an operation over; [`submit`](Self::submit) hands what was pushed to the kernel, in one
/// call; [`take`](Self::take) or [`wait_for`](Self::wait_for) give the result and the memory back. At most as many
/// operations are in flight as the completion queue has entries. When as many items of a [`Multishot`] wait to be
/// taken, it is cancelled with the next submit; once they are taken it can be pushed again.
///
/// Dropping it frees what was not submitted, cancels the rest and waits for it, for two seconds at the most
/// if nothing comes; what is then still in flight is leaked.
pub struct OwnedRing {
    ring: IoUring,
    table: Table,
    /// Entries that were pushed and not handed over yet.
    staged: Vec<Entry>,
}

/// The ring was full: the operation, unharmed.
#[derive(Debug)]
pub struct Refused<O>(
    /// What was to be pushed.
    pub O,
);

impl<O> fmt::Display for Refused<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ring is full: submit, take results, and push again")
    }
}

impl<O: fmt::Debug> std::error::Error for Refused<O> {}

impl OwnedRing {
    /// Sets a ring up with room for `entries` submissions, and twice as many operations in flight.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::build`].
    pub fn new(entries: u32) -> io::Result<Self> {
        Self::from_builder(&IoUring::builder(), entries)
    }

    /// Sets a ring up as `builder` says.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::build`].
    pub fn from_builder(builder: &Builder, entries: u32) -> io::Result<Self> {
        let ring = builder.build(entries)?;
        // SAFETY: nobody has used the new ring, or can from now on.
        Ok(unsafe { Self::from_ring(ring) })
    }

    /// Takes a ring over.
    ///
    /// # Safety
    ///
    /// Nothing is queued or in flight on it, and no other handle pushes to it, takes completions from it, or
    /// posts any on it.
    #[must_use]
    pub unsafe fn from_ring(ring: IoUring) -> Self {
        let room = ring.params().sq_entries() as usize;
        Self { ring, table: Table::new(), staged: Vec::with_capacity(room) }
    }

    /// Takes an operation over, to be submitted with the next [`submit`](Self::submit) or wait.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the operation, if the submission queue is full, or as many operations are in flight
    /// as the completion queue has entries.
    pub fn push<O: Operation>(&mut self, operation: O) -> Result<Ticket<O>, Refused<O>> {
        self.push_with(operation, Flags::empty())
    }

    /// As [`push`](Self::push), with flags: links, drain, async. Links hold between operations that are
    /// pushed one after the other and submitted together.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Panics
    ///
    /// On flags that would keep an operation from ending ([`Flags::SKIP_SUCCESS`]) or belong to the operation
    /// itself ([`Flags::BUFFER_SELECT`]).
    pub fn push_with<O: Operation>(&mut self, operation: O, flags: Flags) -> Result<Ticket<O>, Refused<O>> {
        let allowed = Flags::IO_LINK | Flags::IO_HARDLINK | Flags::IO_DRAIN | Flags::ASYNC;
        assert!(allowed.contains(flags), "flags {flags:?} on an operation that owns its memory");
        if self.room() == 0 {
            return Err(Refused(operation));
        }
        let (ticket, entry) = self.table.insert(operation);
        self.staged.push(entry.flags(flags));
        Ok(ticket)
    }

    /// How many operations can be pushed now.
    #[must_use]
    pub fn room(&self) -> usize {
        let submissions = self.submissions().saturating_sub(self.staged.len());
        let completions = self.ring.params().cq_entries() as usize;
        submissions.min(completions.saturating_sub(self.table.in_flight()))
    }

    /// How many operations were pushed and have not ended.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.table.in_flight()
    }

    /// Submits what was pushed, and takes note of what has ended. Returns how many operations were handed over.
    ///
    /// A loop that sleeps on the ring's descriptor looks with [`next_finished`](Self::next_finished) first: what was
    /// taken note of here no longer makes the descriptor readable.
    ///
    /// # Errors
    ///
    /// Those of [`Submitter::submit`]; nothing is lost by them.
    pub fn submit(&mut self) -> io::Result<usize> {
        self.submit_and_wait(0)
    }

    /// As [`submit`](Self::submit), and waits until `want` completions are there.
    ///
    /// # Errors
    ///
    /// Those of [`Submitter::submit_and_wait`]; nothing is lost by them.
    pub fn submit_and_wait(&mut self, want: usize) -> io::Result<usize> {
        self.hand_over()?;
        let submitted = self.ring.submit_and_wait(want);
        self.reap();
        submitted
    }

    /// As [`submit_and_wait`](Self::submit_and_wait), for a limited time.
    ///
    /// # Errors
    ///
    /// Those of [`Submitter::submit_with_args`], `ETIME` among them; nothing is lost by them.
    pub fn submit_with_args(&mut self, want: usize, args: &SubmitArgs<'_, '_>) -> io::Result<usize> {
        self.hand_over()?;
        let submitted = self.ring.submitter().submit_with_args(want, args);
        self.reap();
        submitted
    }

    /// Submits what was pushed and waits until this operation has ended. Gives what came of it.
    ///
    /// # Errors
    ///
    /// Those of [`Submitter::submit_and_wait`] but `EINTR`; the operation stays where it is.
    ///
    /// # Panics
    ///
    /// If its result was taken before, or dropped by [`detach`](Self::detach).
    pub fn wait_for<O: Operation>(&mut self, ticket: Ticket<O>) -> io::Result<O::Output> {
        loop {
            self.reap();
            if let Some(output) = self.table.take(ticket) {
                return Ok(output);
            }
            assert!(self.table.contains(ticket.key()), "{ticket:?}: its result was taken before");
            match self.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }

    /// Pushes an operation, waiting for room if there is none, and waits until it has ended.
    ///
    /// # Errors
    ///
    /// Those of [`Submitter::submit_and_wait`] but `EINTR`.
    pub fn run<O: Operation>(&mut self, mut operation: O) -> io::Result<O::Output> {
        loop {
            match self.push(operation) {
                Ok(ticket) => return self.wait_for(ticket),
                Err(Refused(refused)) => operation = refused,
            }
            match self.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }

    /// The operation that has ended first among those whose results were not taken. Names each once.
    pub fn next_finished(&mut self) -> Option<Key> {
        self.reap();
        self.table.next_finished()
    }

    /// Whether an operation has ended and its result was not taken.
    pub fn is_finished(&mut self, key: Key) -> bool {
        self.reap();
        self.table.is_finished(key)
    }

    /// Takes the result of an operation that has ended; `None` if it has not, or was taken before.
    pub fn take<O: Operation>(&mut self, ticket: Ticket<O>) -> Option<O::Output> {
        self.reap();
        self.table.take(ticket)
    }

    /// Takes the oldest item that a multishot operation in flight has brought. When it has ended, its last
    /// items are part of the result.
    pub fn take_item<O: Multishot>(&mut self, ticket: Ticket<O>) -> Option<O::Item> {
        self.reap();
        self.table.take_item(ticket)
    }

    /// Lets what comes of an operation be dropped: its buffers freed, a file that it opened closed. A multishot
    /// operation goes on until it is [cancelled](Self::cancel), and what it brings is dropped as it comes.
    pub fn detach(&mut self, key: Key) {
        self.table.detach(key);
    }

    /// Asks for an operation to be cancelled, with the next submit. It ends in any case, with `ECANCELED` or as
    /// it would have. Between the operations of a chain the request does not become part of the chain.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the submission queue is full, or if the operation belongs to the chain that was pushed last and
    /// could still go on: after a submit it can be cancelled.
    pub fn cancel(&mut self, key: Key) -> Result<(), Refused<Key>> {
        let target = self.table.user_data(key);
        let open_chain = self
            .staged
            .iter()
            .rev()
            .take_while(|entry| entry.get_flags().intersects(Flags::IO_LINK | Flags::IO_HARDLINK));
        let before_chain = self.staged.len() - open_chain.count();
        let in_chain = self.staged[before_chain..].iter().any(|entry| entry.get_user_data() == target);
        if in_chain || self.staged.len() >= self.submissions() {
            return Err(Refused(key));
        }
        let cancel = opcode::AsyncCancel::new(target).build();
        self.staged.insert(before_chain, cancel.user_data(self.table.user_data(Key::INTERNAL)));
        Ok(())
    }

    /// The side that registers and configures.
    #[must_use]
    pub fn submitter(&self) -> Submitter<'_> {
        self.ring.submitter()
    }

    /// What the ring was set up with, and what it offers.
    #[must_use]
    pub const fn params(&self) -> &Parameters {
        self.ring.params()
    }

    /// What carries the operations out, and why.
    #[must_use]
    pub const fn chosen(&self) -> &Chosen {
        self.ring.chosen()
    }

    /// Moves what was pushed into the submission queue, all of it or nothing, so that links stay together.
    fn hand_over(&mut self) -> io::Result<()> {
        while !self.staged.is_empty() {
            // SAFETY: the table keeps what these entries name until their last completion; cancels name nothing.
            if unsafe { self.ring.submission().push_multiple(&self.staged) }.is_ok() {
                self.staged.clear();
                break;
            }
            // Entries of an earlier call are still there: a polling thread has not come to them, or the kernel
            // stopped at one that it refused.
            if self.ring.submit()? == 0 && !self.ring.params().is_setup_sqpoll() {
                break;
            }
            self.ring.submitter().squeue_wait()?;
        }
        Ok(())
    }

    fn reap(&mut self) {
        let bound = self.ring.params().cq_entries() as usize;
        let mut overfull = Vec::new();
        for cqe in self.ring.completion() {
            // SAFETY: nobody else posts on this ring (`from_ring`), so the completion is that of our entry.
            overfull.extend(unsafe { self.table.post(cqe, bound) });
        }
        overfull.dedup();
        for key in overfull {
            // Refused, it is asked for again with the next item.
            let _ = self.cancel(key);
        }
    }

    /// How many entries the submission queue holds.
    fn submissions(&self) -> usize {
        self.ring.params().sq_entries() as usize
    }

    /// Cancels everything and waits for it. Whether everything came back.
    fn settle(&mut self) -> bool {
        let mut cancels = self.push_internal(opcode::AsyncCancel2::new(CancelBuilder::any().all()).build());
        let mut idle = 0;
        while self.table.in_flight() > 0 && idle < PATIENCE_ROUNDS {
            let before = self.table.in_flight();
            let args = SubmitArgs::new().timespec(&PATIENCE_ROUND);
            // One more than the cancels themselves complete with: at least one operation, or the time is up.
            match self.ring.submitter().submit_with_args(cancels + 1, &args) {
                Ok(_) => {}
                Err(error) if is_passing(&error) => {}
                Err(_) => return false,
            }
            self.reap();
            idle = if self.table.in_flight() < before { 0 } else { idle + 1 };
            // Kernels before 5.19 know no "any"; and what was being set up may have missed the first cancel.
            let keys: Vec<Key> = self.table.keys_in_flight().take(self.submissions()).collect();
            let again = keys.iter().map(|key| opcode::AsyncCancel::new(self.table.user_data(*key)).build());
            let again: Vec<Entry> = again.collect();
            cancels = again.into_iter().map(|cancel| self.push_internal(cancel)).sum();
        }
        self.table.in_flight() == 0
    }

    /// Pushes a request of the ring's own, if there is room. How many were pushed.
    fn push_internal(&mut self, entry: Entry) -> usize {
        let entry = entry.user_data(self.table.user_data(Key::INTERNAL));
        // SAFETY: a cancel names no memory.
        unsafe { self.ring.submission().push(&entry) }.map_or(0, |()| 1)
    }
}

/// Whether trying again makes sense: the time was up, a signal came, or completions had to be taken first.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN))
}

impl Drop for OwnedRing {
    fn drop(&mut self) {
        for entry in self.staged.drain(..) {
            // SAFETY: staged entries have not been handed over, and are gone with this.
            unsafe { self.table.withdraw(entry.get_user_data()) };
        }
        self.reap();
        if self.table.in_flight() > 0 && !self.settle() {
            let leaked = self.table.in_flight();
            tracing::warn!(leaked, "operations did not end after a cancel: their memory is leaked");
        }
    }
}

/// Readable while completions wait, for an event loop of the program's: epoll(7), poll(2).
impl AsFd for OwnedRing {
    /// # Panics
    ///
    /// On a ring without a descriptor ([`Builder::setup_registered_fd_only`]).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl fmt::Debug for OwnedRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedRing")
            .field("staged", &self.staged.len())
            .field("operations", &self.table)
            .field("params", self.ring.params())
            .finish()
    }
}
