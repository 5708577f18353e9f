//! How a ring is set up: the flags of io_uring_setup(2), which of them may be missing, and where the
//! memory comes from.
//!
//! The builder only collects; [`Builder::try_build`] asks the back ends that are wanted, with fewer flags each time
//! that one is unknown and dispensable, and explains a refusal.
#![allow(unsafe_code, reason = "two setters take memory and functions that the caller vouches for")]

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::ptr::NonNull;

use annulus_abi::{Backend, Params, Region, SetupFlags};
use rustix::io::Errno;

use crate::backend::{ENGINE_FLAGS, engine_owns, open_engine};
use crate::error::{SetupError, UNUSABLE};
use crate::kernel::{self, Kernel, RingSource, SystemCalls};
use crate::{BackendChoice, BackendKind, Chosen, IoUring, cqueue, environment, squeue};

/// Sets up a ring.
///
/// # Examples
///
/// A ring as a single-threaded event loop wants it. What an older kernel lacks is left out:
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::{IoUring, abi::SetupFlags};
///
/// let wanted = SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN | SetupFlags::COOP_TASKRUN;
/// let ring: IoUring = IoUring::builder().optional(wanted).setup_cqsize(256).build(64)?;
/// println!("in force: {:?}", ring.params().setup_flags());
/// # Ok(()) }
/// ```
pub struct Builder<S = squeue::Entry, C = cqueue::Entry>
where
    S: squeue::EntryMarker,
    C: cqueue::EntryMarker,
{
    params: Params,
    optional: SetupFlags,
    dontfork: bool,
    registered_fd: Option<bool>,
    source: RingSource,
    backend: BackendChoice,
    /// A table of the caller's.
    calls: Option<SystemCalls>,
    entries: PhantomData<(S, C)>,
}

impl<S: squeue::EntryMarker, C: cqueue::EntryMarker> Builder<S, C> {
    /// Sets the ring up with room for `entries` submissions (rounded up to a power of two).
    ///
    /// # Errors
    ///
    /// The errno of io_uring_setup(2) or mmap(2) as it came, for `raw_os_error()`.
    /// [`try_build`](Self::try_build) says what it means and what to do.
    pub fn build(&self, entries: u32) -> io::Result<IoUring<S, C>> {
        self.try_build(entries).map_err(io::Error::from)
    }

    /// Sets the ring up, and explains a refusal.
    ///
    /// # Errors
    ///
    /// [`SetupError`], by errno: `EPERM` (forbidden by sysctl, seccomp or a security module), `ENOSYS` (no
    /// io_uring here), `ENOMEM` (usually `RLIMIT_MEMLOCK`), `EMFILE`/`ENFILE` (descriptors), `EINVAL` (a flag that
    /// this kernel lacks, flags that exclude each other, or a number of entries out of range), and what else
    /// io_uring_setup(2) and mmap(2) say.
    pub fn try_build(&self, entries: u32) -> Result<IoUring<S, C>, SetupError> {
        if self.params.setup_flags().difference(self.optional).intersects(UNUSABLE) {
            return Err(SetupError::FlagsUnusable { flags: self.params.setup_flags() & UNUSABLE });
        }
        let (backend, chosen) = self.open(entries)?;
        let kind = chosen.kind();
        self.finish(backend, chosen).map_err(|errno| self.explain(kind, errno, entries))
    }

    /// Finds the back end that is to be had, of those that are wanted.
    fn open(&self, entries: u32) -> Result<(Box<dyn Backend>, Chosen), SetupError> {
        match self.choice()? {
            BackendChoice::Kernel => Ok((self.on_kernel(entries)?, Chosen::by_order(BackendKind::Kernel))),
            BackendChoice::Engine => Ok((self.on_engine(entries)?, Chosen::by_order(BackendKind::Engine))),
            BackendChoice::Auto => match self.on_kernel(entries) {
                Err(refusal) if ENGINE_FLAGS.is_some() && refusal.leaves_the_engine() => {
                    let backend = self.on_engine(entries)?;
                    Ok((backend, Chosen::instead_of_kernel(refusal)))
                }
                opened => Ok((opened?, Chosen::by_order(BackendKind::Kernel))),
            },
        }
    }

