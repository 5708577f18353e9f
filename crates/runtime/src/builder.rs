//! How a runtime is set up: sizes, bounds, where it runs.
#![allow(unsafe_code, reason = "passes a table of system calls on that the caller vouches for")]

use std::sync::Once;
use std::time::Duration;

use annulus::abi::SetupFlags;
use annulus::kernel::SystemCalls;
use annulus::{BackendChoice, BackendKind, IoUring, environment};

use crate::Error;
use crate::blocking::Pool;
use crate::executor::{self, Context};
use crate::shard::Runtime;

/// The flags of a ring that one thread works with; what an older kernel lacks is left out.
const FLAGS: SetupFlags = SetupFlags::SINGLE_ISSUER
    .union(SetupFlags::DEFER_TASKRUN)
    .union(SetupFlags::COOP_TASKRUN)
    .union(SetupFlags::TASKRUN_FLAG)
    .union(SetupFlags::SUBMIT_ALL)
    .union(SetupFlags::NO_SQARRAY);

/// Those that have no meaning where a thread of the kernel's submits, and are refused there.
const WITHOUT_SQPOLL: SetupFlags =
    SetupFlags::DEFER_TASKRUN.union(SetupFlags::COOP_TASKRUN).union(SetupFlags::TASKRUN_FLAG);

/// Sets a runtime up. [`run`](crate::run) is this with every default.
///
/// # Examples
///
/// ```
/// let answer = annulus_rt::Builder::new().entries(64).run(async { 42 })?;
/// assert_eq!(answer, 42);
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    entries: u32,
    cq_entries: Option<u32>,
    flags: SetupFlags,
    backend: BackendChoice,
    pub(crate) operations: usize,
    pub(crate) tasks: usize,
    pub(crate) turn_budget: usize,
    pub(crate) inbox: usize,
    pub(crate) ring_messages: Option<bool>,
    pub(crate) buffers: u16,
    pub(crate) buffer_size: u32,
    pub(crate) registered_buffers: u16,
    pub(crate) registered_size: u32,
    pub(crate) direct: u32,
    blocking_threads: usize,
    blocking_queue: usize,
    teardown: Duration,
    pub(crate) cpu: Option<usize>,
    /// Milliseconds until the polling thread sleeps.
    sqpoll: Option<u32>,
    sqpoll_cpu: Option<u32>,
    system_calls: Option<SystemCalls>,
    around_rings: Option<fn(IoUring) -> IoUring>,
    pub(crate) poll_times: bool,
}

