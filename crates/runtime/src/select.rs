//! Waiting for the first of two futures.

use std::pin::pin;
use std::task::Poll;

/// Which of two futures was first, and what it yielded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first.
    Left(A),
    /// The second.
    Right(B),
}

/// Waits for the first of two futures and drops the other, which cancels what that waited for. If both are
/// ready, the first wins.
///
/// # Examples
///
/// ```
/// use annulus_rt::{Either, select};
///
/// annulus_rt::run(async {
///     let first = select(std::future::pending::<()>(), async { 7 }).await;
///     assert_eq!(first, Either::Right(7));
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
pub async fn select<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let mut first = pin!(first);
    let mut second = pin!(second);
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(output) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::Left(output));
        }
        second.as_mut().poll(cx).map(Either::Right)
    })
    .await
}
