//! What the tests share: runtimes, counting descriptors, a buffer that tells when it is freed, randomness with a seed.
#![allow(unsafe_code, reason = "a buffer that tells when it is freed keeps the contract of the memory in it")]
#![allow(dead_code, reason = "each test program uses a part")]

use std::future::Future;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use annulus_rt::buf::{IoBuf, IoBufMut};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

/// A runtime with so many workers.
pub(crate) fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
}

/// Allows as many descriptors as there may be: on the engine each request that waits has one, of the 1,024 that are usual.
pub(crate) fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the hard limit");
}

/// How many descriptors this process has open.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc is mounted").count()
}

/// Waits on this thread until `done`, for as long as patience lasts.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{what}");
}

/// Drops a future after so many polls. What it gave, if it was ready before.
pub(crate) async fn leave<T>(future: impl Future<Output = T>, mut polls: u64) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if polls == 0 => Poll::Ready(None),
        Poll::Pending => {
            polls -= 1;
            Poll::Pending
        }
    })
    .await
}

/// A number that looks random (splitmix64).
pub(crate) const fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Runs `test` in a process of its own: descriptors are the process's, and other tests run in this one at the same time.
/// `name` is the full name of the test that calls this.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    const INSIDE: &str = "ANNULUS_TOKIO_TEST_ALONE";
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let program = std::env::current_exe().expect("a test program has a path");
    let mut child = Command::new(program);
    child.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let output = child.output().expect("a test program can be run again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{name} alone: {text}{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs the tests of this program again in another process, on the engine. `name` is the full name of the test that calls
/// this, and does nothing else.
pub(crate) fn again_on_the_engine(name: &str) {
    if annulus::environment::backend_choice() == Ok(annulus::BackendChoice::Engine) {
        return;
    }
    let program = std::env::current_exe().expect("a test program has a path");
    let mut again = Command::new(program);
    again.args(["--exact", "--skip", name]).env(annulus::environment::BACKEND_VARIABLE, "engine");
    let output = again.output().expect("a test program can be run again");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !text.contains(" 0 passed"), "on the engine: {text}{errors}");
}

/// What a buffer was filled with before it was freed.
const FREED: u8 = 0xdd;

/// A buffer whose memory stays readable after it was "freed", so that a late write is seen.
pub(crate) struct Canary(Arc<Memory>);

/// Looks at it from outside.
pub(crate) struct Freed(Arc<Memory>);

struct Memory {
    bytes: Box<[AtomicU8]>,
    freed: AtomicUsize,
}

impl Canary {
    pub(crate) fn new(len: usize) -> (Self, Freed) {
        let bytes = (0..len).map(|_| AtomicU8::new(0)).collect();
        let memory = Arc::new(Memory { bytes, freed: AtomicUsize::new(0) });
        (Self(memory.clone()), Freed(memory))
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        for byte in &self.0.bytes {
            byte.store(FREED, Ordering::Relaxed);
        }
        self.0.freed.fetch_add(1, Ordering::Release);
    }
}

impl Freed {
    pub(crate) fn is_freed(&self) -> bool {
        self.0.freed.load(Ordering::Acquire) == 1
    }

    pub(crate) fn assert_untouched(&self) {
        let touched = self.0.bytes.iter().position(|byte| byte.load(Ordering::Relaxed) != FREED);
        assert_eq!(touched, None, "written after it was freed");
    }
}

// SAFETY: the bytes are on the heap, and stay there as long as the canary or who looks at it does.
unsafe impl IoBuf for Canary {
    fn as_stable_ptr(&self) -> *const u8 {
        self.0.bytes.as_ptr().cast()
    }

    fn filled(&self) -> usize {
        self.0.bytes.len()
    }
}

// SAFETY: as above; atomic bytes may be written through a shared reference.
unsafe impl IoBufMut for Canary {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.bytes.as_ptr().cast::<u8>().cast_mut()
    }

    fn capacity(&self) -> usize {
        self.0.bytes.len()
    }

    unsafe fn set_filled(&mut self, _len: usize) {}
}
