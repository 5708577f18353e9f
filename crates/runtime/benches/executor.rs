//! What an executor costs: spawning and joining, waking, yielding, timers that are set, cancelled, kept and that fire.
//!
//! The same text is compiled against this crate and against tokio's current-thread runtime, and both run in one group by
//! turns. Futures are such that both can run them (tokio's are `Send`); none touches a descriptor.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::disallowed_methods, reason = "measuring is what it is for")]

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

/// How often both take turns at each bench. Of the passes the least disturbed one counts (`results`).
const PASSES: u32 = 3;

/// How many tasks or timers there are where there are many.
const MANY: u32 = 10_000;
const CROWD: u32 = 1_000;

/// Later than any bench ends.
const FAR: Duration = Duration::from_secs(3_600);

thread_local! {
    /// Two tasks that wake each other: whose turn it is, and how to wake the other.
    static TURN: Cell<usize> = const { Cell::new(0) };
    static PLAYERS: [RefCell<Option<Waker>>; 2] = const { [RefCell::new(None), RefCell::new(None)] };
}

/// Waits for its turn, and hands it to the other, so many times.
async fn play(player: usize, rounds: u64) {
    for _ in 0..rounds {
        poll_fn(|cx| {
            if TURN.get() % 2 == player {
                return Poll::Ready(());
            }
            PLAYERS.with(|players| {
                let mut waker = players[player].borrow_mut();
                match &mut *waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
            });
            Poll::Pending
        })
        .await;
        TURN.set(TURN.get() + 1);
        let other = PLAYERS.with(|players| players[1 - player].borrow_mut().take());
        if let Some(other) = other {
            other.wake();
        }
    }
}

/// Polls a future once, which has to wait.
async fn begin<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending(), "it has to wait");
        Poll::Ready(())
    })
    .await;
}

/// The benches, against a runtime. Each returns the time that its `rounds` took.
macro_rules! benches {
    ($name:ident, $run:expr, $spawn:path, $yield_now:path, $sleep:path, $sleep_until:path) => {
        mod $name {
            use super::*;

            pub(super) fn spawn_and_join(rounds: u64) -> Duration {
                $run(async move {
                    let start = Instant::now();
                    for _ in 0..rounds {
                        $spawn(async {}).await.expect("it ends");
                    }
                    start.elapsed()
                })
            }

            pub(super) fn spawn_many_and_join(rounds: u64) -> Duration {
                $run(async move {
                    let mut tasks = Vec::with_capacity(CROWD as usize);
                    let start = Instant::now();
                    for _ in 0..rounds {
                        tasks.extend((0..CROWD).map(|_| $spawn(async {})));
                        for task in tasks.drain(..) {
                            task.await.expect("it ends");
                        }
                    }
                    start.elapsed()
                })
            }

            pub(super) fn wake_each_other(rounds: u64) -> Duration {
                $run(async move {
                    TURN.set(0);
                    let start = Instant::now();
                    let (one, two) = ($spawn(play(0, rounds)), $spawn(play(1, rounds)));
                    one.await.expect("it ends");
                    two.await.expect("it ends");
                    start.elapsed()
                })
            }

            pub(super) fn yield_by_turns(rounds: u64) -> Duration {
                $run(async move {
                    let start = Instant::now();
                    let yields = || async move {
                        for _ in 0..rounds {
                            $yield_now().await;
                        }
                    };
                    let tasks: Vec<_> = (0..10).map(|_| $spawn(yields())).collect();
                    for task in tasks {
                        task.await.expect("it ends");
                    }
                    start.elapsed()
                })
            }

            /// Sets a timer and cancels it, beside so many that are pending.
            pub(super) fn set_and_cancel(rounds: u64, pending: u32) -> Duration {
                $run(async move {
                    let mut others = Vec::new();
                    for at in 0..pending {
                        let far = FAR + Duration::from_micros(u64::from(at) * 7_919 % 1_000_000);
                        let mut other = Box::pin($sleep(far));
                        begin(other.as_mut()).await;
                        others.push(other);
                    }
                    let start = Instant::now();
                    for _ in 0..rounds {
                        let mut timer = pin!($sleep(FAR));
                        begin(timer.as_mut()).await;
                    }
                    start.elapsed()
                })
            }

            /// Sets many timers, and then cancels them in the order in which they were set.
            pub(super) fn set_many_and_cancel(rounds: u64) -> Duration {
                $run(async move {
                    let mut all = Vec::new();
                    let mut taken = Duration::ZERO;
                    for _ in 0..rounds {
                        all.clear();
                        all.extend((0..MANY).map(|at| {
                            let spread = u64::from(at) * 7_919 % 1_000_000;
                            Box::pin($sleep(FAR + Duration::from_micros(spread)))
                        }));
                        let start = Instant::now();
                        for timer in &mut all {
                            begin(timer.as_mut()).await;
                        }
                        for timer in &mut all {
                            timer.set($sleep(FAR));
                        }
                        taken += start.elapsed();
                    }
                    taken
                })
            }

            /// Tasks whose sleeps are all over wake up.
            pub(super) fn expire(rounds: u64) -> Duration {
                $run(async move {
                    let mut taken = Duration::ZERO;
                    for _ in 0..rounds {
                        let deadline = Instant::now() + Duration::from_millis(4);
                        let tasks: Vec<_> = (0..CROWD)
                            .map(|_| $spawn(async move { $sleep_until(deadline.into()).await }))
                            .collect();
                        // They are polled and wait.
                        $yield_now().await;
                        while Instant::now() < deadline + Duration::from_millis(2) {
                            std::hint::spin_loop();
                        }
                        let start = Instant::now();
                        for task in tasks {
                            task.await.expect("it ends");
                        }
                        taken += start.elapsed();
                    }
                    taken
                })
            }
        }
    };
}

