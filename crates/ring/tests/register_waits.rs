//! Waits, clocks, sizes and descriptors of a ring that are registered, on the kernel.
#![allow(unsafe_code, reason = "pushes NOPs, blocks a signal, looks at what a table of calls is asked")]
#![allow(clippy::disallowed_methods, reason = "a signal mask belongs to a thread")]

mod again;

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use annulus::abi::{EnterFlags, IORING_REGISTER_USE_REGISTERED_RING};
use annulus::kernel::SystemCalls;
use annulus::register::WaitClock;
use annulus::types::{SubmitArgs, Timespec};
use annulus::{BufRing, IoUring, WaitRegion, opcode, squeue};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

fn push_nop(ring: &mut IoUring, user_data: u64) {
    // SAFETY: a NOP names no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(user_data)) }.unwrap();
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// An enabled ring with a region of `slots` waits.
fn ring_with_waits(slots: usize) -> (IoUring, WaitRegion) {
    let mut builder: annulus::Builder = IoUring::builder();
    let ring = builder.setup_r_disabled().build(8).unwrap();
    let waits = ring.submitter().register_wait_region(slots).unwrap();
    ring.submitter().register_enable_rings().unwrap();
    (ring, waits)
}

#[test]
fn a_registered_wait_ends_with_its_time_and_with_its_completions() {
    let (mut ring, mut waits) = ring_with_waits(200);
    let soon = Timespec::new().nsec(1_000_000);
    waits.set(199, &SubmitArgs::new().timespec(&soon));
    assert_eq!(errno(ring.submitter().submit_and_wait_slot(1, &waits, 199)), Some(libc::ETIME));
    push_nop(&mut ring, 1);
    assert_eq!(ring.submitter().submit_and_wait_slot(1, &waits, 199).unwrap(), 1);
    assert_eq!(ring.peek().unwrap().unwrap().user_data(), 1);
}

#[test]
fn a_minimum_wait_in_a_slot_is_content_with_fewer_completions() {
    let (mut ring, mut waits) = ring_with_waits(1);
    let late = Timespec::new().sec(600);
    waits.set(0, &SubmitArgs::new().timespec(&late).min_wait_usec(1000));
    push_nop(&mut ring, 1);
    assert_eq!(ring.submitter().submit_and_wait_slot(2, &waits, 0).unwrap(), 1);
    assert_eq!(ring.completion().len(), 1);
}

#[test]
fn a_slot_whose_time_is_absolute_is_past_at_once() {
    let (ring, mut waits) = ring_with_waits(1);
    let past = Timespec::new().sec(1);
    waits.set(0, &SubmitArgs::new().timespec(&past));
    assert_eq!(errno(ring.submitter().submit_until_slot(1, &waits, 0)), Some(libc::ETIME));
}

#[test]
fn the_signal_mask_of_a_slot_holds_while_the_thread_waits() {
    extern "C" fn nothing(_: i32) {}
    let (late, signal) = (Timespec::new().sec(600), libc::SIGUSR1);
    // SAFETY: all zero is a valid action: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
    // SAFETY: the handler does nothing, which may happen anywhere.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }, 0);
    let thread = std::thread::spawn(move || {
        let (ring, mut waits) = ring_with_waits(1);
        let (blocked, open) = (set_of(&[signal]), set_of(&[]));
        // SAFETY: both sets are initialised; the mask is this thread's own, which ends with the test.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const blocked, std::ptr::null_mut()) };
        // SAFETY: a signal to this very thread, where it is blocked.
        unsafe { libc::raise(signal) };
        waits.set(0, &SubmitArgs::new().timespec(&late).sigmask(&open));
        errno(ring.submitter().submit_and_wait_slot(1, &waits, 0))
    });
    assert_eq!(thread.join().unwrap(), Some(libc::EINTR));
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: initialises the set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in signals {
        // SAFETY: the set is initialised, and the signal exists.
        unsafe { libc::sigaddset(set.as_mut_ptr(), *signal) };
    }
    // SAFETY: initialised above.
    unsafe { set.assume_init() }
}

#[test]
fn a_region_belongs_to_its_ring_and_comes_before_the_ring_is_enabled() {
    let (first, waits) = ring_with_waits(1);
    let (second, _other) = ring_with_waits(1);
    assert_eq!(errno(second.submitter().submit_and_wait_slot(1, &waits, 0)), Some(libc::EINVAL));
    assert_eq!(errno(first.submitter().register_wait_region(1)), Some(libc::EBUSY));
    let enabled = IoUring::new(2).unwrap();
    assert_eq!(errno(enabled.submitter().register_wait_region(1)), Some(libc::EINVAL));
    assert_eq!(errno(enabled.submitter().register_wait_region(0)), Some(libc::EINVAL));
}

#[test]
fn a_region_that_is_dropped_stays_with_its_ring() {
    let (ring, mut waits) = ring_with_waits(1);
    let soon = Timespec::new().nsec(1_000_000);
    waits.set(0, &SubmitArgs::new().timespec(&soon));
    drop(waits);
    assert_eq!(errno(ring.submitter().submit_and_wait_registered(1, 0)), Some(libc::ETIME));
}

#[test]
fn the_clock_of_waits_can_be_chosen() {
    let ring = IoUring::new(2).unwrap();
    for (clock, id) in [(WaitClock::Boottime, ClockId::Boottime), (WaitClock::Monotonic, ClockId::Monotonic)]
    {
        ring.submitter().register_clock(clock).unwrap();
        let now = clock_gettime(id);
        let soon = Timespec::new().sec(now.tv_sec.cast_unsigned()).nsec(u32::try_from(now.tv_nsec).unwrap());
        let until = SubmitArgs::new().timespec(&soon);
        assert_eq!(errno(ring.submitter().submit_until(1, &until)), Some(libc::ETIME), "{clock:?}");
    }
}

#[test]
fn a_ring_is_resized_while_buffers_are_registered_with_it() {
    let mut builder: annulus::Builder = IoUring::builder();
    let mut ring = builder.setup_single_issuer().setup_defer_taskrun().build(4).unwrap();
    let buffers = BufRing::register(&ring.submitter(), 1, 4, 64).unwrap();
    push_nop(&mut ring, 1);
    ring.submit_and_wait(1).unwrap();
    ring.resize(64, Some(256)).unwrap();
    assert_eq!((ring.params().sq_entries(), ring.params().cq_entries()), (64, 256));
    assert_eq!(ring.peek().unwrap().unwrap().user_data(), 1, "what waited has moved along");
    assert_eq!(buffers.available().unwrap(), 4);
    assert_eq!(errno(IoUring::new(4).unwrap().resize(8, None)), Some(libc::EINVAL), "no deferred task work");
}

thread_local! {
    static LAST_ENTER: Cell<u32> = const { Cell::new(0) };
    static LAST_REGISTER: Cell<u32> = const { Cell::new(0) };
}

unsafe fn enter(
    fd: RawFd,
    submit: u32,
    want: u32,
    flags: u32,
    arg: *const c_void,
    size: usize,
) -> Result<u32, Errno> {
    LAST_ENTER.set(flags);
    // SAFETY: passed on as it came.
    unsafe { (SystemCalls::LINUX.enter)(fd, submit, want, flags, arg, size) }
}

unsafe fn register(fd: RawFd, op: u32, arg: *mut c_void, nr: u32) -> Result<u32, Errno> {
    LAST_REGISTER.set(op);
    // SAFETY: passed on as it came.
    unsafe { (SystemCalls::LINUX.register)(fd, op, arg, nr) }
}

#[test]
fn a_registered_descriptor_is_used_by_the_ring_and_by_every_later_submitter() {
    let mut builder = IoUring::<squeue::Entry>::builder();
    // SAFETY: the table calls the kernel.
    unsafe { builder.system_calls(SystemCalls { enter, register, ..SystemCalls::LINUX }) };
    let mut ring = builder.build(4).unwrap();
    ring.submitter().register_ring_fd().unwrap();
    push_nop(&mut ring, 1);
    ring.submit_and_wait(1).unwrap();
    let flag = EnterFlags::REGISTERED_RING.bits();
    assert_eq!(LAST_ENTER.get() & flag, flag);
    assert_eq!(errno(ring.submitter().register_ring_fd()), Some(libc::EEXIST), "one place is enough");
    let mut limits = [0, 0];
    ring.submitter().register_iowq_max_workers(&mut limits).unwrap();
    assert_eq!(LAST_REGISTER.get(), 19 | IORING_REGISTER_USE_REGISTERED_RING);

    ring.submitter().unregister_ring_fd().unwrap();
    assert_eq!(errno(ring.submitter().unregister_ring_fd()), Some(libc::EINVAL));
    push_nop(&mut ring, 2);
    ring.submit_and_wait(2).unwrap();
    assert_eq!(LAST_ENTER.get() & flag, 0);
}

#[test]
fn dropping_submitters_and_rings_leaks_no_place_for_descriptors() {
    for _ in 0..40 {
        let ring = IoUring::new(2).unwrap();
        ring.submitter().register_ring_fd().unwrap();
        drop(ring.submitter());
    }
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
