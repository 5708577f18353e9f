//! A channel with a bound, between any number of senders and receivers.
//!
//! Two semaphores and a queue: a permit of `places` is room for an item, a permit of `items` is an item. To
//! wait is to wait for a permit, in the order of coming, and everything after the permit is one step without
//! `.await`: a future that is dropped has moved nothing. What keeps the end exact is `closed` under the
//! queue's lock: an item is put in only before it is set, and what was put in can be taken out after it.

use std::collections::VecDeque;
use std::fmt::{self, Debug, Display, Formatter};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, TryAcquireError};

use super::budgeted;
use super::park::wait_for;

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
    assert!(
        (1..=Semaphore::MAX_PERMITS).contains(&capacity),
        "a channel holds from 1 to {} items, not {capacity}",
        Semaphore::MAX_PERMITS
    );
    let shared = Arc::new(Shared {
        places: Semaphore::new(capacity),
        items: Semaphore::new(0),
        queue: Mutex::new(Queue { waiting: VecDeque::new(), closed: false }),
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
        capacity,
    });
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
        match budgeted(self.0.places.acquire()).await {
            Ok(place) => {
                place.forget();
                self.0.put(item)
            }
            Err(_closed) => Err(SendError(item)),
        }
    }

    /// Sends if there is room, and nobody waits for it.
    ///
    /// # Errors
    ///
    /// The item, with the reason.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        match self.0.places.try_acquire() {
            Ok(place) => {
                place.forget();
                self.0.put(item).map_err(|SendError(item)| TrySendError::Closed(item))
            }
            Err(TryAcquireError::NoPermits) => Err(TrySendError::Full(item)),
            Err(TryAcquireError::Closed) => Err(TrySendError::Closed(item)),
        }
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
        self.0.lock().closed
    }

    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().waiting.len()
    }

    /// Whether no item waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items may wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }
}

/// The end that receives. When the last is dropped, what waits is dropped, and sending fails.
pub struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// Waits for an item; `None` when the channel is closed and empty. If the future is dropped, it has taken
    /// nothing.
    pub async fn recv(&self) -> Option<T> {
        // Closed: what is left needs no permit.
        if let Ok(item) = budgeted(self.0.items.acquire()).await {
            item.forget();
        }
        self.0.take()
    }

    /// Takes an item that is there, if nobody waits for it.
    ///
    /// # Errors
    ///
    /// Whether one may come.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.0.items.try_acquire() {
            Ok(item) => item.forget(),
            Err(TryAcquireError::NoPermits) => return Err(TryRecvError::Empty),
            Err(TryAcquireError::Closed) => {}
        }
        self.0.take().ok_or(TryRecvError::Closed)
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
        self.0.lock().waiting.len()
    }

    /// Whether no item waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items may wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }
}

struct Shared<T> {
    /// A permit for each place that is free.
    places: Semaphore,
    /// A permit for each item that waits.
    items: Semaphore,
    queue: Mutex<Queue<T>>,
    /// Counted up by an end that exists, so without ordering; down with release and acquire, so that the last
    /// one closes after everything that the others did.
    senders: AtomicUsize,
    receivers: AtomicUsize,
    capacity: usize,
}

struct Queue<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T> Shared<T> {
    /// Puts an item in, for which the caller has taken a place.
    fn put(&self, item: T) -> Result<(), SendError<T>> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(SendError(item));
        }
        queue.waiting.push_back(item);
        drop(queue);
        self.items.add_permits(1);
        Ok(())
    }

    /// Takes an item out, which the caller has a permit for, or the channel is closed.
    fn take(&self) -> Option<T> {
        let item = self.lock().waiting.pop_front()?;
        self.places.add_permits(1);
        Some(item)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.places.close();
        self.items.close();
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        // Nothing of the user's runs under the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.close();
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.receivers.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.0.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.close();
            let rest = std::mem::take(&mut self.0.lock().waiting);
            drop(rest);
        }
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

/// What could not be sent, as nobody receives any more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// What could not be sent at this moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// As many items wait as may, or somebody waits for the next place.
    Full(T),
    /// Nobody receives any more.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The item.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }
}

/// Why there is no item at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// None waits, or somebody waits for the next one.
    Empty,
    /// None will come.
    Closed,
}

impl<T> Debug for SendError<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> Display for SendError<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("not sent: nobody receives any more")
    }
}

impl<T> std::error::Error for SendError<T> {}

impl<T> Debug for TrySendError<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> Display for TrySendError<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "not sent: the channel is full",
            Self::Closed(_) => "not sent: nobody receives any more",
        })
    }
}

impl<T> std::error::Error for TrySendError<T> {}

impl Display for TryRecvError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the channel is empty",
            Self::Closed => "the channel is closed and empty",
        })
    }
}

impl std::error::Error for TryRecvError {}
