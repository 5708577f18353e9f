//! Two halves of a stream, for two tasks. The methods of streams take `&self`, so that an `Rc` of a stream serves as
//! well; halves say who does what.

use std::io;
use std::rc::Rc;

use super::{AsyncRead, AsyncWrite};
use crate::buf::{BufResult, IoBuf, IoBufMut};

/// Parts a stream into the half that reads and the half that writes. It is closed when both are gone.
pub fn split<S>(stream: S) -> (ReadHalf<S>, WriteHalf<S>) {
    let stream = Rc::new(stream);
    (ReadHalf(stream.clone()), WriteHalf(stream))
}

/// The half of a stream that reads.
#[derive(Debug)]
pub struct ReadHalf<S>(Rc<S>);

/// The half of a stream that writes.
#[derive(Debug)]
pub struct WriteHalf<S>(Rc<S>);

impl<S> ReadHalf<S> {
    /// The stream.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// Puts the two halves together again.
    ///
    /// # Errors
    ///
    /// Gives both back if they are not of the same stream.
    pub fn unsplit(self, other: WriteHalf<S>) -> Result<S, (Self, WriteHalf<S>)> {
        if !Rc::ptr_eq(&self.0, &other.0) {
            return Err((self, other));
        }
        drop(other);
        // There are two halves of a stream and no more.
        Rc::try_unwrap(self.0).map_err(|stream| (Self(stream.clone()), WriteHalf(stream)))
    }
}

impl<S> WriteHalf<S> {
    /// The stream.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.0
    }
}

impl<S: AsyncRead> AsyncRead for ReadHalf<S> {
    async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        self.0.read(buf).await
    }

    async fn read_exact<B: IoBufMut>(&self, buf: B) -> BufResult<(), B> {
        self.0.read_exact(buf).await
    }

    async fn read_to_end(&self, buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        self.0.read_to_end(buf).await
    }
}

impl<S: AsyncWrite> AsyncWrite for WriteHalf<S> {
    async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.0.write(buf).await
    }

    async fn write_all<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        self.0.write_all(buf).await
    }

    async fn flush(&self) -> io::Result<()> {
        self.0.flush().await
    }

    async fn shutdown(&self) -> io::Result<()> {
        self.0.shutdown().await
    }
}
