//! Canaries: memory that operations were to write, looked at after it was given back.
//!
//! No sanitizer sees what the kernel writes. So a buffer of these tests, when it is freed, is filled with a
//! pattern and kept; if any of it changes later, it was freed too early.
#![allow(unsafe_code, reason = "a buffer that stays readable after it was freed")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test; one that is skipped says so")]

mod common;

use std::cell::UnsafeCell;
use std::fs::File as StdFile;
use std::future::{pending, poll_fn};
use std::io::{PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use annulus::opcode;
use annulus::register::Task;
use annulus::types::Fd;
use annulus_rt::buf::{IoBuf, IoBufMut};
use annulus_rt::fs::File;
use annulus_rt::{Builder, counters, run, spawn};

const SIZE: usize = 32 * 1024;
const PATTERN: u8 = 0xa5;
/// The offset that stands for a file's own position, as pipes want it.
const POSITION: u64 = u64::MAX;

/// Memory that is never freed, aligned as `O_DIRECT` wants it.
#[repr(align(4096))]
struct Memory {
    bytes: UnsafeCell<[u8; SIZE]>,
    freed: AtomicBool,
}

// SAFETY: the tests write and read the bytes on one thread; other writers are what they look for.
unsafe impl Sync for Memory {}

/// A buffer whose memory stays when it is dropped.
struct Canary(&'static Memory);

// SAFETY: the memory is static.
unsafe impl IoBuf for Canary {
    fn as_stable_ptr(&self) -> *const u8 {
        self.0.bytes.get().cast()
    }

    fn filled(&self) -> usize {
        SIZE
    }
}

// SAFETY: as above, and `Flock::hatch` gives it to one buffer at a time.
unsafe impl IoBufMut for Canary {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.bytes.get().cast()
    }

    fn capacity(&self) -> usize {
        SIZE
    }

    unsafe fn set_filled(&mut self, _len: usize) {}
}

impl Drop for Canary {
    fn drop(&mut self) {
        // SAFETY: the buffer is being dropped, and it is the only one with this memory.
        unsafe { self.0.bytes.get().cast::<u8>().write_bytes(PATTERN, SIZE) };
        self.0.freed.store(true, Ordering::SeqCst);
    }
}

/// All the memory of a test.
#[derive(Default)]
struct Flock(Vec<&'static Memory>);

impl Flock {
    fn hatch(&mut self) -> Canary {
        let memory = Memory { bytes: UnsafeCell::new([0; SIZE]), freed: AtomicBool::new(false) };
        self.0.push(Box::leak(Box::new(memory)));
        Canary(self.0.last().unwrap())
    }

    fn freed(&self) -> usize {
        self.0.iter().filter(|memory| memory.freed.load(Ordering::SeqCst)).count()
    }

    fn assert_unharmed(&self) {
        for (index, memory) in
            self.0.iter().enumerate().filter(|(_, memory)| memory.freed.load(Ordering::SeqCst))
        {
            let bytes: *const [u8; SIZE] = memory.bytes.get();
            // SAFETY: static memory; volatile, as somebody else may be writing.
            let now = unsafe { bytes.read_volatile() };
            let changed = now.iter().position(|byte| *byte != PATTERN);
            assert_eq!(changed, None, "canary {index} was written after it was freed, from this byte on");
        }
    }
}

/// Small numbers that a seed decides.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn pipe() -> (File, PipeWriter) {
    let (read, write) = std::io::pipe().unwrap();
    (File::from(OwnedFd::from(read)), write)
}

/// A file of `count` times the size of a buffer, read around the page cache; `None` where the file system
/// does not do that.
fn direct(folder: &Path, count: usize) -> Option<StdFile> {
    let path = folder.join("data");
    std::fs::write(&path, vec![0x11; count * SIZE]).unwrap();
    StdFile::open(&path).unwrap().sync_all().unwrap();
    let direct = StdFile::options().read(true).custom_flags(libc::O_DIRECT).open(&path);
    if let Err(error) = &direct {
        println!("SKIP: no O_DIRECT in {}: {error}", folder.display());
    }
    direct.ok()
}

/// Polls a future a single time, which is enough to queue its operation.
async fn begin<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending(), "an operation is not over when it was queued");
        Poll::Ready(())
    })
    .await;
}

