//! Work and wake-ups between shards, and from threads that have none: in order, without loss, with a bound, and with
//! shards that end meanwhile.
#![allow(clippy::print_stdout, reason = "a test that is left out says so")]

mod common;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use annulus::{IoUring, Probe, opcode};
use annulus_rt::shard::{self, Handle, SpawnError};
use annulus_rt::sync::{Barrier, Shutdown, channel, oneshot};
use annulus_rt::time::timeout;
use annulus_rt::{Builder, JoinError, Shards, counters, run, spawn, yield_now};
use common::{alone, descriptors, until_descriptors};

/// More than anything here takes, on any machine.
const LONG: Duration = Duration::from_secs(60);

/// Messages between shards, over all tests of the kind.
const MESSAGES: usize = 100_000;

/// Both ways to call a shard: through the ring, and by eventfd.
fn both_ways(test: impl Fn(Builder)) {
    for messages in [true, false] {
        test(Builder::new().ring_messages(messages));
    }
}

#[test]
fn a_shard_knows_its_place_and_a_plain_run_is_shard_0_of_1() {
    let places = Shards::new(3).pinned(false).run(|index| async move {
        assert_eq!(shard::current(), index);
        assert_eq!(Handle::current().shard(), index);
        assert_eq!(shard::handle(2).shard(), 2);
        shard::count()
    });
    assert_eq!(places.unwrap(), [3; 3]);
    run(async {
        assert_eq!((shard::current(), shard::count()), (0, 1));
        assert_eq!(shard::spawn_on(0, || async { 5 }).await.unwrap(), 5);
        assert_eq!(
            shard::all(|index| async move { index }).await.into_iter().map(Result::unwrap).sum::<usize>(),
            0
        );
    })
    .unwrap();
    assert!(Handle::try_current().is_none());
}

#[test]
#[should_panic = "there is no shard 1: this run has 1"]
fn a_shard_that_is_not_there_is_a_mistake_of_the_program() {
    run(async { drop(shard::spawn_on(1, || async {})) }).unwrap();
}

#[test]
fn work_runs_where_it_was_placed_and_its_future_need_not_be_send() {
    both_ways(|builder| {
        let done = Barrier::new(3);
        let seen = Shards::new(3).pinned(false).builder(builder).run(|index| {
            let done = &done;
            async move {
                let mut seen = Vec::new();
                for other in 0..3 {
                    let there = shard::spawn_on(other, move || async move {
                        let local = Rc::new(Cell::new(index));
                        yield_now().await;
                        local.set(10 * local.get() + shard::current());
                        local.get()
                    });
                    seen.push(there.await.unwrap());
                }
                done.wait().await;
                seen
            }
        });
        assert_eq!(seen.unwrap(), [vec![0, 1, 2], vec![10, 11, 12], vec![20, 21, 22]]);
    });
}

#[test]
fn messages_of_each_pair_arrive_once_and_in_order() {
    thread_local!(static HEARD: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) });
    for shards in [2, 4] {
        both_ways(|builder| {
            // Each to each, itself included.
            let each = MESSAGES / 4 / (shards * shards);
            let done = Barrier::new(shards);
            let run = Shards::new(shards).pinned(false).builder(builder.inbox(100_000)).run(|index| {
                let done = &done;
                async move {
                    HEARD.take();
                    done.wait().await;
                    let mut last = Vec::new();
                    for number in 0..each {
                        for other in 0..shards {
                            let told = shard::try_spawn_on(other, move || async move {
                                HEARD.with_borrow_mut(|heard| heard.push((index, number)));
                            });
                            let told = told.expect("there is room for all of them");
                            if number + 1 == each {
                                last.push(told);
                            }
                        }
                        if number % 64 == 0 {
                            yield_now().await;
                        }
                    }
                    for told in last {
                        timeout(LONG, told).await.expect("none is lost").unwrap();
                    }
                    done.wait().await;
                    let heard = HEARD.take();
                    assert_eq!(heard.len(), each * shards);
                    for sender in 0..shards {
                        let numbers = heard.iter().filter(|heard| heard.0 == sender).map(|heard| heard.1);
                        assert!(numbers.eq(0..each), "those of {sender} on {index}");
                    }
                    assert_eq!(counters().stale, 0);
                }
            });
            run.unwrap();
        });
    }
}

#[test]
fn a_hundred_thousand_wake_ups_between_shards_that_sleep_are_not_lost() {
    both_ways(|builder| {
        // A ring of shards: each passes a token on, so that all but one sleep.
        for shards in [2, 3] {
            let rounds = MESSAGES / 8 / shards;
            let ends: Vec<_> = (0..shards).map(|_| channel::<usize>(1)).collect();
            let ends = &ends;
            let run = Shards::new(shards).pinned(false).builder(builder.clone()).run(|index| async move {
                let (receiver, next) = (&ends[index].1, &ends[(index + 1) % shards].0);
                if index == 0 {
                    next.send(0).await.unwrap();
                }
                for _ in 0..rounds {
                    let token = timeout(LONG, receiver.recv()).await.expect("it comes round").unwrap();
                    next.send(token + 1).await.unwrap();
                }
                counters()
            });
            let counters = run.unwrap();
            assert!(counters.iter().all(|counters| counters.stale == 0));
        }
    });
}

