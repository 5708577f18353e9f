//! How rings are set up: which flags are in force, what older kernels leave of them, and rings with a polling thread.
#![allow(unsafe_code, reason = "a table of system calls that refuses flags")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test, which says what it leaves out")]

mod common;

use std::cell::Cell;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use annulus::IoUring;
use annulus::abi::{Params, SetupFlags};
use annulus::kernel::SystemCalls;
use annulus_rt::time::sleep;
use annulus_rt::{BackendChoice, Builder, Error, counters, spawn, yield_now};
use common::on_the_engine;
use rustix::io::Errno;

/// What is asked for by default, the newest last.
const DEFAULT: [SetupFlags; 6] = [
    SetupFlags::SUBMIT_ALL,
    SetupFlags::COOP_TASKRUN,
    SetupFlags::TASKRUN_FLAG,
    SetupFlags::SINGLE_ISSUER,
    SetupFlags::DEFER_TASKRUN,
    SetupFlags::NO_SQARRAY,
];

thread_local! {
    /// What the kernel of this thread has never heard of.
    static UNKNOWN: Cell<SetupFlags> = const { Cell::new(SetupFlags::empty()) };
    /// The flags in force of the ring that was set up last.
    static IN_FORCE: Cell<SetupFlags> = const { Cell::new(SetupFlags::empty()) };
}

fn look(ring: IoUring) -> IoUring {
    IN_FORCE.set(ring.params().setup_flags());
    ring
}

/// Which of the flags that are asked for this kernel knows; the engine knows all.
fn known() -> SetupFlags {
    let mut known = SetupFlags::empty();
    for flag in DEFAULT {
        let mut params = Params { flags: (known | flag).bits(), ..Params::default() };
        // SAFETY: the parameters live for the call.
        let ring = unsafe { (SystemCalls::LINUX.setup)(4, &raw mut params) };
        let is_known = ring.is_ok_and(|ring| {
            // SAFETY: the kernel made this descriptor for us just now.
            drop(unsafe { OwnedFd::from_raw_fd(ring) });
            true
        });
        known.set(flag, is_known || on_the_engine());
    }
    known
}

/// # Safety
///
/// As for io_uring_setup(2).
unsafe fn setup_refusing(entries: u32, params: *mut Params) -> Result<RawFd, Errno> {
    // SAFETY: the pointer is good, says the caller.
    let flags = unsafe { (*params).setup_flags() };
    if flags.intersects(UNKNOWN.get()) {
        return Err(Errno::INVAL);
    }
    // SAFETY: the contract is the same.
    unsafe { (SystemCalls::LINUX.setup)(entries, params) }
}

/// A runtime on a kernel that knows all but these flags.
fn without(unknown: SetupFlags) -> Builder {
    UNKNOWN.set(unknown);
    let calls = SystemCalls { setup: setup_refusing, ..SystemCalls::LINUX };
    // SAFETY: the calls are those of the kernel, or refuse.
    unsafe { Builder::new().system_calls(calls) }.around_rings(look)
}

/// What a program does with a ring: a file, a connection, a timer, several tasks.
async fn some_of_everything() {
    let folder = common::folder();
    let file = Rc::new(annulus_rt::fs::open(folder.path().join("file")).await.unwrap());
    let reads: Vec<_> = (0..300_u64)
        .map(|at| {
            let file = file.clone();
            spawn(async move { file.read_at(vec![0; 1], at % 10).await.1[0] })
        })
        .collect();
    for (at, read) in reads.into_iter().enumerate() {
        assert_eq!(usize::from(read.await.unwrap() - b'0'), at % 10);
    }
    let (near, far) = common::pair().await;
    near.send_all("ring").await.0.unwrap();
    let (received, buf) = far.recv_exact(vec![0; 4]).await;
    received.unwrap();
    assert_eq!(buf, b"ring");
    sleep(Duration::from_millis(2)).await;
}

#[test]
fn every_flag_that_serves_one_thread_is_in_force_on_this_kernel() {
    let all = known();
    let unknown = DEFAULT.into_iter().collect::<SetupFlags>() - all;
    if !unknown.is_empty() {
        println!("SKIP: this kernel does not know {unknown:?}");
    }
    Builder::new().around_rings(look).run(some_of_everything()).unwrap();
    // The engine is entered in every turn: it need not say that there is something to enter for.
    let wanted = if on_the_engine() { all - SetupFlags::TASKRUN_FLAG } else { all };
    assert_eq!(IN_FORCE.get() & all, wanted);
}

