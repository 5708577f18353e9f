//! Arithmetic of time: what a request says as a point on a clock, and the ticks of a timeout that fires again.
//!
//! What it keeps true: nothing overflows. What lies beyond the kernel's range of time is its end, and never comes.

/// The end of time: the greatest `ktime_t`, 292 years.
const END_NS: u64 = i64::MAX.cast_unsigned();

/// The point on a clock that a time means: itself if it is absolute, and otherwise so long from `now_ns` on.
pub(crate) fn deadline_ns(now_ns: u64, time_ns: u64, absolute: bool) -> u64 {
    if absolute { time_ns } else { now_ns.saturating_add(time_ns).min(END_NS) }
}

/// The next tick of a timeout that was due at `due_ns` and fires at `now_ns`: the first multiple of its interval
/// after `now_ns`, counted from `due_ns`. Lateness does not add up, and ticks that were missed are not made up
/// for, so that a slow reader is not flooded. An interval of 0 is due again at once.
pub(crate) fn next_tick_ns(due_ns: u64, interval_ns: u64, now_ns: u64) -> u64 {
    let late_ns = now_ns.saturating_sub(due_ns);
    let Some(missed) = late_ns.checked_div(interval_ns) else { return now_ns };
    // `missed * interval_ns` is at most `late_ns`.
    due_ns.saturating_add(missed * interval_ns).saturating_add(interval_ns).min(END_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_time_counts_from_now_and_an_absolute_one_does_not() {
        assert_eq!(deadline_ns(1_000, 50, false), 1_050);
        assert_eq!(deadline_ns(1_000, 50, true), 50);
        assert_eq!(deadline_ns(1_000, END_NS, false), END_NS);
    }

    #[test]
    fn ticks_do_not_drift_when_they_are_late() {
        assert_eq!(next_tick_ns(100, 10, 100), 110);
        assert_eq!(next_tick_ns(100, 10, 107), 110);
        assert_eq!(next_tick_ns(110, 10, 119), 120);
    }

    #[test]
    fn ticks_that_were_missed_are_left_out() {
        assert_eq!(next_tick_ns(100, 10, 110), 120);
        assert_eq!(next_tick_ns(100, 10, 175), 180);
    }

    #[test]
    fn a_clock_that_was_set_back_brings_the_next_tick_in_its_time() {
        assert_eq!(next_tick_ns(100, 10, 40), 110);
    }

    #[test]
    fn an_interval_of_nothing_is_due_at_once_and_the_end_of_time_never_comes() {
        assert_eq!(next_tick_ns(100, 0, 120), 120);
        assert_eq!(next_tick_ns(END_NS - 5, 10, END_NS - 5), END_NS);
    }
}