/// Waits for at least as many turns of the executor, each of which hands over what is queued: an operation does
/// not come back before it was.
async fn turns(turns: u64) {
    for _ in 0..turns {
        let zero = File::from(StdFile::open("/dev/zero").unwrap());
        zero.read_at(vec![0], 0).await.0.unwrap();
        zero.close().await.unwrap();
    }
}

/// Waits until nothing is in flight.
async fn settled() {
    while counters().in_flight > 0 {
        turns(1).await;
    }
}

#[test]
fn a_dropped_read_of_a_pipe_writes_nothing_into_freed_memory() {
    let mut flock = Flock::default();
    run(async {
        let mut numbers = Numbers(1);
        for _ in 0..200 {
            let (reader, mut writer) = pipe();
            {
                let mut read = pin!(reader.read_at(flock.hatch(), POSITION));
                begin(read.as_mut()).await;
                turns(numbers.below(3)).await;
            }
            turns(numbers.below(2)).await;
            // If the cancellation is not there yet, the kernel reads this into the buffer.
            writer.write_all(&[0x11; SIZE]).unwrap();
            turns(numbers.below(3)).await;
        }
        settled().await;
    })
    .unwrap();
    assert_eq!(flock.freed(), 200, "all of them came back");
    flock.assert_unharmed();
}

#[test]
fn a_dropped_read_of_a_disk_writes_nothing_into_freed_memory() {
    const READS: usize = 32;
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = direct(folder.path(), READS) else { return };
    let mut flock = Flock::default();
    run(async {
        let file = File::from(file);
        for round in 0..10 {
            {
                let mut reads: Vec<_> = (0..READS)
                    .map(|index| Box::pin(file.read_at(flock.hatch(), (index * SIZE) as u64)))
                    .collect();
                for read in &mut reads {
                    begin(read.as_mut()).await;
                }
                turns(1 + round % 2).await;
            }
            settled().await;
        }
    })
    .unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(flock.freed(), 10 * READS);
    flock.assert_unharmed();
}

#[test]
fn the_end_of_a_run_waits_for_the_disk_before_it_frees() {
    const READS: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let mut flock = Flock::default();
    for _ in 0..10 {
        let Some(file) = direct(folder.path(), READS) else { return };
        run(async {
            let file = std::rc::Rc::new(File::from(file));
            for index in 0..READS {
                let (file, canary) = (file.clone(), flock.hatch());
                spawn(async move { drop(file.read_at(canary, (index * SIZE) as u64).await) });
            }
            // The reads are handed over with the end of this turn; then everything ends.
            turns(1).await;
        })
        .unwrap();
        flock.assert_unharmed();
    }
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(flock.freed(), 10 * READS);
    flock.assert_unharmed();
}

#[test]
fn an_aborted_task_frees_its_buffer_after_the_kernel() {
    let mut flock = Flock::default();
    run(async {
        for round in 0..100 {
            let (reader, mut writer) = pipe();
            let canary = flock.hatch();
            let task = spawn(async move { drop(reader.read_at(canary, POSITION).await) });
            turns(round % 3).await;
            task.abort();
            writer.write_all(&[0x11; SIZE]).unwrap();
        }
        settled().await;
    })
    .unwrap();
    assert_eq!(flock.freed(), 100);
    flock.assert_unharmed();
}

#[test]
fn what_does_not_end_in_time_is_leaked_and_not_freed() {
    let mut flock = Flock::default();
    let (reader, mut writer) = pipe();
    Builder::new()
        .teardown(Duration::ZERO)
        .run(async {
            let canary = flock.hatch();
            spawn(async move { drop(reader.read_at(canary, POSITION).await) });
            turns(2).await;
        })
        .unwrap();
    let _ = writer.write_all(&[0x11; 16]);
    assert_eq!(flock.freed(), 0);
}

