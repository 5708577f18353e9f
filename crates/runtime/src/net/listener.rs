//! Listening, and accepting connections.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use super::TcpStream;
use crate::driver::op::socket::{Accept, AcceptMulti, accepted};
use crate::driver::{Flow, Op};
use crate::fd::SharedFd;

/// How many accepted connections may wait for [`Incoming::next`] before accepting pauses.
const MOST_WAITING: usize = 64;

/// How to listen.
///
/// # Examples
///
/// Every shard with a listener of its own, among which the system distributes the connections:
///
/// ```
/// use annulus_rt::Shards;
/// use annulus_rt::net::{ListenOptions, TcpListener};
///
/// // Finds a free port, and keeps it while the shards bind to it.
/// let options = ListenOptions::new().reuse_port(true);
/// let first = options.bind("127.0.0.1:0".parse().unwrap())?;
/// let address = first.local_addr()?;
///
/// let bound = Shards::new(2).run(|_| async { options.bind(address)?.local_addr() })?;
/// for local in bound {
///     assert_eq!(local?, address);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    backlog: i32,
    reuse_address: bool,
    reuse_port: bool,
    only_v6: Option<bool>,
}

impl ListenOptions {
    /// A backlog of 1024, and addresses of connections that have ended may be bound to again.
    #[must_use]
    pub const fn new() -> Self {
        Self { backlog: 1024, reuse_address: true, reuse_port: false, only_v6: None }
    }

    /// How many connections the system keeps that were not accepted yet. It has a bound of its own (sysctl
    /// `net.core.somaxconn`).
    #[must_use]
    pub const fn backlog(mut self, backlog: i32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Whether an address may be bound to while connections of an earlier listener are ending
    /// (`SO_REUSEADDR`).
    #[must_use]
    pub const fn reuse_address(mut self, on: bool) -> Self {
        self.reuse_address = on;
        self
    }

    /// Whether several listeners may share the address, as those of shards do (`SO_REUSEPORT`).
    #[must_use]
    pub const fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// Whether a listener on an IPv6 address refuses IPv4 (`IPV6_V6ONLY`). Default: as the system says.
    #[must_use]
    pub const fn only_v6(mut self, on: bool) -> Self {
        self.only_v6 = Some(on);
        self
    }

    /// Listens on an address; port 0 is any free one. None of the calls blocks, so they are made at once, and
    /// also outside of a runtime.
    ///
    /// # Errors
    ///
    /// Those of socket(2), bind(2) and listen(2): `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` (a port below 1024), `EMFILE`.
    pub fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let fd = socket(address)?;
        sockopt::set_socket_reuseaddr(&fd, self.reuse_address)?;
        sockopt::set_socket_reuseport(&fd, self.reuse_port)?;
        if let Some(on) = self.only_v6.filter(|_| address.is_ipv6()) {
            sockopt::set_ipv6_v6only(&fd, on)?;
        }
        net::bind(&fd, &address)?;
        net::listen(&fd, self.backlog)?;
        Ok(TcpListener { fd: SharedFd::new(fd) })
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A socket for TCP of the address's family.
pub(super) fn socket(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))
}

/// A socket that listens.
#[derive(Debug)]
pub struct TcpListener {
    fd: SharedFd,
}

impl TcpListener {
    /// Listens on an address with the defaults of [`ListenOptions`].
    ///
    /// # Errors
    ///
    /// Those of [`ListenOptions::bind`].
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        ListenOptions::new().bind(address)
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::try_from(net::getsockname(&self.fd)?)?)
    }

    /// Accepts one connection. Each call is an operation of its own; [`incoming`](Self::incoming) costs one
    /// for all. If it is dropped, a connection that it accepts in spite of that is closed.
    ///
    /// # Errors
    ///
    /// Those of accept(2): `EMFILE` and `ENFILE` (wait before trying again), `ECONNABORTED` (try again);
    /// `EBUSY` if too many operations are in flight.
    pub async fn accept(&self) -> io::Result<TcpStream> {
        Op::new(Accept { fd: self.fd.clone() }).await.map(TcpStream::from_shared)
    }

    /// The connections as they come, by one multishot operation. At most 64 that were accepted wait to be
    /// taken; the others wait in the system's backlog.
    #[must_use]
    pub fn incoming(&self) -> Incoming {
        Incoming { fd: self.fd.clone(), flow: None, one_by_one: false }
    }

    /// Closes and waits for it. Operations in flight, as of an [`Incoming`], keep the socket open until they are
    /// dropped.
    ///
    /// # Errors
    ///
    /// Those of close(2).
    pub async fn close(self) -> io::Result<()> {
        self.fd.close().await
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<std::net::TcpListener> for TcpListener {
    fn from(listener: std::net::TcpListener) -> Self {
        Self { fd: SharedFd::new(listener.into()) }
    }
}

/// The connections of a listener; see [`TcpListener::incoming`]. Connections that were accepted and not taken
/// when it is dropped are closed.
pub struct Incoming {
    fd: SharedFd,
    flow: Option<Flow<AcceptMulti>>,
    /// This kernel has no multishot accept (before 5.19).
    one_by_one: bool,
}

impl Incoming {
    /// Waits for the next connection. May be dropped while it waits: no connection is lost.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::accept`]. After an error it can be called again.
    pub async fn next(&mut self) -> io::Result<TcpStream> {
        loop {
            if self.one_by_one {
                return Op::new(Accept { fd: self.fd.clone() }).await.map(TcpStream::from_shared);
            }
            if self.flow.is_none() {
                self.flow = Some(Flow::start(AcceptMulti { fd: self.fd.clone() }, MOST_WAITING)?);
            }
            let next = poll_fn(|cx| match &mut self.flow {
                Some(flow) => flow.poll_next(cx),
                None => std::task::Poll::Ready(None),
            });
            match next.await {
                Some(completion) if completion.result == -libc::EINVAL => self.one_by_one = true,
                Some(completion) => return accepted(completion).map(TcpStream::from_shared),
                // A multishot operation may end at any time; it is started again.
                None => self.flow = None,
            }
        }
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("fd", &self.fd).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
