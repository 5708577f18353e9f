//! Two things at once: waiting for a child and reading what it writes.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

use crate::io::AsyncRead;

/// Reads a stream to its end; nothing if there is none.
pub(super) async fn read_all(stream: Option<impl AsyncRead>) -> io::Result<Vec<u8>> {
    let Some(stream) = stream else { return Ok(Vec::new()) };
    let (read, bytes) = stream.read_to_end(Vec::new()).await;
    read.map(|_| bytes)
}

/// Waits for both of two futures.
pub(super) async fn two<A: Future, B: Future>(first: A, second: B) -> (A::Output, B::Output) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut one, mut other) = (None, None);
    poll_fn(|cx| {
        if one.is_none()
            && let Poll::Ready(output) = first.as_mut().poll(cx)
        {
            one = Some(output);
        }
        if other.is_none()
            && let Poll::Ready(output) = second.as_mut().poll(cx)
        {
            other = Some(output);
        }
        if one.is_none() || other.is_none() {
            return Poll::Pending;
        }
        one.take().zip(other.take()).map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
