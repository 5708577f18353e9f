//! Rings that deny to cancel (a filter, restrictions): what is dropped ends all the same, and so does a run, at once and
//! without leaving memory behind.
#![allow(unsafe_code, reason = "a buffer that stays readable after it was freed")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod common;
#[path = "common/limits.rs"]
mod limits;

use std::cell::UnsafeCell;
use std::io::{PipeWriter, Write};
use std::net::TcpStream as StdStream;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annulus::opcode::{AsyncCancel, PollAdd, Read as ReadOp, SendZc};
use annulus::{IoUring, abi};
use annulus_rt::buf::{IoBuf, IoBufMut};
use annulus_rt::cancel::CancelOutcome;
use annulus_rt::fs::File;
use annulus_rt::net::TcpListener;
use annulus_rt::time::{now, timeout};
use annulus_rt::{Builder, counters, spawn};
use common::{
    PATIENCE, alone, descriptors, in_flight, knows, on_the_engine, pair, turns, under, until_descriptors,
};
use limits::{How, give_up_share, shared, without, without_calls};

/// The end of a run waits for so long at most, which is more than a test has.
const DEADLINE: Duration = Duration::from_secs(600);
const SIZE: usize = 4096;
const PATTERN: u8 = 0xa5;

/// Memory that is never freed.
struct Memory {
    bytes: UnsafeCell<[u8; SIZE]>,
    freed: AtomicBool,
}

/// A buffer whose memory stays when it is dropped, and is filled with a pattern then.
struct Canary(&'static Memory);

// SAFETY: the memory is never freed.
unsafe impl IoBuf for Canary {
    fn as_stable_ptr(&self) -> *const u8 {
        self.0.bytes.get().cast()
    }

    fn filled(&self) -> usize {
        SIZE
    }
}

// SAFETY: as above, and `Canary::hatch` makes each memory for one buffer.
unsafe impl IoBufMut for Canary {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.bytes.get().cast()
    }

    fn capacity(&self) -> usize {
        SIZE
    }

    unsafe fn set_filled(&mut self, _len: usize) {}
}

impl Canary {
    fn hatch() -> (Self, &'static Memory) {
        let memory = Memory { bytes: UnsafeCell::new([0; SIZE]), freed: AtomicBool::new(false) };
        let memory: &'static Memory = Box::leak(Box::new(memory));
        (Self(memory), memory)
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        // SAFETY: this buffer owned the bytes, and nobody has it any more: that nobody writes them is what is tested.
        unsafe { self.0.bytes.get().write([PATTERN; SIZE]) };
        self.0.freed.store(true, Ordering::Relaxed);
    }
}

impl Memory {
    fn is_freed(&self) -> bool {
        self.freed.load(Ordering::Relaxed)
    }

    /// Whether nobody has written since it was freed.
    fn is_untouched(&self) -> bool {
        // SAFETY: read while no buffer has it; a kernel that writes at this moment is what is looked for.
        let bytes = unsafe { self.bytes.get().read_volatile() };
        bytes == [PATTERN; SIZE]
    }
}

/// Whether the kernel cancels by a call, which is as old as this opcode.
fn has_call() -> bool {
    let has = knows(SendZc::CODE);
    if !has {
        println!("SKIP: no SYNC_CANCEL (Linux 6.0)");
    }
    has
}

/// Whether a ring that was closed is seen to go.
fn is_seen_to_go() -> bool {
    let sees = IoUring::new(2).unwrap().params().is_feature_resource_tagging();
    if !sees {
        println!("SKIP: files are not registered while something is in flight (Linux 5.13)");
    }
    sees
}

/// The other ends of what a run has left in flight, and the memory that it names.
struct Rest {
    stream: StdStream,
    pipe: PipeWriter,
    memories: Vec<&'static Memory>,
}

impl Rest {
    /// What was in flight takes nothing and writes nothing any more.
    fn prove_harmless(mut self) {
        assert!(self.memories.iter().all(|memory| memory.is_freed()), "the memory is free");
        let _ = self.stream.write(&[7; SIZE]);
        let _ = self.pipe.write(&[7; SIZE]);
        std::thread::yield_now();
        assert!(self.memories.iter().all(|memory| memory.is_untouched()), "written after it was freed");
    }
}

/// Leaves operations in flight of most kinds: those that wait for a descriptor, and those that workers of the kernel have.
async fn leave_much_behind() -> Rest {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let stream = StdStream::connect(address).unwrap();
    let accepted = Rc::new(listener.accept().await.unwrap());
    let (read_end, pipe) = std::io::pipe().unwrap();
    let read_end = Rc::new(File::from(OwnedFd::from(read_end)));
    let mut memories = Vec::new();
    for _ in 0..20 {
        let (canary, memory) = Canary::hatch();
        memories.push(memory);
        let stream = accepted.clone();
        spawn(async move { stream.recv(canary).await.0 });
        let (canary, memory) = Canary::hatch();
        memories.push(memory);
        let pipe = read_end.clone();
        spawn(async move { pipe.read(canary).await.0 });
    }
    let stream_too = accepted.clone();
    spawn(async move { stream_too.readable().await });
    spawn(async move { listener.accept().await });
    spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        listener.incoming().next().await
    });
    in_flight(43).await;
    Rest { stream, pipe, memories }
}

/// Runs it, and looks at what is left then.
fn ends_at_once(how: How, builder: Builder) {
    let begun = now();
    let rest = builder.teardown(DEADLINE).run(leave_much_behind()).unwrap();
    assert!(begun.elapsed() < PATIENCE, "{how:?}: {:?}", begun.elapsed());
    rest.prove_harmless();
}

