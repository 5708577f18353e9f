//! Handles and wakers of tasks: who drops what and when, wakes and aborts from other threads, and at every moment of a task.
#![allow(clippy::disallowed_methods, reason = "these tests wake and abort from threads")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use annulus_rt::time::{sleep, timeout};
use annulus_rt::{AbortHandle, Builder, JoinError, JoinHandle, run, spawn, spawn_blocking, task, yield_now};

/// Writes its name down when it is dropped.
struct Named(&'static str, Rc<RefCell<Vec<&'static str>>>);

impl Drop for Named {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

const fn may_cross_threads<T: Send + Sync>(_: &T) {}

#[test]
fn a_future_is_dropped_before_its_output_is_told_and_an_output_with_its_handle() {
    let log = Rc::new(RefCell::new(Vec::new()));
    run(async {
        let (held, output) = (Named("future", log.clone()), Named("output", log.clone()));
        // What a hand-written future holds is there until its task drops it.
        let mut output = Some(output);
        let task = spawn(poll_fn(move |_| {
            let _held = &held;
            Poll::Ready(output.take().unwrap())
        }));
        yield_now().await;
        assert_eq!(*log.borrow(), ["future"]);
        assert!(task.is_finished());
        drop(task);
        assert_eq!(*log.borrow(), ["future", "output"]);

        let (held, output) = (Named("captured", log.clone()), Named("unwanted", log.clone()));
        drop(spawn(async move {
            let _held = held;
            output
        }));
        yield_now().await;
        assert_eq!(log.borrow()[2..], ["captured", "unwanted"]);
    })
    .unwrap();
}

#[test]
fn what_a_run_leaves_is_dropped_in_the_order_in_which_it_was_spawned() {
    let log = Rc::new(RefCell::new(Vec::new()));
    run(async {
        for name in ["first", "second", "third"] {
            let held = Named(name, log.clone());
            spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
        }
        let held = Named("never polled", log.clone());
        yield_now().await;
        spawn(async move { drop(held) });
    })
    .unwrap();
    assert_eq!(*log.borrow(), ["first", "second", "third", "never polled"]);
}

#[test]
fn a_handle_outlives_its_run_with_the_output_in_it() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let output = Named("output", log.clone());
    let (mut done, mut ended, waker) = run(async {
        let done = spawn(async { output });
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        yield_now().await;
        (done, spawn(pending::<()>()), waker)
    })
    .unwrap();
    let mut cx = Context::from_waker(&waker);
    assert!(matches!(Pin::new(&mut ended).poll(&mut cx), Poll::Ready(Err(JoinError::Aborted))));
    ended.abort();
    assert!(log.borrow().is_empty());
    let Poll::Ready(Ok(output)) = Pin::new(&mut done).poll(&mut cx) else { panic!("{done:?}") };
    drop(done);
    assert!(log.borrow().is_empty());
    drop(output);
    assert_eq!(*log.borrow(), ["output"]);
}

