//! Why a runtime could not start, or could not go on.

use std::fmt::{self, Display, Formatter};
use std::io;

use annulus::SetupError;
use rustix::io::Errno;

/// Why [`run`](crate::run) did not run the future to its end. Operations have errors of their own: these
/// are [`io::Error`]s with an errno.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The ring could not be set up: what forbids it, and what to do.
    Setup(SetupError),
    /// `run` was called inside of `run`, on the same thread.
    Nested,
    /// A system call of the runtime's own failed.
    System {
        /// What the runtime was doing.
        doing: &'static str,
        /// What the call said.
        errno: Errno,
    },
    /// The root future of a shard panicked.
    ShardPanicked {
        /// Which shard.
        shard: usize,
        /// What the panic said.
        message: String,
    },
}

impl Error {
    /// The errno behind it, if there is one.
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Self::Setup(error) => Some(error.errno()),
            Self::System { errno, .. } => Some(*errno),
            Self::Nested | Self::ShardPanicked { .. } => None,
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => Display::fmt(error, f),
            Self::Nested => f.write_str(
                "this thread runs a runtime already: use `spawn` inside of it, or run the other one on a thread of its own",
            ),
            Self::System { doing, errno } => write!(f, "{doing}: {errno}"),
            Self::ShardPanicked { shard, message } => write!(f, "shard {shard} panicked: {message}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Setup(error) => Some(error),
            Self::System { errno, .. } => Some(errno),
            Self::Nested | Self::ShardPanicked { .. } => None,
        }
    }
}

impl From<Error> for io::Error {
    /// Keeps the kind of the errno; the text stays.
    fn from(error: Error) -> Self {
        let kind = error.errno().map_or(io::ErrorKind::Other, |errno| Self::from(errno).kind());
        Self::new(kind, error)
    }
}