#[test]
fn a_run_ends_by_calls_where_the_entry_is_denied() {
    alone("a_run_ends_by_calls_where_the_entry_is_denied", || {
        if !has_call() {
            return;
        }
        let before = descriptors();
        for how in [How::Missing, How::Denied] {
            // Not by closing the ring, which is looked at below.
            ends_at_once(how, without_calls(&[AsyncCancel::CODE], &[abi::IORING_REGISTER_FILES], how));
            until_descriptors(before);
        }
    });
}

#[test]
fn a_run_ends_by_closing_the_ring_where_calls_are_denied_too() {
    alone("a_run_ends_by_closing_the_ring_where_calls_are_denied_too", || {
        if !is_seen_to_go() {
            return;
        }
        let before = descriptors();
        for how in [How::Missing, How::Denied] {
            for opcodes in [&[AsyncCancel::CODE][..], &[AsyncCancel::CODE, ReadOp::CODE, PollAdd::CODE]] {
                ends_at_once(how, without_calls(opcodes, &[abi::IORING_REGISTER_SYNC_CANCEL], how));
                until_descriptors(before);
            }
        }
    });
}

#[test]
fn what_cannot_be_ended_nor_seen_to_end_is_leaked() {
    let denied = [abi::IORING_REGISTER_SYNC_CANCEL, abi::IORING_REGISTER_FILES];
    for how in [How::Missing, How::Denied] {
        let builder = without_calls(&[AsyncCancel::CODE], &denied, how).teardown(DEADLINE);
        let begun = now();
        let rest = builder.run(leave_much_behind()).unwrap();
        assert!(begun.elapsed() < PATIENCE, "{how:?}: {:?}", begun.elapsed());
        assert!(rest.memories.iter().all(|memory| !memory.is_freed()));
    }
}

#[test]
fn what_a_ring_names_that_somebody_else_keeps_open_is_leaked() {
    // A duplicate of the descriptor keeps nothing of the engine's alive.
    if on_the_engine() {
        return;
    }
    let builder = without_calls(&[AsyncCancel::CODE], &[abi::IORING_REGISTER_SYNC_CANCEL], How::Denied);
    let builder = shared(builder).teardown(Duration::from_millis(200));
    let rest = builder.run(leave_much_behind()).unwrap();
    assert!(rest.memories.iter().all(|memory| !memory.is_freed()));
    give_up_share();
}

#[test]
fn a_dropped_receive_is_cancelled_by_a_call_and_takes_nothing() {
    if !has_call() {
        return;
    }
    for how in [How::Missing, How::Denied] {
        let run = without(&[AsyncCancel::CODE], how).run(async {
            let (near, far) = pair().await;
            for round in 0..50 {
                let nothing = timeout(Duration::from_micros(round * 20), far.recv(vec![0; 8])).await;
                assert!(nothing.is_err(), "nothing was sent");
            }
            timeout(PATIENCE, in_flight(0)).await.expect("those that were dropped end");
            assert_eq!(counters().parked, 0);
            near.send_all(b"ring".to_vec()).await.0.unwrap();
            let (received, buf) = far.recv(vec![0; 8]).await;
            assert_eq!((received.unwrap(), &buf[..4]), (4, &b"ring"[..]));
        });
        run.unwrap();
    }
}

#[test]
fn a_canceller_is_told_the_same_by_calls() {
    if !has_call() {
        return;
    }
    for how in [How::Missing, How::Denied] {
        let run = without(&[AsyncCancel::CODE], how).run(async {
            for _ in 0..3 {
                let (_near, far) = pair().await;
                let (canceller, task) = under(async move { far.recv(vec![7; 3]).await });
                in_flight(1).await;
                let answers = timeout(PATIENCE, canceller.cancel()).await.expect("it is answered");
                assert_eq!(answers[0].outcome(), CancelOutcome::Cancelled);
                let (result, buf) = task.await.unwrap();
                assert_eq!((result.unwrap_err().raw_os_error(), buf), (Some(libc::ECANCELED), vec![7; 3]));
            }
        });
        run.unwrap();
    }
}

#[test]
fn a_canceller_whose_answers_nobody_waits_for_cancels_by_calls() {
    if !has_call() {
        return;
    }
    let run = without(&[AsyncCancel::CODE], How::Denied).run(async {
        let (_near, far) = pair().await;
        let (canceller, task) = under(async move { far.recv(vec![7; 3]).await.0 });
        in_flight(1).await;
        drop(canceller.cancel());
        let result = timeout(PATIENCE, task).await.expect("it is cancelled").unwrap();
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    });
    run.unwrap();
}

#[test]
fn a_canceller_is_told_that_nothing_could_be_done() {
    let denied = [abi::IORING_REGISTER_SYNC_CANCEL];
    for how in [How::Missing, How::Denied] {
        let run = without_calls(&[AsyncCancel::CODE], &denied, how).run(async {
            let (near, far) = pair().await;
            let (canceller, task) = under(async move { far.recv(vec![7; 3]).await });
            in_flight(1).await;
            let answers = timeout(PATIENCE, canceller.cancel()).await.expect("it is answered");
            assert_eq!(answers[0].outcome(), CancelOutcome::TooLate);
            turns(20).await;
            near.send_all(vec![1, 2, 3]).await.0.unwrap();
            let (result, buf) = task.await.unwrap();
            assert_eq!((result.unwrap(), buf), (3, vec![1, 2, 3]), "it goes on");
        });
        run.unwrap();
    }
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
