//! Two futures at once, of which the first may end both.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Polls both until both are done. If the first fails, the second is dropped: its output would be of no use.
///
/// # Errors
/// That of the first.
pub(crate) async fn both<A, E, B>(
    first: impl Future<Output = Result<A, E>>,
    second: impl Future<Output = B>,
) -> Result<(A, B), E> {
    let mut first = pin!(first);
    let mut second = pin!(second);
    let (mut a, mut b) = (None, None);
    poll_fn(move |cx| {
        if a.is_none()
            && let Poll::Ready(outcome) = first.as_mut().poll(cx)
        {
            match outcome {
                Ok(output) => a = Some(output),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if b.is_none()
            && let Poll::Ready(output) = second.as_mut().poll(cx)
        {
            b = Some(output);
        }
        match (a.take(), b.take()) {
            (Some(a), Some(b)) => Poll::Ready(Ok((a, b))),
            (first, second) => {
                (a, b) = (first, second);
                Poll::Pending
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::task::{Context, Waker};

    fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn both_outputs_come_together() {
        assert_eq!(poll_once(both(ready(Ok::<_, ()>(1)), ready(2))), Poll::Ready(Ok((1, 2))));
        assert!(poll_once(both(ready(Ok::<_, ()>(1)), pending::<()>())).is_pending());
        assert!(poll_once(both(pending::<Result<(), ()>>(), ready(2))).is_pending());
    }

    #[test]
    fn a_failure_of_the_first_does_not_wait_for_the_second() {
        assert_eq!(poll_once(both(ready(Err::<(), _>("no")), pending::<()>())), Poll::Ready(Err("no")));
    }
}
