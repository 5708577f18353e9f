//! Connecting by TCP: to a name, to the first of its addresses that answers, within a time.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{self, sockopt};

use super::eyeballs::{ATTEMPT_DELAY, interleave, race};
use super::{Keepalive, TcpStream, listen};
use crate::driver::Op;
use crate::driver::op::socket::{Connect, SetOption};
use crate::fd::SharedFd;
use crate::net::lookup::ToSocketAddrs;
use crate::net::protocol::codec::Codec as _;
use crate::time;

/// How to connect.
///
/// For options that are not here, set a socket up with the `socket2` crate and use
/// [`TcpStream::connect_socket`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use annulus_rt::net::{ConnectOptions, TcpListener};
///
/// annulus_rt::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
///     let port = listener.local_addr()?.port();
///     let options = ConnectOptions::new().timeout(Duration::from_secs(10)).nodelay(true);
///     let stream = options.connect(("localhost", port)).await?;
///     assert!(stream.nodelay()?);
///     stream.close().await
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectOptions {
    timeout: Option<Duration>,
    attempt_delay: Duration,
    bind: Option<SocketAddr>,
    nodelay: bool,
    keepalive: Option<Keepalive>,
    fast_open: bool,
    recv_buffer: Option<usize>,
    send_buffer: Option<usize>,
}

impl ConnectOptions {
    /// As long as the system tries, from any address of this machine.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            timeout: None,
            attempt_delay: ATTEMPT_DELAY,
            bind: None,
            nodelay: false,
            keepalive: None,
            fast_open: false,
            recv_buffer: None,
            send_buffer: None,
        }
    }

    /// How long all of it may take, resolving a name included. Default: as long as the system tries, which is minutes
    /// if nobody answers.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long an address is tried alone before the next is tried beside it. Default: 250 ms, as RFC 8305 recommends.
    #[must_use]
    pub const fn attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay;
        self
    }

    /// The address of this machine to connect from; port 0 is any free one. Only addresses of its family are tried then.
    #[must_use]
    pub const fn bind(mut self, local: SocketAddr) -> Self {
        self.bind = Some(local);
        self
    }

    /// Whether small sends go out at once instead of waiting for more (`TCP_NODELAY`).
    #[must_use]
    pub const fn nodelay(mut self, on: bool) -> Self {
        self.nodelay = on;
        self
    }

    /// Whether the connection is asked after when it is silent (`SO_KEEPALIVE`). Default: no.
    #[must_use]
    pub const fn keepalive(mut self, keepalive: Option<Keepalive>) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// Whether the first bytes may go out with the request to connect (`TCP_FASTOPEN_CONNECT`), to peers that have
    /// allowed it before. Connecting to those succeeds at once, whether they answer or not. Where the system cannot (before
    /// Linux 6.7), it is left out.
    #[must_use]
    pub const fn fast_open(mut self, on: bool) -> Self {
        self.fast_open = on;
        self
    }

    /// The receive buffer, in bytes (`SO_RCVBUF`). Default: as the system sees fit, which is best for most.
    #[must_use]
    pub const fn recv_buffer_size(mut self, bytes: usize) -> Self {
        self.recv_buffer = Some(bytes);
        self
    }

    /// The send buffer, in bytes (`SO_SNDBUF`). Default: as the system sees fit.
    #[must_use]
    pub const fn send_buffer_size(mut self, bytes: usize) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// Connects to the first address that answers: families by turns, each a while after the one before (happy eyeballs,
    /// RFC 8305). The others are given up then, and closed.
    ///
    /// # Errors
    ///
    /// Of the last address that failed, those of socket(2), bind(2) and connect(2): `ECONNREFUSED`, `ETIMEDOUT` (also if
    /// the [timeout](Self::timeout) is over), `ENETUNREACH`, `EADDRNOTAVAIL`, `EMFILE`; `EBUSY` if too many operations are
    /// in flight. `ErrorKind::InvalidInput` if there is no address to try, and what resolving a name says.
    pub async fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let Some(timeout) = self.timeout else { return self.try_all(addresses).await };
        match time::timeout(timeout, self.try_all(addresses)).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
        }
    }

    async fn try_all(&self, addresses: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let mut addresses = addresses.to_socket_addrs().await?;
        if let Some(local) = self.bind {
            addresses.retain(|address| address.is_ipv6() == local.is_ipv6());
        }
        if let [only] = addresses[..] {
            return self.try_one(only).await;
        }
        race(interleave(addresses), self.attempt_delay, |address| self.try_one(address)).await
    }

    async fn try_one(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let fd = listen::socket(address)?;
        if let Some(local) = self.bind {
            if local.port() != 0 {
                sockopt::set_socket_reuseaddr(&fd, true)?;
            }
            net::bind(&fd, &local)?;
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
        let fd = SharedFd::new(fd);
        if self.fast_open {
            let (level, name) = (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT);
            let set = Op::new(SetOption::new(fd.clone(), level, name, 1)).await;
            tracing::trace!(?set, "fast open, which is left out where it cannot be");
        }
        Op::new(Connect::new(fd.clone(), address.encode()?)).await?;
        Ok(TcpStream::from_shared(fd))
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl TcpStream {
    /// Connects to an address, or to the first address of a name that answers, with the defaults of
    /// [`ConnectOptions`].
    ///
    /// # Errors
    ///
    /// Those of [`ConnectOptions::connect`].
    pub async fn connect(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        ConnectOptions::new().connect(addresses).await
    }

    /// Connects within a time.
    ///
    /// # Errors
    ///
    /// Those of [`ConnectOptions::connect`]: `ETIMEDOUT` if the time is over.
    pub async fn connect_timeout(addresses: impl ToSocketAddrs, timeout: Duration) -> io::Result<Self> {
        ConnectOptions::new().timeout(timeout).connect(addresses).await
    }

    /// Connects a socket that was set up by other means: with the `socket2` crate, for options of which
    /// [`ConnectOptions`] does not know.
    ///
    /// # Errors
    ///
    /// Those of connect(2); `EBUSY` if too many operations are in flight.
    pub async fn connect_socket(socket: impl Into<OwnedFd>, address: SocketAddr) -> io::Result<Self> {
        let fd = SharedFd::new(socket.into());
        Op::new(Connect::new(fd.clone(), address.encode()?)).await?;
        Ok(Self::from_shared(fd))
    }
}
