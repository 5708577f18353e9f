//! Datagrams between processes of this machine. Sending and receiving bytes is in `net/datagram/`.

use std::io;
use std::net::Shutdown as How;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{self, SocketType};

use super::{MOST_FDS, UnixAddr, socket, socketpair};
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::driver::Op;
use crate::driver::op::control::Control;
use crate::driver::op::msg::RecvMsg;
use crate::driver::op::parts::{One, With};
use crate::driver::op::socket::Shutdown;
use crate::net::DatagramSocket;
use crate::net::datagram::{Datagram, datagram};
use crate::net::protocol::codec::Codec as _;
use crate::net::protocol::{Protocol, ToAddress, Unix};

/// A Unix socket of datagrams, which arrive, in order, or make the sender wait; see [`DatagramSocket`] for sending and
/// receiving.
pub type UnixDatagram = DatagramSocket<Unix>;

/// A datagram and the descriptors that came with it.
pub type DatagramWithFds = (Datagram<UnixAddr>, Vec<OwnedFd>);

impl UnixDatagram {
    /// A socket on a path, which must not exist yet, or on an address with an abstract name. The path stays when the
    /// socket is closed: removing it is the program's.
    ///
    /// # Errors
    ///
    /// Those of socket(2) and bind(2): `EADDRINUSE` if the path exists, `ENOENT`, `EACCES`, `EMFILE`.
    pub fn bind(address: impl ToAddress<UnixAddr>) -> io::Result<Self> {
        let fd = socket(SocketType::DGRAM)?;
        net::bind(&fd, &address.to_address()?.encode()?)?;
        Ok(Self::from_owned(fd))
    }

    /// A socket without an address: it can send, and nobody can answer.
    ///
    /// # Errors
    ///
    /// Those of socket(2): `EMFILE`, `ENFILE`.
    pub fn unbound() -> io::Result<Self> {
        Ok(Self::from_owned(socket(SocketType::DGRAM)?))
    }

    /// Two sockets that are connected to each other (socketpair(2)).
    ///
    /// # Errors
    ///
    /// Those of socketpair(2): `EMFILE`, `ENFILE`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (near, far) = socketpair(SocketType::DGRAM)?;
        Ok((Self::from_owned(near), Self::from_owned(far)))
    }

    /// Sends a datagram with descriptors, to an address or to the peer that was connected to; see
    /// [`UnixStream::send_fds`](super::UnixStream::send_fds).
    ///
    /// # Errors
    ///
    /// Those of sendmsg(2): `EINVAL` for more than 253 descriptors, `ETOOMANYREFS`; `EBUSY` if too many operations are in
    /// flight.
    pub async fn send_fds<B: IoBuf, F: AsFd + 'static>(
        &self,
        buf: B,
        fds: Vec<F>,
        to: Option<UnixAddr>,
    ) -> BufResult<usize, (B, Vec<F>)> {
        let control = Control::fds(fds.iter().map(AsFd::as_fd));
        let (sent, With(buf, fds)) = self.send_message(With(One::new(buf), fds), to.as_ref(), control).await;
        (sent, (buf.into_inner(), fds))
    }
}

impl<P: Protocol<Address = UnixAddr>> DatagramSocket<P> {
    /// Receives a datagram, and at most `most` descriptors that came with it; more are closed. If the future is dropped, what
    /// it had received goes to the next receive, descriptors too; a receive that does not ask for descriptors closes
    /// them.
    ///
    /// # Errors
    ///
    /// Those of recvmsg(2); `EBUSY` if too many operations are in flight.
    pub async fn recv_fds<B: IoBufMut>(&self, buf: B, most: usize) -> BufResult<DatagramWithFds, B> {
        let mut one = One::new(buf);
        if let Some((bytes, arrived)) = self.kept().await {
            let received = arrived.and_then(|mut arrived| {
                let mut fds = std::mem::take(&mut arrived.fds);
                fds.truncate(most);
                Ok((datagram::<P>(one.scatter(&bytes), arrived)?, fds))
            });
            return (received, one.into_inner());
        }
        let flags = libc::MSG_TRUNC | libc::MSG_CMSG_CLOEXEC;
        let op = RecvMsg::new(self.fd.clone(), one, flags, self.inbound.clone()).named();
        let (arrived, one) = Op::new(op.control(Control::room_for_fds(most.min(MOST_FDS)))).await;
        let received = arrived.and_then(|mut arrived| {
            let fds = std::mem::take(&mut arrived.fds);
            Ok((datagram::<P>(arrived.len, arrived)?, fds))
        });
        (received, one.into_inner())
    }

    /// Ends one direction, or both: the peer is told by `EPIPE` that nobody receives any more.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2): `ENOTCONN` without a peer.
    pub async fn shutdown(&self, how: How) -> io::Result<()> {
        let how = match how {
            How::Read => libc::SHUT_RD,
            How::Write => libc::SHUT_WR,
            How::Both => libc::SHUT_RDWR,
        };
        Op::new(Shutdown { fd: self.fd.clone(), how }).await
    }
}

impl From<std::os::unix::net::UnixDatagram> for UnixDatagram {
    /// Takes over a socket, blocking or not.
    fn from(socket: std::os::unix::net::UnixDatagram) -> Self {
        Self::from_owned(socket.into())
    }
}
