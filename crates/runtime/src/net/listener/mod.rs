//! Accepting connections, of whatever protocol: one by one, all by one operation, and all into the ring's own
//! table of files (`direct.rs`). How a listener comes to be is told with TCP and Unix sockets.

mod direct;

use std::fmt::{self, Debug, Formatter};
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::Poll;

use rustix::io::Errno;
use rustix::net;

use super::arrivals::{Armed, Arrival, Arrivals, Single, Waiting};
use super::protocol::codec::{Accepted, Codec as _};
use super::protocol::{Ordinary, Tcp};
use crate::driver::op::socket::{Accept, AcceptMulti, AcceptNamed, accepted};
use crate::driver::{Completion, Flow, Op};
use crate::fd::SharedFd;

pub use direct::IncomingDirect;

/// How many accepted connections may wait for [`Incoming::next`] before accepting pauses.
const MOST_WAITING: usize = 64;

/// A socket that listens: a [`TcpListener`](super::TcpListener), a [`UnixListener`](super::UnixListener) or a
/// [`UnixSeqpacketListener`](super::UnixSeqpacketListener), which accept a [`TcpStream`](super::TcpStream), a
/// [`UnixStream`](super::UnixStream) and a [`UnixSeqpacket`](super::UnixSeqpacket).
pub struct Listener<P> {
    pub(super) fd: SharedFd,
    arrivals: Rc<Arrivals>,
    protocol: PhantomData<P>,
}

