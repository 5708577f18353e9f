//! Datagrams as they come, in buffers of the pool.
//!
//! By one multishot operation that picks from the pool's ring; where the kernel has none, by waiting for a
//! datagram and receiving it then.

use std::fmt::{self, Debug, Formatter};
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;
use std::task::{Context, Poll};

use annulus::BufRing;

use super::{Datagram, DatagramSocket, datagram};
use crate::buf::{IoBuf as _, Pool, PooledBuf, Slice, Turn};
use crate::driver::op::control::Control;
use crate::driver::op::datagrams::{RecvMsgMulti, pooled};
use crate::driver::op::file::Poll as PollFd;
use crate::driver::op::msg::RecvMsg;
use crate::driver::op::parts::One;
use crate::driver::{Completion, Flow, Op};
use crate::executor::Context as Executor;
use crate::fd::SharedFd;
use crate::net::inbound::{Inbound, Message};
use crate::net::protocol::Protocol;

/// The datagrams of a socket as they come; see [`DatagramSocket::datagrams`].
///
/// Dropping it loses nothing: what had arrived goes to the next receive of the socket.
pub struct Datagrams<P> {
    fd: SharedFd,
    inbound: Rc<Inbound<Message>>,
    flow: Option<Flow<RecvMsgMulti<Rc<Inbound<Message>>>>>,
    /// How many buffers had come back to the pool when the operation began.
    begun: u64,
    protocol: PhantomData<P>,
}

/// A datagram in a buffer of the executor's pool, which gets it back when this is dropped. Its bytes are what it
/// derefs to.
#[derive(Debug)]
pub struct PooledDatagram<A> {
    /// What is known of it.
    pub about: Datagram<A>,
    buf: PooledBuf,
    start: usize,
}

impl<P: Protocol> DatagramSocket<P> {
    /// The datagrams as they come, in buffers of the executor's pool, by one operation for all. A buffer has room for
    /// the size that was given to [`Builder::receive_buffers`](crate::Builder::receive_buffers), less 168 bytes; a longer
    /// datagram is cut, and says so. Do not receive in another way while it exists.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus_rt::net::UdpSocket;
    ///
    /// annulus_rt::run(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
    ///     let client = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
    ///     client.send_to("ping", socket.local_addr()?).await.0?;
    ///
    ///     let mut datagrams = socket.datagrams();
    ///     let ping = datagrams.next().await?;
    ///     assert_eq!((&*ping, ping.about.from), (&b"ping"[..], client.local_addr()?));
    ///     let from = ping.about.from;
    ///     socket.send_to(ping.into_buf(), from).await.0?;
    ///     let (answer, buf) = client.recv_from(vec![0; 16]).await;
    ///     assert_eq!(answer?.len, 4);
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn datagrams(&self) -> Datagrams<P> {
        let (fd, inbound) = (self.fd.clone(), self.inbound.clone());
        Datagrams { fd, inbound, flow: None, begun: 0, protocol: PhantomData }
    }
}

impl<P: Protocol> Datagrams<P> {
    /// The next datagram. Waits for a buffer if all of the pool are held.
    ///
    /// May be dropped while it waits: no datagram is lost.
    ///
    /// # Errors
    ///
    /// Those of [`DatagramSocket::recv_from`], after which it can be called again; `ENOMEM` if there is no memory for
    /// the pool.
    pub async fn next(&mut self) -> io::Result<PooledDatagram<P::Address>> {
        let pool = Executor::current().pool()?;
        // Held until it is known whether a buffer was taken with it.
        let mut turn: Option<Turn<'_>> = None;
        loop {
            if self.flow.is_none() && !self.inbound.is_clear() {
                self.inbound.settled().await;
                if let Some(kept) = self.inbound.read_message() {
                    let (bytes, arrived) = kept?;
                    let about = datagram::<P>(arrived.len, arrived)?;
                    return Ok(PooledDatagram { about, buf: pool.lend(bytes), start: 0 });
                }
            }
            let Some(ring) = pool.ring() else {
                if self.flow.take().is_some() {
                    // What it had received comes first.
                    continue;
                }
                return self.receive(&pool).await;
            };
            let Some(completion) = self.completion(&pool, &ring).await? else { continue };
            match -completion.result {
                ..=0 => {
                    Turn::used(turn);
                    if let Some(next) = pooled(&pool, &ring, completion) {
                        let about = datagram::<P>(next.arrived.len, next.arrived)?;
                        return Ok(PooledDatagram { about, buf: next.buf, start: next.start });
                    }
                    // Nothing of a datagram fits such a buffer beside what is to be told of it.
                    return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
                }
                libc::ENOBUFS => {
                    Turn::used(turn.take());
                    // As for streams: only who has something to receive waits for a turn.
                    Op::new(PollFd { fd: self.fd.clone(), events: libc::POLLIN }).await?;
                    turn = pool.returned(self.begun).await;
                }
                libc::EINVAL => pool.give_up_ring(),
                errno => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    /// The next completion of the multishot receive, which is started if need be; `None` if it has ended,
    /// as it may at any time.
    async fn completion(&mut self, pool: &Rc<Pool>, ring: &Rc<BufRing>) -> io::Result<Option<Completion>> {
        if self.flow.is_none() {
            let (fd, inbound) = (self.fd.clone(), self.inbound.clone());
            self.begun = pool.returns();
            let op = RecvMsgMulti::new(fd, inbound, pool.clone(), ring.clone());
            self.flow = Some(Flow::start(op, pool.share())?);
        }
        let next = poll_fn(|cx| self.poll_flow(cx)).await;
        if next.is_none() {
            self.flow = None;
        }
        Ok(next)
    }

    fn poll_flow(&mut self, cx: &Context<'_>) -> Poll<Option<Completion>> {
        self.flow.as_mut().map_or(Poll::Ready(None), |flow| flow.poll_next(cx))
    }

    /// Waits for a datagram, and receives it into a buffer that is taken only then.
    async fn receive(&self, pool: &Rc<Pool>) -> io::Result<PooledDatagram<P::Address>> {
        let mut turn: Option<Turn<'_>> = None;
        loop {
            Op::new(PollFd { fd: self.fd.clone(), events: libc::POLLIN }).await?;
            let Some(buf) = pool.take() else {
                Turn::used(turn.take());
                turn = pool.returned(pool.returns()).await;
                continue;
            };
            let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            let op = RecvMsg::new(self.fd.clone(), One::new(buf), flags, self.inbound.clone());
            let op = op.named().control(Control::room_for_segment());
            let (arrived, one) = Op::new(op).await;
            match arrived {
                Ok(arrived) => {
                    Turn::used(turn);
                    let about = datagram::<P>(arrived.len, arrived)?;
                    return Ok(PooledDatagram { about, buf: pool.lend(one.into_inner()), start: 0 });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<A> PooledDatagram<A> {
    /// Its bytes as a buffer, to be sent as they are.
    #[must_use]
    pub fn into_buf(self) -> Slice<PooledBuf> {
        self.buf.slice(self.start..self.start + self.about.len)
    }
}

impl<A> Deref for PooledDatagram<A> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buf[self.start..self.start + self.about.len]
    }
}

impl<P> Debug for Datagrams<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams").field("fd", &self.fd).finish_non_exhaustive()
    }
}
