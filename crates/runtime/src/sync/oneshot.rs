//! One value, from one task to another, once.

use std::fmt::{self, Debug, Formatter};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Closed;
use super::channel::TryRecvError;
use super::park::wait_for;

/// The two ends for one value.
///
/// # Examples
///
/// ```
/// use annulus_rt::sync::oneshot;
///
/// annulus_rt::run(async {
///     let (sender, receiver) = oneshot::channel();
///     annulus_rt::spawn(async move { sender.send(42) });
///     assert_eq!(receiver.await, Ok(42));
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = oneshot::channel();
    (Sender(sender), Receiver(receiver))
}

/// The end that sends. If it is dropped, the receiver gets [`Closed`].
pub struct Sender<T>(oneshot::Sender<T>);

impl<T> Sender<T> {
    /// Sends; never waits.
    ///
    /// # Errors
    ///
    /// The value, if the receiver is gone.
    pub fn send(self, value: T) -> Result<(), T> {
        self.0.send(value)
    }

    /// Whether the receiver is gone, so that the work can be left.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until the receiver is gone. May be dropped and called again.
    pub async fn closed(&mut self) {
        self.0.closed().await;
    }
}

/// The end that receives: a future of the value. It may be polled by reference and dropped at any time; a value
/// that was sent by then stays with it, or is dropped with it.
#[must_use = "the value is received when this is awaited"]
pub struct Receiver<T>(oneshot::Receiver<T>);

impl<T> Receiver<T> {
    /// Refuses the value, unless it has been sent; [`Receiver::try_recv`] gives that out.
    pub fn close(&mut self) {
        self.0.close();
    }

    /// The value, if it is there.
    ///
    /// # Errors
    ///
    /// Whether it may come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.0.try_recv().map_err(|error| match error {
            oneshot::error::TryRecvError::Empty => TryRecvError::Empty,
            oneshot::error::TryRecvError::Closed => TryRecvError::Closed,
        })
    }

    /// Waits on a thread that has no runtime; blocks it.
    ///
    /// # Errors
    ///
    /// If the sender is gone.
    ///
    /// # Panics
    ///
    /// Inside of a runtime.
    pub fn blocking_recv(self) -> Result<T, Closed> {
        wait_for("Receiver::blocking_recv", self)
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Closed>;

    /// # Panics
    ///
    /// If it is polled after it has yielded.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|_| Closed)
    }
}

impl<T> Debug for Sender<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).finish()
    }
}

impl<T> Debug for Receiver<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
