//! Why a server could not be started, in words that say what to do about it.
//!
//! What goes wrong later concerns one connection, and is answered or logged there.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why a server could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The directory cannot be served: `ENOENT`, `ENOTDIR`, `EACCES`, or whatever opening it said.
    Root {
        /// The directory.
        path: PathBuf,
        /// What opening it said.
        source: io::Error,
    },
    /// The address cannot be listened on: `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`.
    Listen {
        /// The address.
        address: SocketAddr,
        /// What binding it said.
        source: io::Error,
    },
    /// The log cannot be written.
    Log {
        /// The file.
        path: PathBuf,
        /// What opening it said.
        source: io::Error,
    },
    /// The runtime cannot be had: no ring, no thread, no signal handler.
    Runtime(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root { path, source } => root(f, path, source),
            Self::Listen { address, source } => listen(f, *address, source),
            Self::Log { path, source } => {
                write!(f, "cannot write the log to {}: {source}", path.display())
            }
            Self::Runtime(source) => write!(f, "cannot start: {source}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Root { source, .. } | Self::Listen { source, .. } | Self::Log { source, .. } => {
                Some(source)
            }
            Self::Runtime(source) => Some(source),
        }
    }
}

fn root(f: &mut fmt::Formatter<'_>, path: &Path, source: &io::Error) -> fmt::Result {
    write!(f, "cannot serve {}: ", path.display())?;
    match source.kind() {
        io::ErrorKind::NotFound => f.write_str("there is no such directory"),
        io::ErrorKind::NotADirectory => f.write_str("it is not a directory; name the folder that it is in"),
        io::ErrorKind::PermissionDenied => f.write_str(
            "this user may not read it; `ls -ld` shows who may, on it and on the folders above it",
        ),
        _ => write!(f, "{source}"),
    }
}

fn listen(f: &mut fmt::Formatter<'_>, address: SocketAddr, source: &io::Error) -> fmt::Result {
    write!(f, "cannot listen on {address}: ")?;
    match source.kind() {
        io::ErrorKind::AddrInUse => f.write_str(
            "another program listens there; end it, or choose another port (0 takes any free one)",
        ),
        io::ErrorKind::AddrNotAvailable => {
            f.write_str("no network interface of this machine has that address")
        }
        io::ErrorKind::PermissionDenied => f.write_str(
            "this user may not; ports below 1024 want CAP_NET_BIND_SERVICE, so choose a higher one",
        ),
        _ => write!(f, "{source}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_thing_and_what_to_do() {
        let error = |kind: io::ErrorKind| ServeError::Root { path: "/srv/x".into(), source: kind.into() };
        assert_eq!(
            error(io::ErrorKind::NotFound).to_string(),
            "cannot serve /srv/x: there is no such directory"
        );
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let taken = ServeError::Listen { address, source: io::ErrorKind::AddrInUse.into() };
        assert_eq!(
            taken.to_string(),
            "cannot listen on 127.0.0.1:8080: another program listens there; end it, or choose another port (0 takes \
             any free one)"
        );
    }
}
