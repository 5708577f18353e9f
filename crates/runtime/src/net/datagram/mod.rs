//! Sockets of datagrams, of whatever protocol: sending and receiving whole messages. How they come to be, and their
//! options, are told with UDP and Unix sockets.
//!
//! What it keeps true: a datagram that a dropped receive had taken goes to the next receive, and one that did not fit
//! the buffer is never taken for a whole one.

mod incoming;
mod registered;

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::net;

use super::inbound::{Inbound, Message};
use super::protocol::codec::{Accepted, Codec as _};
use super::protocol::{Connectionless, Ordinary, Protocol, ToAddress};
use super::stream::ZeroCopy;
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::driver::Op;
use crate::driver::op::control::Control;
use crate::driver::op::file::Poll as PollFd;
use crate::driver::op::message::Send;
use crate::driver::op::msg::{Arrived, RecvMsg, SendMsg};
use crate::driver::op::parts::{Many, One, Sink, Source};
use crate::driver::op::socket::Connect;
use crate::driver::op::zero_copy;
use crate::fd::SharedFd;

pub use incoming::{Datagrams, PooledDatagram};

/// A socket of messages: a [`UdpSocket`](super::UdpSocket), a [`UnixDatagram`](super::UnixDatagram), or a connection that has
/// messages ([`UnixSeqpacket`](super::UnixSeqpacket)).
///
/// Its methods take `&self`, so that one task may send while another receives.
pub struct DatagramSocket<P> {
    pub(super) fd: SharedFd,
    pub(super) inbound: Rc<Inbound<Message>>,
    protocol: PhantomData<P>,
}

/// What is known of a datagram that was received, beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram<A> {
    /// How many bytes of it are in the buffer.
    pub len: usize,
    /// How long it was. What did not fit the buffer is lost.
    pub whole: usize,
    /// Who sent it.
    pub from: A,
    /// How long each of the datagrams is of which the system has put this together, the last perhaps shorter
    /// ([`UdpSocket::set_gro`](super::UdpSocket::set_gro)); `None` if it is a single one.
    pub segment: Option<u16>,
}

impl<A> Datagram<A> {
    /// Whether the buffer was too small for it.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.whole > self.len
    }
}

impl<P: Connectionless> DatagramSocket<P> {
    /// Says whom to send to, and from whom alone to receive (connect(2)).
    ///
    /// # Errors
    ///
    /// Those of connect(2): `ENETUNREACH`; `ENOENT` and `ECONNREFUSED` for a path; `EBUSY` if too many operations are in
    /// flight.
    pub async fn connect(&self, to: impl ToAddress<P::Address>) -> io::Result<()> {
        Op::new(Connect::new(self.fd.clone(), to.to_address()?.encode()?)).await
    }

    /// Sends a datagram to an address.
    ///
    /// # Errors
    ///
    /// Those of sendto(2), as for [`send`](Self::send); `EISCONN` for Unix sockets that are connected.
    pub async fn send_to<B: IoBuf>(&self, buf: B, to: impl ToAddress<P::Address>) -> BufResult<usize, B> {
        let (sent, one) = self.send_message(One::new(buf), Some(&to), Control::none()).await;
        (sent, one.into_inner())
    }

    /// Sends one datagram whose parts lie in several buffers, at most 1,024 (`IOV_MAX`), to an address.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to); `EMSGSIZE` also for too many buffers.
    pub async fn send_to_vectored<B: IoBuf>(
        &self,
        bufs: Vec<B>,
        to: impl ToAddress<P::Address>,
    ) -> BufResult<usize, Vec<B>> {
        self.send_parts(bufs, Some(&to)).await
    }

    /// Sends a datagram from the buffer's own pages, as
    /// [`Stream::send_zc`](super::Stream::send_zc) does: to an address, or to the peer that was connected to.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    pub async fn send_zc<B: IoBuf>(&self, buf: B, to: Option<P::Address>) -> BufResult<ZeroCopy, B> {
        let op = match self.message(One::new(buf), to.as_ref(), Control::none()) {
            Ok(op) => op,
            Err((error, one)) => return (Err(error), one.into_inner()),
        };
        let (sent, op) = zero_copy::send(op.zero_copy(zero_copy::REPORT)).await;
        let one = op.into_source();
        if !sent.as_ref().is_err_and(super::stream::is_missing) {
            return (sent.map(|(len, copied)| ZeroCopy { len, copied }), one.into_inner());
        }
        let (sent, one) = self.send_message(one, to.as_ref(), Control::none()).await;
        (sent.map(|len| ZeroCopy { len, copied: true }), one.into_inner())
    }
}