fn run_annulus<F: Future>(future: F) -> F::Output {
    annulus_rt::run(future).expect("a ring")
}

fn run_tokio<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(future)
}

benches!(
    annulus,
    run_annulus,
    annulus_rt::spawn,
    annulus_rt::yield_now,
    annulus_rt::time::sleep,
    annulus_rt::time::sleep_until
);
benches!(peer, run_tokio, tokio::spawn, tokio::task::yield_now, tokio::time::sleep, tokio::time::sleep_until);

/// Measures both, by turns, each alone for a while.
fn pair(
    criterion: &mut Criterion,
    name: &str,
    elements: u32,
    own: fn(u64) -> Duration,
    peer: fn(u64) -> Duration,
) {
    for pass in 1..=PASSES {
        let mut group = criterion.benchmark_group(format!("{name}/pass {pass}"));
        group.sampling_mode(SamplingMode::Flat).sample_size(20);
        group.measurement_time(Duration::from_millis(800)).warm_up_time(Duration::from_millis(300));
        group.throughput(Throughput::Elements(u64::from(elements)));
        group.bench_function("annulus", |bencher| bencher.iter_custom(own));
        group.bench_function("tokio", |bencher| bencher.iter_custom(peer));
        group.finish();
    }
}

fn tasks(criterion: &mut Criterion) {
    pair(criterion, "spawn and join", 1, annulus::spawn_and_join, peer::spawn_and_join);
    pair(criterion, "spawn 1,000 and join", CROWD, annulus::spawn_many_and_join, peer::spawn_many_and_join);
    pair(criterion, "two tasks wake each other", 2, annulus::wake_each_other, peer::wake_each_other);
    pair(criterion, "ten tasks yield", 10, annulus::yield_by_turns, peer::yield_by_turns);
}

fn timers(criterion: &mut Criterion) {
    pair(
        criterion,
        "timer set and cancelled",
        1,
        |rounds| annulus::set_and_cancel(rounds, 0),
        |rounds| peer::set_and_cancel(rounds, 0),
    );
    pair(
        criterion,
        "timer set and cancelled beside 10,000",
        1,
        |rounds| annulus::set_and_cancel(rounds, MANY),
        |rounds| peer::set_and_cancel(rounds, MANY),
    );
    pair(
        criterion,
        "10,000 timers set, then cancelled",
        MANY,
        annulus::set_many_and_cancel,
        peer::set_many_and_cancel,
    );
    pair(criterion, "1,000 sleeps end", CROWD, annulus::expire, peer::expire);
}

criterion_group!(executor, tasks, timers);
criterion_main!(executor);
