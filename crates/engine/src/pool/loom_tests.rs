//! The hand-over under loom: every order in which its threads can meet, for programs of a few jobs.
//!
//! [`handover`] is the file of the pool, compiled a second time over loom's lock and condition variable. A wait
//! that nobody ends is a deadlock, which loom reports: so these tests find lost wake-ups. Time does not pass in
//! them: with an idle time of zero every rest runs out, at any moment; with any other none does.

#[allow(dead_code, clippy::duplicate_mod, reason = "the same text over other primitives is what is tested")]
#[path = "handover.rs"]
mod handover;
use super::queue;

mod sync {
    pub(super) use loom::sync::{Condvar, Mutex, MutexGuard};

    use std::time::Duration;

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }

    pub(super) fn wait<'a, T>(
        mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        condvar: &Condvar,
        timeout: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        if timeout.is_zero() {
            drop(guard);
            loom::thread::yield_now();
            return (lock(mutex), true);
        }
        (condvar.wait(guard).unwrap(), false)
    }

    pub(super) fn wait_while<'a, T>(
        mut guard: MutexGuard<'a, T>,
        condvar: &Condvar,
        _timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = condvar.wait(guard).unwrap();
        }
        guard
    }
}

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use rustix::io::Errno;

use super::queue::{Lane, Task, Ticket};
use handover::{Cancelled, Handover};

const OWNER: u64 = 7;
const FOREVER: Duration = Duration::MAX;

/// A pool of loom's threads whose jobs count themselves.
struct Model {
    handover: Handover<usize, ()>,
    ran: [AtomicUsize; 3],
    inside: AtomicUsize,
    sequence: AtomicUsize,
    /// Open once job 1 has run. Job 2 waits for it.
    gate: (sync::Mutex<bool>, sync::Condvar),
}

impl Model {
    fn new(limit: usize, idle: Duration) -> Arc<Self> {
        Arc::new(Self {
            handover: Handover::new([limit, 1], idle),
            ran: std::array::from_fn(|_| AtomicUsize::new(0)),
            inside: AtomicUsize::new(0),
            sequence: AtomicUsize::new(0),
            gate: (sync::Mutex::new(false), sync::Condvar::new()),
        })
    }

    fn push(self: &Arc<Self>, job: usize, hash: Option<(u64, u64)>) -> Ticket {
        let task = Task { lane: Lane::Bounded, owner: OWNER, hash, run: job };
        self.handover.push(task, &|worker| self.start(worker)).unwrap()
    }

    fn start(self: &Arc<Self>, worker: usize) -> Result<(), Errno> {
        let model = self.clone();
        loom::thread::spawn(move || model.work(worker));
        Ok(())
    }

    fn work(self: &Arc<Self>, worker: usize) {
        let start = |worker| self.start(worker);
        let mut job = self.handover.first(worker, &start);
        while let Some(number) = job {
            match number {
                1 => {
                    *sync::lock(&self.gate.0) = true;
                    self.gate.1.notify_all();
                }
                2 => {
                    let open = sync::lock(&self.gate.0);
                    drop(sync::wait_while(open, &self.gate.1, FOREVER, |open| !*open));
                }
                _ => {}
            }
            self.ran[number].fetch_add(1, SeqCst);
            job = self.handover.after(worker, &start, |()| ());
        }
    }

    fn finish(&self) {
        assert!(self.handover.wait_owner(OWNER, FOREVER), "the owner's jobs did not end");
        self.handover.close();
    }

    fn ran(&self) -> [usize; 3] {
        [0, 1, 2].map(|job| self.ran[job].load(SeqCst))
    }
}

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn every_job_runs_once_when_two_threads_leave_jobs_for_one_worker() {
    check(3, || {
        let model = Model::new(1, FOREVER);
        let other = model.clone();
        let pusher = loom::thread::spawn(move || other.push(1, None));
        model.push(0, None);
        pusher.join().unwrap();
        model.finish();
        assert_eq!(model.ran(), [1, 1, 0]);
    });
}

#[test]
fn every_job_runs_once_when_workers_start_each_other() {
    check(2, || {
        let model = Model::new(2, FOREVER);
        for job in 0..3 {
            model.push(job, None);
        }
        model.finish();
        assert_eq!(model.ran(), [1, 1, 1]);
    });
}

#[test]
fn a_job_that_blocks_does_not_keep_those_behind_it_from_running() {
    for jobs in [&[2, 1][..], &[0, 2, 1]] {
        check(2, move || {
            let model = Model::new(2, FOREVER);
            for &job in jobs {
                model.push(job, None);
            }
            model.finish();
            assert_eq!(model.ran(), [jobs.len() - 2, 1, 1]);
        });
    }
}

#[test]
fn a_cancel_and_a_start_have_exactly_one_winner() {
    check(3, || {
        let model = Model::new(1, FOREVER);
        let ticket = model.push(0, None);
        let removed = match model.handover.cancel(ticket, |()| ()) {
            Cancelled::Removed(task) => {
                assert_eq!(task.run, 0);
                1
            }
            Cancelled::Reached | Cancelled::Gone => 0,
        };
        model.finish();
        assert_eq!(model.ran(), [1 - removed, 0, 0]);
    });
}

#[test]
fn a_job_that_comes_while_the_last_worker_ends_is_run() {
    check(3, || {
        let model = Model::new(1, Duration::ZERO);
        model.push(0, None);
        assert!(model.handover.wait_owner(OWNER, FOREVER));
        model.push(1, None);
        model.finish();
        assert_eq!(model.ran(), [1, 1, 0]);
    });
}

#[test]
fn a_job_is_run_although_the_worker_woken_for_it_is_one_too_many() {
    check(2, || {
        let model = Model::new(2, FOREVER);
        model.push(0, None);
        model.push(1, None);
        let other = model.clone();
        let limiter =
            loom::thread::spawn(move || other.handover.set_limits([1, 0], &|worker| other.start(worker)));
        model.push(2, None);
        assert_eq!(limiter.join().unwrap(), [2, 1]);
        model.finish();
        assert_eq!(model.ran(), [1, 1, 1]);
    });
}

#[test]
fn two_jobs_of_one_hash_never_run_at_once_and_keep_their_order() {
    check(2, || {
        let model = Model::new(2, FOREVER);
        let hashed = Hashed(model.clone());
        hashed.push(0);
        hashed.push(1);
        model.finish();
        assert_eq!(model.ran(), [1, 1, 0]);
    });
}

/// The same, with jobs that look around while they run.
struct Hashed(Arc<Model>);

impl Hashed {
    fn push(&self, job: usize) {
        let task = Task { lane: Lane::Bounded, owner: OWNER, hash: Some((1, 2)), run: job };
        self.0.handover.push(task, &|worker| start_hashed(&self.0, worker)).unwrap();
    }
}

fn start_hashed(model: &Arc<Model>, worker: usize) -> Result<(), Errno> {
    let model = model.clone();
    loom::thread::spawn(move || {
        let start = |worker| start_hashed(&model, worker);
        let mut job = model.handover.first(worker, &start);
        while let Some(number) = job {
            assert_eq!(model.inside.fetch_add(1, SeqCst), 0, "job {number} runs beside another of its hash");
            assert_eq!(model.sequence.fetch_add(1, SeqCst), number, "job {number} came out of its order");
            model.ran[number].fetch_add(1, SeqCst);
            model.inside.fetch_sub(1, SeqCst);
            job = model.handover.after(worker, &start, |()| ());
        }
    });
    Ok(())
}
