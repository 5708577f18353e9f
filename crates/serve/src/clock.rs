//! The one place of the server that reads the wall clock: for `Date` headers and the log.
//!
//! Waiting is not done by it; that is the runtime's monotonic clock.
#![expect(clippy::disallowed_methods, reason = "the one place of the server that reads the wall clock")]

use std::time::SystemTime;

/// What the machine takes for the time of day.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
