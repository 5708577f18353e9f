//! Receiving into buffers of the pool.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;

use super::inbound::Inbound;
use crate::buf::{PooledBuf, fill};
use crate::driver::Op;
use crate::driver::op::file::Poll as PollFd;
use crate::driver::op::transfer::Recv;
use crate::executor::Context;
use crate::fd::SharedFd;

/// The bytes of a stream as they come, in buffers of the executor's pool; see
/// [`TcpStream::receiver`](super::TcpStream::receiver).
///
/// A connection that is idle holds no buffer.
#[derive(Debug)]
pub struct Receiver {
    fd: SharedFd,
    inbound: Rc<Inbound>,
}

impl Receiver {
    pub(super) const fn new(fd: SharedFd, inbound: Rc<Inbound>) -> Self {
        Self { fd, inbound }
    }

    /// The next bytes, or `None` at the end of the stream. Waits for a buffer if all of the pool are held.
    ///
    /// May be dropped while it waits: no byte is lost.
    ///
    /// # Errors
    ///
    /// Those of recv(2), `ECONNRESET` above all; `EBUSY` if too many operations are in flight.
    pub async fn next(&mut self) -> io::Result<Option<PooledBuf>> {
        loop {
            poll_fn(|cx| self.inbound.poll_settled(cx)).await;
            if self.inbound.is_clear() {
                Op::new(PollFd { fd: self.fd.clone(), events: libc::POLLIN }).await?;
            }
            let pool = Context::current().pool();
            let mut buf = poll_fn(|cx| pool.poll_lend(cx)).await;
            if let Some(kept) = self.inbound.read(|bytes| fill(&mut buf, bytes)) {
                return kept.map(|_| Some(buf));
            }
            let (fd, inbound) = (self.fd.clone(), self.inbound.clone());
            let (received, buf) = Op::new(Recv { fd, inbound, buf, flags: libc::MSG_DONTWAIT }).await;
            match received {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(buf)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
