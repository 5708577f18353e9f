//! What a ring of the engine's leaves behind, and what it must not: at its end and at odd moments.
#![allow(unsafe_code, reason = "pushes entries whose memory outlives them")]

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annulus::abi::{Params, SetupFlags};
use annulus::types::{SubmitArgs, Timespec};
use annulus::{IoUring, cqueue, opcode, squeue, types};
use annulus_engine::Engine;

const ETIME: i32 = -62;
const ECANCELED: i32 = -125;
const EALREADY: i32 = -114;

/// One test at a time: they count the descriptors of the process, and its panics.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ring(flags: SetupFlags) -> IoUring {
    let params = Params { flags: flags.bits(), ..Params::default() };
    let engine = Engine::new(4096, params).expect("an engine");
    IoUring::from_backend(Box::new(engine)).expect("a ring of ordinary entries")
}

fn push(ring: &mut IoUring, entry: squeue::Entry, user_data: u64) {
    // SAFETY: the tests keep what entries name until they have ended.
    unsafe { ring.submission().push(&entry.user_data(user_data)) }.expect("there is room");
}

fn results(ring: &mut IoUring) -> Vec<(u64, i32)> {
    ring.completion().map(|cqe: cqueue::Entry| (cqe.user_data(), cqe.result())).collect()
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

#[test]
fn a_timeout_that_completes_ends_a_wait_for_more() {
    let _alone = alone();
    for flags in
        [SetupFlags::empty(), SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN, SetupFlags::SQPOLL]
    {
        in_time(|soon| {
            let mut ring = ring(flags);
            let later = Timespec::new().sec(5);
            push(&mut ring, opcode::Timeout::new(&soon).build(), 1);
            push(&mut ring, opcode::Timeout::new(&later).build(), 2);
            ring.submit_and_wait(3).expect("it waits");
            let results = results(&mut ring);
            if results == [(1, ETIME), (2, ETIME)] {
                return false;
            }
            assert_eq!(results, [(1, ETIME)], "{flags:?}");
            true
        });
    }
}

/// Tries something in which a timeout comes while the ring is waited for. Where it may have come before, as others had the
/// processor for so long, it is tried again with a longer one.
fn in_time(attempt: impl Fn(Timespec) -> bool) {
    let mut times = [1, 100, 1_000].map(Duration::from_millis).into_iter();
    assert!(times.any(|time| attempt(time.into())), "a timeout does not end a wait");
}

#[test]
fn a_number_that_a_timeout_counts_ends_a_wait_for_more() {
    let _alone = alone();
    in_time(|soon| {
        let mut ring = ring(SetupFlags::empty());
        let later = Timespec::new().sec(5);
        push(&mut ring, opcode::Timeout::new(&later).count(1).build(), 1);
        push(&mut ring, opcode::Timeout::new(&later).build(), 2);
        push(&mut ring, opcode::Timeout::new(&soon).build(), 3);
        push(&mut ring, opcode::Nop::new().build(), 4);
        ring.submit().expect("it submits");
        let first = results(&mut ring);
        if first == [(4, 0), (1, 0), (3, ETIME)] {
            return false;
        }
        assert_eq!(first, [(4, 0), (1, 0)]);
        ring.submit_and_wait(4).expect("it waits");
        let second = results(&mut ring);
        if second == [(3, ETIME), (2, ETIME)] {
            return false;
        }
        assert_eq!(second, [(3, ETIME)]);
        true
    });
}

#[test]
fn a_ring_ends_while_its_timeouts_come() {
    let _alone = alone();
    use std::sync::atomic::{AtomicUsize, Ordering};
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() == Some("annulus-poll") {
            PANICS.fetch_add(1, Ordering::Relaxed);
        }
        before(info);
    }));
    for round in 0..200 {
        let mut ring = ring(SetupFlags::empty());
        for n in 0..64_u32 {
            let time = Timespec::new().nsec(2_000_000 + n * 10_000);
            push(&mut ring, opcode::Timeout::new(&time).build(), u64::from(n));
            ring.submit().expect("it submits");
        }
        // The background thread has taken over, and the first have come.
        while round % 2 == 0 && ring.completion().is_empty() {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(round * 10));
    }
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}

#[test]
fn a_cancel_that_comes_while_a_worker_begins_ends_the_request() {
    let _alone = alone();
    for _ in 0..20 {
        let (reader, _writer) = UnixStream::pair().expect("two sockets");
        let mut bytes = [0_u8; 8];
        let mut ring = ring(SetupFlags::empty());
        let recv = opcode::Recv::new(types::Fd(reader.as_raw_fd()), bytes.as_mut_ptr(), 8).build();
        push(&mut ring, recv.flags(squeue::Flags::ASYNC), 1);
        for _ in 0..4000 {
            push(&mut ring, opcode::Nop::new().build(), 0);
        }
        push(&mut ring, opcode::AsyncCancel::new(1).build(), 2);
        let limit = Timespec::new().sec(60);
        let waited = ring.submitter().submit_with_args(4002, &SubmitArgs::new().timespec(&limit));
        let mut results = results(&mut ring);
        results.retain(|(user_data, _)| *user_data != 0);
        results.sort_unstable();
        assert_eq!(results.len(), 2, "{waited:?} {results:?}");
        assert!(results[1].1 == 0 || results[1].1 == EALREADY, "{results:?}");
        assert!([ECANCELED, -4].contains(&results[0].1), "{results:?}");
    }
}

#[test]
fn what_a_worker_opened_for_a_ring_that_ends_is_closed() {
    let _alone = alone();
    for flags in [SetupFlags::empty(), SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN] {
        let mut left = Vec::new();
        for _ in 0..10 {
            left.push(open_amid_an_end(flags));
            if left.ends_with(&[0]) {
                break;
            }
        }
        // One that is told of between the last look at the queue and the end is the program's: seldom, and only where
        // completions do not wait for the owner.
        assert!(left.ends_with(&[0]) && (left.len() == 1 || flags.is_empty()), "{flags:?}: {left:?}");
    }
}

/// Has workers open a hundred files and ends the ring. How many descriptors are left that nobody was told of.
fn open_amid_an_end(flags: SetupFlags) -> usize {
    let before = open_descriptors();
    let mut ring = ring(flags);
    let path = c"/dev/null";
    for n in 0..100 {
        let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).build();
        push(&mut ring, open.flags(squeue::Flags::ASYNC), n);
    }
    ring.submit().expect("it submits");
    if !flags.is_empty() {
        // For workers to bring what they have opened.
        std::thread::sleep(Duration::from_millis(300));
    }
    let taken = results(&mut ring).len();
    drop(ring);
    open_descriptors() - before - taken
}
