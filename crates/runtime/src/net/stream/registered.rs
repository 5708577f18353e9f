//! Streams with registered buffers: sending without a copy out of memory that the ring has pinned already, receiving into it.
//!
//! What it keeps true: a buffer is its operation's until the last completion, for a send without a copy the notification, also
//! if the future is dropped; so it does not go back to its pool, and to somebody else, while the network reads it.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Stream;
use super::send::{ONCE, WHOLE, ZeroCopy, is_missing};
use crate::buf::{BufResult, FixedBuf, fill};
use crate::driver::Op;
use crate::driver::op::fixed::{RecvFixed, WriteFixed};
use crate::driver::op::message::Send;
use crate::driver::op::msg::SendMsg;
use crate::driver::op::parts::PartsOf;
use crate::driver::op::zero_copy::{self, SendZc};
use crate::net::protocol::Protocol;

/// Whether a kernel has refused `RWF_NOSIGNAL`, as all do before Linux 6.18. To try it once more would cost an operation, and
/// change nothing but that.
static MAY_SIGNAL: AtomicBool = AtomicBool::new(false);

impl<P: Protocol> Stream<P> {
    /// As [`send_zc`](Self::send_zc), out of a [registered buffer](crate::buf::FixedPool), whose pages need not be looked up and
    /// pinned for this send. A buffer of another runtime is sent as any other.
    ///
    /// The buffer goes back to its pool when it is dropped, and that cannot be before the network is done with it: a future
    /// that is dropped leaves it to the ring until then.
    ///
    /// # Errors
    ///
    /// As [`send_zc`](Self::send_zc).
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus_rt::buf::FixedPool;
    /// use annulus_rt::net::{TcpListener, TcpStream};
    ///
    /// annulus_rt::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
    ///     let near = TcpStream::connect(listener.local_addr()?).await?;
    ///     let far = listener.accept().await?;
    ///     let mut buf = FixedPool::current().get().await?;
    ///     buf.extend_from_slice(b"pinned once");
    ///     let (sent, buf) = near.send_all_zc_fixed(buf).await;
    ///     assert_eq!((sent?.len, buf.len()), (11, 11));
    ///     let (received, buf) = far.recv_fixed(buf).await;
    ///     assert_eq!((received?, &buf[..]), (11, &b"pinned once"[..]));
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn send_zc_fixed<B: FixedBuf>(&self, buf: B) -> BufResult<ZeroCopy, B> {
        self.send_registered(buf, ONCE).await
    }

    /// Sends the whole buffer as [`send_zc_fixed`](Self::send_zc_fixed) does.
    ///
    /// # Errors
    ///
    /// As [`send_zc`](Self::send_zc).
    pub async fn send_all_zc_fixed<B: FixedBuf>(&self, mut buf: B) -> BufResult<ZeroCopy, B> {
        let mut all = ZeroCopy { len: 0, copied: false };
        while all.len < buf.filled() {
            let (sent, part) = self.send_registered(buf.slice(all.len..), WHOLE).await;
            buf = part.into_inner();
            match all.and(sent) {
                Ok(so_far) => all = so_far,
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(all), buf)
    }

    /// Sends several parts of a registered buffer in a row, all of them, as [`send_zc_fixed`](Self::send_zc_fixed) does: a head
    /// and a body, say, between which something else lies. They are of one buffer, as an operation names one. Before Linux 6.15
    /// they are sent without their registration, by
    /// [`send_all_vectored_zc`](Self::send_all_vectored_zc)'s operation.
    ///
    /// # Errors
    ///
    /// As [`send_zc`](Self::send_zc).
    ///
    /// # Panics
    ///
    /// If a part reaches beyond what the buffer holds.
    pub async fn send_all_vectored_zc_fixed<B: FixedBuf>(
        &self,
        buf: B,
        parts: Vec<Range<usize>>,
    ) -> BufResult<ZeroCopy, B> {
        let mut parts = PartsOf::new(buf, parts);
        let (total, mut slot) = (parts.total(), parts.slot());
        let mut all = ZeroCopy { len: 0, copied: false };
        while all.len < total {
            let op = SendMsg::new(self.fd.clone(), parts, all.len, WHOLE).registered(slot);
            let (mut sent, op) = zero_copy::send(op.zero_copy(zero_copy::REPORT)).await;
            parts = op.into_source();
            if sent.as_ref().is_err_and(is_missing) {
                if slot.take().is_some() && sent.as_ref().is_err_and(is_unknown) {
                    continue;
                }
                let (copied, back) = Op::new(SendMsg::new(self.fd.clone(), parts, all.len, WHOLE)).await;
                parts = back;
                sent = copied.map(|len| (len, true));
            }
            match all.and(sent.map(|(len, copied)| ZeroCopy { len, copied })) {
                Ok(so_far) => all = so_far,
                Err(error) => return (Err(error), parts.into_inner()),
            }
        }
        (Ok(all), parts.into_inner())
    }

    /// As [`send`](Self::send), out of a [registered buffer](crate::buf::FixedPool) (`WRITE_FIXED`): as much as the system takes, and
    /// copied, so that the buffer comes back at once. Before Linux 6.18, where a write to a broken connection would be a
    /// signal, it is an ordinary send.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_fixed<B: FixedBuf>(&self, mut buf: B) -> BufResult<usize, B> {
        // Relaxed: a hint.
        if !MAY_SIGNAL.load(Ordering::Relaxed) {
            let flags = annulus::abi::RWF_NOSIGNAL.cast_signed();
            let (sent, back) = Op::new(WriteFixed::new(self.fd.clone(), buf, u64::MAX, flags)).await;
            match sent {
                Err(error) if is_missing(&error) => MAY_SIGNAL.store(true, Ordering::Relaxed),
                // Whoever made the socket non-blocking did not mean this stream, which waits.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return (sent, back),
            }
            buf = back;
        }
        Op::new(Send::new(self.fd.clone(), buf, ONCE)).await
    }

    /// As [`recv`](Self::recv), into a [registered buffer](crate::buf::FixedPool) (`READ_FIXED`).
    ///
    /// If the future is dropped, bytes that it had received already go to the next receive of this stream.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_fixed<B: FixedBuf>(&self, mut buf: B) -> BufResult<usize, B> {
        if !self.inbound.is_clear() {
            self.inbound.settled().await;
            if let Some(kept) = self.inbound.read(buf.capacity()) {
                return (kept.map(|bytes| fill(&mut buf, &bytes)), buf);
            }
        }
        let op = RecvFixed::new(self.fd.clone(), self.inbound.clone(), buf);
        let (received, buf) = Op::new(op).await;
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.recv(buf).await,
            received => (received, buf),
        }
    }

    async fn send_registered<B: FixedBuf>(&self, buf: B, flags: i32) -> BufResult<ZeroCopy, B> {
        let op = SendZc::registered(self.fd.clone(), buf, flags);
        let (sent, op) = zero_copy::send(op).await;
        let buf = op.into_inner();
        if !sent.as_ref().is_err_and(is_missing) {
            return (sent.map(|(len, copied)| ZeroCopy { len, copied }), buf);
        }
        let (sent, buf) = Op::new(Send::new(self.fd.clone(), buf, flags)).await;
        (sent.map(|len| ZeroCopy { len, copied: true }), buf)
    }
}

/// Whether this is how a kernel says that it does not know a flag.
fn is_unknown(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}
