//! The shards of a run, from inside: which one this is, and work for the others.
//!
//! A task stays on the shard that it was spawned on, and nothing moves work about: the program places it. What
//! goes to another shard is a closure, which makes its future there; the closure is `Send`, the future need not
//! be. To talk with a task over there, give it an end of a [channel](crate::sync::channel()).
//!
//! The bytes go through memory, into an inbox with a bound ([`Builder::inbox`](crate::Builder::inbox)). If the
//! other shard sleeps, it is called: by a completion that this shard's ring posts on the other's (`MSG_RING`, since
//! Linux 5.18), handed over with the next call of this ring together with everything else that was queued, so that
//! waking any number of shards costs one system call; or by an eventfd, where rings cannot do that or are no quicker
//! ([`Builder::ring_messages`](crate::Builder::ring_messages)), and for threads that have none.
//!
//! # Examples
//!
//! ```
//! use annulus_rt::sync::Barrier;
//! use annulus_rt::{Shards, shard};
//!
//! let both_are_done = Barrier::new(2); // a shard that has ended answers no more
//! let answers = Shards::new(2).run(|index| {
//!     let both_are_done = &both_are_done;
//!     async move {
//!         let asked = shard::spawn_on(1 - index, move || async move { 10 * index + shard::current() });
//!         let answer = asked.await;
//!         both_are_done.wait().await;
//!         answer.unwrap()
//!     }
//! })?;
//! assert_eq!(answers, [1, 10]);
//! # Ok::<(), annulus_rt::Error>(())
//! ```

mod handle;
pub(crate) mod peers;
mod remote;
mod runtime;

use std::sync::Arc;

use crate::JoinError;
use crate::executor::Context;

pub use handle::{Handle, SpawnError};
pub use remote::RemoteHandle;
pub use runtime::Runtime;

/// Which shard this is, from 0 on. 0 in a runtime that has no others.
///
/// # Panics
///
/// Outside of a runtime.
#[must_use]
pub fn current() -> usize {
    Context::current().shard()
}

/// How many shards this run has.
///
/// # Panics
///
/// Outside of a runtime.
#[must_use]
pub fn count() -> usize {
    Context::current().shards()
}

/// The handle of a shard of this run.
///
/// # Panics
///
/// If there is no such shard, and outside of a runtime.
#[must_use]
pub fn handle(index: usize) -> Handle {
    Context::current().handle_of(index)
}

/// Starts a task on a shard of this run, also on this one: calls `work` there and runs the future that it makes. Tasks
/// from the same sender start in the order in which they were sent.
///
/// The handle tells how it ended: [`JoinError::Refused`] if the shard's inbox is full or it has as many tasks as it may
/// have, [`JoinError::Aborted`] if it has ended. [`try_spawn_on`] gives the closure back instead.
///
/// # Panics
///
/// If there is no such shard, and outside of a runtime.
///
/// # Examples
///
/// ```
/// use annulus_rt::{Shards, shard};
///
/// Shards::new(2).run(|index| async move {
///     let there = shard::spawn_on(index, || async { shard::current() }).await;
///     assert_eq!(there.unwrap(), index);
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[track_caller]
pub fn spawn_on<F, Fut>(index: usize, work: F) -> RemoteHandle<Fut::Output>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: Send + 'static,
{
    handle(index).spawn(work)
}

/// As [`spawn_on`], but gives the closure back if the shard cannot take it now.
///
/// # Errors
///
/// The closure, if the shard's inbox is full, or the shard has ended.
///
/// # Panics
///
/// If there is no such shard, and outside of a runtime.
#[track_caller]
pub fn try_spawn_on<F, Fut>(index: usize, work: F) -> Result<RemoteHandle<Fut::Output>, SpawnError<F>>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: Send + 'static,
{
    handle(index).try_spawn(work)
}

/// Runs something on every shard at the same time, with the shard's index, and returns the outputs in their order.
///
/// If this is dropped, what was started goes on.
///
/// # Panics
///
/// Outside of a runtime.
///
/// # Examples
///
/// ```
/// use annulus_rt::sync::Barrier;
/// use annulus_rt::{Shards, shard};
///
/// let barrier = Barrier::new(2); // a shard must not end before it was asked
/// let polls = Shards::new(2).run(|index| {
///     let barrier = &barrier;
///     async move {
///         let polls = if index == 0 {
///             shard::all(|_| async { annulus_rt::counters().polls }).await.len()
///         } else {
///             0
///         };
///         barrier.wait().await;
///         polls
///     }
/// })?;
/// assert_eq!(polls, [2, 0]);
/// # Ok::<(), annulus_rt::Error>(())
/// ```
pub async fn all<F, Fut>(work: F) -> Vec<Result<Fut::Output, JoinError>>
where
    F: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future + 'static,
    Fut::Output: Send + 'static,
{
    let work = Arc::new(work);
    let start = |index| {
        let work = work.clone();
        spawn_on(index, move || work(index))
    };
    let started: Vec<_> = (0..count()).map(start).collect();
    let mut outputs = Vec::with_capacity(started.len());
    for handle in started {
        outputs.push(handle.await);
    }
    outputs
}
