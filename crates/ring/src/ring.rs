//! The ring itself: a back end, and the way to its two queues.
//!
//! This file hands out handles and keeps what they share; it pushes nothing and waits for nothing
//! itself, except in the few conveniences that need both queues.
#![allow(unsafe_code, reason = "hands out the ends of the queues, of which there may be one each")]

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use annulus_abi::{Backend, Params, RingMemory, SetupFlags, SqRingFlags};
use rustix::io::Errno;

use crate::error::UNUSABLE;
use crate::kernel::Kernel;
use crate::shared::SharedBackend;
use crate::submitter::RingState;
use crate::types::SubmitArgs;
use crate::{
    BackendKind, Builder, Chosen, CompletionQueue, Parameters, SubmissionQueue, Submitter, cqueue, squeue,
};

/// A ring: two queues in shared memory, and the back end that executes what is queued.
///
/// Dropping it closes it, unless a [`BufRing`](crate::BufRing) is left, which then closes it. Operations that are in flight go on for a while and may still write into
/// the memory that they named; see the crate's documentation.
pub struct IoUring<S = squeue::Entry, C = cqueue::Entry>
where
    S: squeue::EntryMarker,
    C: cqueue::EntryMarker,
{
    /// A view of `backend`'s memory, so that no queue operation takes an indirect call.
    memory: RingMemory,
    params: Parameters,
    state: RingState,
    chosen: Chosen,
    entries: std::marker::PhantomData<fn(S) -> C>,
}

impl IoUring<squeue::Entry, cqueue::Entry> {
    /// Sets a ring up with room for `entries` submissions, and twice as many completions.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::build`].
    pub fn new(entries: u32) -> io::Result<Self> {
        Self::builder().build(entries)
    }

    /// Takes over a ring that was set up elsewhere: inherited, or received through a socket.
    ///
    /// # Errors
    ///
    /// Those of mmap(2); `EINVAL` for parameters of wider entries.
    ///
    /// # Safety
    ///
    /// `fd` is a ring that was set up with `params`, as the kernel filled them in, and nobody else maps it
    /// or closes the descriptor.
    pub unsafe fn from_fd(fd: RawFd, params: Parameters) -> io::Result<Self> {
        // SAFETY: the contract of this function.
        let kernel = unsafe { Kernel::from_fd(fd, params.0) }?;
        Ok(Self::with_backend(Box::new(kernel), Chosen::by_order(BackendKind::Kernel))?)
    }
}

impl<S: squeue::EntryMarker, C: cqueue::EntryMarker> IoUring<S, C> {
    /// Starts to describe a ring.
    #[must_use]
    pub fn builder() -> Builder<S, C> {
        Builder::default()
    }

    /// A ring on a back end of the caller's: an engine, or a decorator for tests.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the entries of its queues are not of the sizes of `S` and `C`, or its queue starts from the
    /// first slot at every call (`IORING_SETUP_SQ_REWIND`).
    pub fn from_backend(backend: Box<dyn Backend>) -> Result<Self, Errno> {
        Self::with_backend(backend, Chosen::by_order(BackendKind::Custom))
    }

    /// As [`from_backend`](Self::from_backend), for a back end of which more is known.
    pub(crate) fn with_backend(backend: Box<dyn Backend>, chosen: Chosen) -> Result<Self, Errno> {
        let memory = backend.memory();
        if backend.params().setup_flags().intersects(UNUSABLE) {
            return Err(Errno::INVAL);
        }
        if memory.sqe_size() != size_of::<S>() || memory.cqe_size() != size_of::<C::Slot>() {
            return Err(Errno::INVAL);
        }
        // SAFETY: the memory lives as long as the back end, which lives in the state beside the view.
        let memory = unsafe { memory.alias() };
        let params = Parameters(*backend.params());
        let follows_consumption = backend.follows_consumption();
        let state = RingState::new(SharedBackend::new(backend), follows_consumption);
        Ok(Self { memory, params, state, chosen, entries: std::marker::PhantomData })
    }

