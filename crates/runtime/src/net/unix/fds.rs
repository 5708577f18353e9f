//! Passing descriptors to another process (`SCM_RIGHTS` of unix(7)).

use std::os::fd::{AsFd, OwnedFd};

use super::{MOST_FDS, UnixStream};
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::driver::Op;
use crate::driver::op::control::Control;
use crate::driver::op::msg::{Arrived, RecvMsg, SendMsg};
use crate::driver::op::parts::{One, With};

/// What came with [`UnixStream::recv_fds`].
#[derive(Debug)]
pub struct ReceivedFds {
    /// How many bytes came; 0 is the end of the stream.
    pub len: usize,
    /// The descriptors, in the order in which they were sent, closed on exec(2).
    pub fds: Vec<OwnedFd>,
    /// Whether there were more, for which there was no room: they are closed (`MSG_CTRUNC`).
    pub truncated: bool,
}

impl UnixStream {
    /// Sends bytes, at least one, and descriptors with the first of them: the peer gets descriptors of its own for the same
    /// files. They are kept open until then, and come back.
    ///
    /// # Errors
    ///
    /// Those of sendmsg(2): `EPIPE`, `EINVAL` for more than 253 descriptors, `ETOOMANYREFS`; `EBUSY` if too many operations
    /// are in flight.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io::Read;
    /// use annulus_rt::net::UnixStream;
    ///
    /// annulus_rt::run(async {
    ///     let (near, far) = UnixStream::pair()?;
    ///     let file = File::open("/proc/self/comm")?;
    ///     near.send_fds("a file", vec![file]).await.0?;
    ///     let (received, _) = far.recv_fds(Vec::with_capacity(16), 1).await;
    ///     let mut received = received?;
    ///     assert_eq!((received.len, received.fds.len()), (6, 1));
    ///     let mut text = String::new();
    ///     File::from(received.fds.remove(0)).read_to_string(&mut text)?;
    ///     assert!(!text.is_empty());
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn send_fds<B: IoBuf, F: AsFd + 'static>(
        &self,
        buf: B,
        fds: Vec<F>,
    ) -> BufResult<usize, (B, Vec<F>)> {
        let control = Control::fds(fds.iter().map(AsFd::as_fd));
        let source = With(One::new(buf), fds);
        let op = SendMsg::new(self.fd.clone(), source, 0, libc::MSG_NOSIGNAL).control(control);
        let (sent, With(buf, fds)) = Op::new(op).await;
        (sent, (buf.into_inner(), fds))
    }

    /// Receives bytes, and at most `most` descriptors that came with them (253 is the most that can). If the future is
    /// dropped, bytes that it had received go to the next receive of this stream, without the descriptors: those are
    /// closed.
    ///
    /// # Errors
    ///
    /// Those of recvmsg(2); `EBUSY` if too many operations are in flight.
    pub async fn recv_fds<B: IoBufMut>(&self, buf: B, most: usize) -> BufResult<ReceivedFds, B> {
        let mut sink = One::new(buf);
        if !self.inbound.is_clear() {
            self.inbound.settled().await;
            if let Some(kept) = self.inbound.read(sink.0.capacity()) {
                let received = kept.map(|bytes| Arrived::bytes(sink.scatter(&bytes)).into());
                return (received, sink.into_inner());
            }
        }
        let control = Control::room_for_fds(most.min(MOST_FDS));
        let op = RecvMsg::new(self.fd.clone(), sink, libc::MSG_CMSG_CLOEXEC, self.inbound.clone());
        let (arrived, sink) = Op::new(op.control(control)).await;
        (arrived.map(ReceivedFds::from), sink.into_inner())
    }
}

impl From<Arrived> for ReceivedFds {
    fn from(arrived: Arrived) -> Self {
        Self { len: arrived.len, fds: arrived.fds, truncated: arrived.control_lost }
    }
}
