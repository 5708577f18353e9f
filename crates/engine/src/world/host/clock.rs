//! The clocks of the machine. Asked through libc, which works under valgrind(1) too, where rustix reads memory that is not there when
//! it looks for the kernel's own code for this.
#![allow(unsafe_code, reason = "a system call that fills a local")]

use super::Host;
use crate::world::{Clock, ClockId};

impl Clock for Host {
    fn now(&self, clock: ClockId) -> u64 {
        let clock = match clock {
            ClockId::Monotonic => libc::CLOCK_MONOTONIC,
            ClockId::Boottime => libc::CLOCK_BOOTTIME,
            ClockId::Realtime => libc::CLOCK_REALTIME,
        };
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the time is a local that lives for the call.
        let read = unsafe { libc::clock_gettime(clock, &raw mut time) };
        assert_eq!(read, 0, "every Linux has the clock {clock}");
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
    }
}
