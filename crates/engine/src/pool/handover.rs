//! The hand-over: how a job gets from the one who leaves it to the one who runs it.
//!
//! One lock, over [`State`]; one condition variable for each worker, so that a job wakes at most one; one more for
//! those who wait for an owner's last job. A worker that ends a job takes the next one in the same turn of the
//! lock, and sleeps only if there is none. It does not spin: it would take the core from whoever leaves jobs.
//!
//! What a worker is made of and how its thread starts is its caller's, as is what a job does. Threads are started
//! with the lock held: whoever leaves a job knows then whether somebody will come, and no job is left behind
//! by a thread that could not be started. Written over [`sync`], and checked with loom.

use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::queue::{Counts, Found, Lane, State, Summon, Task, Ticket};
use super::sync::{self, Condvar, Mutex, MutexGuard};

pub(super) struct Handover<J, W> {
    state: Mutex<State<J, Post<W>>>,
    /// Notified when an owner's last job has ended.
    settled: Condvar,
    /// How long a worker without a job stays.
    idle: Duration,
}

/// A worker as the hand-over knows it.
struct Post<W> {
    woken: Arc<Condvar>,
    data: W,
}

/// What a cancel did.
pub(super) enum Cancelled<J> {
    /// The job waited. It will not run.
    Removed(Task<J>),
    /// The job runs, and was reached.
    Reached,
    /// The job has ended.
    Gone,
}

impl<J, W: Default> Handover<J, W> {
    pub(super) fn new(limits: [usize; 2], idle: Duration) -> Self {
        Self { state: Mutex::new(State::new(limits)), settled: Condvar::new(), idle }
    }

    /// Leaves a job, and sees to it that somebody comes for it. `start` starts the thread of the worker
    /// with the given number, which calls [`arrive`](Self::arrive) first.
    ///
    /// # Errors
    ///
    /// That of `start`, if the lane has no worker at all.
    pub(super) fn push(
        &self,
        task: Task<J>,
        start: &impl Fn(usize) -> Result<(), Errno>,
    ) -> Result<Ticket, Errno> {
        let mut state = sync::lock(&self.state);
        let lane = task.lane;
        let ticket = state.add(task);
        match summon(&mut state, lane, start) {
            Err(errno) if state.workers_in(lane) == 0 => {
                let refused = state.remove(ticket);
                self.settled.notify_all();
                drop(state);
                // Its destructor may do anything, so it runs without the lock.
                drop(refused);
                Err(errno)
            }
            // Those who are there come to it.
            Err(_) | Ok(None) => Ok(ticket),
            Ok(Some(woken)) => {
                drop(state);
                woken.notify_one();
                Ok(ticket)
            }
        }
    }

    /// The first thing that a new thread does. `settle_in` sees its worker with the lock held.
    pub(super) fn arrive<R>(&self, worker: usize, settle_in: impl FnOnce(&mut W) -> R) -> R {
        let mut state = sync::lock(&self.state);
        settle_in(&mut state.worker_mut(worker).data)
    }

    /// The next job of a worker that has just come. `None`: its thread is to end, and has been counted out.
    pub(super) fn first(&self, worker: usize, start: &impl Fn(usize) -> Result<(), Errno>) -> Option<J> {
        let mut state = sync::lock(&self.state);
        state.arrive(worker);
        self.next(state, worker, start)
    }

    /// Ends the worker's job and takes its next one. `end` sees the worker with the lock held, while the job still
    /// counts as running: from then on no cancel reaches it any more.
    pub(super) fn after(
        &self,
        worker: usize,
        start: &impl Fn(usize) -> Result<(), Errno>,
        end: impl FnOnce(&mut W),
    ) -> Option<J> {
        let mut state = sync::lock(&self.state);
        end(&mut state.worker_mut(worker).data);
        if state.finish(worker).is_some() {
            self.settled.notify_all();
        }
        self.next(state, worker, start)
    }