/// Descriptors that may be those of rings, the kernel's or the engine's: whatever has no name.
fn rings() -> Vec<i32> {
    let all = std::fs::read_dir("/proc/self/fd").unwrap().map(Result::unwrap);
    let rings = all.filter(|entry| {
        std::fs::read_link(entry.path()).is_ok_and(|file| file.to_string_lossy().starts_with("anon_inode:"))
    });
    rings.map(|entry| entry.file_name().to_str().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_completion_that_somebody_else_posts_frees_no_buffer_in_flight() {
    let mut flock = Flock::default();
    run(async {
        let (reader, mut writer) = pipe();
        let mut read = pin!(reader.read_at(flock.hatch(), POSITION));
        begin(read.as_mut()).await;
        turns(1).await;
        let (mut posted, mut known) = (0, false);
        for (ring, user_data) in rings().into_iter().flat_map(|ring| (0..8).map(move |n| (ring, n))) {
            let message = opcode::MsgRingData::new(Fd(ring), 8, user_data, None).build();
            match Task::new().send_message(&message) {
                Ok(_) => posted += 1,
                Err(error) => known |= error.raw_os_error() != Some(libc::EINVAL),
            }
        }
        if posted == 0 && !known {
            println!("SKIP: this kernel takes no messages without a ring (Linux 6.13)");
        }
        assert!(posted > 0 || !known, "anybody may post");
        turns(3).await;
        begin(read.as_mut()).await;
        assert_eq!(flock.freed(), 0);
        writer.write_all(&[0x11; SIZE]).unwrap();
        let (result, buffer) = read.await;
        assert_eq!(result.unwrap(), SIZE);
        assert!(buffer.as_bytes().iter().all(|byte| *byte == 0x11));
    })
    .unwrap();
}

/// A waker whose end, or whose call, panics.
struct Bomb {
    on_wake: bool,
}

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        assert!(!self.on_wake, "a waker panicked");
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(self.on_wake, "the destructor of a waker panicked");
    }
}

#[test]
fn a_waker_whose_destructor_panics_frees_no_buffer_in_flight() {
    let mut flock = Flock::default();
    run(async {
        let (reader, mut writer) = pipe();
        let mut read = Box::pin(reader.read_at(flock.hatch(), POSITION));
        let bomb = Waker::from(Arc::new(Bomb { on_wake: false }));
        assert!(read.as_mut().poll(&mut Context::from_waker(&bomb)).is_pending());
        // From here on the operation has the only share in it.
        drop(bomb);
        turns(1).await;
        let panicked = poll_fn(|cx| {
            Poll::Ready(catch_unwind(AssertUnwindSafe(|| read.as_mut().poll(cx).is_ready())).is_err())
        });
        assert!(panicked.await, "a new waker replaces the old one");
        assert_eq!(flock.freed(), 0, "the kernel has it");
        writer.write_all(&[0x11; SIZE]).unwrap();
        settled().await;
    })
    .unwrap();
    assert_eq!(flock.freed(), 1);
    flock.assert_unharmed();
}

#[test]
fn a_waker_that_panics_keeps_a_run_that_ends_from_nothing() {
    let mut flock = Flock::default();
    let (reader, _writer) = pipe();
    let canary = flock.hatch();
    let ended = run(async move {
        spawn(async move { drop(reader.read_at(canary, POSITION).await) });
        let mut other = spawn(pending::<()>());
        let bomb = Waker::from(Arc::new(Bomb { on_wake: true }));
        assert!(Pin::new(&mut other).poll(&mut Context::from_waker(&bomb)).is_pending());
        turns(1).await;
        // Not dropped, it is told that its task has ended.
        std::mem::forget(other);
        7
    });
    assert_eq!(ended.unwrap(), 7, "the panic has nobody to go to");
    // The read was cancelled and waited for.
    assert_eq!(flock.freed(), 1);
    flock.assert_unharmed();
}

#[test]
fn a_waker_that_panics_keeps_no_other_completion_from_its_operation() {
    let mut flock = Flock::default();
    let [(first, mut one), (second, mut two)] = [pipe(), pipe()];
    one.write_all(&[0x11; SIZE]).unwrap();
    two.write_all(&[0x22; SIZE]).unwrap();
    let [canary, other] = [flock.hatch(), flock.hatch()];
    let ended = catch_unwind(AssertUnwindSafe(|| {
        run(async move {
            let mut read = Box::pin(first.read_at(canary, POSITION));
            let bomb = Waker::from(Arc::new(Bomb { on_wake: true }));
            assert!(read.as_mut().poll(&mut Context::from_waker(&bomb)).is_pending());
            // Submitted with the first, and completed with it.
            spawn(async move { drop(second.read_at(other, POSITION).await) });
            pending::<()>().await;
        })
    }));
    assert!(ended.is_err(), "the first completion wakes the bomb");
    assert_eq!(flock.freed(), 2);
    flock.assert_unharmed();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
