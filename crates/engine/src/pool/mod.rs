//! The pool: threads for what blocks, with the rules of the kernel's io-wq.
//!
//! Jobs of two kinds ([`Lane`]) have workers and limits of their own. A worker starts when a job waits and none is
//! idle, up to the limit: whether a worker blocks or computes cannot be seen from here, so it makes no difference.
//! It takes the next job when it ends one, rests when there is none, and ends after [`IDLE`], the last one too: a
//! pool that has nothing to do has no threads and uses no processor time. Jobs of one hash (buffered writes to one
//! file) run one after the other and hold up no others.
//!
//! A cancel takes a job out that waits; one that runs is interrupted, in its system call, until it ends
//! ([`interrupt`]). What waits is not bounded here: every job belongs to a request, and requests are bounded where
//! they are made.
//!
//! The handles of a pool share it (`IORING_SETUP_ATTACH_WQ`). When the last one goes, nobody waits: what is there is
//! still run, and the threads end after it. A ring that has to outlive its jobs waits for them with
//! [`Pool::wait_owner`]. A forked child inherits no threads: in it a pool takes jobs in and never runs them, so a
//! ring of the parent is not to be used there.

mod handover;
mod interrupt;
mod keeper;
mod queue;
mod sync;
mod worker;

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use rustix::thread::CpuSet;

use handover::{Cancelled, Handover};
use keeper::Keeper;
use queue::Task;
use worker::Shared;

pub(crate) use interrupt::{Interrupt, SignalMask, interrupt, let_interrupts_in};
pub(crate) use queue::{Counts, Lane, Ticket};

/// How long a worker without a job stays, as io-wq's do.
pub(crate) const IDLE: Duration = Duration::from_secs(5);

/// How many bounded workers there may be for each processor, as in io-wq.
const BOUNDED_PER_CPU: usize = 4;

/// How many unbounded workers there may be unless [`Pool::max_workers`] says otherwise. io-wq has `RLIMIT_NPROC`
/// here, which is tens of thousands: a program whose requests all wait would have a thread for each. It may ask
/// for that.
const UNBOUNDED: usize = 256;

/// Work for a thread of the pool.
pub(crate) struct Job {
    /// Which kind of worker runs it.
    pub(crate) lane: Lane,
    /// Whose job it is: the ring's number, for [`Pool::wait_owner`].
    pub(crate) owner: u64,
    /// Jobs of a lane with the same hash run one after the other, in the order in which they came: buffered
    /// writes to one file, by its device and inode.
    pub(crate) hash: Option<(u64, u64)>,
    /// The work. System calls in it may end with `EINTR` once the interrupt is requested, all of them.
    pub(crate) run: Box<dyn FnOnce(&Interrupt) + Send>,
}

/// What a cancel found.
pub(crate) enum Reached {
    /// It had not begun, and never will.
    Removed(Job),
    /// It runs, and its thread is being interrupted.
    Running,
    /// It has ended.
    Gone,
}

/// A handle on a pool of threads.
#[derive(Clone)]
pub(crate) struct Pool {
    handle: Arc<Handle>,
}

/// What the handles share and the threads do not: when it goes, no handle is left.
struct Handle {
    shared: Arc<Shared>,
}

impl Pool {
    /// A pool without threads, with io-wq's limit for bounded work of a ring of any size.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self::with_limits([BOUNDED_PER_CPU * cpus(), UNBOUNDED], IDLE)
    }

    /// As [`new`](Self::new), with no more bounded workers than the ring has submission entries.
    pub(crate) fn for_ring(sq_entries: u32) -> Self {
        Self::with_limits([bounded_for(sq_entries), UNBOUNDED], IDLE)
    }

    /// As [`for_ring`](Self::for_ring), with workers that have the credentials which the calling thread has now, whoever
    /// leaves jobs for them.
    ///
    /// # Errors
    ///
    /// `EAGAIN` or `ENOMEM`: there is no thread to keep the credentials.
    pub(crate) fn as_caller(sq_entries: u32) -> Result<Self, Errno> {
        let keeper = Keeper::new()?;
        Ok(Self::with_keeper([bounded_for(sq_entries), UNBOUNDED], IDLE, Some(keeper)))
    }

    fn with_limits(limits: [usize; 2], idle: Duration) -> Self {
        Self::with_keeper(limits, idle, None)
    }

    fn with_keeper(limits: [usize; 2], idle: Duration, keeper: Option<Keeper>) -> Self {
        let shared = Arc::new(Shared::new(Handover::new(limits, idle), keeper));
        Self { handle: Arc::new(Handle { shared }) }
    }

    /// Leaves a job for the next worker that is free, and starts one if none is and there may be one more.
    ///
    /// # Errors
    ///
    /// `EAGAIN` (or what else pthread_create(3) says): no worker of this lane runs and none can be started. The
    /// job is dropped.
    pub(crate) fn spawn(&self, job: Job) -> Result<Ticket, Errno> {
        let Job { lane, owner, hash, run } = job;
        let shared = &self.handle.shared;
        shared.handover.push(Task { lane, owner, hash, run }, &|worker| worker::start(shared, worker))
    }

    /// Takes a job out that has not begun, or interrupts it. An interrupt stays until the job ends.
    pub(crate) fn cancel(&self, ticket: Ticket) -> Reached {
        match self.handle.shared.handover.cancel(ticket, interrupt::Target::reach) {
            Cancelled::Removed(Task { lane, owner, hash, run }) => {
                Reached::Removed(Job { lane, owner, hash, run })
            }
            Cancelled::Reached => Reached::Running,
            Cancelled::Gone => Reached::Gone,
        }
    }

    /// Sets how many workers of each kind there may be, `[bounded, unbounded]`, and returns how many there might be
    /// before (`IORING_REGISTER_IOWQ_MAX_WORKERS`). 0 leaves a limit as it is. No limit is above `RLIMIT_NPROC`.
    pub(crate) fn max_workers(&self, new: [u32; 2]) -> [u32; 2] {
        let most = getrlimit(Resource::Nproc)
            .current
            .map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX).max(1));
        let shared = &self.handle.shared;
        let new = new.map(|limit| to_usize(limit).min(most));
        let before = shared.handover.set_limits(new, &|worker| worker::start(shared, worker));
        before.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX))
    }

    /// Sets on which processors workers run, those too that run already (`IORING_REGISTER_IOWQ_AFF`). `None`: where the
    /// process's first thread may, wherever the thread is pinned that submits.
    ///
    /// # Errors
    ///
    /// `EINVAL`: a processor is named that the process may not use.
    pub(crate) fn set_affinity(&self, cpus: Option<CpuSet>) -> Result<(), Errno> {
        self.handle.shared.set_affinity(cpus)
    }

    /// Waits until no job of this owner waits or runs any more, at most for `timeout`. Says whether that is so. Not from
    /// a job of that owner, which would wait for itself.
    pub(crate) fn wait_owner(&self, owner: u64, timeout: Duration) -> bool {
        self.handle.shared.handover.wait_owner(owner, timeout)
    }

    /// How many threads and jobs there are at this moment.
    pub(crate) fn counts(&self) -> Counts {
        self.handle.shared.handover.counts()
    }
}

impl Debug for Pool {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Debug for Job {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { lane, owner, hash, .. } = self;
        f.debug_struct("Job")
            .field("lane", lane)
            .field("owner", owner)
            .field("hash", hash)
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.handover.close();
    }
}

fn bounded_for(sq_entries: u32) -> usize {
    (BOUNDED_PER_CPU * cpus()).min(to_usize(sq_entries))
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod loom_tests;
#[cfg(test)]
mod tests;