impl<P: Ordinary> DatagramSocket<P> {
    pub(super) fn from_owned(fd: OwnedFd) -> Self {
        Self::accepted(SharedFd::new(fd))
    }

    /// The address of this socket.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<P::Address> {
        Ok(P::Address::decode(net::getsockname(&self.fd)?)?)
    }

    /// The address that was [connected](Self::connect) to.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): `ENOTCONN` if there is none.
    pub fn peer_addr(&self) -> io::Result<P::Address> {
        let address = net::getpeername(&self.fd)?.ok_or(rustix::io::Errno::NOTCONN)?;
        Ok(P::Address::decode(address)?)
    }

    /// What went wrong and was not told to an operation yet; asking takes it away (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(net::sockopt::socket_error(&self.fd)?.err().map(io::Error::from))
    }
}

impl<P: Protocol> DatagramSocket<P> {
    /// Sends a datagram to the peer that was [connected](Self::connect) to. Returns its length: it is sent as a whole
    /// or not at all.
    ///
    /// # Errors
    ///
    /// Those of send(2): `EDESTADDRREQ` without a peer, `EMSGSIZE` if it is too long, `ECONNREFUSED` if the peer has said
    /// that nobody listens there (also to an earlier datagram); `EBUSY` if too many operations are in flight.
    pub async fn send<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        Op::new(Send::new(self.fd.clone(), buf, libc::MSG_NOSIGNAL)).await
    }

    /// Sends one datagram whose parts lie in several buffers, at most 1,024 (`IOV_MAX`).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `EMSGSIZE` also for too many buffers.
    pub async fn send_vectored<B: IoBuf>(&self, bufs: Vec<B>) -> BufResult<usize, Vec<B>> {
        self.send_parts(bufs, None::<&P::Address>).await
    }

    /// Receives a datagram into a buffer, up to its capacity. If it does not fit, the result says so
    /// ([`Datagram::is_truncated`]).
    ///
    /// If the future is dropped, a datagram that it had received already goes to the next receive of this socket.
    ///
    /// # Errors
    ///
    /// Those of recvmsg(2): `ECONNREFUSED` on a connected socket whose peer has said that nobody listens there;
    /// `EBUSY` if too many operations are in flight.
    pub async fn recv_from<B: IoBufMut>(&self, buf: B) -> BufResult<Datagram<P::Address>, B> {
        let mut one = One::new(buf);
        if let Some((bytes, arrived)) = self.kept().await {
            let datagram = arrived.and_then(|arrived| datagram::<P>(one.scatter(&bytes), arrived));
            return (datagram, one.into_inner());
        }
        let (datagram, one) = self.recv_message(one, libc::MSG_TRUNC).await;
        (datagram, one.into_inner())
    }

    /// Receives a datagram: [`recv_from`](Self::recv_from), by the name under which one looks for it on a connected
    /// socket.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    pub async fn recv<B: IoBufMut>(&self, buf: B) -> BufResult<Datagram<P::Address>, B> {
        self.recv_from(buf).await
    }

    /// Receives a datagram into several buffers, one after the other; the first 1,024 of them count.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    pub async fn recv_from_vectored<B: IoBufMut>(
        &self,
        bufs: Vec<B>,
    ) -> BufResult<Datagram<P::Address>, Vec<B>> {
        let mut many = Many::new(bufs);
        if let Some((bytes, arrived)) = self.kept().await {
            let datagram = arrived.and_then(|arrived| datagram::<P>(many.scatter(&bytes), arrived));
            return (datagram, many.into_inner());
        }
        let (datagram, many) = self.recv_message(many, libc::MSG_TRUNC).await;
        (datagram, many.into_inner())
    }

    /// Looks at the next datagram and leaves it there for the next receive (`MSG_PEEK`).
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    pub async fn peek_from<B: IoBufMut>(&self, buf: B) -> BufResult<Datagram<P::Address>, B> {
        let mut one = One::new(buf);
        if let Some((bytes, arrived)) = self.kept().await {
            let peeked = arrived.and_then(|arrived| {
                let copy = arrived.without_fds();
                self.inbound.put_back((bytes.clone(), arrived));
                datagram::<P>(one.scatter(&bytes), copy)
            });
            return (peeked, one.into_inner());
        }
        let (datagram, one) = self.recv_message(one, libc::MSG_TRUNC | libc::MSG_PEEK).await;
        (datagram, one.into_inner())
    }

    /// Waits until there is a datagram to receive, or an error: for those who then receive by other means.
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

    /// Waits until a datagram can be sent: for those who then send by other means.
    ///
    /// # Errors
    ///
    /// `EBUSY` if too many operations are in flight.
    pub async fn writable(&self) -> io::Result<()> {
        Op::new(PollFd { fd: self.fd.clone(), events: libc::POLLOUT }).await
    }

    /// Closes and waits for it. Dropping closes too.
    ///
    /// # Errors
    ///
    /// Those of close(2).
    pub async fn close(self) -> io::Result<()> {
        self.fd.close().await
    }

    async fn send_parts<B: IoBuf>(
        &self,
        bufs: Vec<B>,
        to: Option<&impl ToAddress<P::Address>>,
    ) -> BufResult<usize, Vec<B>> {
        // A datagram is sent as a whole, so parts of it must not be left out.
        if bufs.iter().filter(|buf| buf.filled() > 0).count() > libc::UIO_MAXIOV.unsigned_abs() as usize {
            return (Err(io::Error::from_raw_os_error(libc::EMSGSIZE)), bufs);
        }
        let (sent, many) = self.send_message(Many::new(bufs), to, Control::none()).await;
        (sent, many.into_inner())
    }

    /// An operation that sends one datagram.
    fn message<S: Source>(
        &self,
        source: S,
        to: Option<&impl ToAddress<P::Address>>,
        control: Control,
    ) -> Result<SendMsg<S>, (io::Error, S)> {
        let to = to.map(|to| to.to_address()?.encode()).transpose();
        match to {
            Ok(to) => {
                let op = SendMsg::new(self.fd.clone(), source, 0, libc::MSG_NOSIGNAL).control(control);
                Ok(op.to(to))
            }
            Err(error) => Err((error, source)),
        }
    }

    pub(super) async fn send_message<S: Source>(
        &self,
        source: S,
        to: Option<&impl ToAddress<P::Address>>,
        control: Control,
    ) -> (io::Result<usize>, S) {
        match self.message(source, to, control) {
            Ok(op) => Op::new(op).await,
            Err((error, source)) => (Err(error), source),
        }
    }

    async fn recv_message<S: Sink>(&self, sink: S, flags: i32) -> (io::Result<Datagram<P::Address>>, S) {
        // Descriptors that nobody asked for are closed; until then no other program gets them.
        let flags = flags | libc::MSG_CMSG_CLOEXEC;
        let op = RecvMsg::new(self.fd.clone(), sink, flags, self.inbound.clone()).named();
        let op = op.control(Control::room_for_segment());
        let (arrived, sink) = Op::new(op).await;
        (arrived.and_then(|arrived| datagram::<P>(arrived.len, arrived)), sink)
    }

    /// What a dropped receive had taken, if it had.
    pub(super) async fn kept(&self) -> Option<(Vec<u8>, io::Result<Arrived>)> {
        if self.inbound.is_clear() {
            return None;
        }
        self.inbound.settled().await;
        match self.inbound.read_message()? {
            Ok((bytes, arrived)) => Some((bytes, Ok(arrived))),
            Err(error) => Some((Vec::new(), Err(error))),
        }
    }
}

/// What arrived, of which `len` bytes are in the buffer.
pub(super) fn datagram<P: Protocol>(len: usize, arrived: Arrived) -> io::Result<Datagram<P::Address>> {
    let from = P::Address::decode_some(arrived.from)?;
    Ok(Datagram { len, whole: arrived.whole, from, segment: arrived.segment })
}

impl<P: Protocol> Accepted for DatagramSocket<P> {
    #[allow(private_interfaces, reason = "as in the trait")]
    fn accepted(fd: SharedFd) -> Self {
        Self { fd, inbound: Rc::default(), protocol: PhantomData }
    }
}

impl<P: Ordinary> AsFd for DatagramSocket<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<P> Debug for DatagramSocket<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramSocket").field("fd", &self.fd).finish_non_exhaustive()
    }
}