    fn next<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<J, Post<W>>>,
        worker: usize,
        start: &impl Fn(usize) -> Result<(), Errno>,
    ) -> Option<J> {
        let lane = state.lane_of(worker);
        let mut has_rested = false;
        while !state.is_too_many(lane) {
            if let Some((_, job)) = state.take(worker) {
                // What is still ready needs somebody else: this job may block for long.
                let woken = summon(&mut state, lane, start);
                drop(state);
                if let Ok(Some(woken)) = woken {
                    woken.notify_one();
                }
                return Some(job);
            }
            if state.closed || has_rested {
                break;
            }
            (state, has_rested) = self.rest(state, worker);
        }
        state.leave(worker);
        // It may have been woken for a job that it has not taken.
        if let Ok(Some(woken)) = summon(&mut state, lane, start) {
            woken.notify_one();
        }
        None
    }

    /// Waits until somebody wakes the worker. True if nobody did for as long as a worker may be idle.
    fn rest<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<J, Post<W>>>,
        worker: usize,
    ) -> (MutexGuard<'a, State<J, Post<W>>>, bool) {
        let woken = state.worker(worker).woken.clone();
        state.park(worker);
        loop {
            let is_over;
            (state, is_over) = sync::wait(&self.state, state, &woken, self.idle);
            if !state.is_parked(worker) {
                state.arrive(worker);
                return (state, false);
            }
            if is_over {
                state.unpark(worker);
                return (state, true);
            }
        }
    }

    /// Takes a job out that waits. If it runs, `reach` sees its worker with the lock held: the job does not end
    /// before `reach` does.
    pub(super) fn cancel(&self, ticket: Ticket, reach: impl FnOnce(&mut W)) -> Cancelled<J> {
        let mut state = sync::lock(&self.state);
        match state.remove(ticket) {
            Found::Waiting(task) => {
                if !state.has_jobs_of(task.owner) {
                    self.settled.notify_all();
                }
                Cancelled::Removed(task)
            }
            Found::Running(worker) => {
                reach(&mut state.worker_mut(worker).data);
                Cancelled::Reached
            }
            Found::Nothing => Cancelled::Gone,
        }
    }

    /// Waits until no job of this owner waits or runs, at most for `timeout`. Says whether that is so.
    pub(super) fn wait_owner(&self, owner: u64, timeout: Duration) -> bool {
        let state = sync::lock(&self.state);
        let state = sync::wait_while(state, &self.settled, timeout, |state| state.has_jobs_of(owner));
        !state.has_jobs_of(owner)
    }

    /// Sets the limits that are not 0, and returns those before. Workers that are too many end when they have no
    /// job.
    pub(super) fn set_limits(
        &self,
        new: [usize; 2],
        start: &impl Fn(usize) -> Result<(), Errno>,
    ) -> [usize; 2] {
        let mut state = sync::lock(&self.state);
        let before = state.set_limits(new);
        for lane in Lane::ALL {
            dismiss(&mut state, lane);
            if let Ok(Some(woken)) = summon(&mut state, lane, start) {
                woken.notify_one();
            }
        }
        before
    }

    /// Nobody will leave jobs any more: what is there is run, and workers end instead of resting.
    pub(super) fn close(&self) {
        let mut state = sync::lock(&self.state);
        state.closed = true;
        for lane in Lane::ALL {
            dismiss(&mut state, lane);
        }
    }

    /// Runs `act` on what is known of all workers, with the lock held.
    pub(super) fn with_workers<R>(&self, act: impl FnOnce(&mut dyn Iterator<Item = &W>) -> R) -> R {
        let state = sync::lock(&self.state);
        act(&mut state.all_workers().map(|post| &post.data))
    }

    pub(super) fn counts(&self) -> Counts {
        sync::lock(&self.state).counts()
    }
}

/// Finds a worker for a ready job. Whoever is to be notified is returned, so that it can be done without the lock.
fn summon<J, W: Default>(
    state: &mut State<J, Post<W>>,
    lane: Lane,
    start: &impl Fn(usize) -> Result<(), Errno>,
) -> Result<Option<Arc<Condvar>>, Errno> {
    match state.summon(lane) {
        Summon::Nobody => Ok(None),
        Summon::Wake(worker) => Ok(Some(state.worker(worker).woken.clone())),
        Summon::Start => {
            let worker = state.enlist(lane, Post { woken: Arc::new(Condvar::new()), data: W::default() });
            start(worker).inspect_err(|_| state.leave(worker))?;
            Ok(None)
        }
    }
}

/// Wakes those who rest and are not wanted any more.
fn dismiss<J, W>(state: &mut State<J, Post<W>>, lane: Lane) {
    while let Some(worker) = state.dismiss(lane) {
        state.worker(worker).woken.notify_one();
    }
}
