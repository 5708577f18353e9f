//! Accepting connections, of whatever protocol: one by one, all by one operation, and all into the ring's own
//! table of files (`direct.rs`). How a listener comes to be is told with TCP and Unix sockets.

mod direct;

use std::fmt::{self, Debug, Formatter};
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::net;

use super::Stream;
use super::inbound::Arrivals;
use super::protocol::codec::Codec as _;
use super::protocol::{Ordinary, Tcp};
use crate::driver::op::socket::{Accept, AcceptMulti, AcceptNamed, accepted};
use crate::driver::{Completion, Flow, Op};
use crate::fd::SharedFd;

pub use direct::IncomingDirect;

/// How many accepted connections may wait for [`Incoming::next`] before accepting pauses.
const MOST_WAITING: usize = 64;

/// A socket that listens: a [`TcpListener`](super::TcpListener) or a [`UnixListener`](super::UnixListener).
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
    /// for all. If it is dropped, a connection that it accepts in spite of that goes to the next accept of this listener.
    ///
    /// # Errors
    ///
    /// Those of accept(2): `EMFILE` and `ENFILE` (wait before trying again), `ECONNABORTED` (try again);
    /// `EBUSY` if too many operations are in flight.
    pub async fn accept(&self) -> io::Result<Stream<P>> {
        if let Some(kept) = self.arrivals.next_kept().await {
            return Ok(Stream::from_shared(kept));
        }
        let (fd, arrivals) = (self.fd.clone(), self.arrivals.clone());
        Op::new(Accept { fd, arrivals }).await.map(Stream::from_shared)
    }

    /// Accepts one connection, and says who the peer is.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](Self::accept).
    pub async fn accept_from(&self) -> io::Result<(Stream<P>, P::Address)> {
        if let Some(kept) = self.arrivals.next_kept().await {
            let peer = net::getpeername(&kept)?.ok_or(Errno::NOTCONN)?;
            return Ok((Stream::from_shared(kept), P::Address::decode(peer)?));
        }
        let (fd, peer) = Op::new(AcceptNamed::new(self.fd.clone(), self.arrivals.clone())).await?;
        Ok((Stream::from_shared(fd), P::Address::decode(peer)?))
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
/// when it is dropped go to the next accept of the listener.
pub struct Incoming<P = Tcp> {
    fd: SharedFd,
    arrivals: Rc<Arrivals>,
    flow: Option<Flow<AcceptMulti>>,
    /// This kernel has no multishot accept (before 5.19).
    one_by_one: bool,
    /// The accept of one connection, then.
    single: Option<Op<Accept>>,
    protocol: PhantomData<P>,
}

impl<P: Ordinary> Incoming<P> {
    /// Waits for the next connection. May be dropped while it waits: no connection is lost.
    ///
    /// # Errors
    ///
    /// Those of [`Listener::accept`]. After an error it can be called again.
    pub async fn next(&mut self) -> io::Result<Stream<P>> {
        loop {
            if self.one_by_one {
                if self.single.is_none()
                    && let Some(kept) = self.arrivals.next_kept().await
                {
                    return Ok(Stream::from_shared(kept));
                }
                return poll_fn(|cx| self.poll_single(cx)).await.map(Stream::from_shared);
            }
            if self.flow.is_none() {
                if let Some(kept) = self.arrivals.next_kept().await {
                    return Ok(Stream::from_shared(kept));
                }
                let (fd, arrivals) = (self.fd.clone(), self.arrivals.clone());
                let op = AcceptMulti { fd, arrivals, direct: None };
                self.flow = Some(Flow::start(op, MOST_WAITING)?);
            }
            match poll_fn(|cx| self.poll_flow(cx)).await {
                Some(completion) if completion.result == -libc::EINVAL => self.one_by_one = true,
                Some(completion) => return accepted(completion).map(Stream::from_shared),
                // A multishot operation may end at any time; it is started again.
                None => self.flow = None,
            }
        }
    }

    fn poll_flow(&mut self, cx: &Context<'_>) -> Poll<Option<Completion>> {
        self.flow.as_mut().map_or(Poll::Ready(None), |flow| flow.poll_next(cx))
    }

    /// The operation stays here while it waits, so that what it accepts is not lost with the future.
    fn poll_single(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<SharedFd>> {
        let single = self.single.get_or_insert_with(|| {
            let (fd, arrivals) = (self.fd.clone(), self.arrivals.clone());
            Op::new(Accept { fd, arrivals })
        });
        let accepted = Pin::new(single).poll(cx);
        if accepted.is_ready() {
            self.single = None;
        }
        accepted
    }
}

impl<P> Debug for Incoming<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("fd", &self.fd).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
