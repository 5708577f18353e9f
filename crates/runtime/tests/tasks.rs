//! Tasks: panics, aborts, bounds, fairness, wakes from other threads, timers.
#![allow(clippy::disallowed_methods, reason = "these tests wake from threads and look at the clock")]

mod common;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use annulus_rt::time::{sleep, sleep_until, timeout};
use annulus_rt::{Builder, JoinError, counters, run, spawn, spawn_blocking, try_spawn, yield_now};

/// Counts how often it was dropped.
#[derive(Clone, Default)]
struct Dropped(Rc<Cell<usize>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_panic_reaches_its_handle_and_nobody_else() {
    run(async {
        let bystander = spawn(async {
            sleep(Duration::from_millis(10)).await;
            "alive"
        });
        let number = 7;
        let error = spawn(async move { assert_eq!(number, 8, "not eight") }).await.unwrap_err();
        assert!(error.panic_message().unwrap().contains("not eight"), "{error}");
        assert!(error.to_string().starts_with("the task panicked: "), "{error}");
        assert_eq!(bystander.await.unwrap(), "alive");

        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in the destructor");
            }
        }
        let bomb = spawn(async {
            let _bomb = Bomb;
            pending::<()>().await;
        });
        yield_now().await;
        bomb.abort();
        assert_eq!(bomb.await.unwrap_err().panic_message(), Some("in the destructor"));
    })
    .unwrap();
}

#[test]
fn an_aborted_task_is_dropped_at_once_and_its_handle_says_so() {
    run(async {
        let dropped = Dropped::default();
        let held = dropped.clone();
        let task = spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        yield_now().await;
        assert!(!task.is_finished());
        task.abort();
        assert_eq!(dropped.0.get(), 1);
        assert!(task.is_finished());
        assert!(matches!(task.await, Err(JoinError::Aborted)));

        // Before its first poll, after its end, and by itself.
        let never = spawn(async { unreachable!("it is aborted before its first poll") });
        never.abort();
        assert!(matches!(never.await, Err(JoinError::Aborted)));
        let done = spawn(async { 3 });
        yield_now().await;
        done.abort();
        assert_eq!(done.await.unwrap(), 3);
        let own = Rc::new(RefCell::new(None));
        let handle = own.clone();
        let suicide = spawn(async move {
            yield_now().await;
            let handle: annulus_rt::JoinHandle<()> = handle.borrow_mut().take().unwrap();
            handle.abort();
            pending::<()>().await;
        });
        *own.borrow_mut() = Some(suicide);
        for _ in 0..4 {
            yield_now().await;
        }
        assert!(own.borrow().is_none());
        assert_eq!(counters().tasks, 0);
    })
    .unwrap();
}

#[test]
fn what_is_left_when_the_root_returns_is_dropped_inside_the_runtime() {
    let dropped = Dropped::default();
    let held = dropped.clone();
    run(async move {
        spawn(async move {
            let _held = held;
            // Drops while the runtime still is there.
            struct Last;
            impl Drop for Last {
                fn drop(&mut self) {
                    let refused = spawn(async {});
                    assert!(refused.is_finished(), "nothing starts any more");
                }
            }
            let _last = Last;
            sleep(Duration::from_secs(3600)).await;
        });
        yield_now().await;
    })
    .unwrap();
    assert_eq!(dropped.0.get(), 1);
}

#[test]
fn the_panic_of_the_root_passes_after_everything_has_ended() {
    let dropped = Dropped::default();
    let held = dropped.clone();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(async move {
            spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
            yield_now().await;
            panic!("the root");
        })
    }));
    assert_eq!(outcome.unwrap_err().downcast_ref::<&str>(), Some(&"the root"));
    assert_eq!(dropped.0.get(), 1);
    // The thread is free for the next runtime.
    assert_eq!(run(async { 1 }).unwrap(), 1);
}

#[test]
fn one_more_task_than_there_may_be_is_refused() {
    let builder = Builder::new().tasks(2);
    builder
        .run(async {
            let first = spawn(async { sleep(Duration::from_millis(5)).await });
            let _second = spawn(pending::<()>());
            assert!(matches!(spawn(async {}).await, Err(JoinError::Refused)));
            assert!(try_spawn(async { 5 }).is_err());
            first.await.unwrap();
            assert_eq!(try_spawn(async { 5 }).ok().unwrap().await.unwrap(), 5);
        })
        .unwrap();
}

