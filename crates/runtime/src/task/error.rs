//! `JoinError`: why a task has no output.

use std::any::Any;
use std::fmt::{self, Debug, Display, Formatter};
use std::io;

/// Why a task has no output.
pub enum JoinError {
    /// The task panicked; the panic's payload.
    Panicked(Box<dyn Any + Send>),
    /// [`JoinHandle::abort`](crate::JoinHandle::abort) ended it, or the runtime ended first.
    Aborted,
    /// The executor had as many tasks as it may have ([`Builder::tasks`](crate::Builder::tasks)), the pool for blocking
    /// work as much of it ([`Builder::blocking`](crate::Builder::blocking)), or the [`JoinSet`](crate::task::JoinSet) as many.
    Refused,
}

impl JoinError {
    /// What the panic said, if it was one and said it in words.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        let Self::Panicked(payload) = self else { return None };
        let text = payload.downcast_ref::<&str>().copied();
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }

    /// Whether the task panicked.
    #[must_use]
    pub const fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Whether the task was ended before it was done.
    #[must_use]
    pub const fn is_aborted(&self) -> bool {
        matches!(self, Self::Aborted)
    }

    /// What the task panicked with, to panic on with it ([`std::panic::resume_unwind`]).
    ///
    /// # Errors
    ///
    /// The error itself, if it is no panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self {
            Self::Panicked(payload) => Ok(payload),
            error => Err(error),
        }
    }
}

impl Debug for JoinError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(_) => f.debug_tuple("Panicked").field(&self.panic_message()).finish(),
            Self::Aborted => f.write_str("Aborted"),
            Self::Refused => f.write_str("Refused"),
        }
    }
}

impl Display for JoinError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(_) => match self.panic_message() {
                Some(message) => write!(f, "the task panicked: {message}"),
                None => f.write_str("the task panicked"),
            },
            Self::Aborted => f.write_str("the task was aborted"),
            Self::Refused => f.write_str(
                "there are as many tasks as there may be: raise Builder::tasks, Builder::blocking or the limit of the set, or wait",
            ),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    /// `ErrorKind::Other`; the text stays.
    fn from(error: JoinError) -> Self {
        Self::other(error.to_string())
    }
}
