//! Submitting and waiting: the calls that move a batch.
//!
//! A [`Submitter`] is a view of a ring; what it knows lives in the ring and its back end, so a
//! fresh one is as good as the last. It makes no call when there is nothing to be done: see
//! [`Submitter::submit`]. Registration stands in `register/`.
#![allow(unsafe_code, reason = "enter consumes entries that the unsafe push vouched for")]

mod register;

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::marker::PhantomData;
use std::mem::size_of;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use annulus_abi::{Backend, EnterArg, EnterFlags, RingMemory, SqRingFlags};

use crate::Parameters;
use crate::pages::Pages;
use crate::shared::SharedBackend;
use crate::types::SubmitArgs;

/// What a ring remembers, whichever [`Submitter`] speaks for it.
#[derive(Debug)]
pub(crate) struct RingState {
    /// Executes what is submitted; shared with what is registered.
    pub(crate) backend: Arc<SharedBackend>,
    /// It wants to know when completions were given back.
    pub(crate) follows_consumption: bool,
    /// The memory of registered waits, which stays as long as the ring.
    pub(crate) waits: OnceLock<Arc<Pages>>,
    /// Other memory that stays registered as long as the ring.
    kept: Mutex<Vec<Arc<Pages>>>,
    /// Waits are kept out of the iowait statistics (`IORING_ENTER_NO_IOWAIT`).
    no_iowait: AtomicBool,
}

impl RingState {
    pub(crate) fn new(backend: SharedBackend, follows_consumption: bool) -> Self {
        Self {
            backend: Arc::new(backend),
            follows_consumption,
            waits: OnceLock::new(),
            kept: Mutex::default(),
            no_iowait: AtomicBool::new(false),
        }
    }
}

/// Submits what was pushed, waits for completions, and registers resources with the ring.
pub struct Submitter<'a> {
    backend: &'a dyn Backend,
    memory: &'a RingMemory,
    state: &'a RingState,
    params: &'a Parameters,
    /// Neither `Send` nor `Sync`: a registered ring, a single issuer and a signal mask belong to a thread.
    thread_bound: PhantomData<*const ()>,
}

impl<'a> Submitter<'a> {
    #[inline]
    pub(crate) const fn new(
        backend: &'a dyn Backend,
        memory: &'a RingMemory,
        state: &'a RingState,
        params: &'a Parameters,
    ) -> Self {
        Self { backend, memory, state, params, thread_bound: PhantomData }
    }

    /// The back end, for those who hold it beyond this view.
    pub(crate) const fn shared_backend(&self) -> &Arc<SharedBackend> {
        &self.state.backend
    }

