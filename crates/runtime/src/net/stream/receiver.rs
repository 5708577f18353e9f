//! Receiving into buffers of the pool.
//!
//! By one multishot operation that picks from the pool's ring; where the kernel has none, by waiting for
//! data and receiving then. Either way a connection that is idle holds no buffer.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use annulus::BufRing;

use crate::buf::{Pool, PooledBuf, Turn};
use crate::driver::op::file::Poll as PollFd;
use crate::driver::op::message::{Recv, RecvMulti};
use crate::driver::{Completion, Flow, Op};
use crate::executor::Context as Executor;
use crate::fd::SharedFd;
use crate::net::inbound::Inbound;

/// The bytes of a stream as they come, in buffers of the executor's pool; see
/// [`Stream::receiver`](super::Stream::receiver).
///
/// Dropping it loses nothing: what had arrived goes to the next receive of the stream.
pub struct Receiver {
    fd: SharedFd,
    inbound: Rc<Inbound>,
    flow: Option<Flow<RecvMulti>>,
    /// How many buffers had come back to the pool when the operation began.
    begun: u64,
}

impl Receiver {
    pub(super) const fn new(fd: SharedFd, inbound: Rc<Inbound>) -> Self {
        Self { fd, inbound, flow: None, begun: 0 }
    }

    /// The next bytes, or `None` at the end of the stream. Waits for a buffer if all of the pool are held.
    ///
    /// May be dropped while it waits: no byte is lost.
    ///
    /// # Errors
    ///
    /// Those of recv(2), `ECONNRESET` above all; `EBUSY` if too many operations are in flight; `ENOMEM` if there is no
    /// memory for the pool.
    pub async fn next(&mut self) -> io::Result<Option<PooledBuf>> {
        let mut read = None;
        if let Some(flow) = &mut self.flow {
            // As almost always: the operation goes on, and brings bytes.
            read = poll_fn(|cx| flow.poll_next(cx)).await;
            match read {
                Some(completion) if completion.result > 0 => return Ok(self.filled(completion)),
                Some(_) => {}
                None => self.flow = None,
            }
        }
        self.go_on(read).await
    }

    /// Goes on after a completion that brought no bytes, or without any.
    async fn go_on(&mut self, mut read: Option<Completion>) -> io::Result<Option<PooledBuf>> {
        let pool = Executor::current().pool()?;
        // Held until it is known whether a buffer was taken with it.
        let mut turn: Option<Turn<'_>> = None;
        loop {
            if self.flow.is_none() && !self.inbound.is_clear() {
                poll_fn(|cx| self.inbound.poll_settled(cx)).await;
                if let Some(kept) = self.inbound.read(usize::MAX) {
                    return kept.map(|bytes| Some(pool.lend(bytes)));
                }
            }
            if read.is_none() {
                let Some(ring) = pool.ring() else {
                    if self.flow.take().is_some() {
                        // What it had received comes first.
                        continue;
                    }
                    return self.receive(&pool).await;
                };
                read = self.completion(&pool, &ring).await?;
            }
            let Some(completion) = read.take() else { continue };
            let filled = self.filled(completion);
            match -completion.result {
                0 => return Ok(None),
                ..0 => {
                    Turn::used(turn);
                    return Ok(filled);
                }
                libc::ENOBUFS => {
                    Turn::used(turn.take());
                    // Said also where nothing has come: only who has something to receive waits for a turn, as who
                    // got one and then waits for data would hold up those that have them.
                    Op::new(PollFd { fd: self.fd.clone(), events: libc::POLLIN }).await?;
                    turn = pool.returned(self.begun).await;
                }
                // Not on this kernel, or not on this ring.
                libc::EINVAL | libc::EACCES => pool.give_up_ring(),
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
            let op = RecvMulti { fd, inbound, pool: pool.clone(), ring: ring.clone() };
            self.flow = Some(Flow::start(op, pool.share())?);
        }
        Ok(poll_fn(|cx| self.poll_flow(cx)).await)
    }

    /// `None` at the end of the operation, which is gone then.
    fn poll_flow(&mut self, cx: &Context<'_>) -> Poll<Option<Completion>> {
        let Some(flow) = &mut self.flow else { return Poll::Ready(None) };
        let next = flow.poll_next(cx);
        if let Poll::Ready(None) = next {
            self.flow = None;
        }
        next
    }

    /// What a completion of the operation brought.
    #[inline]
    fn filled(&self, completion: Completion) -> Option<PooledBuf> {
        let op = self.flow.as_ref().and_then(Flow::op)?;
        op.pool.filled(&op.ring, completion)
    }

    /// Waits for data, and receives it into a buffer that is taken only then.
    async fn receive(&self, pool: &Rc<Pool>) -> io::Result<Option<PooledBuf>> {
        let mut turn: Option<Turn<'_>> = None;
        loop {
            Op::new(PollFd { fd: self.fd.clone(), events: libc::POLLIN }).await?;
            let Some(buf) = pool.take() else {
                Turn::used(turn.take());
                turn = pool.returned(pool.returns()).await;
                continue;
            };
            let (fd, inbound) = (self.fd.clone(), self.inbound.clone());
            let (received, buf) = Op::new(Recv::new(fd, inbound, buf, libc::MSG_DONTWAIT)).await;
            match received {
                Ok(0) => return Ok(None),
                Ok(_) => {
                    Turn::used(turn);
                    return Ok(Some(pool.lend(buf)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("fd", &self.fd).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
