//! Cooperation: how much one task may do before the others get their turn.
//!
//! A task that reads a stream on which something is always ready would never return from its poll. So each poll has a
//! budget: the streams, channels and sets of this crate take one from it with each ready result. When it is used up they say
//! "pending" although they are ready, and wake their task: it goes on after the others. What is not of this crate's streams can
//! take part by [`consume_budget`] or [`limit`].
//!
//! # Examples
//!
//! ```
//! use annulus_rt::{coop, spawn};
//!
//! annulus_rt::run(async {
//!     let greedy = spawn(async {
//!         for _ in 0..1_000_000 {
//!             coop::consume_budget().await;
//!         }
//!     });
//!     // It waits its turn, and no longer.
//!     assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
//!     greedy.abort();
//! })?;
//! # Ok::<(), annulus_rt::Error>(())
//! ```

use std::pin::pin;
use std::task::{Context, Poll};

use crate::executor::current::{self, UNLIMITED};

/// How many ready results a poll may take.
pub(crate) const BUDGET: u32 = 128;

/// Takes one from the budget of the task; waits for the next turn of the task if there is nothing left of it.
pub async fn consume_budget() {
    std::future::poll_fn(|cx| limit(cx, |_| Poll::Ready(()))).await;
}

/// Polls something, within the budget: `Pending`, with the task woken, if that is used up; one less of it if `poll` has something
/// to give.
///
/// ```
/// use std::task::Poll;
/// use annulus_rt::coop;
///
/// annulus_rt::run(async {
///     let mut number = 0;
///     let next = std::future::poll_fn(|cx| coop::limit(cx, |_| { number += 1; Poll::Ready(number) }));
///     assert_eq!(next.await, 1);
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[inline]
pub fn limit<T>(cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    if is_used_up(cx) {
        return Poll::Pending;
    }
    taken(poll(cx))
}

/// As [`limit`], for what needs no context of its own.
#[inline]
pub(crate) fn limited<T>(cx: &Context<'_>, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
    if is_used_up(cx) {
        return Poll::Pending;
    }
    taken(poll())
}

/// Runs a future without a budget: it may keep the others waiting for as long as it finds something ready.
pub async fn unconstrained<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| {
        let _restored = Unconstrained(current::set_budget(UNLIMITED));
        future.as_mut().poll(cx)
    })
    .await
}

/// Whether the task that is polled has something left of its budget. `true` outside of a task.
#[must_use]
pub fn has_budget_remaining() -> bool {
    current::budget() > 0
}

/// Whether nothing is left of the budget; the task is polled again then.
#[inline]
fn is_used_up(cx: &Context<'_>) -> bool {
    let is_used_up = current::budget() == 0;
    if is_used_up {
        cx.waker().wake_by_ref();
    }
    is_used_up
}

/// Takes one from the budget for something ready.
#[inline]
fn taken<T>(polled: Poll<T>) -> Poll<T> {
    let budget = current::budget();
    if polled.is_ready() && budget != UNLIMITED {
        current::set_budget(budget.saturating_sub(1));
    }
    polled
}

/// Gives a budget back when it is dropped.
struct Unconstrained(u32);

impl Drop for Unconstrained {
    fn drop(&mut self) {
        current::set_budget(self.0);
    }
}
