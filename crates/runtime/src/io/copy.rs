//! From one stream to another.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

use super::{AsyncRead, AsyncWrite};
use crate::buf::IoBuf;

/// How much is moved at a time.
const CHUNK: usize = 64 * 1024;

/// Copies everything from one stream to another, until the first ends. Returns how many bytes there were. Neither is shut
/// down.
///
/// If the future is dropped while it waits for something to read, nothing is lost: all that it had read is written. While
/// it waits for the writer, up to 64 KiB are read and an unknown part of them written, so that they cannot be given back:
/// the rest is lost, as it is if the writer fails. Between two connections, [`Stream::splice_to`](crate::net::Stream::splice_to)
/// loses none.
///
/// # Errors
///
/// Those of [`AsyncRead::read`], [`AsyncWrite::write`] and [`AsyncWrite::flush`].
pub async fn copy<R, W>(reader: &R, writer: &W) -> io::Result<u64>
where
    R: AsyncRead + ?Sized,
    W: AsyncWrite + ?Sized,
{
    let mut buf = Vec::with_capacity(CHUNK);
    let mut copied = 0;
    loop {
        let (read, back) = reader.read(buf).await;
        buf = back;
        match read {
            Ok(0) => break,
            Ok(n) => {
                let (written, part) = writer.write_all(buf.slice(..n)).await;
                buf = part.into_inner();
                written?;
                copied += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    writer.flush().await?;
    Ok(copied)
}

/// Copies between two streams in both directions, as a proxy does, until both have ended. The end of one is passed on to
/// the other by [`AsyncWrite::shutdown`]. Returns how many bytes went from `a` to `b`, and from `b` to `a`.
///
/// If the future is dropped, each direction loses what [`copy`] does.
///
/// # Errors
///
/// As [`copy`], and those of [`AsyncWrite::shutdown`]; the first error ends both directions.
pub async fn copy_bidirectional<A, B>(a: &A, b: &B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + ?Sized,
    B: AsyncRead + AsyncWrite + ?Sized,
{
    let mut there = pin!(copy_and_end(a, b));
    let mut back = pin!(copy_and_end(b, a));
    let (mut sent, mut received) = (None, None);
    poll_fn(|cx| {
        if sent.is_none()
            && let Poll::Ready(copied) = there.as_mut().poll(cx)
        {
            sent = Some(copied?);
        }
        if received.is_none()
            && let Poll::Ready(copied) = back.as_mut().poll(cx)
        {
            received = Some(copied?);
        }
        match (sent, received) {
            (Some(sent), Some(received)) => Poll::Ready(Ok((sent, received))),
            _ => Poll::Pending,
        }
    })
    .await
}

async fn copy_and_end<R, W>(reader: &R, writer: &W) -> io::Result<u64>
where
    R: AsyncRead + ?Sized,
    W: AsyncWrite + ?Sized,
{
    let copied = copy(reader, writer).await?;
    match writer.shutdown().await {
        // The other end has gone on its own already: there is nobody left to tell.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(copied),
        ended => ended.map(|()| copied),
    }
}
