//! A channel with a bound, between any number of senders and receivers.
//!
//! Here are its ends. What they share, and how one waits for the other, stands in `shared.rs`, which loom checks.

mod error;
#[cfg(test)]
mod loom_tests;
mod shared;

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use super::park::wait_for;
use super::{budgeted, lock as sync};
use shared::Shared;

pub use error::{SendError, TryRecvError, TrySendError};

/// The most items that may be let wait: more than memory has room for.
const MOST: usize = usize::MAX >> 3;

/// A channel in which `capacity` items may wait. Each item goes to one receiver, in the order of sending.
///
/// # Examples
///
/// ```
/// annulus_rt::run(async {
///     let (sender, receiver) = annulus_rt::sync::channel(8);
///     let producer = annulus_rt::spawn(async move {
///         for number in 0..100 {
///             sender.send(number).await.expect("somebody receives");
///         }
///     });
///     let mut sum = 0;
///     while let Some(number) = receiver.recv().await {
///         sum += number;
///     }
///     assert_eq!(sum, 4950);
///     producer.await.unwrap();
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
///
/// # Panics
///
/// If `capacity` is 0, or more than an eighth of `usize::MAX`.
#[must_use]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!((1..=MOST).contains(&capacity), "a channel holds from 1 to {MOST} items, not {capacity}");
    let shared = Arc::new(Shared::new(capacity));
    (Sender(shared.clone()), Receiver(shared))
}

/// The end that sends. When the last is dropped, receivers get what waits, and then `None`.
pub struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Waits for room and sends. If the future is dropped, the item is dropped with it and was not sent.
    ///
    /// # Errors
    ///
    /// The item, if the channel is closed or has no receiver any more.
    pub async fn send(&self, item: T) -> Result<(), SendError<T>> {
        budgeted(self.0.put(item)).await.map_err(SendError)
    }

    /// Sends if there is room, and nobody waits for it.
    ///
    /// # Errors
    ///
    /// The item, with the reason.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        self.0.try_put(item)
    }

    /// As [`send`](Self::send), on a thread that has no runtime; blocks it.
    ///
    /// # Errors
    ///
    /// As `send`.
    ///
    /// # Panics
    ///
    /// Inside of a runtime.
    pub fn blocking_send(&self, item: T) -> Result<(), SendError<T>> {
        wait_for("Sender::blocking_send", self.send(item))
    }

    /// Whether nothing can be sent any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no item waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items may wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

/// The end that receives. When the last is dropped, what waits is dropped, and sending fails.
pub struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// Waits for an item; `None` when the channel is closed and empty. If the future is dropped, it has taken
    /// nothing.
    pub async fn recv(&self) -> Option<T> {
        budgeted(self.0.take()).await
    }

    /// Takes an item that is there, if nobody waits for it.
    ///
    /// # Errors
    ///
    /// Whether one may come.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.try_take()
    }

    /// As [`recv`](Self::recv), on a thread that has no runtime; blocks it.
    ///
    /// # Panics
    ///
    /// Inside of a runtime.
    #[must_use]
    pub fn blocking_recv(&self) -> Option<T> {
        wait_for("Receiver::blocking_recv", self.recv())
    }

    /// Ends the sending. What waits can be received.
    pub fn close(&self) {
        self.0.close();
    }

    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no item waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items may wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.add_sender();
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.remove_sender();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.add_receiver();
        Self(self.0.clone())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.remove_receiver();
    }
}

impl<T> Debug for Sender<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).field("closed", &self.is_closed()).finish()
    }
}

impl<T> Debug for Receiver<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}
