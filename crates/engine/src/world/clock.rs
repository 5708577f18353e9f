//! Time, as the world tells it.

/// A clock of clock_gettime(2) that requests may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum ClockId {
    /// `CLOCK_MONOTONIC`.
    #[default]
    Monotonic,
    /// `CLOCK_BOOTTIME`: goes on while the machine sleeps.
    Boottime,
    /// `CLOCK_REALTIME`: may be set.
    Realtime,
}

/// What tells the time.
pub(crate) trait Clock {
    /// Nanoseconds on this clock.
    fn now(&self, clock: ClockId) -> u64;
}
