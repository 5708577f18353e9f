//! TCP: how listeners and connections come to be, and their options. What connections of any protocol do is in
//! `stream/` and `listener/`.

mod connect;
mod direct;
mod eyeballs;
mod fast_open;
mod listen;
mod options;

use std::os::fd::OwnedFd;

use super::protocol::{Direct, Tcp};
use super::{Listener, Stream};
use crate::fd::SharedFd;

pub use connect::ConnectOptions;
pub use listen::ListenOptions;
pub use options::Keepalive;

/// A TCP connection; see [`Stream`] for what it does.
pub type TcpStream = Stream<Tcp>;

/// A socket that listens for TCP connections; see [`Listener`] for what it does.
pub type TcpListener = Listener<Tcp>;

/// A TCP connection in the ring's own table of files; see [`Listener::incoming_direct`].
pub type DirectTcpStream = Stream<Direct<Tcp>>;

impl From<std::net::TcpStream> for TcpStream {
    /// Takes over a connection, blocking or not.
    fn from(stream: std::net::TcpStream) -> Self {
        Self::from_shared(SharedFd::new(OwnedFd::from(stream)))
    }
}

impl From<std::net::TcpListener> for TcpListener {
    /// Takes over a socket that listens, blocking or not: one that was set up with the `socket2` crate, or handed over by
    /// an older process.
    fn from(listener: std::net::TcpListener) -> Self {
        Self::from_owned(listener.into())
    }
}
