//! The clocks that waits can be measured by.

/// The clock of a ring's waits. Linux 6.12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitClock {
    /// Stands still while the system sleeps (`CLOCK_MONOTONIC`): what a ring starts with.
    #[default]
    Monotonic,
    /// Goes on while the system sleeps (`CLOCK_BOOTTIME`).
    Boottime,
}

impl WaitClock {
    pub(crate) const fn id(self) -> u32 {
        match self {
            Self::Monotonic => libc::CLOCK_MONOTONIC.cast_unsigned(),
            Self::Boottime => libc::CLOCK_BOOTTIME.cast_unsigned(),
        }
    }
}