impl<P: Ordinary> Listener<P> {
    pub(super) fn from_owned(fd: OwnedFd) -> Self {
        Self { fd: SharedFd::new(fd), arrivals: Rc::default(), protocol: PhantomData }
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<P::Address> {
        Ok(P::Address::decode(net::getsockname(&self.fd)?)?)
    }

    /// Accepts one connection. Each call is an operation of its own; [`incoming`](Self::incoming) costs one
    /// for all. If it is dropped, a connection that it accepts in spite of that goes to another accept of this listener: to one that
    /// waits, or to the next.
    ///
    /// # Errors
    ///
    /// Those of accept(2): `EMFILE` and `ENFILE` (wait before trying again), `ECONNABORTED` (try again);
    /// `EBUSY` if too many operations are in flight.
    pub async fn accept(&self) -> io::Result<P::Connection> {
        if let Some(kept) = self.arrivals.next_kept(&self.fd).await {
            return Ok(P::Connection::accepted(kept));
        }
        let accept = Accept::new(self.fd.clone(), self.arrivals.clone());
        match self.arrivals.accept(&self.fd, accept).await? {
            Arrival::Kept(fd) | Arrival::Own(fd) => Ok(P::Connection::accepted(fd)),
        }
    }

    /// Accepts one connection, and says who the peer is.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](Self::accept).
    pub async fn accept_from(&self) -> io::Result<(P::Connection, P::Address)> {
        let kept = match self.arrivals.next_kept(&self.fd).await {
            Some(kept) => kept,
            None => {
                let accept = AcceptNamed::new(self.fd.clone(), self.arrivals.clone());
                match self.arrivals.accept(&self.fd, accept).await? {
                    Arrival::Kept(kept) => kept,
                    Arrival::Own((fd, peer)) => {
                        return Ok((P::Connection::accepted(fd), P::Address::decode(peer)?));
                    }
                }
            }
        };
        let peer = net::getpeername(&kept)?.ok_or(Errno::NOTCONN)?;
        Ok((P::Connection::accepted(kept), P::Address::decode(peer)?))
    }

    /// The connections as they come, by one multishot operation. At most 64 that were accepted wait to be
    /// taken; the others wait in the system's backlog.
    #[must_use]
    pub fn incoming(&self) -> Incoming<P> {
        Incoming {
            fd: self.fd.clone(),
            arrivals: self.arrivals.clone(),
            flow: None,
            one_by_one: false,
            single: None,
            protocol: PhantomData,
        }
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

impl<P: Ordinary> AsFd for Listener<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<P> Debug for Listener<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// The connections of a listener; see [`Listener::incoming`]. Connections that were accepted and not taken
/// when it is dropped go to another accept of the listener: to one that waits, or to the next.
pub struct Incoming<P = Tcp> {
    fd: SharedFd,
    arrivals: Rc<Arrivals>,
    /// The operation for all, and, dropped before it, that it is in flight.
    flow: Option<(Armed, Flow<AcceptMulti>)>,
    /// This kernel has no multishot accept (before 5.19).
    one_by_one: bool,
    /// The accept of one connection, then: it stays here while it waits, so that what it accepts is not lost with the future.
    single: Option<Single<Accept>>,
    protocol: PhantomData<P>,
}

impl<P: Ordinary> Incoming<P> {
    /// Waits for the next connection. May be dropped while it waits: no connection is lost.
    ///
    /// # Errors
    ///
    /// Those of [`Listener::accept`]. After an error it can be called again.
    pub async fn next(&mut self) -> io::Result<P::Connection> {
        loop {
            let (fd, arrivals) = (&self.fd, &self.arrivals);
            if self.flow.is_none()
                && self.single.is_none()
                && let Some(kept) = arrivals.next_kept(fd).await
            {
                return Ok(P::Connection::accepted(kept));
            }
            if self.one_by_one {
                return next_single(&mut self.single, fd, arrivals).await.map(P::Connection::accepted);
            }
            let flow = match &mut self.flow {
                Some((_, flow)) => flow,
                None => {
                    let accept = AcceptMulti::new(fd.clone(), arrivals.clone(), None);
                    let flow = Flow::start(accept, MOST_WAITING)?;
                    &mut self.flow.insert((Armed::new(arrivals), flow)).1
                }
            };
            match next_of(flow, arrivals).await {
                Arrival::Kept(kept) => {
                    arrivals.look(fd);
                    return Ok(P::Connection::accepted(kept));
                }
                Arrival::Own(Some(completion)) if completion.result == -libc::EINVAL => {
                    self.one_by_one = true;
                    self.flow = None;
                }
                Arrival::Own(Some(completion)) => {
                    if completion.result == -libc::ECANCELED {
                        self.flow = None;
                    }
                    return accepted(completion).map(P::Connection::accepted);
                }
                // A multishot operation may end at any time; it is started again.
                Arrival::Own(None) => self.flow = None,
            }
        }
    }
}

/// The next completion of a multishot accept, or what another accept leaves.
async fn next_of(flow: &mut Flow<AcceptMulti>, arrivals: &Arrivals) -> Arrival<Option<Completion>> {
    let mut waiting = Waiting::new(arrivals);
    poll_fn(|cx| match flow.poll_next(cx) {
        Poll::Ready(completion) => Poll::Ready(Arrival::Own(completion)),
        Poll::Pending => waiting.poll_kept(cx).map(Arrival::Kept),
    })
    .await
}

/// The connection of the accept that is waited for, or that is started now, or what another accept leaves.
async fn next_single(
    single: &mut Option<Single<Accept>>,
    fd: &SharedFd,
    arrivals: &Rc<Arrivals>,
) -> io::Result<SharedFd> {
    let started = single
        .get_or_insert_with(|| Single::new(arrivals, Op::new(Accept::new(fd.clone(), arrivals.clone()))));
    let came = started.next(arrivals).await;
    if let Ok(Arrival::Kept(kept)) = came {
        arrivals.look(fd);
        return Ok(kept);
    }
    *single = None;
    match came {
        Ok(Arrival::Kept(connection) | Arrival::Own(connection)) => Ok(connection),
        Err(error) => {
            if error.raw_os_error() == Some(libc::ECANCELED) {
                arrivals.look(fd);
            }
            Err(error)
        }
    }
}

impl<P> Debug for Incoming<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("fd", &self.fd).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