    /// What is wanted: by the program, else by the environment.
    fn choice(&self) -> Result<BackendChoice, SetupError> {
        let attached = self.params.setup_flags().contains(SetupFlags::ATTACH_WQ);
        match self.backend {
            BackendChoice::Engine if ENGINE_FLAGS.is_none() => Err(SetupError::EngineNotBuilt),
            BackendChoice::Engine if self.calls.is_some() => Err(SetupError::EngineHasNoTable),
            BackendChoice::Auto if self.calls.is_some() => Ok(BackendChoice::Kernel),
            BackendChoice::Auto => match environment::backend_choice()? {
                BackendChoice::Engine if ENGINE_FLAGS.is_none() => Err(SetupError::EngineNotBuilt),
                // Rings that share workers are rings of one back end.
                BackendChoice::Auto if attached && engine_owns(self.params.wq_fd.cast_signed()) => {
                    Ok(BackendChoice::Engine)
                }
                choice => Ok(choice),
            },
            explicit => Ok(explicit),
        }
    }

    fn on_kernel(&self, entries: u32) -> Result<Box<dyn Backend>, SetupError> {
        let calls = self.calls.unwrap_or_default();
        let kernel = self.with_fewer_flags(|source, params| Kernel::new(calls, source, entries, params));
        let kernel = kernel.and_then(|kernel| {
            if self.dontfork {
                kernel.dontfork()?;
            }
            Ok(kernel)
        });
        match kernel {
            Ok(kernel) => Ok(Box::new(kernel)),
            Err(errno) => Err(self.explain(BackendKind::Kernel, errno, entries)),
        }
    }

    fn on_engine(&self, entries: u32) -> Result<Box<dyn Backend>, SetupError> {
        self.with_fewer_flags(|source, params| open_engine(source, entries, params, self.dontfork))
            .map_err(|errno| self.explain(BackendKind::Engine, errno, entries))
    }

    /// Attempts a set-up with everything that is asked for, then without one flag after the other that is unknown and
    /// dispensable.
    ///
    /// # Errors
    ///
    /// That of the last attempt.
    fn with_fewer_flags<B>(
        &self,
        attempt: impl Fn(RingSource, Params) -> Result<B, Errno>,
    ) -> Result<B, Errno> {
        let mut params = self.params;
        params.flags &= !self.optional.intersection(UNUSABLE).bits();
        loop {
            let flags = params.setup_flags();
            let missing = match attempt(self.source_for(flags), params) {
                Err(Errno::INVAL) => self.newest_optional(flags).ok_or(Errno::INVAL),
                result => return result,
            };
            let flag = missing?;
            tracing::debug!(?flag, "setup flag not to be had, going on without");
            params.flags &= !without(flag).bits();
        }
    }

    fn explain(&self, kind: BackendKind, errno: Errno, entries: u32) -> SetupError {
        match kind {
            BackendKind::Engine => SetupError::explain_engine(errno, entries, &self.params),
            _ => SetupError::explain(&self.calls.unwrap_or_default(), errno, entries, &self.params),
        }
    }

    /// The flag to do without next: the newest that is set and dispensable, as newer kernels know all
    /// that older ones know.
    fn newest_optional(&self, flags: SetupFlags) -> Option<SetupFlags> {
        self.optional.intersection(flags).iter().last()
    }

    /// Where the memory comes from, given the flags that are still asked for.
    fn source_for(&self, flags: SetupFlags) -> RingSource {
        match self.source {
            _ if !flags.contains(SetupFlags::NO_MMAP) => RingSource::Kernel,
            RingSource::Kernel => RingSource::Anonymous,
            given => given,
        }
    }

