//! Cancels: of jobs that wait, of jobs in every kind of system call that can wait for ever, and what they must not
//! reach.

use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::io::Errno;
use rustix::pipe::pipe;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::thread::futex;

use super::super::{Counts, Interrupt, Job, Lane, Reached};
use super::{Gate, LONG, SOMEBODY, eventually, job, pool};

/// Runs a system call that waits for ever, cancels it, and returns what it said.
fn interrupted<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Errno> + Send + 'static,
) -> Result<T, Errno> {
    let pool = pool([1, 1]);
    let (tell, told) = mpsc::channel();
    let (began, has_begun) = mpsc::channel();
    let ticket = pool
        .spawn(job(Lane::Unbounded, move |interrupt| {
            began.send(()).unwrap();
            let outcome = call();
            tell.send((outcome, interrupt.requested())).unwrap();
        }))
        .unwrap();
    has_begun.recv().unwrap();
    assert!(matches!(pool.cancel(ticket), Reached::Running));
    let (outcome, is_requested) = told.recv_timeout(LONG).expect("the call was not interrupted");
    assert!(is_requested);
    assert!(pool.wait_owner(SOMEBODY, LONG));
    assert!(matches!(pool.cancel(ticket), Reached::Gone));
    outcome
}

#[test]
fn a_read_of_an_empty_pipe_is_interrupted() {
    let (reads, _writes) = pipe().unwrap();
    assert_eq!(interrupted(move || rustix::io::read(&reads, &mut [0; 1])), Err(Errno::INTR));
}

#[test]
fn a_futex_wait_is_interrupted() {
    let word = AtomicU32::new(0);
    let wait = move || futex::wait(&word, futex::Flags::PRIVATE, 0, None);
    assert_eq!(interrupted(wait), Err(Errno::INTR));
}

#[test]
fn a_wait_for_a_child_is_interrupted() {
    /// A child that ends with its test, however that ends.
    struct Ended(Child);
    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let child = Ended(Command::new("sleep").arg("1000").spawn().unwrap());
    let id = Pid::from_child(&child.0);
    let wait = move || waitid(WaitId::Pid(id), WaitIdOptions::EXITED).map(|_| ());
    assert_eq!(interrupted(wait), Err(Errno::INTR));
}

#[test]
fn an_open_of_a_fifo_without_a_writer_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let opened = interrupted(move || open(&path, OFlags::RDONLY, Mode::empty()));
    assert_eq!(opened.map(drop), Err(Errno::INTR));
}

#[test]
fn a_call_that_begins_after_the_cancel_is_interrupted_too() {
    let pool = pool([1, 1]);
    let (reads, _writes) = pipe().unwrap();
    let (tell, told) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let ticket = pool
        .spawn(job(Lane::Unbounded, move |interrupt| {
            may_go.recv().unwrap();
            // The job looked before the cancel came, as it were, and calls after it.
            assert!(interrupt.requested());
            tell.send(rustix::io::read(&reads, &mut [0; 1])).unwrap();
        }))
        .unwrap();
    eventually("the job runs", || pool.counts().running == 1);
    assert!(matches!(pool.cancel(ticket), Reached::Running));
    assert!(matches!(pool.cancel(ticket), Reached::Running), "a second cancel found something else");
    go.send(()).unwrap();
    assert_eq!(told.recv_timeout(LONG).expect("the call was not interrupted"), Err(Errno::INTR));
}

#[test]
fn a_job_that_has_not_begun_is_taken_out_and_handed_back() {
    let pool = pool([1, 1]);
    let (gate, ran) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    let waits = gate.clone();
    pool.spawn(job(Lane::Bounded, move |_| waits.pass())).unwrap();
    eventually("the first job runs", || pool.counts().running == 1);
    let count = |ran: &Arc<AtomicUsize>| {
        let ran = ran.clone();
        Box::new(move |_: &Interrupt| {
            ran.fetch_add(1, SeqCst);
        })
    };
    let ticket =
        pool.spawn(Job { lane: Lane::Bounded, owner: 5, hash: Some((1, 2)), run: count(&ran) }).unwrap();
    let behind =
        pool.spawn(Job { lane: Lane::Bounded, owner: 6, hash: Some((1, 2)), run: count(&ran) }).unwrap();
    pool.spawn(Job { lane: Lane::Bounded, owner: 6, hash: Some((1, 2)), run: count(&ran) }).unwrap();
    let Reached::Removed(job) = pool.cancel(ticket) else { panic!("a job that waits was not taken out") };
    assert_eq!((job.lane, job.owner, job.hash), (Lane::Bounded, 5, Some((1, 2))));
    assert!(pool.wait_owner(5, LONG), "a job that was taken out counts");
    assert!(matches!(pool.cancel(ticket), Reached::Gone));
    assert!(matches!(pool.cancel(behind), Reached::Removed(_)));
    assert_eq!(pool.counts(), Counts { workers: [1, 0], idle: [0, 0], waiting: 1, running: 1 });
    gate.open();
    assert!(pool.wait_owner(6, LONG), "those behind the one that was taken out do not run");
    assert_eq!(ran.load(SeqCst), 1);
}

#[test]
fn a_ticket_of_the_past_does_not_reach_the_job_in_its_place() {
    let pool = pool([1, 1]);
    let first = pool.spawn(job(Lane::Bounded, |_| ())).unwrap();
    assert!(pool.wait_owner(SOMEBODY, LONG));
    let (gate, waits) = (Gate::default(), Gate::default());
    let (inside, passes) = (gate.clone(), waits.clone());
    let (tell, told) = mpsc::channel();
    let second = pool
        .spawn(job(Lane::Bounded, move |interrupt| {
            inside.open();
            passes.pass();
            tell.send(interrupt.requested()).unwrap();
        }))
        .unwrap();
    assert_ne!(first, second);
    gate.pass();
    assert!(matches!(pool.cancel(first), Reached::Gone));
    waits.open();
    assert!(!told.recv_timeout(LONG).unwrap());
}

#[test]
fn no_job_sees_an_interrupt_of_the_one_before_it() {
    let pool = pool([1, 1]);
    for _ in 0..200 {
        let (began, has_begun) = mpsc::channel();
        let busy_began = began.clone();
        let busy = pool
            .spawn(job(Lane::Unbounded, move |interrupt| {
                busy_began.send(()).unwrap();
                // Ends at any moment between two signals, and not because of one.
                while !interrupt.requested() {
                    std::hint::spin_loop();
                }
            }))
            .unwrap();
        let (reads, writes) = pipe().unwrap();
        let (tell, told) = mpsc::channel();
        pool.spawn(job(Lane::Unbounded, move |interrupt| {
            began.send(()).unwrap();
            let outcome = rustix::io::read(&reads, &mut [0; 1]);
            tell.send((outcome, interrupt.requested())).unwrap();
        }))
        .unwrap();
        has_begun.recv().unwrap();
        assert!(matches!(pool.cancel(busy), Reached::Running));
        has_begun.recv().unwrap();
        // Signals of the first job would come while the second one reads.
        thread::sleep(Duration::from_millis(2));
        drop(writes);
        assert_eq!(told.recv_timeout(LONG).unwrap(), (Ok(0), false));
    }
}
