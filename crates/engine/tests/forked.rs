//! Rings of the engine's in children of fork(2): they stay with the process that made them, and nobody hangs.
#![allow(unsafe_code, reason = "forks; pushes entries whose memory outlives them")]
#![allow(clippy::disallowed_methods, reason = "a thread uses the ring while its process is forked")]

use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use annulus::abi::{Params, SetupFlags};
use annulus::{IoUring, cqueue, opcode, squeue, types};
use annulus_engine::Engine;

fn ring(flags: SetupFlags) -> IoUring {
    let params = Params { flags: flags.bits(), ..Params::default() };
    let engine = Engine::new(8, params).expect("an engine");
    IoUring::from_backend(Box::new(engine)).expect("a ring of ordinary entries")
}

fn push(ring: &mut IoUring, entry: squeue::Entry, user_data: u64) {
    // SAFETY: the tests keep what entries name until they have ended.
    unsafe { ring.submission().push(&entry.user_data(user_data)) }.expect("there is room");
}

fn results(ring: &mut IoUring) -> Vec<(u64, i32)> {
    let mut all: Vec<_> =
        ring.completion().map(|cqe: cqueue::Entry| (cqe.user_data(), cqe.result())).collect();
    all.sort_unstable();
    all
}

/// Runs `child` in a child process: it ends with what that returns, or by SIGALRM if it hangs.
#[track_caller]
fn assert_in_a_child(child: impl FnOnce() -> i32) {
    // SAFETY: the child makes system calls and allocates, which glibc and musl allow after a fork, and leaves by _exit.
    let number = unsafe { libc::fork() };
    assert!(number >= 0, "fork: {}", std::io::Error::last_os_error());
    if number == 0 {
        // SAFETY: takes a number. Nothing of the parent's is waited for so long.
        unsafe { libc::alarm(60) };
        let code = child();
        // SAFETY: ends the process, without the destructors of the parent's test harness.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is writable.
    assert_eq!(unsafe { libc::waitpid(number, &raw mut status, 0) }, number);
    assert_eq!(
        status,
        0,
        "WIFSIGNALED {}, WEXITSTATUS {}",
        libc::WIFSIGNALED(status),
        libc::WEXITSTATUS(status)
    );
}

/// What a child finds: the number of what was wrong, or 0.
fn in_the_child(parents: IoUring) -> i32 {
    let is_refused = |answer: std::io::Result<()>| {
        answer.is_err_and(|error| error.raw_os_error() == Some(libc::EOWNERDEAD))
    };
    if !is_refused(parents.submitter().get_events()) {
        return 1;
    }
    if !is_refused(parents.submitter().register_files(&[0])) {
        return 2;
    }
    // A message to it finds no ring, and its number among this thread's rings is free.
    let message = opcode::MsgRingData::new(types::Fd(parents.as_raw_fd()), 1, 1, None).build();
    let mut own = ring(SetupFlags::empty());
    push(&mut own, message, 1);
    push(&mut own, opcode::Nop::new().build().flags(squeue::Flags::ASYNC), 2);
    if own.submit_and_wait(2).ok() != Some(2) || results(&mut own) != [(1, -libc::EBADFD), (2, 0)] {
        return 3;
    }
    drop(parents);
    drop(own);
    0
}

#[test]
fn a_child_is_told_that_a_ring_stayed_with_its_parent_and_the_parent_goes_on() {
    let deferred = SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN;
    for flags in [SetupFlags::empty(), deferred, SetupFlags::SQPOLL] {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let mut byte = 0_u8;
        let mut ring = ring(flags);
        // One that readiness is waited for, one that is with a worker.
        push(&mut ring, opcode::PollAdd::new(types::Fd(reader.as_raw_fd()), 1).build(), 1);
        let read = opcode::Read::new(types::Fd(reader.as_raw_fd()), &raw mut byte, 1).build();
        push(&mut ring, read.flags(squeue::Flags::ASYNC), 2);
        ring.submit().expect("it submits");
        let mut ring = Some(ring);
        assert_in_a_child(|| in_the_child(ring.take().expect("a copy of the parent's")));
        let mut ring = ring.expect("the parent's");
        writer.write_all(b"x").expect("room");
        ring.submit_and_wait(2).expect("it waits");
        assert_eq!(results(&mut ring), [(1, 1), (2, 1)], "{flags:?}");
    }
}

#[test]
fn a_fork_in_the_middle_of_a_call_of_another_thread_hangs_no_child() {
    let ring = ring(SetupFlags::empty());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                ring.submitter().get_events().expect("nothing to wait for");
            }
        });
        for _ in 0..50 {
            assert_in_a_child(|| i32::from(ring.submitter().get_events().is_ok()));
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
