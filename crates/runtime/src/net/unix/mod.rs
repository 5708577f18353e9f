//! Sockets between processes of this machine (unix(7)): how they come to be. What connections of any protocol do is
//! in `stream/` and `listener/`.
//!
//! A path that is bound to is a file, which stays when the socket is closed: removing it is the program's.

mod credentials;
mod datagram;
mod fds;
mod seqpacket;

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

use super::protocol::codec::Codec as _;
use super::protocol::{Direct, ToAddress, Unix};
use super::{Listener, Stream};
use crate::driver::Op;
use crate::driver::op::socket::Connect;
use crate::fd::SharedFd;

pub use credentials::Credentials;
pub use datagram::{DatagramWithFds, UnixDatagram};
pub use fds::ReceivedFds;
pub use seqpacket::{DirectUnixSeqpacket, UnixSeqpacket, UnixSeqpacketListener};
/// The address of a Unix socket: a path, an abstract name, or none.
pub use std::os::unix::net::SocketAddr as UnixAddr;

/// A connection between processes of this machine; see [`Stream`] for what it does.
pub type UnixStream = Stream<Unix>;

/// A socket that listens for connections of this machine; see [`Listener`] for what it does.
pub type UnixListener = Listener<Unix>;

/// A connection of this machine in the ring's own table of files; see [`Listener::incoming_direct`].
pub type DirectUnixStream = Stream<Direct<Unix>>;

/// The most descriptors that one message carries (`SCM_MAX_FD`).
const MOST_FDS: usize = 253;

/// How many connections the system keeps that were not accepted yet.
const BACKLOG: i32 = 1024;

impl UnixStream {
    /// Connects to a socket: a path, or an address with an abstract name.
    ///
    /// # Errors
    ///
    /// Those of socket(2) and connect(2): `ENOENT`, `ECONNREFUSED`, `EACCES`, `EMFILE`; `EAGAIN` if too many connections
    /// wait to be accepted there; `EBUSY` if too many operations are in flight.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::linux::net::SocketAddrExt;
    /// use annulus_rt::net::{UnixAddr, UnixListener, UnixStream};
    ///
    /// annulus_rt::run(async {
    ///     let name = UnixAddr::from_abstract_name(format!("annulus-{}", std::process::id()))?;
    ///     let listener = UnixListener::bind(&name)?;
    ///     let near = UnixStream::connect(&name).await?;
    ///     let far = listener.accept().await?;
    ///     near.send_all("hello").await.0?;
    ///     assert_eq!(far.recv_exact(vec![0; 5]).await.1, b"hello");
    ///     assert_eq!(far.peer_credentials()?.pid, Some(std::process::id()));
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn connect(address: impl ToAddress<UnixAddr>) -> io::Result<Self> {
        let address = address.to_address()?.encode()?;
        let fd = SharedFd::new(socket(SocketType::STREAM)?);
        Op::new(Connect::new(fd.clone(), address)).await?;
        Ok(Self::from_shared(fd))
    }

    /// Two ends of a connection that nobody else can reach (socketpair(2)).
    ///
    /// # Errors
    ///
    /// Those of socketpair(2): `EMFILE`, `ENFILE`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (near, far) = socketpair(SocketType::STREAM)?;
        Ok((Self::from_shared(SharedFd::new(near)), Self::from_shared(SharedFd::new(far))))
    }
}

impl UnixListener {
    /// Listens on a path, which must not exist yet, or on an address with an abstract name.
    ///
    /// # Errors
    ///
    /// Those of socket(2), bind(2) and listen(2): `EADDRINUSE` if the path exists, `ENOENT`, `EACCES`, `EMFILE`.
    pub fn bind(address: impl ToAddress<UnixAddr>) -> io::Result<Self> {
        let fd = socket(SocketType::STREAM)?;
        net::bind(&fd, &address.to_address()?.encode()?)?;
        net::listen(&fd, BACKLOG)?;
        Ok(Self::from_owned(fd))
    }
}

impl From<std::os::unix::net::UnixStream> for UnixStream {
    /// Takes over a connection, blocking or not.
    fn from(stream: std::os::unix::net::UnixStream) -> Self {
        Self::from_shared(SharedFd::new(stream.into()))
    }
}

impl From<std::os::unix::net::UnixListener> for UnixListener {
    /// Takes over a socket that listens, blocking or not.
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Self::from_owned(listener.into())
    }
}

/// A socket of this kind.
pub(super) fn socket(kind: SocketType) -> io::Result<OwnedFd> {
    Ok(net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

/// Two sockets of this kind that are connected.
pub(super) fn socketpair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}
