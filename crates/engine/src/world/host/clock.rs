//! The clocks of the machine.

use rustix::time::{ClockId as Rustix, clock_gettime};

use super::Host;
use crate::world::{Clock, ClockId};

impl Clock for Host {
    fn now(&self, clock: ClockId) -> u64 {
        let clock = match clock {
            ClockId::Monotonic => Rustix::Monotonic,
            ClockId::Boottime => Rustix::Boottime,
            ClockId::Realtime => Rustix::Realtime,
        };
        let time = clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
    }
}