    fn finish(&self, backend: Box<dyn Backend>, chosen: Chosen) -> Result<IoUring<S, C>, Errno> {
        let ring = IoUring::with_backend(backend, chosen)?;
        // A ring of a single issuer stays with its thread, so its calls may go through an index of that
        // thread's, which spares the kernel a look-up in each. If the places are taken, the descriptor serves.
        let by_default = ring.params().is_setup_single_issuer()
            && !ring.params().setup_flags().contains(SetupFlags::R_DISABLED);
        match self.registered_fd {
            Some(true) => ring.use_registered_fd(true)?,
            None if by_default => ring.use_registered_fd(true).unwrap_or_default(),
            _ => false,
        };
        Ok(ring)
    }

    /// Says what shall execute the operations: the kernel, the engine, or the first of the two that this machine has to
    /// give ([`Auto`](BackendChoice::Auto), which is what a builder starts with). The variable `ANNULUS_BACKEND`
    /// decides in place of `Auto`, and does not overrule the other two. [`IoUring::chosen`] tells what came of it.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::{BackendChoice, BackendKind, IoUring};
    ///
    /// let ring: IoUring = IoUring::builder().backend(BackendChoice::Engine).build(8)?;
    /// assert_eq!(ring.chosen().kind(), BackendKind::Engine);
    /// # Ok(()) }
    /// ```
    pub fn backend(&mut self, choice: BackendChoice) -> &mut Self {
        self.backend = choice;
        self
    }

    /// Adds setup flags that are to be had on some kernels only: those that this kernel refuses
    /// (`EINVAL`) are left out, the newest first. [`Parameters::setup_flags`](crate::Parameters::setup_flags) tells
    /// which are in force. `NO_SQARRAY` is wanted in this way from the start.
    pub fn optional(&mut self, flags: SetupFlags) -> &mut Self {
        self.optional |= flags;
        self.flags(flags)
    }

    /// Adds setup flags as they are, for those that have no method of their own here. `SQ_REWIND` (Linux 7.0) is
    /// refused: the queues of this crate run on, and the kernel would execute old entries again.
    pub fn flags(&mut self, flags: SetupFlags) -> &mut Self {
        self.params.flags |= flags.bits();
        self
    }

    /// Keeps the rings out of children of fork(2).
    pub fn dontfork(&mut self) -> &mut Self {
        self.dontfork = true;
        self
    }

    /// Finds completions by polling the device instead of interrupts (`IORING_SETUP_IOPOLL`): for
    /// reads and writes with `O_DIRECT` on devices with poll queues, and little else.
    pub fn setup_iopoll(&mut self) -> &mut Self {
        self.flags(SetupFlags::IOPOLL)
    }

    /// Sleeps for a while before it polls (`IORING_SETUP_HYBRID_IOPOLL`); includes
    /// [`setup_iopoll`](Self::setup_iopoll). Linux 6.13.
    pub fn setup_hybrid_iopoll(&mut self) -> &mut Self {
        self.flags(SetupFlags::IOPOLL | SetupFlags::HYBRID_IOPOLL)
    }

    /// Has a kernel thread submit (`IORING_SETUP_SQPOLL`), which sleeps after `idle` milliseconds
    /// without work (0: one second).
    pub fn setup_sqpoll(&mut self, idle: u32) -> &mut Self {
        self.params.sq_thread_idle = idle;
        self.flags(SetupFlags::SQPOLL)
    }

    /// Binds the polling thread to a CPU (`IORING_SETUP_SQ_AFF`).
    pub fn setup_sqpoll_cpu(&mut self, cpu: u32) -> &mut Self {
        self.params.sq_thread_cpu = cpu;
        self.flags(SetupFlags::SQ_AFF)
    }

