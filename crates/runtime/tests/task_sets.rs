//! Sets of tasks, values of a task's own, and the budget of a poll.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulus_rt::sync::Notify;
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Builder, JoinError, JoinSet, coop, run, spawn, task_local, yield_now};

#[test]
fn a_set_yields_outputs_in_the_order_in_which_tasks_end() {
    run(async {
        let mut set = JoinSet::new();
        let ends: Vec<_> = (0..3).map(|_| Rc::new(Notify::new())).collect();
        for (at, end) in ends.iter().cloned().enumerate() {
            set.spawn(async move {
                end.notified().await;
                at
            });
        }
        assert_eq!(set.len(), 3);
        assert!(set.try_join_next().is_none());
        // A wait that is given up loses nothing.
        assert!(timeout(Duration::ZERO, set.join_next()).await.is_err());
        for at in [1, 2, 0] {
            ends[at].notify_one();
            yield_now().await;
        }
        let mut order = Vec::new();
        while let Some(output) = set.join_next().await {
            order.push(output.unwrap());
        }
        assert_eq!(order, [1, 2, 0]);
        assert!(set.is_empty());
        assert!(set.join_next().await.is_none());
        let squares: JoinSet<u32> = (1..=3).map(|number| async move { number * number }).collect();
        assert_eq!(squares.join_all().await, [1, 4, 9]);
    })
    .unwrap();
}

#[test]
fn panics_and_aborts_come_out_of_a_set_like_outputs() {
    run(async {
        let mut set = JoinSet::new();
        set.spawn(async { panic!("not this one") });
        let abort = set.spawn(pending::<u32>());
        set.spawn(async { 3 });
        yield_now().await;
        abort.abort();
        let mut outcomes = Vec::new();
        while let Some(outcome) = set.join_next().await {
            outcomes.push(match outcome {
                Ok(output) => output.to_string(),
                Err(error) => error.panic_message().unwrap_or("aborted").to_owned(),
            });
        }
        assert_eq!(outcomes, ["not this one", "3", "aborted"]);

        set.spawn(pending());
        set.spawn(pending());
        timeout(Duration::from_secs(30), set.shutdown()).await.unwrap();
        assert!(set.is_empty());
    })
    .unwrap();
}

#[test]
fn a_set_that_is_full_refuses_and_one_that_is_dropped_aborts() {
    Builder::new()
        .tasks(3)
        .run(async {
            let mut set = JoinSet::with_limit(2);
            let dropped = Rc::new(());
            for _ in 0..2 {
                let held = dropped.clone();
                set.spawn(async move {
                    let _held = held;
                    pending::<u32>().await
                });
            }
            assert!(set.try_spawn(async { 1 }).is_err(), "the set is full");
            let refused = set.spawn(async { 1 });
            assert!(refused.is_finished());
            assert_eq!(set.len(), 3);
            assert!(matches!(set.join_next().await, Some(Err(JoinError::Refused))));
            assert_eq!(set.len(), 2);

            let other = spawn(pending::<()>());
            let mut second = JoinSet::new();
            assert!(second.try_spawn(async { 1 }).is_err(), "the executor is full");
            other.abort();
            assert!(second.try_spawn(async { 1 }).is_ok());
            assert_eq!(second.join_next().await.unwrap().unwrap(), 1);

            assert_eq!(Rc::strong_count(&dropped), 3);
            drop(set);
            assert_eq!(Rc::strong_count(&dropped), 1);
        })
        .unwrap();
}

#[test]
fn tasks_that_a_set_lets_go_run_on() {
    run(async {
        let done = Rc::new(Cell::new(0));
        let mut set = JoinSet::new();
        for _ in 0..3 {
            let done = done.clone();
            set.spawn(async move {
                yield_now().await;
                done.set(done.get() + 1);
            });
        }
        set.detach_all();
        assert!(set.is_empty());
        assert!(set.join_next().await.is_none());
        drop(set);
        for _ in 0..4 {
            yield_now().await;
        }
        assert_eq!(done.get(), 3);
    })
    .unwrap();
}

#[test]
fn a_set_may_be_asked_by_the_destructor_of_one_of_its_tasks() {
    struct Asks(Rc<RefCell<JoinSet<()>>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            assert!(self.0.borrow_mut().try_join_next().is_none(), "it has not ended before this returns");
        }
    }
    run(async {
        let set = Rc::new(RefCell::new(JoinSet::new()));
        let asks = Asks(set.clone());
        let mut asks = Some(asks);
        set.borrow_mut().spawn(async move {
            let _asks = asks.take();
        });
        yield_now().await;
        yield_now().await;
        assert!(set.borrow_mut().try_join_next().unwrap().is_ok());
    })
    .unwrap();
}

task_local! {
    static NUMBER: u32;
    /// More than one in a block.
    static NAME: RefCell<String>;
}

