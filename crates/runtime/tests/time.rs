//! Timers, ticks and deadlines.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use annulus_rt::time::{
    Deadline, Elapsed, MissedTickBehavior, interval, interval_at, now, sleep, sleep_until, timeout_at,
};
use annulus_rt::{Either, counters, run, select, spawn, yield_now};

#[test]
fn ten_thousand_timers_cost_the_ring_no_entry_and_one_wait() {
    run(async {
        let end = now() + Duration::from_millis(200);
        let before = counters();
        let tasks: Vec<_> = (0..10_000).map(|_| spawn(sleep_until(end))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(now() >= end);
        let after = counters();
        let entries = after.submitted - before.submitted;
        assert!(entries <= 2, "{entries}: at most the inbox is listened to again");
        let enters = after.enters - before.enters;
        // A wait may end early once or twice, and is taken up again.
        assert!(enters <= 10, "{enters} calls for timers of one end");
    })
    .unwrap();
}

#[test]
fn timers_of_ten_thousand_ends_all_fire_and_never_early() {
    run(async {
        let start = now();
        let fired = Rc::new(Cell::new(0_usize));
        let tasks: Vec<_> = (0..10_000_usize)
            .map(|index| {
                let fired = fired.clone();
                // Not in the order of their ends.
                let end = start + Duration::from_micros(u64::try_from(index * 7_919 % 10_000).unwrap());
                spawn(async move {
                    sleep_until(end).await;
                    assert!(now() >= end);
                    fired.set(fired.get() + 1);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(fired.get(), 10_000);
    })
    .unwrap();
}

#[test]
fn ticks_come_one_period_apart_and_missed_ones_in_a_burst() {
    run(async {
        let start = now();
        let mut ticks = interval_at(start, Duration::from_millis(1));
        assert_eq!(ticks.period(), Duration::from_millis(1));
        sleep(Duration::from_millis(5)).await;
        let due: Vec<_> = {
            let mut due = Vec::new();
            for _ in 0..8 {
                due.push(ticks.tick().await - start);
            }
            due
        };
        assert_eq!(due, (0..8).map(Duration::from_millis).collect::<Vec<_>>());
    })
    .unwrap();
}

#[test]
fn missed_ticks_can_be_left_out() {
    run(async {
        let period = Duration::from_millis(4);
        for (behavior, whole) in [(MissedTickBehavior::Delay, false), (MissedTickBehavior::Skip, true)] {
            let start = now();
            let mut ticks = interval_at(start, period);
            ticks.set_missed_tick_behavior(behavior);
            assert_eq!(ticks.missed_tick_behavior(), behavior);
            sleep(Duration::from_millis(9)).await;
            assert_eq!(ticks.tick().await, start);
            let next = ticks.tick().await - start;
            assert!(next >= period * 3, "{behavior:?}: {next:?}");
            if whole {
                assert_eq!(next.as_nanos() % period.as_nanos(), 0, "{next:?}");
            }
        }
    })
    .unwrap();
}

#[test]
fn a_tick_whose_future_was_dropped_is_not_lost() {
    run(async {
        let start = now();
        let mut ticks = interval(Duration::from_secs(3600));
        assert!(ticks.tick().await >= start);
        for _ in 0..3 {
            assert_eq!(select(ticks.tick(), yield_now()).await, Either::Right(()));
        }
        ticks.reset_immediately();
        ticks.tick().await;
        ticks.reset_at(start);
        assert_eq!(ticks.tick().await, start);
        ticks.reset();
        assert_eq!(select(ticks.tick(), yield_now()).await, Either::Right(()));
    })
    .unwrap();
}

#[test]
#[should_panic(expected = "a period of zero")]
fn an_interval_without_a_period_is_refused() {
    let _ticks = interval(Duration::ZERO);
}

#[test]
fn a_deadline_bounds_all_parts_together() {
    run(async {
        let whole = Deadline::after(Duration::from_millis(30));
        let part = whole.within(Duration::from_secs(100));
        assert_eq!(part, whole);
        let long = Deadline::after(Duration::from_secs(3600));
        assert!(long.within(Duration::from_secs(60)).instant() < long.instant());
        assert_eq!(whole.run(async { 7 }).await, Ok(7));
        assert_eq!(part.run(std::future::pending::<()>()).await, Err(Elapsed));
        assert!(whole.is_over());
        assert_eq!(whole.remaining(), Some(Duration::ZERO));
        assert_eq!(whole.run(async { 8 }).await, Ok(8), "polled once, however late");
        whole.passed().await;
    })
    .unwrap();
}

#[test]
fn without_a_deadline_there_is_all_the_time() {
    run(async {
        assert_eq!(Deadline::NEVER.remaining(), None);
        assert!(!Deadline::NEVER.is_over());
        let end = now() + Duration::from_millis(2);
        assert_eq!(Deadline::NEVER.earlier(Deadline::from(end)), Deadline::at(end));
        assert_eq!(Deadline::at(end).earlier(Deadline::NEVER), Deadline::at(end));
        assert_eq!(Deadline::NEVER.run(sleep_until(end)).await, Ok(()));
        assert_eq!(timeout_at(end, Deadline::NEVER.passed()).await, Err(Elapsed));
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