    /// The side that submits, waits and registers.
    #[must_use]
    #[inline]
    pub fn submitter(&self) -> Submitter<'_> {
        Submitter::new(self.backend(), &self.memory, &self.state, &self.params)
    }

    /// What the ring was set up with, and what it offers.
    #[must_use]
    #[inline]
    pub const fn params(&self) -> &Parameters {
        &self.params
    }

    /// What executes the operations.
    #[must_use]
    #[inline]
    pub fn backend(&self) -> &dyn Backend {
        // SAFETY: borrowed from the ring, which resizes only when it is borrowed exclusively.
        unsafe { self.state.backend.get() }
    }

    /// Whether that is the kernel or the engine, and why: see [`Builder::backend`].
    #[must_use]
    pub const fn chosen(&self) -> &Chosen {
        &self.chosen
    }

    /// Submits everything that was pushed: [`Submitter::submit`].
    ///
    /// # Errors
    ///
    /// Those of [`Submitter::submit`].
    #[inline]
    pub fn submit(&self) -> io::Result<usize> {
        self.submitter().submit()
    }

    /// Submits everything that was pushed and waits until `want` completions are there:
    /// [`Submitter::submit_and_wait`].
    ///
    /// # Errors
    ///
    /// Those of [`Submitter::submit_and_wait`].
    #[inline]
    pub fn submit_and_wait(&self, want: usize) -> io::Result<usize> {
        self.submitter().submit_and_wait(want)
    }

    /// All three sides at once.
    #[inline]
    pub fn split(&mut self) -> (Submitter<'_>, SubmissionQueue<'_, S>, CompletionQueue<'_, C>) {
        // SAFETY: `&mut self` makes both ends the only ones; sizes were checked in `with_backend`.
        let submission = unsafe { SubmissionQueue::new(&self.memory) };
        // SAFETY: as above.
        let completion = unsafe { CompletionQueue::new(&self.memory, self.follower()) };
        (self.submitter(), submission, completion)
    }

    /// The submission queue.
    #[inline]
    pub fn submission(&mut self) -> SubmissionQueue<'_, S> {
        // SAFETY: `&mut self` makes it the only one; sizes were checked in `with_backend`.
        unsafe { SubmissionQueue::new(&self.memory) }
    }

    /// The submission queue, through a shared reference.
    ///
    /// # Safety
    ///
    /// There is no other handle on the submission queue while this one lives, in any thread.
    #[must_use]
    #[inline]
    pub unsafe fn submission_shared(&self) -> SubmissionQueue<'_, S> {
        // SAFETY: the contract of this function.
        unsafe { SubmissionQueue::new(&self.memory) }
    }

    /// Who wants to know that completions were given back.
    #[inline]
    fn follower(&self) -> Option<&dyn Backend> {
        self.state.follows_consumption.then(|| self.backend())
    }

    /// The completion queue.
    #[inline]
    pub fn completion(&mut self) -> CompletionQueue<'_, C> {
        // SAFETY: `&mut self` makes it the only one; sizes were checked in `with_backend`.
        unsafe { CompletionQueue::new(&self.memory, self.follower()) }
    }

    /// The completion queue, through a shared reference.
    ///
    /// # Safety
    ///
    /// There is no other handle on the completion queue while this one lives, in any thread.
    #[must_use]
    #[inline]
    pub unsafe fn completion_shared(&self) -> CompletionQueue<'_, C> {
        // SAFETY: the contract of this function.
        unsafe { CompletionQueue::new(&self.memory, self.follower()) }
    }

    /// Takes the oldest completion out, if there is one. Enters, without waiting, only if the queue is
    /// empty and the ring shows that completions are held back, or a device must be polled for them.
    ///
    /// # Errors
    ///
    /// Those of [`Submitter::get_events`].
    pub fn peek(&mut self) -> io::Result<Option<C>> {
        if let Some(entry) = self.completion().next() {
            return Ok(Some(entry));
        }
        let held_back = SqRingFlags::CQ_OVERFLOW | SqRingFlags::TASKRUN;
        if !self.memory.sq_flags().intersects(held_back) && !self.params.is_setup_iopoll() {
            return Ok(None);
        }
        self.submitter().get_events()?;
        Ok(self.completion().next())
    }

    /// Takes the oldest completion out, waiting for it if there is none yet. Submits nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Submitter::wait`].
    pub fn wait(&mut self) -> io::Result<C> {
        loop {
            if let Some(entry) = self.completion().next() {
                return Ok(entry);
            }
            self.submitter().wait(1)?;
        }
    }

    /// As [`wait`](Self::wait), with a timeout, a minimum wait, a signal mask. `None` if the time is over.
    ///
    /// # Errors
    ///
    /// Those of [`Submitter::wait_with_args`] but `ETIME`.
    pub fn wait_with_args(&mut self, args: &SubmitArgs<'_, '_>) -> io::Result<Option<C>> {
        if let Some(entry) = self.completion().next() {
            return Ok(Some(entry));
        }
        match self.submitter().wait_with_args(1, args) {
            Err(error) if error.raw_os_error() != Some(Errno::TIME.raw_os_error()) => Err(error),
            _ => Ok(self.completion().next()),
        }
    }

    /// Gives the queues new sizes (`IORING_REGISTER_RESIZE_RINGS`); what is queued moves along. `cq_entries` of
    /// `None` means twice `sq_entries`. For rings with
    /// [`setup_defer_taskrun`](Builder::setup_defer_taskrun). Linux 6.13.
    ///
    /// # Errors
    ///
    /// `EINVAL` before 6.13, on other rings, and for sizes out of range; `EOVERFLOW` if what waits would not fit;
    /// `EEXIST` from another thread than the ring's.
    pub fn resize(&mut self, sq_entries: u32, cq_entries: Option<u32>) -> io::Result<()> {
        let mut params = Params { sq_entries, ..Params::default() };
        if let Some(cq_entries) = cq_entries {
            params.cq_entries = cq_entries;
            params.flags = SetupFlags::CQSIZE.bits();
        }
        // SAFETY: `&mut self`: nothing that the ring lent is in use.
        unsafe { self.state.backend.resize(&mut params) }?;
        // SAFETY: the memory lives as long as the back end, which lives in the state beside the view.
        self.memory = unsafe { self.backend().memory().alias() };
        self.params = Parameters(*self.backend().params());
        Ok(())
    }

    /// Calls through an index of the calling thread's registered rings from now on, or by descriptor
    /// again. The setting belongs to the ring. Says whether that changed anything.
    pub(crate) fn use_registered_fd(&self, on: bool) -> Result<bool, Errno> {
        self.backend().use_registered_fd(on)
    }
}

impl<S: squeue::EntryMarker, C: cqueue::EntryMarker> AsFd for IoUring<S, C> {
    /// # Panics
    ///
    /// On a ring without a descriptor ([`Builder::setup_registered_fd_only`]).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.backend().ring_fd().expect("a ring set up with REGISTERED_FD_ONLY has no descriptor")
    }
}

impl<S: squeue::EntryMarker, C: cqueue::EntryMarker> AsRawFd for IoUring<S, C> {
    /// The descriptor of the ring; -1 for one without ([`Builder::setup_registered_fd_only`]).
    fn as_raw_fd(&self) -> RawFd {
        self.backend().ring_fd().map_or(-1, |fd| fd.as_raw_fd())
    }
}

impl<S: squeue::EntryMarker, C: cqueue::EntryMarker> Debug for IoUring<S, C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoUring")
            .field("fd", &self.as_raw_fd())
            .field("backend", &self.chosen.kind())
            .field("params", &self.params)
            .field("sq_len", &self.memory.sq_len())
            .field("cq_len", &self.memory.cq_len())
            .finish_non_exhaustive()
    }
}