    /// Gives the completion queue this many entries (`IORING_SETUP_CQSIZE`), rounded up to a power of
    /// two; more than the submission queue has. Linux 5.5.
    pub fn setup_cqsize(&mut self, entries: u32) -> &mut Self {
        self.params.cq_entries = entries;
        self.flags(SetupFlags::CQSIZE)
    }

    /// Takes the largest size there is instead of refusing a larger one (`IORING_SETUP_CLAMP`). Linux 5.6.
    pub fn setup_clamp(&mut self) -> &mut Self {
        self.flags(SetupFlags::CLAMP)
    }

    /// Shares the workers and the polling thread of another ring (`IORING_SETUP_ATTACH_WQ`). Linux 5.6.
    pub fn setup_attach_wq(&mut self, fd: RawFd) -> &mut Self {
        self.params.wq_fd = fd.cast_unsigned();
        self.flags(SetupFlags::ATTACH_WQ)
    }

    /// Starts disabled (`IORING_SETUP_R_DISABLED`), for
    /// [restrictions](crate::Submitter::register_restrictions), until
    /// [`register_enable_rings`](crate::Submitter::register_enable_rings). Linux 5.10.
    pub fn setup_r_disabled(&mut self) -> &mut Self {
        self.flags(SetupFlags::R_DISABLED)
    }

    /// Goes on with the batch after an entry that is invalid (`IORING_SETUP_SUBMIT_ALL`). Linux 5.18.
    pub fn setup_submit_all(&mut self) -> &mut Self {
        self.flags(SetupFlags::SUBMIT_ALL)
    }

    /// Completes work when this thread enters the kernel anyway, without an interrupt
    /// (`IORING_SETUP_COOP_TASKRUN`). Linux 5.19.
    pub fn setup_coop_taskrun(&mut self) -> &mut Self {
        self.flags(SetupFlags::COOP_TASKRUN)
    }

    /// Shows in the ring that work waits for this thread to enter (`IORING_SETUP_TASKRUN_FLAG`). Linux 5.19.
    pub fn setup_taskrun_flag(&mut self) -> &mut Self {
        self.flags(SetupFlags::TASKRUN_FLAG)
    }

    /// Completes work only when this thread asks for completions (`IORING_SETUP_DEFER_TASKRUN`); needs
    /// [`setup_single_issuer`](Self::setup_single_issuer). Linux 6.1.
    pub fn setup_defer_taskrun(&mut self) -> &mut Self {
        self.flags(SetupFlags::DEFER_TASKRUN)
    }

    /// Promises that one thread alone submits (`IORING_SETUP_SINGLE_ISSUER`): the one that sets up, or
    /// that enables a ring which started disabled. Linux 6.0.
    ///
    /// Such a ring registers itself with its thread and is called by index where that is possible; see
    /// [`registered_ring_fd`](Self::registered_ring_fd).
    pub fn setup_single_issuer(&mut self) -> &mut Self {
        self.flags(SetupFlags::SINGLE_ISSUER)
    }

    /// Does without the index array between the submission ring and its entries
    /// (`IORING_SETUP_NO_SQARRAY`), or fails. Without this call it is tried, and done with if refused. Linux 6.6.
    pub fn setup_no_sqarray(&mut self) -> &mut Self {
        self.optional -= SetupFlags::NO_SQARRAY;
        self.flags(SetupFlags::NO_SQARRAY)
    }

    /// Allows 128-byte entries beside the 64-byte ones (`IORING_SETUP_SQE_MIXED`):
    /// [`push_wide`](crate::SubmissionQueue::push_wide). Linux 6.19.
    pub fn setup_sqe_mixed(&mut self) -> &mut Self {
        self.flags(SetupFlags::SQE_MIXED)
    }

    /// Allocates the rings in this process, in huge pages if the system has some to give, instead of
    /// mapping the kernel's memory (`IORING_SETUP_NO_MMAP`). Linux 6.5.
    pub fn setup_no_mmap(&mut self) -> &mut Self {
        self.source = RingSource::Anonymous;
        self.flags(SetupFlags::NO_MMAP)
    }

