//! A connection as a stream of bytes, of whatever protocol: receiving, its ends, its addresses. Sending stands
//! in `send.rs`; what only TCP or only Unix sockets can do, with them.
//!
//! What it keeps true: bytes that a dropped receive had taken go to the next receive (`inbound.rs`), whichever of
//! the ways to receive that is.

mod halves;
mod nonblocking;
mod receiver;
mod registered;
mod send;
mod send_file;
mod splice;

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::marker::PhantomData;
use std::net::Shutdown as How;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::net;

use super::inbound::Inbound;
use super::protocol::codec::{Accepted, Codec as _};
use super::protocol::{Ordinary, Protocol};
use crate::buf::{BufResult, IoBufMut, fill};
use crate::driver::Op;
use crate::driver::op::file::Poll as PollFd;
use crate::driver::op::message::Recv;
use crate::driver::op::msg::RecvMsg;
use crate::driver::op::parts::{Many, Sink as _};
use crate::driver::op::round::Round;
use crate::driver::op::socket::Shutdown;
use crate::fd::SharedFd;
use crate::io::rounds::{Rounds, give};

pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub(crate) use nonblocking::without_blocking;
pub use receiver::Receiver;
pub use send::ZeroCopy;
pub(super) use send::is_missing;

/// A connection: a [`TcpStream`](super::TcpStream), a [`UnixStream`](super::UnixStream), or one without a descriptor of
/// the process ([`Direct`](super::Direct)). Closed through the ring when it and everything in flight on it are
/// gone.
///
/// Its methods take `&self`: one task may send while another receives (share it in an [`Rc`], or
/// [split](Self::into_split) it). Two sends at the same time mix their bytes; so let one task send.
///
/// # Options
///
/// There are methods for those that programs set. With the `socket2` crate all others can be reached, as ordinary
/// streams are [`AsFd`]:
///
/// ```
/// use annulus_rt::net::{TcpListener, TcpStream};
/// use socket2::SockRef;
///
/// annulus_rt::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
///     let stream = TcpStream::connect(listener.local_addr()?).await?;
///     SockRef::from(&stream).set_recv_buffer_size(1 << 16)?;
///     stream.close().await
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Stream<P> {
    pub(super) fd: SharedFd,
    pub(super) inbound: Rc<Inbound>,
    protocol: PhantomData<P>,
}

impl<P: Protocol> Stream<P> {
    pub(super) fn from_shared(fd: SharedFd) -> Self {
        Self::from_parts(fd, Rc::default())
    }

    /// With what dropped receives had taken.
    pub(super) const fn from_parts(fd: SharedFd, inbound: Rc<Inbound>) -> Self {
        Self { fd, inbound, protocol: PhantomData }
    }

    pub(crate) const fn shared(&self) -> &SharedFd {
        &self.fd
    }

    /// What dropped receives had taken.
    pub(crate) const fn inbound(&self) -> &Rc<Inbound> {
        &self.inbound
    }