impl Builder {
    /// The defaults, which each setter names.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: 256,
            cq_entries: None,
            flags: FLAGS,
            backend: BackendChoice::Auto,
            operations: 65_536,
            tasks: 65_536,
            turn_budget: 256,
            inbox: 4_096,
            ring_messages: None,
            buffers: 256,
            buffer_size: 16 * 1024,
            registered_buffers: 64,
            registered_size: 64 * 1024,
            direct: 1_024,
            blocking_threads: 4,
            blocking_queue: 1_024,
            teardown: Duration::from_secs(5),
            cpu: None,
            sqpoll: None,
            sqpoll_cpu: None,
            system_calls: None,
            around_rings: None,
            poll_times: false,
        }
    }

    /// Entries of the submission queue: what one call hands over at the most. More that is queued
    /// meanwhile waits, and is not lost. Default 256; rounded up to a power of two.
    #[must_use]
    pub const fn entries(mut self, entries: u32) -> Self {
        self.entries = entries;
        self
    }

    /// Entries of the completion queue. More completions than fit wait in the kernel, which is slower.
    /// Default: four times [`entries`](Self::entries).
    #[must_use]
    pub const fn cq_entries(mut self, cq_entries: u32) -> Self {
        self.cq_entries = Some(cq_entries);
        self
    }

    /// How many operations may be in flight, those of dropped futures included. One more gets `EBUSY`.
    /// Default 65,536.
    #[must_use]
    pub const fn operations(mut self, operations: usize) -> Self {
        self.operations = operations;
        self
    }

    /// How many tasks an executor may have; one more is refused ([`JoinError::Refused`](crate::JoinError)).
    /// Default 65,536.
    #[must_use]
    pub const fn tasks(mut self, tasks: usize) -> Self {
        // One more: the runtime's own.
        self.tasks = tasks.saturating_add(1);
        self
    }

    /// How many polls a turn has before the ring is looked after. Default 256.
    #[must_use]
    pub const fn turn_budget(mut self, polls: usize) -> Self {
        self.turn_budget = polls;
        self
    }

    /// How much work other threads and shards may have left for an executor that has not come to look at it: one more is
    /// refused ([`shard::SpawnError::Full`](crate::shard::SpawnError)). Default 4,096.
    #[must_use]
    pub const fn inbox(mut self, letters: usize) -> Self {
        self.inbox = letters;
        self
    }

    /// Whether shards call each other through their rings (`MSG_RING`), where both rings can, or by eventfd. Default: through
    /// rings of the kernel, and by eventfd with the engine, which were the quicker ways (`benches/shards.rs`).
    #[must_use]
    pub const fn ring_messages(mut self, messages: bool) -> Self {
        self.ring_messages = Some(messages);
        self
    }

    /// The pool of receive buffers of each executor: how many (a power of two, at most 32,768) of how
    /// many bytes. Allocated when a pooled receive is first used. Default 256 of 16 KiB.
    ///
    /// # Panics
    ///
    /// If `buffers` is not such a number, or `size` is 0.
    #[must_use]
    pub const fn receive_buffers(mut self, buffers: u16, size: u32) -> Self {
        assert!(buffers.is_power_of_two() && buffers <= 32_768, "a power of two, at most 32,768");
        assert!(size > 0, "a buffer holds at least one byte");
        self.buffers = buffers;
        self.buffer_size = size;
        self
    }

    /// The registered buffers of each executor ([`buf::FixedPool`](crate::buf::FixedPool)): at most how many, of how many bytes each,
    /// rounded up to 4096. Made and pinned one by one when they are wanted. Default 64 of 64 KiB.
    ///
    /// # Panics
    ///
    /// If `size` is 0 or above 1 GiB, which is more than a ring takes, or `buffers` is not from 1 to 16,384.
    #[must_use]
    pub const fn registered_buffers(mut self, buffers: u16, size: u32) -> Self {
        assert!(buffers >= 1 && buffers <= 16_384, "from 1 to 16,384, the most that a ring takes");
        assert!(size > 0 && size <= 1 << 30, "from one byte to 1 GiB");
        self.registered_buffers = buffers;
        self.registered_size = size;
        self
    }

    /// How many files the ring's own table holds, for
    /// [`Listener::incoming_direct`](crate::net::Listener::incoming_direct). It is made when it is first asked for. If the
    /// process may not have that many files open, its soft limit (`RLIMIT_NOFILE`) is raised. Default 1,024.
    #[must_use]
    pub const fn direct_descriptors(mut self, files: u32) -> Self {
        self.direct = files;
        self
    }

    /// The pool for [`spawn_blocking`](crate::spawn_blocking): how many threads, and how much work may wait for one. All
    /// shards of a run share it. Default 4 and 1,024.
    #[must_use]
    pub const fn blocking(mut self, threads: usize, queue: usize) -> Self {
        self.blocking_threads = threads;
        self.blocking_queue = queue;
        self
    }

    /// How long the end of a run waits for operations that were cancelled. What is in flight after that is
    /// leaked, with its memory. Default 5 s.
    #[must_use]
    pub const fn teardown(mut self, deadline: Duration) -> Self {
        self.teardown = deadline;
        self
    }

    /// Keeps the thread on this CPU while it runs. With [`Shards`](crate::Shards): see there. Default: where the
    /// system puts it.
    #[must_use]
    pub const fn pin(mut self, cpu: usize) -> Self {
        self.cpu = Some(cpu);
        self
    }

    /// The set-up flags of the ring that are asked for; those that this kernel lacks are left out.
    /// Default: `SINGLE_ISSUER`, `DEFER_TASKRUN`, `COOP_TASKRUN`, `TASKRUN_FLAG`, `SUBMIT_ALL`, `NO_SQARRAY`. A ring
    /// of a single issuer is called through a registered index of its thread where there is one. The engine is not asked for
    /// `TASKRUN_FLAG`: each turn looks there in any case.
    ///
    /// `IOPOLL` is left out on every kernel: such a ring takes nothing but reads and writes around the page cache, spins while
    /// they are under way, and never hears of a socket, an eventfd or a timer.
    #[must_use]
    pub const fn setup_flags(mut self, flags: SetupFlags) -> Self {
        self.flags = flags.difference(SetupFlags::IOPOLL.union(SetupFlags::HYBRID_IOPOLL));
        self
    }

    /// Has a thread of the kernel's take what is queued, so that handing it over takes no call: while that thread is awake the
    /// executor enters only to wait. It spins, which takes a processor for each ring (each shard), and sleeps when nothing was
    /// queued for `idle`, at least a millisecond (0 is rounded up to it) and at most 49 days; the next operation then wakes it by
    /// a call. `DEFER_TASKRUN`, `COOP_TASKRUN` and `TASKRUN_FLAG` are not asked for then. A queue that is full is waited for.
    /// Default: none.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = annulus_rt::Builder::new().sqpoll(Duration::from_millis(10));
    /// let file = builder.run(async { annulus_rt::fs::open("Cargo.toml").await })?;
    /// assert!(file.is_ok());
    /// # Ok::<(), annulus_rt::Error>(())
    /// ```
    #[must_use]
    pub const fn sqpoll(mut self, idle: Duration) -> Self {
        let milliseconds = idle.as_millis();
        #[expect(clippy::cast_possible_truncation, reason = "the branch before has what does not fit")]
        let idle = if milliseconds > u32::MAX as u128 { u32::MAX } else { milliseconds as u32 };
        self.sqpoll = Some(if idle == 0 { 1 } else { idle });
        self
    }

    /// Keeps the thread of [`sqpoll`](Self::sqpoll) on this CPU; with [`Shards`](crate::Shards) all of them. A CPU that
    /// there is not makes the set-up fail (`EINVAL`). Default: where the system puts it.
    #[must_use]
    pub const fn sqpoll_cpu(mut self, cpu: u32) -> Self {
        self.sqpoll_cpu = Some(cpu);
        self
    }

    /// Makes the calls of the rings through this table instead of the kernel's: see [`annulus::Builder::system_calls`].
    /// Default: the system calls of their names.
    ///
    /// # Safety
    ///
    /// The functions do what the system calls of their names do, on whichever thread.
    #[must_use]
    pub const unsafe fn system_calls(mut self, calls: SystemCalls) -> Self {
        self.system_calls = Some(calls);
        self
    }

    /// What executes the operations: the kernel, the engine in this process, or the first of the two that this machine
    /// has to give. Default: [`Auto`](BackendChoice::Auto), for which the variable `ANNULUS_BACKEND` decides if it is set
    /// (see [`annulus::Builder::backend`]).
    #[must_use]
    pub const fn backend(mut self, choice: BackendChoice) -> Self {
        self.backend = choice;
        self
    }

    /// Puts something of the caller's around each ring before it is used: a back end that counts, delays, or fails on
    /// purpose ([`IoUring::from_backend`]). What it gives must be a ring of the same entries on which nothing is under
    /// way. Default: the ring as it is.
    #[must_use]
    pub const fn around_rings(mut self, around: fn(IoUring) -> IoUring) -> Self {
        self.around_rings = Some(around);
        self
    }

    /// Measures how long each poll takes, for [`Counters::poll_times`](crate::Counters::poll_times): the clock is read twice
    /// for each. Default `false`.
    #[must_use]
    pub const fn poll_times(mut self, measured: bool) -> Self {
        self.poll_times = measured;
        self
    }

    /// Runs a future to its end on this thread, with everything that it spawns. What it leaves running is
    /// ended when it returns: tasks are dropped, operations cancelled and waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Setup`] if there is no ring to be had (`EPERM`, `ENOSYS`, `ENOMEM`, `EMFILE`, `EINVAL`),
    /// [`Error::Nested`] inside of another run, [`Error::System`] on the kernel alone before Linux 5.9 (`ENOSYS`), if pinning fails (`EINVAL`: no such
    /// CPU), if there are too few descriptors for an eventfd (`EMFILE`, `ENFILE`), or if the ring breaks (`EBADR`: a completion was lost for want of memory).
    ///
    /// # Panics
    ///
    /// With the panic of the future, after everything was ended in order.
    pub fn run<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        let _unpinned = self.cpu.map(crate::shards::pin).transpose()?;
        let pool = self.pool();
        let result = self.context(&pool).and_then(|context| executor::run(&context, self.teardown, future));
        pool.close();
        result
    }

    /// Sets everything up on this thread without running it, so that other threads can be given its
    /// [handle](crate::shard::Runtime::handle) before.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn build(&self) -> Result<Runtime, Error> {
        Runtime::new(self)
    }

    /// The pool for blocking work of one run.
    pub(crate) fn pool(&self) -> std::sync::Arc<Pool> {
        Pool::new(self.blocking_threads, self.blocking_queue)
    }

    /// An executor for this thread.
    pub(crate) fn context(&self, pool: &std::sync::Arc<Pool>) -> Result<std::rc::Rc<Context>, Error> {
        Context::new(self, pool.clone())
    }

    pub(crate) const fn deadline(&self) -> Duration {
        self.teardown
    }

    pub(crate) fn ring(&self) -> Result<IoUring, Error> {
        let mut ring = self.ring_on(self.backend)?;
        // What newer kernels have and this one has not is done beside it; but not everything.
        if !ring.params().is_feature_poll_32bits() {
            ring = self.instead_of_old_kernel()?;
        }
        Ok(match self.around_rings {
            Some(around) => around(ring),
            None => ring,
        })
    }

    /// A ring for a machine whose kernel has rings that the runtime cannot use.
    fn instead_of_old_kernel(&self) -> Result<IoUring, Error> {
        static SAID: Once = Once::new();
        let is_open = self.backend == BackendChoice::Auto
            && matches!(environment::backend_choice(), Ok(BackendChoice::Auto));
        match self.ring_on(BackendChoice::Engine) {
            Ok(ring) if is_open => {
                SAID.call_once(|| tracing::info!("rings run on the engine: Linux here is older than 5.9"));
                Ok(ring)
            }
            _ => {
                let doing = "using rings that are older than Linux 5.9";
                Err(Error::System { doing, errno: rustix::io::Errno::NOSYS })
            }
        }
    }

    fn ring_on(&self, backend: BackendChoice) -> Result<IoUring, Error> {
        let flags = if self.sqpoll.is_some() { self.flags.difference(WITHOUT_SQPOLL) } else { self.flags };
        let ring = self.ring_with(flags, backend)?;
        let in_force = ring.params().setup_flags();
        if ring.chosen().kind() == BackendKind::Engine && in_force.contains(SetupFlags::TASKRUN_FLAG) {
            // There it costs a second thread in the process, which watches on behalf of a program that may not enter. The
            // driver enters in every turn.
            drop(ring);
            return self.ring_with(flags.difference(SetupFlags::TASKRUN_FLAG), backend);
        }
        Ok(ring)
    }

    fn ring_with(&self, flags: SetupFlags, backend: BackendChoice) -> Result<IoUring, Error> {
        let cq_entries = self.cq_entries.unwrap_or_else(|| self.entries.saturating_mul(4));
        let mut builder = IoUring::builder();
        builder.backend(backend).optional(flags).setup_cqsize(cq_entries).setup_clamp().dontfork();
        if let Some(idle) = self.sqpoll {
            builder.setup_sqpoll(idle);
        }
        if let (Some(_), Some(cpu)) = (self.sqpoll, self.sqpoll_cpu) {
            builder.setup_sqpoll_cpu(cpu);
        }
        if let (Some(calls), true) = (self.system_calls, backend != BackendChoice::Engine) {
            // SAFETY: `system_calls` passes on what its caller promised.
            unsafe { builder.system_calls(calls) };
        }
        builder.try_build(self.entries).map_err(Error::Setup)
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}
