//! Values that every receiver gets, as long as it keeps up.

use std::fmt::{self, Debug, Display, Formatter};

use tokio::sync::broadcast;

use super::budgeted;
use super::channel::SendError;

/// A channel that keeps the last `capacity` values (rounded up to a power of two) for every receiver. Sending never
/// waits: a receiver that is further behind loses the oldest, and is told how many.
///
/// # Examples
///
/// ```
/// use annulus_rt::sync::broadcast::{self, RecvError};
///
/// annulus_rt::run(async {
///     let (sender, mut fast) = broadcast::channel(2);
///     let mut slow = sender.subscribe();
///     for number in 1..=4 {
///         sender.send(number).unwrap();
///         assert_eq!(fast.recv().await, Ok(number));
///     }
///     assert_eq!(slow.recv().await, Err(RecvError::Lagged(2)));
///     assert_eq!(slow.recv().await, Ok(3));
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
///
/// # Panics
///
/// If `capacity` is 0, or more than half of `usize::MAX`.
#[must_use]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = broadcast::channel(capacity);
    (Sender(sender), Receiver(receiver))
}

/// An end that sends.
pub struct Sender<T>(broadcast::Sender<T>);

impl<T> Sender<T> {
    /// Sends to every receiver that there is. Returns how many.
    ///
    /// # Errors
    ///
    /// The value, if there is none.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        self.0.send(value).map_err(|error| SendError(error.0))
    }

    /// One more receiver, which gets what is sent from now on.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver(self.0.subscribe())
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.0.receiver_count()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// An end that receives.
pub struct Receiver<T>(broadcast::Receiver<T>);

impl<T: Clone> Receiver<T> {
    /// Waits for the next value. A future that is dropped has taken nothing.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`] once after values were lost, the next call goes on behind them;
    /// [`RecvError::Closed`] when the senders are gone and everything was received.
    pub async fn recv(&mut self) -> Result<T, RecvError> {
        budgeted(self.0.recv()).await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(lost) => RecvError::Lagged(lost),
            broadcast::error::RecvError::Closed => RecvError::Closed,
        })
    }

    /// The next value, if it is there; `None` if none is.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<T>, RecvError> {
        match self.0.try_recv() {
            Ok(value) => Ok(Some(value)),
            Err(broadcast::error::TryRecvError::Empty) => Ok(None),
            Err(broadcast::error::TryRecvError::Lagged(lost)) => Err(RecvError::Lagged(lost)),
            Err(broadcast::error::TryRecvError::Closed) => Err(RecvError::Closed),
        }
    }

    /// One more receiver, which gets what is sent from now on.
    #[must_use]
    pub fn resubscribe(&self) -> Self {
        Self(self.0.resubscribe())
    }
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// This receiver was too slow: so many values are lost to it.
    Lagged(u64),
    /// Nobody sends any more.
    Closed,
}

impl Display for RecvError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lagged(lost) => write!(f, "too slow: {lost} values are lost"),
            Self::Closed => f.write_str("closed: nobody sends any more"),
        }
    }
}

impl std::error::Error for RecvError {}

impl<T> Debug for Sender<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("receivers", &self.receiver_count()).finish()
    }
}

impl<T> Debug for Receiver<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
