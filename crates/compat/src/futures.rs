//! The traits of `futures-io`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

use crate::compat::{Compat, CompatReader, CompatWriter, Reads, Writes};

macro_rules! reads {
    ($($adapter:ident),*) => {$(
        impl<S> AsyncRead for $adapter<S> {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let reading = self.get_mut().reading();
                reading.poll_take(cx, buf.len(), |bytes| buf[..bytes.len()].copy_from_slice(bytes))
            }
        }

        impl<S> AsyncBufRead for $adapter<S> {
            fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
                self.get_mut().reading().poll_fill(cx)
            }

            fn consume(self: Pin<&mut Self>, bytes: usize) {
                self.get_mut().reading().consume(bytes);
            }
        }
    )*};
}

macro_rules! writes {
    ($($adapter:ident),*) => {$(
        impl<S> AsyncWrite for $adapter<S> {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().writing().poll_write(cx, &[IoSlice::new(buf)])
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().writing().poll_write(cx, bufs)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.get_mut().writing().poll_flush(cx)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.get_mut().writing().poll_shutdown(cx)
            }
        }
    )*};
}

reads!(Compat, CompatReader);
writes!(Compat, CompatWriter);