    /// Receives into a buffer of one's own, up to its capacity; 0 is the end of the stream.
    ///
    /// If the future is dropped, bytes that it had received already go to the next receive of this stream.
    ///
    /// # Errors
    ///
    /// Those of recv(2), `ECONNRESET` above all; `EBUSY` if too many operations are in flight.
    pub async fn recv<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        self.round(buf, Round::only()).await
    }

    /// Receives as many bytes as the buffer holds: `vec![0; n]` is filled as a whole, as by
    /// [`std::io::Read::read_exact`].
    ///
    /// If the future is dropped, or fails, all that it had received goes to the next receive of this stream. Only at the end
    /// of the stream are the bytes that came before it in the buffer alone.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv); `ErrorKind::UnexpectedEof` if the stream ends before.
    pub async fn recv_exact<B: IoBufMut>(&self, buf: B) -> BufResult<(), B> {
        self.fill(buf).await
    }

    /// Receives into several buffers, one after the other, each up to its capacity; the first 1,024 of them
    /// count (`IOV_MAX`). Those that got nothing are empty afterwards.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_vectored<B: IoBufMut>(&self, bufs: Vec<B>) -> BufResult<usize, Vec<B>> {
        let mut sink = Many::new(bufs);
        if !self.inbound.is_clear() {
            self.inbound.settled().await;
            if let Some(kept) = self.inbound.read(sink.capacity()) {
                let received = kept.map(|bytes| sink.scatter(&bytes));
                return (received, sink.into_inner());
            }
        }
        let op = RecvMsg::new(self.fd.clone(), sink, 0, self.inbound.clone());
        let (received, sink) = Op::new(op).await;
        (received.map(|arrived| arrived.len), sink.into_inner())
    }

    /// Looks at what comes next and leaves it there for the next receive (`MSG_PEEK`): waits until there is
    /// something; 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn peek<B: IoBufMut>(&self, mut buf: B) -> BufResult<usize, B> {
        if !self.inbound.is_clear() {
            self.inbound.settled().await;
            if let Some(kept) = self.inbound.peek(buf.capacity()) {
                return (Ok(fill(&mut buf, &kept)), buf);
            }
        }
        let (fd, inbound) = (self.fd.clone(), self.inbound.clone());
        Op::new(Recv::new(fd, inbound, buf, libc::MSG_PEEK)).await
    }

    /// The bytes as they come, in buffers of the executor's pool: for many connections that are idle most of
    /// the time, as they hold no buffers then. Do not receive in another way while it exists.
    #[must_use]
    pub fn receiver(&self) -> Receiver {
        Receiver::new(self.fd.clone(), self.inbound.clone())
    }

    /// Waits until there is something to receive, or the end of the stream, or an error: for those who then
    /// receive by other means.
    ///
    /// # Errors
    ///
    /// `EBUSY` if too many operations are in flight.
    pub async fn readable(&self) -> io::Result<()> {
        if self.inbound.is_clear() {
            return Op::new(PollFd { fd: self.fd.clone(), events: libc::POLLIN }).await;
        }
        Ok(())
    }

    /// Waits until something can be sent, or never again: for those who then send by other means, with
    /// [`as_fd`](AsFd::as_fd) and `MSG_DONTWAIT`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if too many operations are in flight.
    pub async fn writable(&self) -> io::Result<()> {
        Op::new(PollFd { fd: self.fd.clone(), events: libc::POLLOUT }).await
    }

    /// Ends one direction, or both; the peer sees the end of the stream after everything that was sent.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2): `ENOTCONN` if the peer is gone.
    pub async fn shutdown(&self, how: How) -> io::Result<()> {
        let how = match how {
            How::Read => libc::SHUT_RD,
            How::Write => libc::SHUT_WR,
            How::Both => libc::SHUT_RDWR,
        };
        Op::new(Shutdown { fd: self.fd.clone(), how }).await
    }

    /// Closes and waits for it. Dropping closes too. What is still in flight is not waited for.
    ///
    /// # Errors
    ///
    /// Those of close(2).
    pub async fn close(self) -> io::Result<()> {
        self.fd.close().await
    }
}

impl<P: Protocol> Rounds for Stream<P> {
    #[inline]
    async fn round<B: IoBufMut>(&self, buf: B, round: Round) -> BufResult<usize, B> {
        if !self.inbound.is_clear() {
            let back = self.inbound.back(round.earlier(&buf));
            self.inbound.settled().await;
            back.over();
            if let Some(kept) = self.inbound.read(round.room(&buf)) {
                return give(kept, round, buf);
            }
        }
        let (fd, inbound) = (self.fd.clone(), self.inbound.clone());
        Op::new(Recv::round(fd, inbound, buf, round)).await
    }

    fn inbound(&self) -> &Inbound {
        &self.inbound
    }
}

impl<P: Ordinary> Stream<P> {
    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): `ENOTCONN` if it is gone.
    pub fn peer_addr(&self) -> io::Result<P::Address> {
        let address = net::getpeername(&self.fd)?.ok_or(rustix::io::Errno::NOTCONN)?;
        Ok(P::Address::decode(address)?)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<P::Address> {
        Ok(P::Address::decode(net::getsockname(&self.fd)?)?)
    }

    /// What went wrong and was not told to an operation yet; asking takes it away (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(net::sockopt::socket_error(&self.fd)?.err().map(io::Error::from))
    }

    /// The descriptor, for other uses, if nothing is in flight on the stream and no other handle on it exists: else the
    /// stream comes back, as it does if bytes of a dropped receive wait to be read.
    ///
    /// # Errors
    ///
    /// The stream itself, as said.
    pub fn try_into_owned_fd(self) -> Result<OwnedFd, Self> {
        if !self.inbound.is_clear() {
            return Err(self);
        }
        let inbound = self.inbound;
        self.fd.try_into_owned().map_err(|fd| Self::from_parts(fd, inbound))
    }
}

impl<P: Protocol> Accepted for Stream<P> {
    #[allow(private_interfaces, reason = "as in the trait")]
    fn accepted(fd: SharedFd) -> Self {
        Self::from_shared(fd)
    }
}

impl<P: Ordinary> AsFd for Stream<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<P> Debug for Stream<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("fd", &self.fd).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
