//! The pool with real threads: limits, order, owners, its own end. Cancels and the threads themselves have files
//! of their own.
//!
//! Nothing here sleeps to be in time: a job waits at a [`Gate`] that the test opens, and the test waits until
//! what it expects is so ([`eventually`]), for as long as a loaded machine may need.

mod cancels;
mod threads;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use super::handover::Handover;
use super::interrupt::Target;
use super::queue::Task;
use super::worker::Run;
use super::{Counts, Interrupt, Job, Lane, Pool};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

/// The owner of jobs whose owner does not matter.
const SOMEBODY: u64 = 1;

/// A pool with these limits, whose workers stay for as long as a test may take.
fn pool(limits: [usize; 2]) -> Pool {
    Pool::with_limits(limits, LONG)
}

fn job(lane: Lane, run: impl FnOnce(&Interrupt) + Send + 'static) -> Job {
    Job { lane, owner: SOMEBODY, hash: None, run: Box::new(run) }
}

/// Where jobs wait until the test lets them go on. A lock and a condition variable take no notice of signals.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        let (open, _) = self.0.1.wait_timeout_while(open, LONG, |open| !*open).unwrap();
        assert!(*open, "the test has not opened the gate");
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("it did not come about that {what}");
}

#[test]
fn ten_thousand_jobs_that_wait_have_no_more_threads_than_the_limit() {
    let pool = pool([3, 8]);
    let (gate, ran) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for number in 0..10_000 {
        let (gate, ran, inside, most) = (gate.clone(), ran.clone(), inside.clone(), most.clone());
        let lane = if number % 2 == 0 { Lane::Bounded } else { Lane::Unbounded };
        pool.spawn(job(lane, move |_| {
            most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
            gate.pass();
            inside.fetch_sub(1, SeqCst);
            ran.fetch_add(1, SeqCst);
        }))
        .unwrap();
    }
    eventually("all threads have a job", || inside.load(SeqCst) == 11);
    assert_eq!(pool.counts(), Counts { workers: [3, 8], idle: [0, 0], waiting: 9_989, running: 11 });
    gate.open();
    assert!(pool.wait_owner(SOMEBODY, LONG));
    assert_eq!(ran.load(SeqCst), 10_000);
    assert_eq!(most.load(SeqCst), 11);
}

