//! Connections between processes of this machine that have messages (`SOCK_SEQPACKET`): how they come to be, and what only they
//! can do. Sending and receiving is in `net/datagram/`, accepting in `net/listener/`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::net::{self, SocketType};

use super::{BACKLOG, UnixAddr, socket, socketpair};
use crate::buf::{BufResult, IoBuf};
use crate::driver::Op;
use crate::driver::op::control::Control;
use crate::driver::op::parts::{One, With};
use crate::driver::op::socket::Connect;
use crate::net::protocol::codec::Codec as _;
use crate::net::protocol::{Direct, Seqpacket, ToAddress};
use crate::net::{DatagramSocket, Listener};

/// A connection of this machine that has messages: they arrive, in order, each as it was sent, or make the sender wait; see
/// [`DatagramSocket`] for sending and receiving. A message that does not fit a buffer is told as such
/// ([`Datagram::is_truncated`](crate::net::Datagram::is_truncated)), and its rest is lost. Its methods take `&self`; a send
/// or a receive that is dropped loses no message, and cuts none.
///
/// # The end
///
/// When the peer has closed, or ended its direction, a receive yields a message of no bytes, again and again. So does an empty
/// message, once: the system's call says the same of both. [`peer_has_ended`](Self::peer_has_ended) tells them apart, but for
/// empty messages that nothing else follows.
///
/// # Examples
///
/// ```
/// use annulus_rt::net::UnixSeqpacket;
///
/// annulus_rt::run(async {
///     let (near, far) = UnixSeqpacket::pair()?;
///     near.send("one").await.0?;
///     near.send("another").await.0?;
///     drop(near);
///     assert_eq!(far.recv(Vec::with_capacity(64)).await.1, b"one");
///     let (received, bytes) = far.recv(Vec::with_capacity(3)).await;
///     let message = received?;
///     assert_eq!((&bytes[..], message.whole, message.is_truncated()), (&b"ano"[..], 7, true));
///     assert_eq!(far.recv(Vec::with_capacity(64)).await.0?.whole, 0);
///     assert!(far.peer_has_ended()?);
///     std::io::Result::Ok(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub type UnixSeqpacket = DatagramSocket<Seqpacket>;

/// A socket that listens for connections of this machine that have messages; see [`Listener`] for what it does.
pub type UnixSeqpacketListener = Listener<Seqpacket>;

/// A connection with messages in the ring's own table of files; see [`Listener::incoming_direct`].
pub type DirectUnixSeqpacket = DatagramSocket<Direct<Seqpacket>>;

impl UnixSeqpacket {
    /// Connects to a socket: a path, or an address with an abstract name.
    ///
    /// # Errors
    ///
    /// Those of socket(2) and connect(2): `ENOENT`, `ECONNREFUSED`, `EACCES`, `EMFILE`; `EPROTOTYPE` if connections there are of
    /// another kind; `EAGAIN` if too many connections wait to be accepted there; `EBUSY` if too many operations are in flight.
    pub async fn connect(address: impl ToAddress<UnixAddr>) -> io::Result<Self> {
        let address = address.to_address()?.encode()?;
        let connection = Self::from_owned(socket(SocketType::SEQPACKET)?);
        Op::new(Connect::new(connection.fd.clone(), address)).await?;
        Ok(connection)
    }

    /// Two ends of a connection that nobody else can reach (socketpair(2)).
    ///
    /// # Errors
    ///
    /// Those of socketpair(2): `EMFILE`, `ENFILE`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (near, far) = socketpair(SocketType::SEQPACKET)?;
        Ok((Self::from_owned(near), Self::from_owned(far)))
    }

    /// Sends a message, which may be empty, with descriptors: the peer gets descriptors of its own for the same files. They are
    /// kept open until then, and come back. [`recv_fds`](DatagramSocket::recv_fds) receives them.
    ///
    /// # Errors
    ///
    /// Those of sendmsg(2): `EPIPE`, `EMSGSIZE`, `EINVAL` for more than 253 descriptors, `ETOOMANYREFS`; `EBUSY` if too many
    /// operations are in flight.
    pub async fn send_fds<B: IoBuf, F: AsFd + 'static>(
        &self,
        buf: B,
        fds: Vec<F>,
    ) -> BufResult<usize, (B, Vec<F>)> {
        let control = Control::fds(fds.iter().map(AsFd::as_fd));
        let message = With(One::new(buf), fds);
        let (sent, With(buf, fds)) = self.send_message(message, None::<&UnixAddr>, control).await;
        (sent, (buf.into_inner(), fds))
    }

    /// Whether the peer has closed, or ended its direction, and no byte of it waits to be received: after a receive that
    /// yielded no bytes, whether that was the end and not an empty message. It waits for nothing.
    ///
    /// # Errors
    ///
    /// Those of poll(2) and of the ioctl `FIONREAD`.
    pub fn peer_has_ended(&self) -> io::Result<bool> {
        if !self.inbound.is_clear() {
            return Ok(false);
        }
        let mut asked = [PollFd::new(&self.fd, PollFlags::RDHUP)];
        poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        let ended = asked[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP);
        // In this order: nothing comes any more once the end was seen.
        Ok(ended && ioctl_fionread(&self.fd)? == 0)
    }
}

impl UnixSeqpacketListener {
    /// Listens on a path, which must not exist yet, or on an address with an abstract name. The path stays when the
    /// socket is closed: removing it is the program's.
    ///
    /// # Errors
    ///
    /// Those of socket(2), bind(2) and listen(2): `EADDRINUSE` if the path exists, `ENOENT`, `EACCES`, `EMFILE`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::linux::net::SocketAddrExt;
    /// use annulus_rt::net::{UnixAddr, UnixSeqpacket, UnixSeqpacketListener};
    ///
    /// annulus_rt::run(async {
    ///     let name = UnixAddr::from_abstract_name(format!("annulus-messages-{}", std::process::id()))?;
    ///     let listener = UnixSeqpacketListener::bind(&name)?;
    ///     let near = UnixSeqpacket::connect(&name).await?;
    ///     let far = listener.accept().await?;
    ///     near.send_vectored(vec!["one ", "message"]).await.0?;
    ///     assert_eq!(far.recv(Vec::with_capacity(64)).await.1, b"one message");
    ///     assert_eq!(far.peer_credentials()?.pid, Some(std::process::id()));
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(address: impl ToAddress<UnixAddr>) -> io::Result<Self> {
        let fd = socket(SocketType::SEQPACKET)?;
        net::bind(&fd, &address.to_address()?.encode()?)?;
        net::listen(&fd, BACKLOG)?;
        Ok(Self::from_owned(fd))
    }
}

impl From<OwnedFd> for UnixSeqpacket {
    /// Takes over a connection, blocking or not.
    fn from(fd: OwnedFd) -> Self {
        Self::from_owned(fd)
    }
}

impl From<OwnedFd> for UnixSeqpacketListener {
    /// Takes over a socket that listens, blocking or not.
    fn from(fd: OwnedFd) -> Self {
        Self::from_owned(fd)
    }
}
