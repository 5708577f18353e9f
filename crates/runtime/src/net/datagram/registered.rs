//! Datagrams out of registered buffers, without a copy. As with streams, a buffer is its operation's until the notification.

use std::io;
use std::ops::Range;

use super::DatagramSocket;
use crate::buf::{BufResult, FixedBuf};
use crate::driver::op::control::Control;
use crate::driver::op::parts::{One, PartsOf};
use crate::driver::op::zero_copy::{self, SendZc};
use crate::net::protocol::Connectionless;
use crate::net::protocol::codec::Codec as _;
use crate::net::stream::{ZeroCopy, is_missing};

impl<P: Connectionless> DatagramSocket<P> {
    /// As [`send_zc`](Self::send_zc), out of a [registered buffer](crate::buf::FixedPool), whose pages need not be looked up and
    /// pinned for this send; see [`Stream::send_zc_fixed`](crate::net::Stream::send_zc_fixed) for when it goes back to its pool.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus_rt::buf::FixedPool;
    /// use annulus_rt::net::UdpSocket;
    ///
    /// annulus_rt::run(async {
    ///     let near = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
    ///     let far = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
    ///     let mut buf = FixedPool::current().get().await?;
    ///     buf.extend_from_slice(b"head, padding, body");
    ///     let (sent, buf) = near.send_zc_fixed(buf, Some(far.local_addr()?)).await;
    ///     assert_eq!(sent?.len, 19);
    ///     let parts = vec![0..6, 15..19];
    ///     near.send_vectored_zc_fixed(buf, parts, Some(far.local_addr()?)).await.0?;
    ///     assert_eq!(far.recv(Vec::with_capacity(64)).await.1, b"head, padding, body");
    ///     assert_eq!(far.recv(Vec::with_capacity(64)).await.1, b"head, body");
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn send_zc_fixed<B: FixedBuf>(&self, buf: B, to: Option<P::Address>) -> BufResult<ZeroCopy, B> {
        let address = match to.as_ref().map(|to| to.encode()).transpose() {
            Ok(address) => address,
            Err(error) => return (Err(error), buf),
        };
        let op = SendZc::registered(self.fd.clone(), buf, libc::MSG_NOSIGNAL).to(address);
        let (sent, op) = zero_copy::send(op).await;
        let buf = op.into_inner();
        if !sent.as_ref().is_err_and(is_missing) {
            return (sent.map(|(len, copied)| ZeroCopy { len, copied }), buf);
        }
        let (sent, one) = self.send_message(One::new(buf), to.as_ref(), Control::none()).await;
        (sent.map(|len| ZeroCopy { len, copied: true }), one.into_inner())
    }

    /// Sends one datagram that several parts of a registered buffer make, at most 1,024 (`IOV_MAX`), as
    /// [`send_zc_fixed`](Self::send_zc_fixed) does. Before Linux 6.15 the registration makes no difference.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to); `EMSGSIZE` also for too many parts.
    ///
    /// # Panics
    ///
    /// If a part reaches beyond what the buffer holds.
    pub async fn send_vectored_zc_fixed<B: FixedBuf>(
        &self,
        buf: B,
        parts: Vec<Range<usize>>,
        to: Option<P::Address>,
    ) -> BufResult<ZeroCopy, B> {
        let mut parts = PartsOf::new(buf, parts);
        // A datagram is sent as a whole, so parts of it must not be left out.
        if parts.count() > libc::UIO_MAXIOV.unsigned_abs() as usize {
            return (Err(io::Error::from_raw_os_error(libc::EMSGSIZE)), parts.into_inner());
        }
        for slot in [parts.slot(), None] {
            let op = match self.message(parts, to.as_ref(), Control::none()) {
                Ok(op) => op.registered(slot).zero_copy(zero_copy::REPORT),
                Err((error, parts)) => return (Err(error), parts.into_inner()),
            };
            let (sent, op) = zero_copy::send(op).await;
            parts = op.into_source();
            if !sent.as_ref().is_err_and(is_missing) {
                return (sent.map(|(len, copied)| ZeroCopy { len, copied }), parts.into_inner());
            }
        }
        let (sent, parts) = self.send_message(parts, to.as_ref(), Control::none()).await;
        (sent.map(|len| ZeroCopy { len, copied: true }), parts.into_inner())
    }
}
