//! Connecting by TCP: to a name, to the first of its addresses that answers, within a time.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::time::Duration;

use rustix::net::{self, sockopt};

use super::eyeballs::{ATTEMPT_DELAY, interleave, race};
use super::{Keepalive, TcpStream, fast_open, listen};
use crate::buf::{BufResult, IoBuf};
use crate::cancel::Canceller;
use crate::driver::Op;
use crate::driver::op::socket::Connect;
use crate::fd::SharedFd;
use crate::net::lookup::ToSocketAddrs;
use crate::net::protocol::codec::Codec as _;
use crate::{Either, select, time};

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
    /// allowed it before. Connecting to those succeeds at once, whether they answer or not. Where the system does not allow it to
    /// clients (bit 1 of sysctl `net.ipv4.tcp_fastopen`), it is left out. See [`connect_and_send`](Self::connect_and_send).
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
            Err(_elapsed) => Err(timed_out()),
        }
    }

    /// Connects as [`connect`](Self::connect) does, and sends the whole buffer. To a peer that has allowed it before, the first
    /// bytes go with the request to connect ([`fast_open`](Self::fast_open), which this implies), which saves a round trip;
    /// to others, and where the system does not allow it, they follow the handshake. The [timeout](Self::timeout) is for both.
    ///
    /// The network may bring such data to the peer twice (RFC 7413, section 2.1): for requests that may be carried out twice.
    /// That the connection failed may be told by the first receive only. If the future is dropped, an unknown part of the buffer
    /// has been sent.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and those of send(2): `ECONNRESET`, `EPIPE`. The connection is closed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus_rt::net::{ConnectOptions, ListenOptions};
    ///
    /// annulus_rt::run(async {
    ///     let listener = ListenOptions::new().fast_open(64).bind("127.0.0.1:0".parse().unwrap())?;
    ///     let address = listener.local_addr()?;
    ///     let (connected, _) = ConnectOptions::new().connect_and_send(address, "request").await;
    ///     let client = connected?;
    ///     let server = listener.accept().await?;
    ///     assert_eq!(server.recv_exact(vec![0; 7]).await.1, b"request");
    ///     client.close().await
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn connect_and_send<B: IoBuf>(
        &self,
        addresses: impl ToSocketAddrs,
        buf: B,
    ) -> BufResult<TcpStream, B> {
        let options = self.fast_open(true);
        let Some(timeout) = self.timeout else {
            return match options.try_all(addresses).await {
                Ok(stream) => send_first(stream, buf).await,
                Err(error) => (Err(error), buf),
            };
        };
        let mut over = pin!(time::sleep(timeout));
        let stream = match select(&mut over, pin!(options.try_all(addresses))).await {
            Either::Left(()) => return (Err(timed_out()), buf),
            Either::Right(Err(error)) => return (Err(error), buf),
            Either::Right(Ok(stream)) => stream,
        };
        // It is not dropped at the end of its time, so that the buffer comes back.
        let canceller = Canceller::new();
        let mut sending = pin!(canceller.run(send_first(stream, buf)));
        if let Either::Right(sent) = select(&mut over, &mut sending).await {
            return sent;
        }
        canceller.cancel().await;
        let (sent, buf) = sending.await;
        match sent {
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => (Err(timed_out()), buf),
            sent => (sent, buf),
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
        if self.fast_open {
            let set = fast_open::connect(&fd);
            tracing::trace!(?set, "fast open, which is left out where it cannot be");
        }
        let fd = SharedFd::new(fd);
        Op::new(Connect::new(fd.clone(), address.encode()?)).await?;
        Ok(TcpStream::from_shared(fd))
    }
}

/// Sends the first bytes of a connection, which may be what opens it.
async fn send_first<B: IoBuf>(stream: TcpStream, buf: B) -> BufResult<TcpStream, B> {
    let (mut sent, mut buf) = stream.send_all(buf).await;
    // What was known of the peer is so no more: the request to connect has gone without data.
    if sent.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EINPROGRESS)) {
        sent = stream.writable().await;
        if sent.is_ok() {
            (sent, buf) = stream.send_all(buf).await;
        }
    }
    (sent.map(|()| stream), buf)
}

fn timed_out() -> io::Error {
    io::Error::from_raw_os_error(libc::ETIMEDOUT)
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
