//! The traits for streams that stand elsewhere, and for what points to a stream.

use std::io;
use std::net::Shutdown;
use std::rc::Rc;

use super::rounds::Rounds as _;
use super::{AsyncRead, AsyncWrite};
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::net::{OwnedReadHalf, OwnedWriteHalf, Protocol, Stream};

impl<P: Protocol> AsyncRead for Stream<P> {
    async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        self.recv(buf).await
    }

    async fn read_exact<B: IoBufMut>(&self, buf: B) -> BufResult<(), B> {
        self.recv_exact(buf).await
    }

    async fn read_to_end(&self, buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        self.drain(buf).await
    }
}

impl<P: Protocol> AsyncWrite for Stream<P> {
    async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.send(buf).await
    }

    async fn write_all<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        self.send_all(buf).await
    }

    /// Shuts down the sending direction of the connection.
    async fn shutdown(&self) -> io::Result<()> {
        Self::shutdown(self, Shutdown::Write).await
    }
}

impl<P: Protocol> AsyncRead for OwnedReadHalf<P> {
    async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        self.recv(buf).await
    }

    async fn read_exact<B: IoBufMut>(&self, buf: B) -> BufResult<(), B> {
        self.recv_exact(buf).await
    }

    async fn read_to_end(&self, buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        self.drain(buf).await
    }
}

impl<P: Protocol> AsyncWrite for OwnedWriteHalf<P> {
    async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.send(buf).await
    }

    async fn write_all<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        self.send_all(buf).await
    }

    /// Shuts down the sending direction of the connection.
    async fn shutdown(&self) -> io::Result<()> {
        Stream::shutdown(self, Shutdown::Write).await
    }
}

/// Passes the methods on to what is pointed to.
macro_rules! pointer {
    ($($pointer:ty),*) => {$(
        impl<S: AsyncRead + ?Sized> AsyncRead for $pointer {
            async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
                (**self).read(buf).await
            }

            async fn read_exact<B: IoBufMut>(&self, buf: B) -> BufResult<(), B> {
                (**self).read_exact(buf).await
            }

            async fn read_to_end(&self, buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
                (**self).read_to_end(buf).await
            }
        }

        impl<S: AsyncWrite + ?Sized> AsyncWrite for $pointer {
            async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
                (**self).write(buf).await
            }

            async fn write_all<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
                (**self).write_all(buf).await
            }

            async fn flush(&self) -> io::Result<()> {
                (**self).flush().await
            }

            async fn shutdown(&self) -> io::Result<()> {
                (**self).shutdown().await
            }
        }
    )*};
}

pointer!(&S, Rc<S>, Box<S>);
