//! Rings that threads call by an index of their own table: never by that of another thread, nor of the parent
//! process, where the same number may be another ring.
#![allow(unsafe_code, reason = "pushes NOPs, forks, and looks at every call on its way")]
#![allow(clippy::disallowed_methods, reason = "what is tested happens in several threads")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::ffi::c_void;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use annulus::kernel::SystemCalls;
use annulus::{BackendChoice, IoUring, environment, opcode};
use rustix::io::Errno;

thread_local! {
    /// The index under which this thread knows the ring that is watched.
    static OWN: Cell<u32> = const { Cell::new(u32::MAX) };
}

static BY_INDEX: AtomicU32 = AtomicU32::new(0);
static BY_ANOTHERS: AtomicBool = AtomicBool::new(false);

unsafe fn watched(
    fd: RawFd,
    submit: u32,
    want: u32,
    flags: u32,
    arg: *const c_void,
    size: usize,
) -> Result<u32, Errno> {
    if flags & annulus::EnterFlags::REGISTERED_RING.bits() != 0 {
        BY_INDEX.fetch_add(1, Ordering::Relaxed);
        if fd.cast_unsigned() != OWN.get() {
            BY_ANOTHERS.store(true, Ordering::Relaxed);
        }
    }
    // SAFETY: passed on as it came.
    unsafe { (SystemCalls::LINUX.enter)(fd, submit, want, flags, arg, size) }
}

/// Takes and gives back the ring's place in this thread's table, and calls it meanwhile.
fn come_and_go(ring: &IoUring, others: u32, until: &AtomicBool, rounds: u32) {
    // So that the ring's index differs from thread to thread.
    let others: Vec<IoUring> =
        (0..others).map(|_| IoUring::builder().registered_ring_fd(true).build(1).unwrap()).collect();
    OWN.set(u32::try_from(others.len()).unwrap());
    for _ in 0..rounds {
        if until.load(Ordering::Relaxed) {
            break;
        }
        let _ = ring.submitter().register_ring_fd();
        for _ in 0..20 {
            // An index of which the other thread made an orphan is no error, but that of nobody is.
            ring.submitter().get_events().unwrap();
        }
        let _ = ring.submitter().unregister_ring_fd();
    }
    until.store(true, Ordering::Relaxed);
}

/// Whether rings run on the engine, where none is ever called by an index: a thread's table of rings is the kernel's.
fn on_the_engine() -> bool {
    environment::backend_choice() == Ok(BackendChoice::Engine)
}

#[test]
fn threads_that_register_the_same_ring_at_once_each_use_their_own_index() {
    if on_the_engine() {
        return;
    }
    let mut builder = IoUring::builder();
    // SAFETY: the table behaves as the system calls do.
    unsafe { builder.system_calls(SystemCalls { enter: watched, ..SystemCalls::LINUX }) };
    let ring: IoUring = builder.build(4).unwrap();
    let until = AtomicBool::new(false);
    thread::scope(|scope| {
        for others in 0..3 {
            let (ring, until) = (&ring, &until);
            scope.spawn(move || come_and_go(ring, others, until, 3_000));
        }
    });
    assert!(BY_INDEX.load(Ordering::Relaxed) > 0, "some calls went by index");
    assert!(!BY_ANOTHERS.load(Ordering::Relaxed), "a call went to another ring");
}

#[test]
fn a_child_process_does_not_call_its_parents_ring_by_a_number_of_its_own() {
    if on_the_engine() {
        // Nor by its descriptor: `tests/forked.rs` of the engine says what it hears.
        return;
    }
    let mut parents: IoUring = IoUring::builder().registered_ring_fd(true).build(4).unwrap();
    // SAFETY: the child makes system calls and allocates, which glibc and musl allow after a fork, and leaves by _exit.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        let code = in_the_child(&mut parents);
        // SAFETY: ends the process, without the test harness's destructors.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is writable.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    assert!(libc::WIFEXITED(status), "the child ended with status {status:#x}");
    assert_eq!(libc::WEXITSTATUS(status), 0, "what went wrong in the child, see `in_the_child`");
    // The child used the descriptor; the parent's index still stands for the same ring.
    assert_eq!(parents.completion().map(|cqe| cqe.user_data()).collect::<Vec<_>>(), [7]);
    // SAFETY: a NOP names no memory.
    unsafe { parents.submission().push(&opcode::Nop::new().build()) }.unwrap();
    assert_eq!(parents.submit_and_wait(1).unwrap(), 1);
}

/// Registers a ring, which gets the number that the parent's ring has in the parent, and then uses the parent's.
fn in_the_child(parents: &mut IoUring) -> i32 {
    let Ok(childs) = IoUring::builder().registered_ring_fd(true).build(4) else { return 1 };
    let childs: IoUring = childs;
    // SAFETY: a NOP names no memory.
    if unsafe { parents.submission().push(&opcode::Nop::new().build().user_data(7)) }.is_err() {
        return 2;
    }
    match parents.submit() {
        Ok(1) => {}
        Ok(_) => return 3,
        Err(_) => return 4,
    }
    drop(childs);
    0
}
