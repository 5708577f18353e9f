//! What tasks agree by, those of one shard and those of several.
//!
//! Everything here is `Send` where its content is, wakes across threads, and needs no runtime: a thread
//! without one can hold the other end. Who waits is served in the order of coming, and whoever comes later
//! does not overtake: not even a task that never has to wait.
//!
//! | To | Take |
//! |---|---|
//! | hand items over, each to one receiver, with a bound | [`channel()`] |
//! | hand one value over | [`oneshot`] |
//! | tell every receiver each value | [`broadcast`] |
//! | tell every receiver the newest value | [`watch`] |
//! | hold a value across an `.await` | [`Mutex`], [`RwLock`] |
//! | bound how many do something | [`Semaphore`] |
//! | wake somebody | [`Notify`] |
//! | wait for each other | [`Barrier`] |
//! | end in order | [`Shutdown`] |
//!
//! Each of these takes part in the budget of a poll ([`coop`]).
//!
//! # Dropping a future
//!
//! A future of this module that is dropped loses nothing: no item, no permit, no lock. What had been given to
//! it already goes to the next who waits; its own place in the queue is given up. ([`Barrier::wait`] is the
//! exception: it counts as arrived.)
//!
//! For a value that is never held across an `.await`, the standard library's mutex is faster.

pub mod broadcast;
pub mod channel;
pub mod oneshot;
pub mod watch;

mod barrier;
mod error;
mod lock;
#[cfg(test)]
mod model;
mod mutex;
mod notify;
mod park;
mod rwlock;
mod semaphore;
mod shutdown;

use std::pin::pin;

use crate::coop;

pub use barrier::Barrier;
pub use channel::channel;
pub use error::{Closed, TryAcquireError};
pub use mutex::{Mutex, MutexGuard};
pub use notify::Notify;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{OwnedPermit, Permit, Semaphore};
pub use shutdown::{Finished, Guard, Shutdown};

/// Waits within the budget of the task ([`coop`]): a loop on something that is always ready lets the others run.
async fn budgeted<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| coop::limit(cx, |cx| future.as_mut().poll(cx))).await
}