#[test]
fn a_runtime_on_the_engine_has_no_thread_that_watches_for_it() {
    common::alone("a_runtime_on_the_engine_has_no_thread_that_watches_for_it", || {
        let runtime = Builder::new().backend(BackendChoice::Engine);
        let threads = runtime.run(async {
            let (near, far) = common::pair().await;
            for _ in 0..20 {
                near.send_all("ring").await.0.unwrap();
                far.recv_exact(vec![0; 4]).await.0.unwrap();
                sleep(Duration::from_millis(1)).await;
            }
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            tasks
                .map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap())
                .collect::<Vec<_>>()
        });
        let threads = threads.unwrap();
        assert!(!threads.iter().any(|name| name.trim() == "annulus-poll"), "{threads:?}");
    });
}

#[test]
fn a_kernel_that_lacks_a_flag_is_used_without_it_and_with_all_older_ones() {
    let here = known();
    for (at, lacking) in DEFAULT.into_iter().enumerate() {
        // As kernels are: what lacks a flag lacks those that came later.
        let unknown = DEFAULT[at..].iter().copied().collect::<SetupFlags>();
        without(unknown).run(some_of_everything()).unwrap();
        let known = DEFAULT[..at].iter().copied().collect::<SetupFlags>() & here;
        let left = IN_FORCE.get() & DEFAULT.into_iter().collect::<SetupFlags>();
        // The flag that tells of waiting work wants another that leaves it waiting.
        assert_eq!(left, known, "without {lacking:?}");

        // And as they are not: it alone is missing.
        without(lacking).run(some_of_everything()).unwrap();
        assert!(!IN_FORCE.get().intersects(lacking), "{:?}", IN_FORCE.get());
    }
}

#[test]
fn a_flag_that_is_not_optional_to_a_program_is_its_own_affair() {
    let error = without(SetupFlags::CQSIZE).backend(BackendChoice::Kernel).run(async {}).unwrap_err();
    assert!(matches!(error, Error::Setup(_)), "{error:?}");
    assert_eq!(error.errno(), Some(Errno::INVAL));
}

#[test]
fn a_polling_thread_takes_what_is_queued_without_a_call() {
    let builder = Builder::new().sqpoll(Duration::from_secs(2)).around_rings(look);
    builder
        .run(async {
            some_of_everything().await;
            let folder = common::folder();
            let file = annulus_rt::fs::open(folder.path().join("file")).await.unwrap();
            let before = counters();
            for at in 0..200_u64 {
                let mut read = Box::pin(file.read_at(vec![0; 1], at % 10));
                // Looked at without waiting, so that nothing has to enter.
                let done = loop {
                    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(read.as_mut().poll(cx)));
                    match polled.await {
                        std::task::Poll::Ready(done) => break done,
                        std::task::Poll::Pending => yield_now().await,
                    }
                };
                assert_eq!(done.1, [b'0' + u8::try_from(at % 10).unwrap()]);
            }
            let calls = counters().enters - before.enters;
            assert!(calls < 100, "{calls} calls for 200 operations");
        })
        .unwrap();
    let expected = SetupFlags::SQPOLL | (SetupFlags::SINGLE_ISSUER & known());
    assert!(IN_FORCE.get().contains(expected), "{:?}", IN_FORCE.get());
}

#[test]
fn a_polling_thread_that_sleeps_is_woken_and_a_full_queue_waited_for() {
    let builder = Builder::new().sqpoll(Duration::ZERO).sqpoll_cpu(0).entries(4).around_rings(look);
    builder
        .run(async {
            for _ in 0..3 {
                some_of_everything().await;
                // Long enough for the thread to fall asleep, whenever it does.
                sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(counters().backlog, 0);
        })
        .unwrap();
    assert!(IN_FORCE.get().contains(SetupFlags::SQPOLL | SetupFlags::SQ_AFF), "{:?}", IN_FORCE.get());
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
