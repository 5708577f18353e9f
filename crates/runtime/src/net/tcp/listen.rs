//! Listening for TCP connections.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use super::{Keepalive, TcpListener, fast_open};

/// How to listen.
///
/// For options that are not here, set a socket up with the `socket2` crate, and make a listener `From` it by way of
/// [`std::net::TcpListener`].
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
    nodelay: bool,
    keepalive: Option<Keepalive>,
    fast_open: Option<u32>,
    recv_buffer: Option<usize>,
    send_buffer: Option<usize>,
}

impl ListenOptions {
    /// A backlog of 1024, and addresses of connections that have ended may be bound to again.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            backlog: 1024,
            reuse_address: true,
            reuse_port: false,
            only_v6: None,
            nodelay: false,
            keepalive: None,
            fast_open: None,
            recv_buffer: None,
            send_buffer: None,
        }
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

    /// Whether small sends on the accepted connections go out at once (`TCP_NODELAY`): connections have the options
    /// of their listener, which costs nothing for each.
    #[must_use]
    pub const fn nodelay(mut self, on: bool) -> Self {
        self.nodelay = on;
        self
    }

    /// Whether the accepted connections are asked after when they are silent (`SO_KEEPALIVE`). Default: no.
    #[must_use]
    pub const fn keepalive(mut self, keepalive: Option<Keepalive>) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// How many connections whose first segment came with data may wait for the end of their handshake (`TCP_FASTOPEN` of
    /// tcp(7), RFC 7413); those beyond it come without. What they brought is received as ever, a round trip earlier. The system's
    /// bound is `net.core.somaxconn`, and it has to allow it for servers (bit 2 of sysctl `net.ipv4.tcp_fastopen`): where it does not,
    /// connections come without data, and work all the same. Default: none.
    ///
    /// The network may bring such data twice: for requests that may be carried out twice.
    #[must_use]
    pub const fn fast_open(mut self, queue: u32) -> Self {
        self.fast_open = Some(queue);
        self
    }

    /// The receive buffer of the accepted connections, in bytes (`SO_RCVBUF`), which bounds the window that is offered
    /// to peers. Default: as the system sees fit, which is best for most.
    #[must_use]
    pub const fn recv_buffer_size(mut self, bytes: usize) -> Self {
        self.recv_buffer = Some(bytes);
        self
    }

    /// The send buffer of the accepted connections, in bytes (`SO_SNDBUF`). Default: as the system sees fit.
    #[must_use]
    pub const fn send_buffer_size(mut self, bytes: usize) -> Self {
        self.send_buffer = Some(bytes);
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
        if self.nodelay {
            sockopt::set_tcp_nodelay(&fd, true)?;
        }
        if let Some(keepalive) = self.keepalive {
            keepalive.set(&fd)?;
        }
        if let Some(bytes) = self.recv_buffer {
            sockopt::set_socket_recv_buffer_size(&fd, bytes)?;
        }
        if let Some(bytes) = self.send_buffer {
            sockopt::set_socket_send_buffer_size(&fd, bytes)?;
        }
        if let Some(queue) = self.fast_open {
            fast_open::listen(&fd, queue)?;
        }
        net::bind(&fd, &address)?;
        net::listen(&fd, self.backlog)?;
        Ok(TcpListener::from_owned(fd))
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl TcpListener {
    /// Listens on an address with the defaults of [`ListenOptions`]. None of the calls blocks, so they are made at
    /// once. An address that is a name is to be [looked up](crate::net::lookup_host) before.
    ///
    /// # Errors
    ///
    /// Those of [`ListenOptions::bind`].
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        ListenOptions::new().bind(address)
    }
}

/// A socket for TCP of the address's family.
pub(super) fn socket(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))
}
