//! Streams in the ring's own table of files: what needs a descriptor goes through the ring.

use std::io;

use super::DirectTcpStream;
use crate::driver::Op;
use crate::driver::op::socket::{Install, Name, SetOption};
use crate::net::Stream;
use crate::net::protocol::codec::Codec as _;
use crate::net::protocol::{Direct, Ordinary};

impl<P: Ordinary> Stream<Direct<P>> {
    /// Whether it is in the table: if that had no room, the stream has a descriptor of the process after all.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.fd.descriptor().is_none()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): `ENOTCONN` if it is gone; `EMFILE`, as before Linux 6.19 this
    /// needs a descriptor for a moment.
    pub async fn peer_addr(&self) -> io::Result<P::Address> {
        self.name(true).await
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of [`peer_addr`](Self::peer_addr).
    pub async fn local_addr(&self) -> io::Result<P::Address> {
        self.name(false).await
    }

    /// Makes an ordinary stream of it, with a descriptor of the process. What dropped receives had taken goes with
    /// it.
    ///
    /// # Errors
    ///
    /// The stream comes back with each: `EMFILE`, `ENFILE`.
    pub async fn install(self) -> Result<Stream<P>, (io::Error, Self)> {
        let fd = if self.is_direct() {
            match Op::new(Install::new(self.fd.clone())).await {
                Ok(fd) => fd,
                Err(error) => return Err((error, self)),
            }
        } else {
            self.fd
        };
        Ok(Stream::from_parts(fd, self.inbound))
    }

    async fn name(&self, peer: bool) -> io::Result<P::Address> {
        match Op::new(Name::new(self.fd.clone(), peer)).await {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL)) => {}
            told => return Ok(P::Address::decode(told?)?),
        }
        if !self.is_direct() {
            let stream = Stream::<P>::from_shared(self.fd.clone());
            return if peer { stream.peer_addr() } else { stream.local_addr() };
        }
        let stream = Stream::<P>::from_shared(Op::new(Install::new(self.fd.clone())).await?);
        if peer { stream.peer_addr() } else { stream.local_addr() }
    }
}

impl DirectTcpStream {
    /// Whether small sends go out at once instead of waiting for more (`TCP_NODELAY`). It costs an operation:
    /// [`ListenOptions::nodelay`](crate::net::ListenOptions::nodelay) sets it for all.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub async fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.set_option(libc::TCP_NODELAY, on).await
    }

    /// Whether only full segments go out (`TCP_CORK`).
    ///
    /// # Errors
    ///
    /// Those of [`set_nodelay`](Self::set_nodelay).
    pub async fn set_cork(&self, on: bool) -> io::Result<()> {
        self.set_option(libc::TCP_CORK, on).await
    }

    /// Whether what comes is acknowledged at once, for a while (`TCP_QUICKACK`).
    ///
    /// # Errors
    ///
    /// Those of [`set_nodelay`](Self::set_nodelay).
    pub async fn set_quickack(&self, on: bool) -> io::Result<()> {
        self.set_option(libc::TCP_QUICKACK, on).await
    }

    async fn set_option(&self, name: i32, on: bool) -> io::Result<()> {
        Op::new(SetOption::new(self.fd.clone(), libc::IPPROTO_TCP, name, i32::from(on))).await
    }
}
