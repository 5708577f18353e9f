//! The two directions of a stream as values, for two owners.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::ops::Deref;
use std::rc::Rc;

use rustix::net::{self, Shutdown as How};

use super::Stream;
use crate::driver::Op;
use crate::driver::op::socket::Shutdown;
use crate::net::protocol::Protocol;

/// The receiving direction of a stream; see [`Stream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf<P: Protocol>(Rc<Stream<P>>);

/// The sending direction of a stream; see [`Stream::into_split`]. Dropping it ends the direction: the peer sees the
/// end of the stream.
#[derive(Debug)]
pub struct OwnedWriteHalf<P: Protocol> {
    stream: Rc<Stream<P>>,
    ends: bool,
}

impl<P: Protocol> Stream<P> {
    /// Gives the two directions to two owners, tasks of this thread. Each half derefs to the stream; the convention
    /// is that the owner of the write half alone sends. The stream is closed when both are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus_rt::net::UnixStream;
    ///
    /// annulus_rt::run(async {
    ///     let (near, far) = UnixStream::pair()?;
    ///     let (read, write) = near.into_split();
    ///     write.send_all("half").await.0?;
    ///     drop(write);
    ///     let (received, bytes) = far.recv(Vec::with_capacity(8)).await;
    ///     assert_eq!((received?, &bytes[..]), (4, &b"half"[..]));
    ///     assert_eq!(far.recv(bytes).await.0?, 0);
    ///     far.send_all("other half").await.0?;
    ///     assert_eq!(read.recv(Vec::with_capacity(16)).await.0?, 10);
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf<P>, OwnedWriteHalf<P>) {
        let stream = Rc::new(self);
        (OwnedReadHalf(stream.clone()), OwnedWriteHalf { stream, ends: true })
    }
}

impl<P: Protocol> Stream<P> {
    /// Ends the sending direction, and does not wait for it.
    fn end(&self) {
        if let Some(fd) = self.fd.descriptor() {
            // Never blocks. It fails if the peer is gone, and then there is nothing to end.
            let _ = net::shutdown(fd, How::Write);
            return;
        }
        let shutdown = Op::new(Shutdown { fd: self.fd.clone(), how: libc::SHUT_WR });
        // At the end of a run, or where too many tasks are, the direction ends with the stream.
        drop(crate::try_spawn(shutdown));
    }
}

impl<P: Protocol> OwnedReadHalf<P> {
    /// Puts the two halves of a stream together again.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`], with both, if they are of different streams.
    pub fn reunite(self, write: OwnedWriteHalf<P>) -> Result<Stream<P>, ReuniteError<P>> {
        if !Rc::ptr_eq(&self.0, &write.stream) {
            return Err(ReuniteError(self, write));
        }
        drop(self);
        let stream = write.forget();
        Ok(Stream::from_parts(stream.fd.clone(), stream.inbound.clone()))
    }
}

impl<P: Protocol> OwnedWriteHalf<P> {
    /// Drops the half without ending its direction, which goes on until the stream is closed.
    pub fn leave_open(self) {
        drop(self.forget());
    }

    fn forget(mut self) -> Rc<Stream<P>> {
        self.ends = false;
        self.stream.clone()
    }
}

impl<P: Protocol> Drop for OwnedWriteHalf<P> {
    fn drop(&mut self) {
        if self.ends && Rc::strong_count(&self.stream) > 1 {
            self.stream.end();
        }
    }
}

impl<P: Protocol> Deref for OwnedReadHalf<P> {
    type Target = Stream<P>;

    fn deref(&self) -> &Stream<P> {
        &self.0
    }
}

impl<P: Protocol> Deref for OwnedWriteHalf<P> {
    type Target = Stream<P>;

    fn deref(&self) -> &Stream<P> {
        &self.stream
    }
}

/// The two halves were not those of one stream. They are in it.
#[derive(Debug)]
pub struct ReuniteError<P: Protocol>(pub OwnedReadHalf<P>, pub OwnedWriteHalf<P>);

impl<P: Protocol> Display for ReuniteError<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves are of different streams")
    }
}

impl<P: Protocol> Error for ReuniteError<P> {}
