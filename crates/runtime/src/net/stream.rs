//! TCP connections.

use std::future::poll_fn;
use std::io;
use std::net::{Shutdown as How, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::net::{self, sockopt};

use super::inbound::Inbound;
use super::receiver::Receiver;
use crate::buf::{BufResult, IoBuf, IoBufMut, fill};
use crate::driver::Op;
use crate::driver::op::file::Poll as PollFd;
use crate::driver::op::message::{Recv, Send, SendMsg};
use crate::driver::op::socket::{Connect, Shutdown, Unsent};
use crate::fd::SharedFd;

/// A TCP connection. Closed through the ring when it and everything in flight on it are gone.
///
/// Its methods take `&self`: one task may send while another receives (share it in an [`Rc`]). Two sends at
/// the same time mix their bytes; so let one task send.
#[derive(Debug)]
pub struct TcpStream {
    fd: SharedFd,
    inbound: Rc<Inbound>,
}

impl TcpStream {
    pub(super) fn from_shared(fd: SharedFd) -> Self {
        Self { fd, inbound: Rc::default() }
    }

    /// Connects to an address.
    ///
    /// # Errors
    ///
    /// Those of socket(2) and connect(2): `ECONNREFUSED`, `ETIMEDOUT`, `ENETUNREACH`, `EMFILE`; `EBUSY` if too many
    /// operations are in flight.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let fd = SharedFd::new(super::listener::socket(address)?);
        Op::new(Connect::new(fd.clone(), address)).await?;
        Ok(Self::from_shared(fd))
    }

    /// Receives into a buffer of one's own, up to its capacity; 0 is the end of the stream.
    ///
    /// If the future is dropped, bytes that it had received already go to the next receive of this stream.
    ///
    /// # Errors
    ///
    /// Those of recv(2), `ECONNRESET` above all; `EBUSY` if too many operations are in flight.
    pub async fn recv<B: IoBufMut>(&self, mut buf: B) -> BufResult<usize, B> {
        if !self.inbound.is_clear() {
            poll_fn(|cx| self.inbound.poll_settled(cx)).await;
            if let Some(kept) = self.inbound.read(buf.capacity()) {
                return (kept.map(|bytes| fill(&mut buf, &bytes)), buf);
            }
        }
        let (fd, inbound) = (self.fd.clone(), self.inbound.clone());
        Op::new(Recv::new(fd, inbound, buf, 0)).await
    }

    /// Receives as many bytes as the buffer holds: `vec![0; n]` is filled as a whole, as by
    /// [`std::io::Read::read_exact`].
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv); `ErrorKind::UnexpectedEof` if the stream ends before.
    pub async fn recv_exact<B: IoBufMut>(&self, mut buf: B) -> BufResult<(), B> {
        let want = buf.filled();
        let mut done = 0;
        while done < want {
            let (received, part) = self.recv(buf.slice(done..want)).await;
            buf = part.into_inner();
            match received {
                Ok(0) => return (Err(io::ErrorKind::UnexpectedEof.into()), buf),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // What came before is not lost if this is a cancellation: the next receive has it.
                    self.inbound.keep(&buf.as_bytes()[..done]);
                    return (Err(error), buf);
                }
            }
        }
        (Ok(()), buf)
    }

    /// The bytes as they come, in buffers of the executor's pool: for many connections that are idle most of
    /// the time, as they hold no buffers then. Do not receive in another way while it exists.
    #[must_use]
    pub fn receiver(&self) -> Receiver {
        Receiver::new(self.fd.clone(), self.inbound.clone())
    }

    /// Sends: as much as the system takes.
    ///
    /// # Errors
    ///
    /// Those of send(2), `EPIPE` and `ECONNRESET` above all (never a signal); `EBUSY` if too many operations are in
    /// flight.
    pub async fn send<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        Op::new(Send::new(self.fd.clone(), buf, libc::MSG_NOSIGNAL)).await
    }

    /// Sends the whole buffer. If the future is dropped, an unknown part of it has been sent.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_all<B: IoBuf>(&self, mut buf: B) -> BufResult<(), B> {
        // The kernel goes on until all is sent, as far as it can; the loop is for where it cannot.
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let mut done = 0;
        while done < buf.filled() {
            let part = buf.slice(done..);
            let (sent, part) = Op::new(Send::new(self.fd.clone(), part, flags)).await;
            buf = part.into_inner();
            match sent {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buf),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Sends several buffers in a row: as much as the system takes.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_vectored<B: IoBuf>(&self, bufs: Vec<B>) -> BufResult<usize, Vec<B>> {
        Op::new(SendMsg::new(self.fd.clone(), bufs, 0, libc::MSG_NOSIGNAL)).await
    }

    /// Sends several buffers in a row, all of them.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_all_vectored<B: IoBuf>(&self, mut bufs: Vec<B>) -> BufResult<(), Vec<B>> {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let total: usize = bufs.iter().map(IoBuf::filled).sum();
        let mut done = 0;
        while done < total {
            let (sent, back) = Op::new(SendMsg::new(self.fd.clone(), bufs, done, flags)).await;
            bufs = back;
            match sent {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), bufs),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), bufs),
            }
        }
        (Ok(()), bufs)
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

    /// Waits until something can be sent, or never again: for those who then send by other means, as sendfile(2)
    /// with [`as_fd`](AsFd::as_fd) and `MSG_DONTWAIT`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if too many operations are in flight.
    pub async fn writable(&self) -> io::Result<()> {
        Op::new(PollFd { fd: self.fd.clone(), events: libc::POLLOUT }).await
    }

    /// How many bytes wait in the system to be sent, or to be acknowledged by the peer (`SIOCOUTQ` of tcp(7)): whether a
    /// slow peer takes anything, as a send that waits for room does not tell.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` before Linux 6.5; `EBUSY` if too many operations are in flight.
    pub async fn unsent_bytes(&self) -> io::Result<usize> {
        Op::new(Unsent { fd: self.fd.clone() }).await
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

    /// Whether small sends go out at once instead of waiting for more (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_nodelay(&self.fd, on)?)
    }

    /// Whether only full segments go out, until it is switched off again or 200 ms are over (`TCP_CORK`): to send a
    /// head together with the file that follows by other means.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_cork(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_cork(&self.fd, on)?)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): `ENOTCONN` if it is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let address = net::getpeername(&self.fd)?.ok_or(rustix::io::Errno::NOTCONN)?;
        Ok(SocketAddr::try_from(address)?)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::try_from(net::getsockname(&self.fd)?)?)
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<std::net::TcpStream> for TcpStream {
    /// Takes over a connection, blocking or not.
    fn from(stream: std::net::TcpStream) -> Self {
        Self::from_shared(SharedFd::new(OwnedFd::from(stream)))
    }
}
