//! The traits of tokio.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use crate::compat::{Compat, CompatReader, CompatWriter, Reads, Writes};
use crate::writes::writes;

macro_rules! reads {
    ($($adapter:ident),*) => {$(
        impl<S> AsyncRead for $adapter<S> {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let reading = self.get_mut().reading();
                reading.poll_take(cx, buf.remaining(), |bytes| buf.put_slice(bytes)).map_ok(drop)
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

reads!(Compat, CompatReader);
writes!(AsyncWrite: Compat, CompatWriter);