#[test]
fn a_runtime_inside_a_runtime_is_an_error() {
    let inner = run(async { run(async {}) }).unwrap();
    assert!(matches!(inner, Err(annulus_rt::Error::Nested)));
}

#[test]
fn a_task_that_never_waits_starves_neither_timers_nor_operations() {
    run(async {
        let busy = spawn(async {
            loop {
                yield_now().await;
            }
        });
        let (near, far) = common::pair().await;
        let echo = spawn(async move {
            let mut receiver = far.receiver();
            let bytes = receiver.next().await.unwrap().unwrap();
            far.send_all(bytes).await.0.unwrap();
        });
        near.send_all("fair").await.0.unwrap();
        let (result, back) = near.recv_exact(vec![0; 4]).await;
        result.unwrap();
        assert_eq!(back, b"fair");
        echo.await.unwrap();
        sleep(Duration::from_millis(5)).await;
        busy.abort();
    })
    .unwrap();
}

#[test]
fn a_task_is_woken_from_another_thread_while_the_executor_sleeps() {
    run(async {
        for round in 0..50_usize {
            let shared: Arc<(AtomicUsize, Mutex<Option<Waker>>)> = Arc::default();
            let theirs = shared.clone();
            let thread = std::thread::spawn(move || {
                if round % 2 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                theirs.0.store(round + 1, Ordering::Release);
                if let Some(waker) = theirs.1.lock().unwrap().take() {
                    waker.wake();
                }
            });
            let seen = poll_fn(|cx| {
                *shared.1.lock().unwrap() = Some(cx.waker().clone());
                match shared.0.load(Ordering::Acquire) {
                    0 => Poll::Pending,
                    value => Poll::Ready(value),
                }
            });
            assert_eq!(timeout(Duration::from_secs(10), seen).await, Ok(round + 1));
            thread.join().unwrap();
        }
    })
    .unwrap();
}

#[test]
fn a_waker_that_outlives_its_runtime_does_nothing() {
    let waker = run(poll_fn(|cx| Poll::Ready(cx.waker().clone()))).unwrap();
    let of_task = run(async {
        let (give, take) = std::sync::mpsc::channel();
        spawn(poll_fn(move |cx| {
            give.send(cx.waker().clone()).unwrap();
            Poll::<()>::Pending
        }));
        yield_now().await;
        take.recv().unwrap()
    })
    .unwrap();
    waker.wake();
    of_task.wake_by_ref();
    // Also inside of another runtime, whose task has the same place.
    run(async move {
        let task = spawn(async { 1 });
        of_task.wake();
        assert_eq!(task.await.unwrap(), 1);
    })
    .unwrap();
}

#[test]
fn blocking_work_runs_elsewhere_and_comes_back() {
    let builder = Builder::new().blocking(2, 4);
    builder
        .run(async {
            let here = std::thread::current().id();
            let there = spawn_blocking(|| std::thread::current().id()).await.unwrap();
            assert_ne!(here, there);
            let error = spawn_blocking(|| panic!("there")).await.unwrap_err();
            assert_eq!(error.panic_message(), Some("there"));

            // Two run, four wait, the next is refused.
            let gate = Arc::new(std::sync::Barrier::new(3));
            let started = Arc::new(AtomicUsize::new(0));
            let running: Vec<_> = (0..2)
                .map(|_| {
                    let (gate, started) = (gate.clone(), started.clone());
                    spawn_blocking(move || {
                        started.fetch_add(1, Ordering::SeqCst);
                        gate.wait()
                    })
                })
                .collect();
            while started.load(Ordering::SeqCst) < 2 {
                sleep(Duration::from_millis(1)).await;
            }
            let mut all: Vec<_> = (0..4_u32).map(|at| spawn_blocking(move || at)).collect();
            let refused = spawn_blocking(|| 9).await;
            assert!(matches!(refused, Err(JoinError::Refused)), "{refused:?}");
            gate.wait();
            for work in running {
                work.await.unwrap();
            }
            for (at, work) in all.drain(..).enumerate() {
                assert_eq!(work.await.unwrap() as usize, at);
            }
        })
        .unwrap();
}

