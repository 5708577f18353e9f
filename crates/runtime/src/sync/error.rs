//! Why something cannot be had from another task: it is gone, or not there yet.

use std::fmt::{self, Display, Formatter};
use std::io;

/// The other side is gone, or it was closed: nothing comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Display for Closed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("closed: the other side is gone")
    }
}

impl std::error::Error for Closed {}

impl From<Closed> for io::Error {
    /// `ErrorKind::BrokenPipe`.
    fn from(_: Closed) -> Self {
        io::ErrorKind::BrokenPipe.into()
    }
}

/// Why there is no permit at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// There never will be one: the semaphore was closed.
    Closed,
    /// Too few are free.
    NoPermits,
}

impl Display for TryAcquireError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the semaphore was closed",
            Self::NoPermits => "too few permits are free",
        })
    }
}

impl std::error::Error for TryAcquireError {}

impl From<tokio::sync::TryAcquireError> for TryAcquireError {
    fn from(error: tokio::sync::TryAcquireError) -> Self {
        match error {
            tokio::sync::TryAcquireError::Closed => Self::Closed,
            tokio::sync::TryAcquireError::NoPermits => Self::NoPermits,
        }
    }
}