#[test]
fn each_task_has_its_own_value_of_a_local_across_waits() {
    run(async {
        let tasks: Vec<_> = (0..10)
            .map(|number| {
                spawn(NUMBER.scope(number, async move {
                    for _ in 0..5 {
                        assert_eq!(NUMBER.get(), number);
                        yield_now().await;
                    }
                    // One inside hides it and gives it back; a task inside has none.
                    let inner = NUMBER.scope(100 + number, async { NUMBER.with(|inner| *inner) });
                    assert_eq!(inner.await, 100 + number);
                    assert_eq!(NUMBER.sync_scope(7, || NUMBER.get()), 7);
                    assert!(spawn(async { NUMBER.try_with(|_| ()).is_err() }).await.unwrap());
                    NUMBER.get()
                }))
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap() as usize, number);
        }
        let error = NUMBER.try_with(|_| ()).unwrap_err();
        assert!(error.to_string().contains("outside of its scope"), "{error}");
        let names = NAME.scope(RefCell::new("a".to_owned()), async {
            NAME.with(|name| name.borrow_mut().push('b'));
            NAME.with(|name| name.borrow().clone())
        });
        assert_eq!(names.await, "ab");
        let panicked = spawn(async { NUMBER.get() }).await.unwrap_err();
        assert!(panicked.panic_message().unwrap().contains("LocalKey::scope"), "{panicked}");
    })
    .unwrap();
}

#[test]
fn a_future_that_is_dropped_in_its_scope_still_finds_the_value() {
    struct Looks(Rc<Cell<u32>>);
    impl Drop for Looks {
        fn drop(&mut self) {
            self.0.set(NUMBER.get());
        }
    }
    run(async {
        let seen = Rc::new(Cell::new(0));
        let looks = Looks(seen.clone());
        let task = spawn(NUMBER.scope(7, async move {
            let _looks = looks;
            pending::<()>().await;
        }));
        yield_now().await;
        NUMBER.sync_scope(1, || {
            task.abort();
            assert_eq!(NUMBER.get(), 1, "what was there before is there again");
        });
        assert_eq!(seen.get(), 7);
        assert!(NUMBER.try_with(|_| ()).is_err());
    })
    .unwrap();
}

#[test]
fn a_task_to_which_something_is_always_ready_lets_others_and_timers_run() {
    run(async {
        let mut set: JoinSet<()> = JoinSet::with_limit(500);
        // Two tasks that never wait for long: each output makes room for another task.
        let rounds = Rc::new(Cell::new(0_u64));
        let counted = rounds.clone();
        let greedy = spawn(async move {
            loop {
                coop::consume_budget().await;
                counted.set(counted.get() + 1);
            }
        });
        let busy = spawn(async move {
            loop {
                while set.len() < 400 {
                    set.spawn(async {});
                }
                set.join_next().await;
            }
        });
        sleep(Duration::from_millis(5)).await;
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
        let seen = rounds.get();
        yield_now().await;
        yield_now().await;
        assert!(rounds.get() > seen, "and is not kept from running itself");
        assert!(!greedy.is_finished() && !busy.is_finished());
    })
    .unwrap();
}

#[test]
fn a_stream_that_is_always_ready_lets_others_run_and_loses_nothing() {
    const COUNT: usize = 2_000;
    run(async {
        let (near, far) = common::pair().await;
        // So much lies ready that a task without a budget would take it in one poll.
        let sender = spawn(async move {
            for _ in 0..COUNT {
                near.send_all([7; 64]).await.0.unwrap();
            }
            near
        });
        let near = sender.await.unwrap();
        drop(near);
        let others = Rc::new(Cell::new(0));
        let turns = others.clone();
        let other = spawn(async move {
            loop {
                turns.set(turns.get() + 1);
                yield_now().await;
            }
        });
        let mut bytes = 0;
        let mut receiver = far.receiver();
        while let Some(chunk) = receiver.next().await.unwrap() {
            bytes += chunk.len();
        }
        assert_eq!(bytes, COUNT * 64);
        assert!(others.get() > 0);
        other.abort();
    })
    .unwrap();
}

#[test]
fn the_budget_of_a_poll_is_a_hundred_and_twenty_eight_and_can_be_lifted() {
    run(async {
        let ready_in_one_poll = |limited: bool| async move {
            let mut taken = 0;
            let count = poll_fn(move |cx| {
                while taken < 1_000 && coop::limit(cx, |_| Poll::Ready(())).is_ready() {
                    taken += 1;
                }
                Poll::Ready(taken)
            });
            if limited { count.await } else { coop::unconstrained(count).await }
        };
        assert_eq!(spawn(ready_in_one_poll(true)).await.unwrap(), 128);
        assert_eq!(spawn(ready_in_one_poll(false)).await.unwrap(), 1_000);
        let used_up = spawn(async move {
            ready_in_one_poll(true).await;
            let before = coop::has_budget_remaining();
            yield_now().await;
            (before, coop::has_budget_remaining())
        });
        assert_eq!(used_up.await.unwrap(), (false, true));
    })
    .unwrap();
    assert!(coop::has_budget_remaining(), "outside of a task nothing is counted");
}

#[test]
fn a_timeout_ends_a_future_that_uses_up_every_budget() {
    run(async {
        let endless = async {
            loop {
                coop::consume_budget().await;
            }
        };
        let ended: Result<(), _> = timeout(Duration::from_millis(5), endless).await;
        assert!(ended.is_err());

        // Ticks that were missed come one after the other, and let others run meanwhile.
        let mut ticks = annulus_rt::time::interval(Duration::from_micros(1));
        let others = Rc::new(Cell::new(0));
        let turns = others.clone();
        sleep(Duration::from_millis(5)).await;
        let other = spawn(async move {
            loop {
                turns.set(turns.get() + 1);
                yield_now().await;
            }
        });
        for _ in 0..2_000 {
            ticks.tick().await;
        }
        assert!(others.get() >= 10, "{}", others.get());
        other.abort();
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
