//! A worker's thread: how it starts, where it runs, and what it does with a job that panics.
//!
//! Which job it gets and when it ends is the hand-over's to say.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::io::Errno;
use rustix::process::getpid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::handover::Handover;
use super::interrupt::{Interrupt, SignalMask, Target, let_interrupts_in};
use super::keeper::Keeper;

/// The name of the threads, as `ps` and debuggers show it.
pub(super) const NAME: &str = "annulus-wrk";

/// A job's work.
pub(super) type Run = Box<dyn FnOnce(&Interrupt) + Send>;

/// What the workers of one pool share.
pub(super) struct Shared {
    pub(super) handover: Handover<Run, Target>,
    /// Where workers run; `None`: where the process does.
    cpus: Mutex<Option<CpuSet>>,
    /// Who starts them, if it must be somebody in particular.
    keeper: Option<Keeper>,
}

impl Shared {
    pub(super) fn new(handover: Handover<Run, Target>, keeper: Option<Keeper>) -> Self {
        Self { handover, cpus: Mutex::new(None), keeper }
    }

    /// Sets where workers run, those too that run now.
    ///
    /// # Errors
    ///
    /// `EINVAL`: a processor is named that the process may not use.
    pub(super) fn set_affinity(&self, new: Option<CpuSet>) -> Result<(), Errno> {
        if let Some(new) = &new
            && let Some(allowed) = allowed_cpus()
            && (0..CpuSet::MAX_CPU).any(|cpu| new.is_set(cpu) && !allowed.is_set(cpu))
        {
            return Err(Errno::INVAL);
        }
        let mut cpus = self.cpus.lock().unwrap_or_else(PoisonError::into_inner);
        *cpus = new;
        let Some(set) = effective(cpus.as_ref()) else { return Ok(()) };
        // With the lock of `cpus` held: a thread that begins makes itself known first and looks at `cpus` then,
        // so that it is either reached here or finds the new set.
        self.handover.with_workers(|workers| {
            for thread in workers.filter_map(Target::thread) {
                place(Some(thread), &set);
            }
        });
        Ok(())
    }
}

/// Has the thread of a worker started, by the pool's keeper if it has one.
///
/// # Errors
///
/// `EAGAIN` or `ENOMEM`: the system has no thread to give, see pthread_create(3).
pub(super) fn start(shared: &Arc<Shared>, worker: usize) -> Result<(), Errno> {
    match &shared.keeper {
        Some(keeper) => keeper.start(shared, worker),
        None => spawn(shared, worker),
    }
}

/// Starts the thread of a worker.
///
/// # Errors
///
/// Those of [`start`].
pub(super) fn spawn(shared: &Arc<Shared>, worker: usize) -> Result<(), Errno> {
    let shared = shared.clone();
    // Workers inherit the mask: no signal of the program is ever handled on one of them.
    let _mask = SignalMask::block();
    match thread::Builder::new().name(NAME.to_owned()).spawn(move || work(&shared, worker)) {
        Ok(_detached) => Ok(()),
        Err(error) => {
            tracing::warn!(%error, "no thread for blocking work");
            Err(Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))
        }
    }
}

fn work(shared: &Arc<Shared>, worker: usize) {
    let_interrupts_in();
    let interrupt = shared.handover.arrive(worker, Target::settle_in);
    {
        let cpus = shared.cpus.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = effective(cpus.as_ref()) {
            place(None, &set);
        }
    }
    let start_next = |worker| start(shared, worker);
    let mut job = shared.handover.first(worker, &start_next);
    while let Some(run) = job {
        run_whole(run, &interrupt);
        job = shared.handover.after(worker, &start_next, Target::end);
    }
}

/// Runs a job to its end, whatever kind of end that is.
fn run_whole(run: Run, interrupt: &Interrupt) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| run(interrupt))) else { return };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        tracing::error!(
            panic = text.unwrap_or("(no text)"),
            "a job of the pool panicked; its worker goes on"
        );
        drop(payload);
    }));
    if let Err(payload) = outcome {
        // What a panic carried panicked when it was dropped. There is no end to that but to leave the rest.
        std::mem::forget(payload);
    }
}

/// The set that workers are given: the one that was asked for, or else that of the process's first thread. What the
/// submitting thread is pinned to does not count: a runtime with one thread per core would have all its workers
/// on that core.
fn effective(set: Option<&CpuSet>) -> Option<CpuSet> {
    match set {
        Some(set) => Some(*set),
        None => sched_getaffinity(Some(getpid())).ok(),
    }
}

fn place(thread: Option<rustix::thread::Pid>, set: &CpuSet) {
    if let Err(error) = sched_setaffinity(thread, set) {
        // An empty set, or processors that went away: the worker stays where it is, as the kernel's do.
        tracing::debug!(%error, "a worker could not be moved to its processors");
    }
}

/// All processors that this process could be moved to. Only a thread that tries learns it, so one is started.
pub(super) fn allowed_cpus() -> Option<CpuSet> {
    let _mask = SignalMask::block();
    let ask = || {
        let mut every = CpuSet::new();
        (0..CpuSet::MAX_CPU).for_each(|cpu| every.set(cpu));
        sched_setaffinity(None, &every).ok()?;
        sched_getaffinity(None).ok()
    };
    thread::Builder::new().name("annulus-cpus".to_owned()).spawn(ask).ok()?.join().ok()?
}
