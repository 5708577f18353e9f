//! Interrupts on threads of the tests' own: both ways to send them, and what is left of them afterwards.

use std::fs;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use rustix::io::Errno;
use rustix::pipe::pipe;

use super::{SignalMask, Target, Timer, let_interrupts_in, signal};

/// A thread that settles in, says so, and reads from a pipe in which nothing comes, as a worker would.
fn interrupt_a_read_by(timer: fn(rustix::thread::Pid, i32) -> Result<Timer, Errno>) {
    let target = Mutex::new(Target::default());
    let (reads, _writes) = pipe().unwrap();
    let (ready, is_ready) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let_interrupts_in();
            let interrupt = target.lock().unwrap().settle_in();
            for _ in 0..3 {
                ready.send(()).unwrap();
                // The signals before the read are lost ones: only those that are repeated end it.
                while !interrupt.requested() {
                    thread::yield_now();
                }
                assert_eq!(rustix::io::read(&reads, &mut [0; 1]), Err(Errno::INTR));
                target.lock().unwrap().end();
                assert!(!interrupt.requested());
                assert_eq!(pending(), 0, "a signal is left over for the next job");
            }
        });
        for _ in 0..3 {
            is_ready.recv().unwrap();
            target.lock().unwrap().reach_by(timer);
        }
    });
}

/// The signals that wait for the calling thread.
fn pending() -> u64 {
    status("SigPnd:")
}

/// A set of signals of the calling thread, as proc(5) shows it.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    u64::from_str_radix(line[name.len()..].trim(), 16).unwrap()
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

#[test]
fn a_timer_ends_a_read_that_began_after_the_first_signal() {
    interrupt_a_read_by(Timer::start);
}

#[test]
fn a_thread_does_it_where_timers_are_refused() {
    interrupt_a_read_by(|_, _| Err(Errno::PERM));
}

#[test]
fn the_signal_is_one_that_nobody_handled_and_stays_the_same() {
    let chosen = signal().unwrap();
    assert!((libc::SIGRTMIN()..libc::SIGRTMAX()).contains(&chosen), "{chosen} is not below SIGRTMAX");
    assert_eq!(signal(), Some(chosen));
    assert!(!super::claim(chosen), "a signal that is handled was taken");
    assert_ne!(status("SigCgt:") & bit(chosen), 0, "the handler is not installed");
}

#[test]
fn a_mask_blocks_all_but_faults_and_is_undone_when_it_goes() {
    let in_a_thread_of_its_own = || {
        let before = status("SigBlk:");
        let mask = SignalMask::block();
        let blocked = status("SigBlk:");
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGCHLD, libc::SIGRTMIN()] {
            assert_ne!(blocked & bit(signal), 0, "signal {signal} is let in");
        }
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            assert_eq!(blocked & bit(signal), 0, "signal {signal} is blocked");
        }
        let_interrupts_in();
        assert_eq!(status("SigBlk:"), blocked & !bit(signal().unwrap()));
        drop(mask);
        assert_eq!(status("SigBlk:"), before);
    };
    thread::scope(|scope| scope.spawn(in_a_thread_of_its_own).join()).unwrap();
}