    /// Puts the rings into the caller's memory (`IORING_SETUP_NO_MMAP`): page-aligned, at least
    /// [`memory_size`](Self::memory_size) bytes. Kernels before 6.9 want it contiguous: one page, or a huge page.
    /// Linux 6.5.
    ///
    /// # Safety
    ///
    /// The memory is readable and writable, and serves nothing else from the build on; not even after the
    /// ring is dropped, as the kernel finishes with a ring some time after it is closed. Memory that is
    /// never freed, or mapped for this purpose and unmapped afterwards, is right.
    pub unsafe fn setup_no_mmap_in(&mut self, memory: NonNull<[u8]>) -> &mut Self {
        self.source = RingSource::Given(Region { start: memory.cast(), len: memory.len() });
        self.flags(SetupFlags::NO_MMAP)
    }

    /// Makes the ring an index of the building thread's registered rings, without a descriptor
    /// (`IORING_SETUP_REGISTERED_FD_ONLY`). Only that thread can use it. Needs one of the `setup_no_mmap`. Linux 6.5.
    pub fn setup_registered_fd_only(&mut self) -> &mut Self {
        self.flags(SetupFlags::REGISTERED_FD_ONLY)
    }

    /// Whether to register the ring with the building thread (`IORING_REGISTER_RING_FDS`, Linux 5.18) and
    /// to call it by index from there; other threads go on calling by descriptor. A thread has 16
    /// places.
    ///
    /// Unless this is called, rings of a single issuer do so if a place is free. `true` asks for it, and the
    /// build fails with `EBUSY` if there is none; `false` keeps the descriptor.
    pub fn registered_ring_fd(&mut self, registered: bool) -> &mut Self {
        self.registered_fd = Some(registered);
        self
    }

    /// Makes the calls of the ring through this table instead of the kernel's. That is
    /// [`BackendChoice::Kernel`], whatever the environment says: the engine makes calls that such a table does not have.
    ///
    /// # Safety
    ///
    /// The functions do what the system calls of their names do.
    pub unsafe fn system_calls(&mut self, calls: SystemCalls) -> &mut Self {
        self.calls = Some(calls);
        self
    }

    /// How many bytes of memory the ring takes: at least what
    /// [`setup_no_mmap_in`](Self::setup_no_mmap_in) wants, and what counts against `RLIMIT_MEMLOCK` where it does.
    #[must_use]
    pub fn memory_size(&self, entries: u32) -> usize {
        kernel::memory_size(entries, &self.params)
    }
}

impl<S: squeue::EntryMarker, C: cqueue::EntryMarker> Default for Builder<S, C> {
    fn default() -> Self {
        let wide = S::BUILD_FLAGS | C::BUILD_FLAGS;
        Self {
            params: Params { flags: wide | SetupFlags::NO_SQARRAY.bits(), ..Params::default() },
            optional: SetupFlags::NO_SQARRAY,
            dontfork: false,
            registered_fd: None,
            source: RingSource::Kernel,
            backend: BackendChoice::Auto,
            calls: None,
            entries: PhantomData,
        }
    }
}

impl<S: squeue::EntryMarker, C: cqueue::EntryMarker> Clone for Builder<S, C> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<S: squeue::EntryMarker, C: cqueue::EntryMarker> Debug for Builder<S, C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("backend", &self.backend)
            .field("flags", &self.params.setup_flags())
            .field("optional", &self.optional)
            .field("cq_entries", &self.params.cq_entries)
            .field("sq_thread_idle", &self.params.sq_thread_idle)
            .field("sq_thread_cpu", &self.params.sq_thread_cpu)
            .field("registered_fd", &self.registered_fd)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// A flag with those that are refused without it.
fn without(flag: SetupFlags) -> SetupFlags {
    SetupFlags::NEEDS.iter().filter(|(_, needs)| *needs == flag).fold(flag, |all, (also, _)| all | *also)
}
