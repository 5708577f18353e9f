//! Sending on a stream: one buffer or several, copied or from the program's own pages.

use std::io;

use super::Stream;
use crate::buf::{BufResult, IoBuf};
use crate::driver::Op;
use crate::driver::op::message::Send;
use crate::driver::op::msg::SendMsg;
use crate::driver::op::parts::Many;
use crate::driver::op::socket::Unsent;
use crate::driver::op::zero_copy::{self, SendZc};
use crate::net::protocol::Protocol;

/// A broken connection is an error, never a signal.
pub(super) const ONCE: i32 = libc::MSG_NOSIGNAL;

/// The kernel goes on until all is sent, as far as it can; loops are for where it cannot.
pub(super) const WHOLE: i32 = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;

/// What came of a send from the program's own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZeroCopy {
    /// How many bytes were sent.
    pub len: usize,
    /// Whether they, or some of them, were copied in spite of it, as over the loopback device: then an ordinary send
    /// costs less.
    pub copied: bool,
}

impl<P: Protocol> Stream<P> {
    /// Sends: as much as the system takes.
    ///
    /// # Errors
    ///
    /// Those of send(2), `EPIPE` and `ECONNRESET` above all (never a signal); `EBUSY` if too many operations are in
    /// flight.
    pub async fn send<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        Op::new(Send::new(self.fd.clone(), buf, ONCE)).await
    }

    /// Sends the whole buffer. If the future is dropped, an unknown part of it has been sent.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_all<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        let len = buf.filled();
        if len == 0 {
            return (Ok(()), buf);
        }
        let (sent, buf) = Op::new(Send::new(self.fd.clone(), buf, WHOLE)).await;
        match sent {
            // As almost always.
            Ok(n) if n == len => (Ok(()), buf),
            sent => self.send_rest(sent, buf, len).await,
        }
    }

    /// Goes on after a send that did not take all `len` bytes.
    async fn send_rest<B: IoBuf>(
        &self,
        mut sent: io::Result<usize>,
        mut buf: B,
        len: usize,
    ) -> BufResult<(), B> {
        let mut done = 0;
        loop {
            match progress(sent) {
                Ok(n) => done += n,
                Err(error) => return (Err(error), buf),
            }
            if done >= len {
                return (Ok(()), buf);
            }
            (sent, buf) = Op::new(Send::rest(self.fd.clone(), buf, done, WHOLE)).await;
        }
    }

    /// Sends several buffers in a row: as much as the system takes, of the first 1,024 of them (`IOV_MAX`).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_vectored<B: IoBuf>(&self, bufs: Vec<B>) -> BufResult<usize, Vec<B>> {
        let (sent, bufs) = Op::new(SendMsg::new(self.fd.clone(), Many::new(bufs), 0, ONCE)).await;
        (sent, bufs.into_inner())
    }

    /// Sends several buffers in a row, all of them, however many there are.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_all_vectored<B: IoBuf>(&self, bufs: Vec<B>) -> BufResult<(), Vec<B>> {
        let total: usize = bufs.iter().map(IoBuf::filled).sum();
        let mut bufs = Many::new(bufs);
        let mut done = 0;
        while done < total {
            let (sent, back) = Op::new(SendMsg::new(self.fd.clone(), bufs, done, WHOLE)).await;
            bufs = back;
            match progress(sent) {
                Ok(n) => done += n,
                Err(error) => return (Err(error), bufs.into_inner()),
            }
        }
        (Ok(()), bufs.into_inner())
    }

    /// Sends from the buffer's own pages, without a copy: as much as the system takes. The buffer comes back when
    /// the peer has acknowledged it, or the device is done with it, which takes longer than a
    /// [`send`](Self::send): worth it for large buffers on a network that can do it. Where there is no such send (before
    /// Linux 6.2, on Unix sockets) it is an ordinary one, and [`ZeroCopy::copied`] says so.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `ENOBUFS` or `ENOMEM` if too much memory is pinned (the socket's `SO_SNDBUF`,
    /// `RLIMIT_MEMLOCK`).
    pub async fn send_zc<B: IoBuf>(&self, buf: B) -> BufResult<ZeroCopy, B> {
        self.send_from_pages(buf, ONCE).await
    }

    /// Sends the whole buffer as [`send_zc`](Self::send_zc) does.
    ///
    /// # Errors
    ///
    /// As [`send_zc`](Self::send_zc).
    pub async fn send_all_zc<B: IoBuf>(&self, mut buf: B) -> BufResult<ZeroCopy, B> {
        let mut all = ZeroCopy { len: 0, copied: false };
        while all.len < buf.filled() {
            let (sent, part) = self.send_from_pages(buf.slice(all.len..), WHOLE).await;
            buf = part.into_inner();
            match all.and(sent) {
                Ok(so_far) => all = so_far,
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(all), buf)
    }

    /// Sends several buffers in a row, all of them, as [`send_zc`](Self::send_zc) does.
    ///
    /// # Errors
    ///
    /// As [`send_zc`](Self::send_zc).
    pub async fn send_all_vectored_zc<B: IoBuf>(&self, bufs: Vec<B>) -> BufResult<ZeroCopy, Vec<B>> {
        let total: usize = bufs.iter().map(IoBuf::filled).sum();
        let mut bufs = Many::new(bufs);
        let mut all = ZeroCopy { len: 0, copied: false };
        while all.len < total {
            let op = SendMsg::new(self.fd.clone(), bufs, all.len, WHOLE).zero_copy(zero_copy::REPORT);
            let (mut sent, op) = zero_copy::send(op).await;
            bufs = op.into_source();
            if sent.as_ref().is_err_and(is_missing) {
                let (copied, back) = Op::new(SendMsg::new(self.fd.clone(), bufs, all.len, WHOLE)).await;
                bufs = back;
                sent = copied.map(|len| (len, true));
            }
            match all.and(sent.map(|(len, copied)| ZeroCopy { len, copied })) {
                Ok(so_far) => all = so_far,
                Err(error) => return (Err(error), bufs.into_inner()),
            }
        }
        (Ok(all), bufs.into_inner())
    }

    /// How many bytes wait in the system to be sent, or to be acknowledged by the peer (`SIOCOUTQ` of tcp(7)): whether a
    /// slow peer takes anything, as a send that waits for room does not tell.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` before Linux 6.5 and for Unix sockets; `EBUSY` if too many operations are in flight.
    pub async fn unsent_bytes(&self) -> io::Result<usize> {
        Op::new(Unsent { fd: self.fd.clone() }).await
    }

    async fn send_from_pages<B: IoBuf>(&self, buf: B, flags: i32) -> BufResult<ZeroCopy, B> {
        let (sent, op) = zero_copy::send(SendZc::new(self.fd.clone(), buf, flags)).await;
        let buf = op.into_inner();
        if !sent.as_ref().is_err_and(is_missing) {
            return (sent.map(|(len, copied)| ZeroCopy { len, copied }), buf);
        }
        let (sent, buf) = Op::new(Send::new(self.fd.clone(), buf, flags)).await;
        (sent.map(|len| ZeroCopy { len, copied: true }), buf)
    }
}

impl ZeroCopy {
    /// This, and what came after it.
    pub(super) fn and(self, next: io::Result<Self>) -> io::Result<Self> {
        match next {
            Ok(next) => {
                let len = self.len + progress(Ok(next.len))?;
                Ok(Self { len, copied: self.copied || next.copied })
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(self),
            Err(error) => Err(error),
        }
    }
}

/// How far a send has come that is to be gone on with.
fn progress(sent: io::Result<usize>) -> io::Result<usize> {
    match sent {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        sent => sent,
    }
}

/// Whether this is how a kernel, or a protocol, says that it cannot send from pages.
pub(in crate::net) fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP))
}