#[test]
fn a_shard_that_sleeps_is_called_through_the_ring_where_that_is_wanted() {
    let sent = |messages| {
        let (done, builder) = (Barrier::new(4), Builder::new().ring_messages(messages));
        let sent = Shards::new(4).pinned(false).builder(builder).run(|index| {
            let done = &done;
            async move {
                // The others sleep, but for what they are asked.
                for _ in 0..if index == 0 { 200 } else { 0 } {
                    for answer in shard::all(|_| async {}).await {
                        answer.unwrap();
                    }
                }
                let sent = counters().messages;
                done.wait().await;
                sent
            }
        });
        sent.unwrap()
    };
    assert_eq!(sent(false), [0; 4]);
    let mut probe = Probe::new();
    IoUring::new(1).unwrap().submitter().register_probe(&mut probe).unwrap();
    if !probe.is_supported(opcode::MsgRingData::CODE) {
        return println!("SKIP: no MSG_RING (Linux 5.18)");
    }
    let through_the_ring = sent(true);
    assert!(through_the_ring[0] > 0, "{through_the_ring:?}");
}

#[test]
fn the_panic_of_a_closure_and_of_a_future_comes_back() {
    let done = Barrier::new(2);
    Shards::new(2)
        .pinned(false)
        .run(|index| {
            let done = &done;
            async move {
                let other = 1 - index;
                fn panics(what: &'static str) -> std::future::Ready<()> {
                    panic!("{what}")
                }
                let closure = shard::spawn_on(other, || panics("the closure")).await;
                assert_eq!(closure.unwrap_err().panic_message(), Some("the closure"));
                let future = shard::spawn_on(other, || async {
                    yield_now().await;
                    panics("the future").await
                });
                assert_eq!(future.await.unwrap_err().panic_message(), Some("the future"));
                struct Late;
                impl Drop for Late {
                    fn drop(&mut self) {
                        drop(panics("the destructor"));
                    }
                }
                let destructor = shard::spawn_on(other, || {
                    let late = Late;
                    std::future::poll_fn(move |_| {
                        let _held = &late;
                        std::task::Poll::Ready(7)
                    })
                });
                assert_eq!(destructor.await.unwrap_err().panic_message(), Some("the destructor"));
                // The shard goes on.
                assert_eq!(shard::spawn_on(other, || async { 1 }).await.unwrap(), 1);
                done.wait().await;
            }
        })
        .unwrap();
}

