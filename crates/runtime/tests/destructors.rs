//! Panics of destructors, results that come when nobody waits any more, futures that outlive their run: they
//! concern nobody else, and none of them waits for ever.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Builder, JoinError, run, spawn, spawn_blocking, yield_now};

/// An output that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "the destructor of an output panicked");
    }
}

#[test]
fn the_output_of_a_detached_task_may_panic_when_it_is_dropped() {
    let output = run(async {
        drop(spawn(async { Bomb }));
        yield_now().await;
        let aborted = spawn(async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        });
        yield_now().await;
        aborted.abort();
        assert!(matches!(aborted.await, Err(JoinError::Panicked(_))));
        7
    });
    assert_eq!(output.unwrap(), 7);
}

#[test]
fn tasks_whose_destructors_panic_do_not_keep_a_run_from_ending() {
    let output = run(async {
        for _ in 0..3 {
            drop(spawn(async {
                let _bomb = Bomb;
                std::future::pending::<()>().await;
            }));
        }
        yield_now().await;
        7
    });
    assert_eq!(output.unwrap(), 7);
}

#[test]
fn a_result_of_blocking_work_that_panics_when_it_is_dropped_costs_no_thread() {
    let builder = Builder::new().blocking(1, 8);
    let output = builder.run(async {
        let (started, has_started) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let unwanted = spawn_blocking(move || {
            started.send(()).unwrap();
            gone.recv().unwrap();
            Bomb
        });
        has_started.recv().unwrap();
        drop(unwanted);
        go.send(()).unwrap();
        timeout(Duration::from_secs(20), spawn_blocking(|| 7)).await
    });
    assert_eq!(output.unwrap().unwrap().unwrap(), 7);
}

#[test]
fn blocking_work_that_did_not_come_to_run_says_so_after_the_run() {
    let (go, gone) = mpsc::channel::<()>();
    let waiting = Builder::new().blocking(1, 8).run(async {
        let (started, has_started) = mpsc::channel();
        drop(spawn_blocking(|| ()));
        let first = spawn_blocking(move || {
            started.send(()).unwrap();
            gone.recv()
        });
        has_started.recv().unwrap();
        (first, spawn_blocking(|| 7))
    });
    let (first, second) = waiting.unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let polled = pin!(second).poll(&mut cx);
    assert!(matches!(polled, Poll::Ready(Err(JoinError::Aborted))), "{}", polled.is_ready());
    go.send(()).unwrap();
    drop(first);
}

#[test]
fn a_sleep_that_was_taken_out_of_its_run_ends_in_the_next_one() {
    let begun = run(async {
        let mut sleep = Box::pin(sleep(Duration::from_millis(30)));
        let pending = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending()));
        assert!(pending.await);
        Some(sleep)
    });
    let waited = run(timeout(Duration::from_secs(20), begun.unwrap().unwrap()));
    assert_eq!(waited.unwrap(), Ok(()));
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