#[test]
fn timers_fire_in_order_and_never_early() {
    run(async {
        for unit in [10, 100, 1_000].map(Duration::from_millis) {
            let start = Instant::now();
            let order = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = [3_u32, 1, 2, 0, 1]
                .into_iter()
                .enumerate()
                .map(|(at, units)| {
                    let order = order.clone();
                    let deadline = start + units * unit;
                    spawn(async move {
                        sleep_until(deadline).await;
                        assert!(Instant::now() >= deadline);
                        order.borrow_mut().push((units, at));
                    })
                })
                .collect();
            yield_now().await;
            // One that is over when it is first waited for does not wait for those before it: on a machine that was busy
            // for so long, again with longer ones.
            let all_wait = Instant::now() < start + unit;
            for task in tasks {
                task.await.unwrap();
            }
            if all_wait {
                assert_eq!(*order.borrow(), [(0, 3), (1, 1), (1, 4), (2, 2), (3, 0)]);
                return;
            }
        }
        panic!("five tasks were not polled within a second");
    })
    .unwrap();
}

#[test]
fn ten_thousand_timers_cost_no_entry_of_the_ring() {
    run(async {
        // The read that other threads wake by is submitted in the first turn.
        sleep(Duration::from_millis(1)).await;
        let before = counters();
        let fired = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..10_000_u64)
            .map(|at| {
                let fired = fired.clone();
                spawn(async move {
                    sleep(Duration::from_micros(at * 7 % 20_000)).await;
                    fired.set(fired.get() + 1);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(fired.get(), 10_000);
        assert_eq!(counters().submitted, before.submitted);

        // Those that are dropped do not wake anybody, and do not bound a wait.
        for _ in 0..1_000 {
            assert_eq!(timeout(Duration::from_secs(3600), async { 1 }).await, Ok(1));
        }
    })
    .unwrap();
}

#[test]
fn a_sleep_that_is_reset_ends_at_its_new_time() {
    run(async {
        let start = Instant::now();
        let mut sleep = sleep(Duration::from_secs(3600));
        assert!(timeout(Duration::from_millis(1), &mut sleep).await.is_err());
        sleep.reset(start + Duration::from_millis(10));
        (&mut sleep).await;
        assert!(start.elapsed() >= Duration::from_millis(10));
        assert!(timeout(Duration::MAX, async { true }).await.unwrap());
    })
    .unwrap();
}

#[test]
fn an_idle_executor_uses_no_time_of_the_processor() {
    let ticks = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // The first field after the name is the state, the third of the file; utime and stime are its 14th and 15th.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        [fields[11], fields[12]].map(|ticks| ticks.parse::<u64>().unwrap()).iter().sum::<u64>()
    };
    run(async {
        let mut spent = Vec::new();
        // What keeps a processor from the whole machine is charged to whoever had it: not each time, though.
        for _ in 0..5 {
            let enters = counters().enters;
            let before = ticks();
            sleep(Duration::from_millis(300)).await;
            spent.push((ticks() - before, counters().enters - enters));
            if spent.iter().any(|(ticks, enters)| *ticks <= 1 && *enters <= 5) {
                return;
            }
        }
        panic!("ticks of 10 ms, and calls, in 300 ms of sleep: {spent:?}");
    })
    .unwrap();
}

#[test]
fn thousands_of_operations_pass_through_a_ring_of_four_entries() {
    common::allow_descriptors();
    let folder = common::folder();
    let builder = Builder::new().entries(4).cq_entries(8);
    builder
        .run(async {
            let file = Rc::new(annulus_rt::fs::open(folder.path().join("file")).await.unwrap());
            let reads: Vec<_> = (0..5_000_u64)
                .map(|at| {
                    let file = file.clone();
                    spawn(async move {
                        let (read, buf) = file.read_at(vec![0; 1], at % 10).await;
                        assert_eq!((read.unwrap(), buf[0]), (1, b'0' + u8::try_from(at % 10).unwrap()));
                    })
                })
                .collect();
            for read in reads {
                read.await.unwrap();
            }
            assert_eq!(counters().in_flight, 0);
            assert_eq!(counters().stale, 0);
        })
        .unwrap();
}

#[test]
fn one_more_operation_than_there_may_be_gets_ebusy() {
    let builder = Builder::new().operations(3);
    builder
        .run(async {
            // One is the runtime's own, for wake-ups.
            let (read_end, _write_end) = std::io::pipe().unwrap();
            let pipe = Rc::new(annulus_rt::fs::File::from(std::os::fd::OwnedFd::from(read_end)));
            let waiting: Vec<_> = (0..2)
                .map(|_| {
                    let pipe = pipe.clone();
                    spawn(async move { pipe.read(vec![0; 1]).await.0 })
                })
                .collect();
            yield_now().await;
            let (result, buf) = pipe.read(vec![7; 3]).await;
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EBUSY));
            assert_eq!(buf, [7; 3], "a buffer that was refused comes back as it was");
            drop(waiting);
        })
        .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