    /// Keeps memory as long as the ring, because the kernel does.
    pub(crate) fn keep(&self, pages: &Arc<Pages>) {
        self.state.kept.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(pages));
    }

    /// Calls io_uring_enter(2) as it is, with the flags and the argument of the caller. The other
    /// methods suffice for almost everything.
    ///
    /// # Errors
    ///
    /// Those of io_uring_enter(2).
    ///
    /// # Safety
    ///
    /// `arg` is what `flag` says it is: a signal set of 8 bytes, or with `EXT_ARG` an
    /// `io_uring_getevents_arg` (such as [`SubmitArgs`]) whose pointers are good.
    pub unsafe fn enter<T: Sized>(
        &self,
        to_submit: u32,
        min_complete: u32,
        flag: u32,
        arg: Option<&T>,
    ) -> io::Result<usize> {
        let arg = arg.map_or(EnterArg::None, |arg| EnterArg::Raw {
            arg: std::ptr::from_ref(arg).cast(),
            size: size_of::<T>(),
        });
        self.call(to_submit, min_complete, EnterFlags::from_bits_retain(flag), arg)
    }

    /// Submits everything that was pushed. Returns how many entries the back end took.
    ///
    /// Makes no call when there is nothing to do: nothing pushed, no completion held back, and no
    /// device to poll; or a polling thread that is awake. Work that the kernel deferred to this
    /// thread is run if the ring shows it ([`setup_taskrun_flag`](crate::Builder::setup_taskrun_flag));
    /// [`get_events`](Self::get_events) always runs it.
    ///
    /// # Errors
    ///
    /// Those of io_uring_enter(2): `EAGAIN` and `EBUSY` ask to reap completions and try again, `EBADR` says
    /// that completions were lost for want of memory, `EBADFD` that the ring is still disabled, `EEXIST` that
    /// another thread is the single issuer. Entries that were not taken stay queued.
    #[inline]
    pub fn submit(&self) -> io::Result<usize> {
        self.submit_and_wait(0)
    }

    /// Submits everything that was pushed and waits until `want` completions are there.
    ///
    /// Does not call if nothing was pushed and they are there already. Completions that are there
    /// count, whether new or not.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), and `EINTR` if a signal came while waiting.
    #[inline]
    pub fn submit_and_wait(&self, want: usize) -> io::Result<usize> {
        self.submit_and(want, EnterFlags::empty(), EnterArg::None)
    }

    /// Submits and waits as [`submit_and_wait`](Self::submit_and_wait), with a timeout, a minimum wait, a
    /// signal mask.
    ///
    /// # Errors
    ///
    /// As [`submit_and_wait`](Self::submit_and_wait); `ETIME` if the time is over; `EINVAL` before Linux 5.11,
    /// or for a minimum wait before 6.12.
    #[inline]
    pub fn submit_with_args(&self, want: usize, args: &SubmitArgs<'_, '_>) -> io::Result<usize> {
        self.submit_and(want, EnterFlags::empty(), EnterArg::Extended(&args.args))
    }

    /// As [`submit_with_args`](Self::submit_with_args), but the timeout is a point in time of the ring's clock
    /// (`CLOCK_MONOTONIC`, unless [`register_clock`](Self::register_clock) chose another). Linux 6.12.
    ///
    /// # Errors
    ///
    /// As [`submit_with_args`](Self::submit_with_args); `EINVAL` before 6.12.
    pub fn submit_until(&self, want: usize, args: &SubmitArgs<'_, '_>) -> io::Result<usize> {
        self.submit_and(want, EnterFlags::ABS_TIMER, EnterArg::Extended(&args.args))
    }

    /// Submits and waits with the wait argument that was registered at byte `offset`
    /// ([`register_region`](Self::register_region);
    /// [`submit_and_wait_slot`](Self::submit_and_wait_slot) is this for a typed region), so that the kernel need not copy it. Linux 6.13.
    ///
    /// # Errors
    ///
    /// As [`submit_with_args`](Self::submit_with_args); `EFAULT` if no argument is registered there, `EINVAL`
    /// before 6.13.
    pub fn submit_and_wait_registered(&self, want: usize, offset: u64) -> io::Result<usize> {
        self.submit_and(want, EnterFlags::empty(), EnterArg::Registered(offset))
    }

    /// Submits everything that was pushed, and in the same call has completions posted that are
    /// waiting for this thread to enter. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub fn submit_and_get_events(&self) -> io::Result<usize> {
        let wake = if self.params.is_setup_sqpoll() { self.wakeup_flag() } else { EnterFlags::empty() };
        self.call(self.memory.sq_len(), 0, EnterFlags::GETEVENTS | wake, EnterArg::None)
    }

    /// Has completions posted that are waiting for this thread to enter: held back because the queue was
    /// full, deferred task work, a device to be polled. Submits nothing, does not wait.
    ///
    /// # Errors
    ///
    /// Those of io_uring_enter(2).
    pub fn get_events(&self) -> io::Result<()> {
        self.call(0, 0, EnterFlags::GETEVENTS, EnterArg::None).map(drop)
    }

    /// Waits until `want` completions are there, without submitting anything. Does not call if they are.
    ///
    /// # Errors
    ///
    /// Those of io_uring_enter(2), `EINTR` above all.
    pub fn wait(&self, want: usize) -> io::Result<()> {
        self.wait_and(want, EnterFlags::empty(), EnterArg::None)
    }

    /// Waits as [`wait`](Self::wait), with a timeout, a minimum wait, a signal mask.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait); `ETIME` if the time is over.
    pub fn wait_with_args(&self, want: usize, args: &SubmitArgs<'_, '_>) -> io::Result<()> {
        self.wait_and(want, EnterFlags::empty(), EnterArg::Extended(&args.args))
    }

    /// As [`wait_with_args`](Self::wait_with_args), but the timeout is a point in time of the ring's clock; see
    /// [`submit_until`](Self::submit_until). Linux 6.12.
    ///
    /// # Errors
    ///
    /// As [`wait_with_args`](Self::wait_with_args); `EINVAL` before 6.12.
    pub fn wait_until(&self, want: usize, args: &SubmitArgs<'_, '_>) -> io::Result<()> {
        self.wait_and(want, EnterFlags::ABS_TIMER, EnterArg::Extended(&args.args))
    }

    /// Waits until the polling thread has made room in the submission queue (`IORING_ENTER_SQ_WAIT`).
    /// For rings with [`setup_sqpoll`](crate::Builder::setup_sqpoll). Does not call if there is room.
    ///
    /// # Errors
    ///
    /// Those of io_uring_enter(2).
    pub fn squeue_wait(&self) -> io::Result<usize> {
        if self.memory.sq_len() < self.memory.sq_entries() {
            return Ok(0);
        }
        let wake = if self.params.is_setup_sqpoll() { self.wakeup_flag() } else { EnterFlags::empty() };
        self.call(0, 0, EnterFlags::SQ_WAIT | wake, EnterArg::None)
    }

    /// Whether waits of this ring count as iowait in the system's statistics. They do unless this says
    /// otherwise. The setting belongs to the ring, not to this view of it. Linux 6.15.
    ///
    /// # Errors
    ///
    /// `EINVAL` before 6.15, where nothing changes.
    pub fn set_iowait(&self, counted: bool) -> io::Result<()> {
        if !counted && !self.params.is_feature_no_iowait() {
            return Err(rustix::io::Errno::INVAL.into());
        }
        // Relaxed: a setting that orders nothing.
        self.state.no_iowait.store(!counted, Ordering::Relaxed);
        Ok(())
    }

    /// Flags and calls shared by all that submit: the one place that decides whether to enter.
    #[inline]
    fn submit_and(&self, want: usize, extra: EnterFlags, arg: EnterArg<'_>) -> io::Result<usize> {
        let queued = self.memory.sq_len();
        let mut flags = extra;
        // Completions that only an enter delivers, as far as the ring shows: one load, for all bits.
        let sqpoll = self.params.is_setup_sqpoll();
        let ring = if sqpoll { self.memory.sq_flags_after_fence() } else { self.memory.sq_flags() };
        let held_back = ring.intersects(SqRingFlags::CQ_OVERFLOW.union(SqRingFlags::TASKRUN));
        let must_wait = want > 0 && (self.memory.cq_len() as usize) < want;
        let must_poll = self.params.is_setup_iopoll() && (want == 0 || must_wait) && !sqpoll;
        if must_wait || held_back || must_poll {
            flags |= EnterFlags::GETEVENTS;
        }
        let must_submit = if sqpoll {
            if ring.contains(SqRingFlags::NEED_WAKEUP) {
                flags |= EnterFlags::SQ_WAKEUP;
            }
            ring.contains(SqRingFlags::NEED_WAKEUP) && queued > 0
        } else {
            queued > 0
        };
        if !must_submit && !flags.contains(EnterFlags::GETEVENTS) {
            return Ok(queued as usize);
        }
        if want > 0 {
            flags |= EnterFlags::GETEVENTS;
        }
        self.call(queued, u32::try_from(want).unwrap_or(u32::MAX), flags, arg)
    }

    fn wait_and(&self, want: usize, extra: EnterFlags, arg: EnterArg<'_>) -> io::Result<()> {
        if self.memory.cq_len() as usize >= want {
            return Ok(());
        }
        let want = u32::try_from(want).unwrap_or(u32::MAX);
        self.call(0, want, extra | EnterFlags::GETEVENTS, arg).map(drop)
    }

    /// `SQ_WAKEUP` if the polling thread sleeps.
    fn wakeup_flag(&self) -> EnterFlags {
        if self.memory.sq_flags_after_fence().contains(SqRingFlags::NEED_WAKEUP) {
            EnterFlags::SQ_WAKEUP
        } else {
            EnterFlags::empty()
        }
    }

    #[inline]
    fn call(&self, to_submit: u32, want: u32, flags: EnterFlags, arg: EnterArg<'_>) -> io::Result<usize> {
        // Relaxed: a setting that orders nothing.
        let quiet = if self.state.no_iowait.load(Ordering::Relaxed) {
            EnterFlags::NO_IOWAIT
        } else {
            EnterFlags::empty()
        };
        // SAFETY: entries were vouched for when they were pushed, arguments are references or vouched for
        // by the caller of `enter`.
        let taken = unsafe { self.backend.enter(to_submit, want, flags | quiet, arg) }?;
        Ok(taken as usize)
    }
}

impl Debug for Submitter<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter").field("queued", &self.memory.sq_len()).finish_non_exhaustive()
    }
}
