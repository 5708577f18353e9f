//! The one place of the runtime that reads the clock.
#![expect(clippy::disallowed_methods, reason = "the one place of the runtime that reads the clock")]

use std::time::{Duration, Instant};

/// What stands for "never" where a deadline does not fit into an `Instant`.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The monotonic clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A point so long after another.
pub(crate) fn plus(instant: Instant, duration: Duration) -> Instant {
    instant.checked_add(duration).unwrap_or_else(|| instant + FAR)
}