#[test]
fn jobs_of_one_hash_run_in_order_and_hold_up_no_others() {
    let pool = pool([4, 1]);
    let (gate, others_ran) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    let (order, inside) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    for number in 0..100 {
        let (gate, order, inside) = (gate.clone(), order.clone(), inside.clone());
        let write = move |_: &Interrupt| {
            assert_eq!(inside.fetch_add(1, SeqCst), 0, "two writes to one file at once");
            if number == 0 {
                gate.pass();
            }
            order.lock().unwrap().push(number);
            inside.fetch_sub(1, SeqCst);
        };
        let hash = Some((8, 4711));
        pool.spawn(Job { lane: Lane::Bounded, owner: SOMEBODY, hash, run: Box::new(write) }).unwrap();
        let others_ran = others_ran.clone();
        let other = move |_: &Interrupt| {
            others_ran.fetch_add(1, SeqCst);
        };
        let hash = (number % 2 == 0).then_some((8, 4712));
        pool.spawn(Job { lane: Lane::Bounded, owner: SOMEBODY, hash, run: Box::new(other) }).unwrap();
    }
    eventually("the others have run", || others_ran.load(SeqCst) == 100);
    eventually("one runs and its like wait", || {
        let Counts { running, waiting, .. } = pool.counts();
        (running, waiting) == (1, 99)
    });
    assert_eq!(*order.lock().unwrap(), []);
    gate.open();
    assert!(pool.wait_owner(SOMEBODY, LONG));
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn jobs_of_one_worker_run_in_the_order_in_which_they_came() {
    let pool = pool([1, 1]);
    let order = Arc::new(Mutex::new(Vec::new()));
    // A hashed job that has to wait for its turn does not lose its place to those that came later.
    let gate = Gate::default();
    for (number, hash) in [(0, Some((1, 1))), (1, Some((1, 1))), (2, None), (3, Some((1, 1))), (4, None)] {
        let (gate, order) = (gate.clone(), order.clone());
        let run = move |_: &Interrupt| {
            gate.pass();
            order.lock().unwrap().push(number);
        };
        pool.spawn(Job { lane: Lane::Bounded, owner: SOMEBODY, hash, run: Box::new(run) }).unwrap();
    }
    gate.open();
    assert!(pool.wait_owner(SOMEBODY, LONG));
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn an_owner_waits_for_its_own_jobs_alone() {
    let pool = pool([2, 1]);
    let (gate, own_gate) = (Gate::default(), Gate::default());
    for (owner, gate) in [(1, &gate), (2, &own_gate), (2, &own_gate), (2, &own_gate)] {
        let gate = gate.clone();
        let run = Box::new(move |_: &Interrupt| gate.pass());
        pool.spawn(Job { lane: Lane::Bounded, owner, hash: None, run }).unwrap();
    }
    assert!(!pool.wait_owner(2, Duration::from_millis(5)), "jobs at a gate that is shut have ended");
    own_gate.open();
    assert!(pool.wait_owner(2, LONG));
    assert!(!pool.wait_owner(1, Duration::ZERO));
    assert!(pool.wait_owner(3, Duration::ZERO), "an owner without jobs waits for some");
    gate.open();
    assert!(pool.wait_owner(1, LONG));
}

#[test]
fn limits_are_returned_and_those_of_zero_stay() {
    let pool = pool([2, 5]);
    assert_eq!(pool.max_workers([0, 0]), [2, 5]);
    assert_eq!(pool.max_workers([7, 0]), [2, 5]);
    assert_eq!(pool.max_workers([0, 9]), [7, 5]);
    assert_eq!(pool.max_workers([0, 0]), [7, 9]);
}

#[test]
fn the_limits_of_a_new_pool_are_those_of_io_wq() {
    let cpus = u32::try_from(thread::available_parallelism().unwrap().get()).unwrap();
    assert_eq!(Pool::new().max_workers([0, 0]), [4 * cpus, 256]);
    assert_eq!(Pool::for_ring(1).max_workers([0, 0]), [1, 256]);
    assert_eq!(Pool::for_ring(32_768).max_workers([0, 0]), [4 * cpus, 256]);
}

#[test]
fn a_higher_limit_starts_workers_for_what_waits_and_a_lower_one_ends_them() {
    let pool = pool([1, 1]);
    let (gate, inside) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..10 {
        let (gate, inside) = (gate.clone(), inside.clone());
        pool.spawn(job(Lane::Bounded, move |_| {
            inside.fetch_add(1, SeqCst);
            gate.pass();
        }))
        .unwrap();
    }
    eventually("one runs", || inside.load(SeqCst) == 1);
    pool.max_workers([6, 0]);
    eventually("six run", || inside.load(SeqCst) == 6);
    assert_eq!(pool.counts().workers, [6, 0]);
    // Those that run cannot be ended; they go when they are done, and two idle ones that are left are enough.
    pool.max_workers([2, 0]);
    gate.open();
    assert!(pool.wait_owner(SOMEBODY, LONG));
    eventually("two are left", || pool.counts().workers == [2, 0] && pool.counts().idle == [2, 0]);
    pool.max_workers([1, 0]);
    eventually("an idle one ends", || pool.counts().workers == [1, 0]);
}

#[test]
fn idle_workers_end_and_the_last_one_too() {
    let pool = Pool::with_limits([4, 4], Duration::from_millis(2));
    for round in 0..3 {
        let (gate, inside) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        for lane in [Lane::Bounded, Lane::Bounded, Lane::Unbounded] {
            let (gate, inside) = (gate.clone(), inside.clone());
            pool.spawn(job(lane, move |_| {
                inside.fetch_add(1, SeqCst);
                gate.pass();
            }))
            .unwrap();
        }
        eventually("all run", || inside.load(SeqCst) == 3);
        assert_eq!(pool.counts().workers, [2, 1], "round {round}");
        gate.open();
        eventually("there is no thread any more", || pool.counts() == Counts::default());
    }
}

#[test]
fn a_job_that_panics_costs_no_worker_and_no_count() {
    /// What a panic carries may panic itself when it is dropped.
    struct Vicious;
    impl Drop for Vicious {
        fn drop(&mut self) {
            panic!("dropped: expected by this test");
        }
    }
    let pool = pool([1, 1]);
    let ran = Arc::new(AtomicUsize::new(0));
    pool.spawn(job(Lane::Bounded, |_| panic!("a job: expected by this test"))).unwrap();
    pool.spawn(job(Lane::Bounded, |_| std::panic::panic_any(Vicious))).unwrap();
    let hash = Some((3, 3));
    let run: Run = Box::new(|_| panic!("a hashed job: expected by this test"));
    pool.spawn(Job { lane: Lane::Bounded, owner: 9, hash, run }).unwrap();
    let counted = ran.clone();
    let run = Box::new(move |_: &Interrupt| {
        counted.fetch_add(1, SeqCst);
    });
    pool.spawn(Job { lane: Lane::Bounded, owner: 9, hash, run }).unwrap();
    assert!(pool.wait_owner(SOMEBODY, LONG));
    assert!(pool.wait_owner(9, LONG));
    assert_eq!(ran.load(SeqCst), 1);
    eventually("the worker rests", || {
        pool.counts() == Counts { workers: [1, 0], idle: [1, 0], waiting: 0, running: 0 }
    });
}

#[test]
fn a_pool_whose_handles_are_gone_runs_what_is_there_and_ends() {
    let pool = pool([1, 2]);
    let shared = Arc::downgrade(&pool.handle.shared);
    let (gate, ran) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..5 {
        let (gate, ran) = (gate.clone(), ran.clone());
        pool.spawn(job(Lane::Bounded, move |_| {
            gate.pass();
            ran.fetch_add(1, SeqCst);
        }))
        .unwrap();
    }
    pool.spawn(job(Lane::Unbounded, |_| ())).unwrap();
    eventually("one rests", || pool.counts().idle == [0, 1]);
    let second = pool.clone();
    drop(pool);
    assert_eq!(second.counts().workers, [1, 1], "a worker ended although there is a handle");
    drop(second);
    gate.open();
    eventually("threads and pool are gone", || shared.upgrade().is_none());
    assert_eq!(ran.load(SeqCst), 5);
}

#[test]
fn a_job_that_no_thread_can_be_started_for_is_refused_and_dropped() {
    let handover = Handover::<Run, Target>::new([2, 2], LONG);
    let held = Arc::new(());
    let guard = held.clone();
    let task = |run: Run| Task { lane: Lane::Bounded, owner: SOMEBODY, hash: Some((1, 1)), run };
    let refused = handover.push(task(Box::new(move |_| drop(guard))), &|_| Err(Errno::AGAIN));
    assert_eq!(refused, Err(Errno::AGAIN));
    assert_eq!(Arc::strong_count(&held), 1, "the job that was refused is kept");
    assert_eq!(handover.counts(), Counts::default());
    assert!(handover.wait_owner(SOMEBODY, Duration::ZERO));
    // The hash is free again, and with a worker there a second one that cannot start is no failure.
    assert!(handover.push(task(Box::new(|_| ())), &|_| Ok(())).is_ok());
    let other =
        Task { lane: Lane::Bounded, owner: SOMEBODY, hash: None, run: Box::new(|_: &Interrupt| ()) as Run };
    assert!(handover.first(0, &|_| Err(Errno::AGAIN)).is_some());
    assert!(handover.push(other, &|_| Err(Errno::AGAIN)).is_ok());
    assert_eq!(handover.counts(), Counts { workers: [1, 0], idle: [0, 0], waiting: 1, running: 1 });
    assert!(handover.after(0, &|_| Err(Errno::AGAIN), Target::end).is_some());
}
