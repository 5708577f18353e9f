//! When the tick after a late one is due.

use std::time::Duration;

use super::MissedTickBehavior::{Burst, Delay, Skip};
use super::clock;

const PERIOD: Duration = Duration::from_millis(10);

#[test]
fn ticks_that_are_taken_in_time_are_one_period_apart() {
    let due = clock::now();
    for behavior in [Burst, Delay, Skip] {
        for late in [0, 1, 9] {
            let next = behavior.next(due, due + Duration::from_millis(late), PERIOD);
            assert_eq!(next - due, PERIOD, "{behavior:?} {late}");
        }
    }
}

#[test]
fn a_tick_that_is_taken_late_is_followed_as_the_behaviour_says() {
    let due = clock::now();
    let table = [
        (10, [10, 20, 20]),
        (11, [10, 21, 20]),
        (25, [10, 35, 30]),
        (30, [10, 40, 40]),
        (1_000_003, [10, 1_000_013, 1_000_010]),
    ];
    for (late, next) in table {
        for (behavior, next) in [Burst, Delay, Skip].into_iter().zip(next) {
            let told = behavior.next(due, due + Duration::from_millis(late), PERIOD);
            assert_eq!(told - due, Duration::from_millis(next), "{behavior:?} {late}");
        }
    }
}

#[test]
fn a_period_without_end_makes_a_tick_that_never_comes() {
    let due = clock::now();
    for behavior in [Burst, Delay, Skip] {
        let next = behavior.next(due, due + PERIOD, Duration::MAX);
        assert!(next - due > Duration::from_secs(365 * 24 * 3600), "{behavior:?}");
    }
}
