//! The threads as the system shows them: names, signals, processors.

use std::fs;
use std::sync::mpsc;

use rustix::io::Errno;
use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity};

use super::super::{Lane, Pool, interrupt, worker};
use super::{Gate, LONG, SOMEBODY, eventually, job, pool};

/// What `look` sees on a thread of the pool.
fn on_worker<T: Send + 'static>(pool: &Pool, look: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    pool.spawn(job(Lane::Bounded, move |_| tell.send(look()).unwrap())).unwrap();
    told.recv_timeout(LONG).unwrap()
}

/// A line of proc(5)'s status of a thread of this process.
fn status_line(thread: Pid, name: &str) -> String {
    let path = format!("/proc/self/task/{}/status", thread.as_raw_nonzero());
    let status = fs::read_to_string(path).unwrap();
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
}

fn cpus_of(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
}

#[test]
fn workers_have_their_name() {
    let comm = on_worker(&pool([1, 1]), || fs::read_to_string("/proc/thread-self/comm").unwrap());
    assert_eq!(comm, "annulus-wrk\n");
}

#[test]
fn workers_handle_no_signal_of_the_program() {
    let pool = pool([1, 1]);
    let thread = on_worker(&pool, gettid);
    let chosen = interrupt::signal().unwrap();
    let let_in = || {
        let blocked = u64::from_str_radix(&status_line(thread, "SigBlk:"), 16).unwrap();
        let faults = [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV];
        let is_blockable = |signal: &i32| {
            !faults.contains(signal) && ![libc::SIGKILL, libc::SIGSTOP, libc::SIGSYS, 32, 33].contains(signal)
        };
        let is_let_in = |signal: &i32| blocked & (1 << (signal - 1)) == 0;
        (1..=chosen).filter(is_blockable).filter(is_let_in).collect::<Vec<_>>()
    };
    // Under valgrind a thread has its own mask only while it waits.
    eventually("the interrupt alone is let in", || let_in() == [chosen]);
}

#[test]
fn affinity_moves_workers_that_run_and_those_that_start_later() {
    let pool = pool([1, 1]);
    let allowed = worker::allowed_cpus().unwrap();
    let last = *cpus_of(&allowed).last().unwrap();
    let mut one = CpuSet::new();
    one.set(last);

    let (gate, passes) = (Gate::default(), Gate::default());
    let (inside, waits) = (gate.clone(), passes.clone());
    let (tell, told) = mpsc::channel();
    pool.spawn(job(Lane::Unbounded, move |_| {
        tell.send(gettid()).unwrap();
        inside.open();
        waits.pass();
    }))
    .unwrap();
    gate.pass();
    let runs = told.recv().unwrap();
    pool.set_affinity(Some(one)).unwrap();
    assert_eq!(status_line(runs, "Cpus_allowed_list:"), last.to_string());

    let starts = on_worker(&pool, gettid);
    assert_eq!(status_line(starts, "Cpus_allowed_list:"), last.to_string());

    pool.set_affinity(None).unwrap();
    let home = sched_getaffinity(Some(rustix::process::getpid())).unwrap();
    for thread in [runs, starts] {
        assert_eq!(cpus_of(&sched_getaffinity(Some(thread)).unwrap()), cpus_of(&home));
    }
    passes.open();
    assert!(pool.wait_owner(SOMEBODY, LONG));
}

#[test]
fn a_processor_that_is_not_there_is_refused() {
    let pool = pool([1, 1]);
    let mut set = worker::allowed_cpus().unwrap();
    let missing = (0..CpuSet::MAX_CPU).find(|&cpu| !set.is_set(cpu)).unwrap();
    pool.set_affinity(Some(set)).unwrap();
    set.set(missing);
    assert_eq!(pool.set_affinity(Some(set)), Err(Errno::INVAL));
}

#[test]
fn a_worker_is_not_pinned_where_the_submitting_thread_is() {
    let home = cpus_of(&sched_getaffinity(Some(rustix::process::getpid())).unwrap());
    let seen = std::thread::scope(|scope| {
        let submitter = scope.spawn(|| {
            let mut one = CpuSet::new();
            one.set(*cpus_of(&worker::allowed_cpus().unwrap()).first().unwrap());
            rustix::thread::sched_setaffinity(None, &one).unwrap();
            let pool = pool([1, 1]);
            let seen = on_worker(&pool, || sched_getaffinity(None).unwrap());
            eventually("the worker rests", || pool.counts().idle == [1, 0]);
            seen
        });
        submitter.join().unwrap()
    });
    assert_eq!(cpus_of(&seen), home);
}