#[test]
fn a_task_over_there_is_aborted_where_it_is_or_before_it_began() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    both_ways(|builder| {
        let done = Barrier::new(2);
        let dropped = Arc::new(AtomicUsize::new(0));
        let run = Shards::new(2).pinned(false).builder(builder).run(|index| {
            let (done, counts) = (&done, Counts(dropped.clone()));
            async move {
                let (began, begins) = oneshot::channel();
                let task = shard::spawn_on(1 - index, move || async move {
                    let _counts = counts;
                    began.send(()).unwrap();
                    pending::<()>().await;
                });
                begins.await.unwrap();
                assert!(!task.is_finished());
                task.abort();
                assert!(matches!(timeout(LONG, task).await.unwrap(), Err(JoinError::Aborted)));
                // This shard's own inbox is looked at when this poll is over.
                let never = shard::spawn_on(index, || async { unreachable!("it was aborted") });
                never.abort();
                assert!(matches!(never.await, Err(JoinError::Aborted)));
                let over = shard::spawn_on(1 - index, || async { 3 });
                while !over.is_finished() {
                    yield_now().await;
                }
                over.abort();
                assert_eq!(over.await.unwrap(), 3);
                done.wait().await;
            }
        });
        run.unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_full_inbox_gives_the_closure_back_and_a_full_table_refuses() {
    Builder::new()
        .inbox(2)
        .tasks(3)
        .run(async {
            let here = Handle::current();
            let first = here.spawn(|| async { 1 });
            let second = here.spawn(|| async { 2 });
            let third = here.try_spawn(|| async { 3 });
            let Err(SpawnError::Full(third)) = third else { panic!("{third:?}") };
            assert!(matches!(here.spawn(|| async {}).await, Err(JoinError::Refused)));
            assert_eq!((first.await.unwrap(), second.await.unwrap(), third().await), (1, 2, 3));
            let _tasks: Vec<_> = (0..3).map(|_| spawn(pending::<()>())).collect();
            assert!(matches!(here.spawn(|| async {}).await, Err(JoinError::Refused)));
        })
        .unwrap();
}

#[test]
fn a_shard_that_has_ended_says_so() {
    let (sender, receiver) = oneshot::channel();
    let ended = Mutex::new((Some(sender), Some(receiver)));
    both_ways(|builder| {
        let (sender, receiver) = oneshot::channel::<()>();
        *ended.lock().unwrap() = (Some(sender), Some(receiver));
        let run = Shards::new(2).pinned(false).builder(builder).run(|index| {
            let ended = &ended;
            async move {
                if index == 1 {
                    // Its end drops the sender, which is the sign; what it was given and has not begun is dropped too.
                    let sender = ended.lock().unwrap().0.take();
                    spawn(async move {
                        let _sender = sender;
                        pending::<()>().await;
                    });
                    yield_now().await;
                    return;
                }
                let receiver = ended.lock().unwrap().1.take().unwrap();
                let waits = shard::spawn_on(1, pending::<()>);
                assert!(receiver.await.is_err());
                assert!(matches!(timeout(LONG, waits).await.unwrap(), Err(JoinError::Aborted)));
                assert!(shard::handle(1).is_closed());
                let late = shard::try_spawn_on(1, || async { 4 });
                let Err(SpawnError::Closed(late)) = late else { panic!("{late:?}") };
                assert_eq!(late().await, 4);
                assert!(matches!(shard::spawn_on(1, || async {}).await, Err(JoinError::Aborted)));
            }
        });
        run.unwrap();
    });
}

#[test]
fn shards_that_end_while_messages_are_under_way_lose_no_answer_and_no_descriptor() {
    alone("shards_that_end_while_messages_are_under_way_lose_no_answer_and_no_descriptor", || {
        let before = descriptors();
        both_ways(|builder| {
            for round in 0..40_usize {
                let (ran, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
                let run = Shards::new(3).pinned(false).builder(builder.clone()).run(|index| {
                    let (ran, dropped) = (ran.clone(), dropped.clone());
                    async move {
                        let mut answers = Vec::new();
                        for number in 0..=(round * (index + 1)) {
                            let (ran, dropped) = (ran.clone(), Told(dropped.clone()));
                            answers.push(shard::spawn_on((index + 1) % 3, move || async move {
                                let _dropped = dropped;
                                ran.fetch_add(1, Ordering::SeqCst);
                            }));
                            if number % 7 == 0 {
                                yield_now().await;
                            }
                        }
                        // Every answer comes: it ran, or its shard has ended.
                        for answer in answers {
                            let answer = timeout(LONG, answer).await.expect("an answer");
                            assert!(matches!(answer, Ok(()) | Err(JoinError::Aborted)), "{answer:?}");
                        }
                    }
                });
                run.unwrap();
                let sent: usize = (0..3).map(|index| round * (index + 1) + 1).sum();
                assert_eq!(dropped.load(Ordering::SeqCst), sent, "each closure is gone, once");
                assert!(ran.load(Ordering::SeqCst) <= sent);
            }
        });
        until_descriptors(before);
    });
}

/// Counts its end.
struct Told(Arc<AtomicUsize>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn threads_without_a_ring_start_work_in_a_runtime_before_it_runs_and_while_it_does() {
    let runtime = Builder::new().build().unwrap();
    let (early, handle) = (runtime.handle(), runtime.handle());
    let first = early.spawn(|| async { "before" });
    assert!(!handle.is_closed());
    let stop = Shutdown::new();
    thread::scope(|scope| {
        for _ in 0..3 {
            let (handle, guard) = (handle.clone(), stop.guard());
            scope.spawn(move || {
                let _guard = guard;
                for number in 0..2_000_u64 {
                    let (sender, receiver) = channel(1);
                    drop(handle.spawn(move || async move { sender.send(number + 1).await }));
                    assert_eq!(receiver.blocking_recv(), Some(number + 1));
                }
            });
        }
        let said = runtime.run(async {
            timeout(LONG, stop.drained()).await.expect("all were served");
            first.await.unwrap()
        });
        assert_eq!(said.unwrap(), "before");
    });
    assert!(handle.is_closed());
    assert!(matches!(handle.try_spawn(|| async {}), Err(SpawnError::Closed(_))));
}

#[test]
fn a_runtime_that_never_runs_gives_up_what_it_was_given() {
    alone("a_runtime_that_never_runs_gives_up_what_it_was_given", || {
        let before = descriptors();
        let runtime = Builder::new().build().unwrap();
        let handle = runtime.handle();
        let waits = handle.spawn(|| async {});
        drop(runtime);
        assert!(handle.is_closed());
        let told = run(async { timeout(LONG, waits).await.expect("an answer") });
        assert!(matches!(told.unwrap(), Err(JoinError::Aborted)));
        drop(handle);
        until_descriptors(before);
    });
}

#[test]
fn something_is_run_on_every_shard_and_answers_come_in_their_order() {
    let done = Barrier::new(4);
    let answers = Shards::new(4).pinned(false).run(|index| {
        let done = &done;
        async move {
            let answers = if index == 2 {
                shard::all(|index| async move {
                    assert_ne!(index, 3, "not this one");
                    (index, shard::current())
                })
                .await
            } else {
                Vec::new()
            };
            done.wait().await;
            answers.into_iter().map(|answer| answer.map_err(|error| error.to_string())).collect::<Vec<_>>()
        }
    });
    let answers = answers.unwrap().swap_remove(2);
    let [Ok((0, 0)), Ok((1, 1)), Ok((2, 2)), Err(error)] = &answers[..] else { panic!("{answers:?}") };
    assert!(error.contains("not this one"), "{error}");
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
