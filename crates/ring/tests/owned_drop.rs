//! What becomes of memory when a ring of owned operations is dropped while the kernel works on it: cancelled
//! and reaped, then freed; or leaked, if it does not come back. Never freed first.
#![allow(
    unsafe_code,
    reason = "a buffer that tells when it is freed, and a table of system calls that fails"
)]
#![allow(clippy::unwrap_used, reason = "a test")]

mod again;

use std::ffi::c_void;
use std::io::{Read as _, Write as _};
use std::os::fd::{OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use annulus::IoUring;
use annulus::kernel::SystemCalls;
use annulus::owned::{BufferMut, Handle, OwnedRing, Read, Unlink, Write};
use annulus::squeue::Flags;
use rustix::io::Errno;

const SIZE: usize = 4096;

/// Room that counts how many of its kind were freed.
struct Counted {
    bytes: Box<[u8; SIZE]>,
    freed: Arc<AtomicUsize>,
}

impl Counted {
    fn new(freed: &Arc<AtomicUsize>) -> Self {
        Self { bytes: Box::new([0; SIZE]), freed: Arc::clone(freed) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.freed.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: the bytes lie in a box of their own.
unsafe impl BufferMut for Counted {
    fn space(&mut self) -> (NonNull<u8>, usize) {
        self.bytes.space()
    }

    unsafe fn filled(&mut self, _len: usize) {}
}

/// Reads on an empty pipe, `count` of them, each with a buffer that counts.
fn waiting_reads(
    ring: &mut OwnedRing,
    count: usize,
    flags: Flags,
) -> (std::io::PipeReader, std::io::PipeWriter, Arc<AtomicUsize>) {
    let (read, write) = std::io::pipe().unwrap();
    let freed = Arc::new(AtomicUsize::new(0));
    let handle = Handle::from(read.try_clone().unwrap());
    for _ in 0..count {
        ring.push_with(Read::new(&handle, Counted::new(&freed)), flags).unwrap();
    }
    assert_eq!(ring.submit().unwrap(), count);
    (read, write, freed)
}

/// Fills memory that was just freed with a pattern, lets the pipe have data, and looks whether any of it
/// came into the pattern.
fn canary_survives(mut read: std::io::PipeReader, mut write: std::io::PipeWriter) {
    let canaries: Vec<Box<[u8; SIZE]>> = (0..256).map(|_| Box::new([0xa5; SIZE])).collect();
    write.write_all(&[0x11; 4 * SIZE]).unwrap();
    let mut data = vec![0; 4 * SIZE];
    read.read_exact(&mut data).unwrap();
    assert!(data.iter().all(|byte| *byte == 0x11), "a request in flight took data from the pipe");
    assert!(canaries.iter().all(|canary| canary.iter().all(|byte| *byte == 0xa5)), "memory was written late");
}

#[test]
fn reads_that_wait_are_cancelled_and_only_then_freed() {
    let mut ring = OwnedRing::new(8).unwrap();
    let (read, write, freed) = waiting_reads(&mut ring, 8, Flags::empty());
    assert_eq!(freed.load(Ordering::SeqCst), 0);
    drop(ring);
    assert_eq!(freed.load(Ordering::SeqCst), 8, "everything came back");
    canary_survives(read, write);
}

#[test]
fn reads_that_block_a_worker_are_cancelled_and_only_then_freed() {
    let mut ring = OwnedRing::new(8).unwrap();
    let (read, write, freed) = waiting_reads(&mut ring, 4, Flags::ASYNC);
    drop(ring);
    assert_eq!(freed.load(Ordering::SeqCst), 4, "everything came back");
    canary_survives(read, write);
}

#[test]
fn a_ring_that_defers_its_work_is_reaped_too() {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun();
    let mut ring = OwnedRing::from_builder(&builder, 8).unwrap();
    let (read, write, freed) = waiting_reads(&mut ring, 8, Flags::empty());
    drop(ring);
    assert_eq!(freed.load(Ordering::SeqCst), 8);
    canary_survives(read, write);
}

#[test]
fn a_ring_with_a_polling_thread_is_reaped_too() {
    let mut builder = IoUring::builder();
    builder.setup_sqpoll(50);
    let mut ring = OwnedRing::from_builder(&builder, 8).unwrap();
    let (read, write, freed) = waiting_reads(&mut ring, 8, Flags::empty());
    drop(ring);
    assert_eq!(freed.load(Ordering::SeqCst), 8);
    canary_survives(read, write);
}

#[test]
fn what_was_not_submitted_is_freed_and_not_done() {
    let mut ring = OwnedRing::new(8).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let name = std::ffi::CString::new(file.path().as_os_str().as_encoded_bytes()).unwrap();
    let freed = Arc::new(AtomicUsize::new(0));
    ring.push(Unlink::file(name)).unwrap();
    ring.push(Read::new(file.reopen().unwrap(), Counted::new(&freed))).unwrap();
    drop(ring);
    assert_eq!(freed.load(Ordering::SeqCst), 1);
    assert!(file.path().exists());
}

#[test]
fn results_that_nobody_took_are_freed() {
    let mut ring = OwnedRing::new(8).unwrap();
    let freed = Arc::new(AtomicUsize::new(0));
    let zero = Handle::from(std::fs::File::open("/dev/zero").unwrap());
    ring.push(Read::new(&zero, Counted::new(&freed))).unwrap();
    let detached = ring.push(Read::new(&zero, Counted::new(&freed))).unwrap();
    ring.detach(detached.key());
    ring.submit_and_wait(2).unwrap();
    assert_eq!(freed.load(Ordering::SeqCst), 1, "the detached one");
    drop(ring);
    assert_eq!(freed.load(Ordering::SeqCst), 2);
}

/// Set, every enter fails as one from another thread than the ring's would.
static BROKEN: AtomicBool = AtomicBool::new(false);

unsafe fn breakable_enter(
    fd: RawFd,
    submit: u32,
    complete: u32,
    flags: u32,
    arg: *const c_void,
    size: usize,
) -> Result<u32, Errno> {
    if BROKEN.load(Ordering::SeqCst) {
        return Err(Errno::EXIST);
    }
    // SAFETY: the contract of this function is that of the one it calls.
    unsafe { (SystemCalls::LINUX.enter)(fd, submit, complete, flags, arg, size) }
}

#[test]
fn what_does_not_come_back_is_leaked_and_not_freed() {
    let mut builder = IoUring::builder();
    // SAFETY: the table behaves as the system calls do, which may fail at any time.
    unsafe { builder.system_calls(SystemCalls { enter: breakable_enter, ..SystemCalls::LINUX }) };
    let mut ring = OwnedRing::from_builder(&builder, 8).unwrap();
    let (_read, mut write, freed) = waiting_reads(&mut ring, 3, Flags::empty());
    BROKEN.store(true, Ordering::SeqCst);
    drop(ring);
    // The kernel may still write, whatever the program thinks: so the memory must be there.
    write.write_all(&[0x22; SIZE]).unwrap();
    assert_eq!(freed.load(Ordering::SeqCst), 0);
}

#[test]
fn a_ring_that_is_forgotten_keeps_its_memory() {
    let mut ring = OwnedRing::new(8).unwrap();
    let (_read, _write, freed) = waiting_reads(&mut ring, 2, Flags::empty());
    std::mem::forget(ring);
    assert_eq!(freed.load(Ordering::SeqCst), 0);
}

#[test]
fn a_ring_may_be_dropped_on_another_thread() {
    let mut ring = OwnedRing::new(8).unwrap();
    let (read, write, freed) = waiting_reads(&mut ring, 2, Flags::empty());
    let written = ring.push(Write::new(OwnedFd::from(write.try_clone().unwrap()), b"x".to_vec())).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(ring));
    });
    let _ = written;
    assert_eq!(freed.load(Ordering::SeqCst), 2);
    canary_survives(read, write);
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