#[test]
fn wakers_of_a_task_that_has_ended_do_nothing_wherever_they_go() {
    let wakers = run(async {
        let polls = Rc::new(Cell::new(0));
        let kept = Rc::new(RefCell::new(Vec::new()));
        let (counted, keep) = (polls.clone(), kept.clone());
        let task = spawn(poll_fn(move |cx| {
            counted.set(counted.get() + 1);
            keep.borrow_mut().extend([cx.waker().clone(), cx.waker().clone()]);
            if counted.get() < 2 {
                // Twice is once.
                cx.waker().wake_by_ref();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        }));
        task.await.unwrap();
        assert_eq!(polls.get(), 2);
        let wakers = kept.take();
        for waker in &wakers {
            waker.wake_by_ref();
        }
        let twin = wakers[0].clone();
        twin.wake();
        yield_now().await;
        assert_eq!(polls.get(), 2);
        // From elsewhere, where the last of them frees the task.
        let more: Vec<Waker> = wakers.to_vec();
        thread::spawn(move || more.into_iter().for_each(Waker::wake)).join().unwrap();
        yield_now().await;
        wakers
    });
    thread::spawn(move || drop(wakers)).join().unwrap();
}

#[test]
fn no_wake_is_lost_between_threads_that_wake_and_a_task_that_is_polled() {
    const ROUNDS: usize = 20_000;
    const LAST: usize = usize::MAX;
    run(async {
        // Where others have the processors, a round takes milliseconds: then as many as there is time for.
        let end = Instant::now() + Duration::from_secs(10);
        let given = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(AtomicUsize::new(0));
        let (waker, wakers) = mpsc::channel::<Waker>();
        let (theirs, progress) = (given.clone(), seen.clone());
        let waking = thread::spawn(move || {
            let waker = wakers.recv().unwrap();
            for round in 1..=ROUNDS {
                let last = round == ROUNDS || Instant::now() > end;
                theirs.store(if last { LAST } else { round }, Ordering::Relaxed);
                waker.wake_by_ref();
                // The last wake of each round is the only one that can be lost, so each is waited for.
                while progress.load(Ordering::Relaxed) < round {
                    thread::yield_now();
                }
                if last {
                    return;
                }
            }
        });
        let mut waker = Some(waker);
        let watching = poll_fn(|cx| {
            if let Some(waker) = waker.take() {
                waker.send(cx.waker().clone()).unwrap();
            }
            let round = given.load(Ordering::Relaxed);
            seen.store(round, Ordering::Relaxed);
            if round == LAST { Poll::Ready(()) } else { Poll::Pending }
        });
        timeout(Duration::from_secs(60), watching).await.unwrap();
        waking.join().unwrap();
    })
    .unwrap();
}

#[test]
fn wakers_are_cloned_and_dropped_on_several_threads_while_their_tasks_end() {
    run(async {
        for round in 0..300_usize {
            let (send, receive) = mpsc::channel::<Waker>();
            let task = spawn(async move {
                poll_fn(|cx| {
                    for _ in 0..4 {
                        send.send(cx.waker().clone()).unwrap();
                    }
                    Poll::Ready(())
                })
                .await;
                if round % 2 == 0 {
                    yield_now().await;
                }
            });
            let threads: Vec<_> = {
                yield_now().await;
                let wakers: Vec<Waker> = receive.try_iter().collect();
                assert_eq!(wakers.len(), 4);
                let other = |waker: Waker| {
                    move || {
                        let twin = waker.clone();
                        waker.wake();
                        twin.wake_by_ref();
                    }
                };
                wakers.into_iter().map(|waker| thread::spawn(other(waker))).collect()
            };
            task.await.unwrap();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    })
    .unwrap();
}

#[test]
fn a_task_is_aborted_from_another_thread_while_the_executor_sleeps() {
    run(async {
        for _ in 0..50 {
            let log = Rc::new(RefCell::new(Vec::new()));
            let held = Named("future", log.clone());
            let task = spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
            let abort = task.abort_handle();
            may_cross_threads(&abort);
            assert_eq!(abort.id(), task.id());
            let twin = abort.clone();
            let thread = thread::spawn(move || twin.abort());
            let ended = timeout(Duration::from_secs(30), task).await.unwrap();
            assert!(matches!(ended, Err(JoinError::Aborted)));
            assert_eq!(*log.borrow(), ["future"]);
            thread.join().unwrap();
            assert!(abort.is_finished());
            abort.abort();
        }
    })
    .unwrap();
}

#[test]
fn a_task_that_aborts_itself_ends_when_its_poll_returns() {
    let log = Rc::new(RefCell::new(Vec::new()));
    run(async {
        let own: Rc<RefCell<Option<AbortHandle>>> = Rc::default();
        let (abort, inside, held) = (own.clone(), log.clone(), Named("future", log.clone()));
        let task = spawn(async move {
            let _held = held;
            abort.borrow().as_ref().unwrap().abort();
            inside.borrow_mut().push("goes on");
            pending::<()>().await;
        });
        *own.borrow_mut() = Some(task.abort_handle());
        assert!(matches!(task.await, Err(JoinError::Aborted)));
        assert_eq!(*log.borrow(), ["goes on", "future"]);

        // One that is ready in the same poll has its output; one that panics its panic.
        for outcome in ["ready", "panic"] {
            let abort = own.clone();
            let task = spawn(async move {
                abort.borrow().as_ref().unwrap().abort();
                assert_eq!(outcome, "ready");
                7
            });
            *own.borrow_mut() = Some(task.abort_handle());
            match task.await {
                Ok(output) => assert_eq!((output, outcome), (7, "ready")),
                Err(error) => assert!(error.is_panic() && outcome == "panic", "{error}"),
            }
        }

        // And in a destructor of its own, while it is being aborted.
        struct Again(Rc<RefCell<Option<AbortHandle>>>);
        impl Drop for Again {
            fn drop(&mut self) {
                self.0.borrow().as_ref().unwrap().abort();
            }
        }
        let again = Again(own.clone());
        let task = spawn(async move {
            let _again = again;
            pending::<()>().await;
        });
        *own.borrow_mut() = Some(task.abort_handle());
        yield_now().await;
        task.abort();
        assert!(matches!(task.await, Err(JoinError::Aborted)));
    })
    .unwrap();
}

#[test]
fn destructors_of_aborted_tasks_may_abort_wake_and_wait_for_others() {
    struct Chain(Option<JoinHandle<()>>, Waker);
    impl Drop for Chain {
        fn drop(&mut self) {
            let mut next = self.0.take().unwrap();
            next.abort();
            self.1.wake_by_ref();
            assert!(next.is_finished());
            let polled = Pin::new(&mut next).poll(&mut Context::from_waker(&self.1));
            assert!(matches!(polled, Poll::Ready(Err(JoinError::Aborted))));
        }
    }
    run(async {
        let mut last = spawn(pending::<()>());
        for _ in 0..20 {
            let chain = Chain(Some(last), poll_fn(|cx| Poll::Ready(cx.waker().clone())).await);
            last = spawn(async move {
                let _chain = chain;
                pending::<()>().await;
            });
        }
        yield_now().await;
        last.abort();
        assert!(matches!(last.await, Err(JoinError::Aborted)));
        assert_eq!(annulus_rt::counters().tasks, 0);
    })
    .unwrap();
}

#[test]
fn a_handle_moved_to_another_task_wakes_whoever_polled_it_last() {
    run(async {
        let mut slow = spawn(async {
            sleep(Duration::from_millis(5)).await;
            3
        });
        assert!(timeout(Duration::ZERO, &mut slow).await.is_err());
        let waits = spawn(async move { slow.await.unwrap() + 1 });
        assert_eq!(timeout(Duration::from_secs(30), waits).await.unwrap().unwrap(), 4);
    })
    .unwrap();
}

#[test]
fn blocking_work_that_has_not_begun_is_aborted_and_what_runs_is_not() {
    Builder::new()
        .blocking(1, 8)
        .run(async {
            let (go, gone) = mpsc::channel::<()>();
            let (begun, has_begun) = mpsc::channel();
            let running = spawn_blocking(move || {
                begun.send(()).unwrap();
                gone.recv().unwrap();
                7
            });
            has_begun.recv().unwrap();
            let ran = Arc::new(AtomicBool::new(false));
            let (aborted, detached) = (ran.clone(), ran.clone());
            let waiting = spawn_blocking(move || aborted.store(true, Ordering::Relaxed));
            let abort = waiting.abort_handle();
            may_cross_threads(&abort);
            thread::spawn(move || abort.abort()).join().unwrap();
            assert!(matches!(waiting.await, Err(JoinError::Aborted)));

            running.abort();
            assert!(!running.is_finished());
            go.send(()).unwrap();
            assert_eq!(running.await.unwrap(), 7);
            assert_eq!(spawn_blocking(|| 8).await.unwrap(), 8);
            assert!(!ran.load(Ordering::Relaxed), "aborted before it began");

            // Letting go of the handle does not stop the work.
            drop(spawn_blocking(move || detached.store(true, Ordering::Relaxed)));
            spawn_blocking(|| ()).await.unwrap();
            assert!(ran.load(Ordering::Relaxed));
        })
        .unwrap();
}

#[test]
fn numbers_of_tasks_differ_between_runs_and_threads() {
    let some =
        || run(async { [task::id(), spawn(async {}).id(), spawn(async { task::id() }).await.unwrap()] });
    let mut all = some().unwrap().to_vec();
    all.extend(some().unwrap());
    all.extend(thread::spawn(move || some().unwrap()).join().unwrap());
    assert_eq!(all.len(), 9);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 9);
    assert_eq!(task::try_id(), None);
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
