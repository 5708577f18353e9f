//! Time: the clock on the wall and this process's CPU time, and the loop that measures between two readings.
//!
//! The one place of the bench that reads the clock. Nobody sleeps here, and nothing is decided about what is
//! measured.
#![expect(clippy::disallowed_methods, reason = "the one place of the bench that reads the clock")]

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::report::{Fault, Sample};

/// For how long something is done before it counts, and for how long it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

impl Window {
    /// A fifth of the time before it.
    pub(crate) fn of(measured: Duration) -> Self {
        Self { warm_up: measured / 5, measured }
    }

    pub(crate) fn whole(self) -> Duration {
        self.warm_up + self.measured
    }
}

/// A point on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    wall: Instant,
    cpu_ns: u64,
}

impl Mark {
    /// Now, with the CPU time of all threads of this process, those of the kernel's workers for it included.
    pub(crate) fn here() -> Self {
        Self::with_cpu(cpu_ns())
    }

    /// Now, with the CPU time of another process.
    pub(crate) fn with_cpu(cpu_ns: u64) -> Self {
        Self { wall: now(), cpu_ns }
    }

    /// What was counted from then to `end`.
    pub(crate) fn until(self, end: Self, units: u64) -> Sample {
        Sample {
            units,
            wall_ns: nanoseconds(end.wall.duration_since(self.wall)),
            cpu_ns: end.cpu_ns.saturating_sub(self.cpu_ns),
        }
    }
}

/// Repeats a turn for the whole window, and counts what the turns of its measured part did.
///
/// A turn lasts some microseconds at least, as the clock is read after each.
///
/// # Errors
///
/// That of the first turn that fails.
pub(crate) fn measure(window: Window, mut turn: impl FnMut() -> Result<u64, Fault>) -> Result<Sample, Fault> {
    let warm = now() + window.warm_up;
    // The first turn never counts, however short the window: it finds everything cold.
    turn()?;
    while now() < warm {
        turn()?;
    }
    let start = Mark::here();
    let end = start.wall + window.measured;
    let mut units = turn()?;
    while now() < end {
        units += turn()?;
    }
    Ok(start.until(Mark::here(), units))
}

/// How far those are whom [`watch`] looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// What they have done so far.
    pub(crate) units: u64,
    /// Whether one of them has ended, which before the end of the window only one that failed does.
    pub(crate) has_ended: bool,
}

/// Looks on while others work for the whole window, and counts what they did in its measured part.
///
/// That lasts until they did something, however short the window: on a busy machine nobody may have had a turn in it.
/// Nor is it waited for longer once one of them has ended, who says why.
pub(crate) async fn watch(
    window: Window,
    sleep: impl AsyncFn(Duration),
    progress: impl Fn() -> Progress,
) -> Sample {
    sleep(window.warm_up).await;
    let (start, before) = (Mark::here(), progress().units);
    loop {
        sleep(window.measured).await;
        let Progress { units, has_ended } = progress();
        if units > before || has_ended {
            return start.until(Mark::here(), units - before);
        }
    }
}

pub(crate) fn now() -> Instant {
    Instant::now()
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let [seconds, rest] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or_default());
    seconds * 1_000_000_000 + rest
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn only_what_was_done_in_the_measured_part_counts() {
        let window = Window::of(Duration::from_millis(20));
        assert_eq!((window.warm_up, window.whole()), (Duration::from_millis(4), Duration::from_millis(24)));
        let mut turns = 0;
        let turn = || {
            turns += 1;
            std::hint::black_box([0_u8; 4096]);
            Ok(10)
        };
        let sample = measure(window, turn).unwrap();
        assert!(sample.wall_ns >= 20_000_000, "{sample:?}");
        assert!(sample.cpu_ns > 0, "{sample:?}");
        assert_eq!(sample.units % 10, 0);
        assert!((10..=(turns - 1) * 10).contains(&sample.units), "{sample:?} of {turns} turns");
    }

    /// What is counted of workers who did `units` by each of the times they are looked at, of which the last has one ended
    /// if `has_ended`, and how often was slept.
    fn watched(units: &[u64], has_ended: bool) -> (u64, usize) {
        let (looks, naps) = (Cell::new(0), Cell::new(0));
        let progress = || {
            let look = looks.replace(looks.get() + 1);
            Progress { units: units[look], has_ended: has_ended && look + 1 == units.len() }
        };
        let watch = watch(Window::of(Duration::from_secs(60)), async |_| naps.set(naps.get() + 1), progress);
        let waker = Waker::noop();
        let Poll::Ready(sample) = pin!(watch).poll(&mut Context::from_waker(waker)) else {
            panic!("nothing to wait for");
        };
        (sample.units, naps.get())
    }

    #[test]
    fn a_watched_window_lasts_until_something_was_done() {
        assert_eq!(watched(&[7, 9], false), (2, 2));
        assert_eq!(watched(&[7, 7, 7, 8], false), (1, 4));
    }

    #[test]
    fn nobody_waits_longer_for_workers_of_whom_one_has_ended() {
        assert_eq!(watched(&[7, 7, 7], true), (0, 3));
    }

    #[test]
    fn a_turn_that_fails_ends_the_measurement() {
        let fault = Fault::Failed("short read".to_owned());
        assert_eq!(measure(Window::of(Duration::from_secs(60)), || Err(fault.clone())), Err(fault));
    }
}
