//! A value that changes, and receivers who want the newest.

use std::fmt::{self, Debug, Formatter};
use std::ops::Deref;

use tokio::sync::watch;

use super::{Closed, budgeted};

/// A value that one side changes and any number look at. Whoever is slow misses values in between, never the last.
///
/// # Examples
///
/// ```
/// use annulus_rt::sync::watch;
///
/// annulus_rt::run(async {
///     let (sender, mut receiver) = watch::channel(1);
///     let watching = annulus_rt::spawn(async move {
///         receiver.changed().await.unwrap();
///         *receiver.borrow_and_update()
///     });
///     sender.send_replace(2);
///     sender.send_replace(3);
///     assert_eq!(watching.await.unwrap(), 3);
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[must_use]
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = watch::channel(value);
    (Sender(sender), Receiver(receiver))
}

/// The end that changes the value.
pub struct Sender<T>(watch::Sender<T>);

impl<T> Sender<T> {
    /// Changes the value and tells the receivers. Returns what it was.
    pub fn send_replace(&self, value: T) -> T {
        self.0.send_replace(value)
    }

    /// Changes the value in place and tells the receivers.
    ///
    /// The value is locked meanwhile: `change` must be short, and not look at the channel.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.0.send_modify(change);
    }

    /// As [`send_modify`](Self::send_modify), but tells the receivers only if `change` says that it changed something;
    /// returns what that said.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        self.0.send_if_modified(change)
    }

    /// The value as it is. It cannot change while this is held: hold it briefly, never across an `.await`.
    #[must_use]
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.borrow())
    }

    /// One more receiver, which has seen the value as it is.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver(self.0.subscribe())
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.0.receiver_count()
    }

    /// Waits until there is no receiver.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// An end that looks at the value. A clone has seen what this has seen.
pub struct Receiver<T>(watch::Receiver<T>);

impl<T> Receiver<T> {
    /// Waits until the value is one that this receiver has not seen, and takes it for seen. A future that is
    /// dropped has seen nothing.
    ///
    /// # Errors
    ///
    /// If the sender is gone and the last value was seen.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        budgeted(self.0.changed()).await.map_err(|_| Closed)
    }

    /// Waits until the value is as wanted: at once, if it is already.
    ///
    /// # Errors
    ///
    /// If the sender is gone and the last value is not as wanted.
    pub async fn wait_for(&mut self, wanted: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, Closed> {
        budgeted(self.0.wait_for(wanted)).await.map(Ref).map_err(|_| Closed)
    }

    /// Whether the value is one that this receiver has not seen.
    ///
    /// # Errors
    ///
    /// If the sender is gone.
    pub fn has_changed(&self) -> Result<bool, Closed> {
        self.0.has_changed().map_err(|_| Closed)
    }

    /// The value as it is; see [`Sender::borrow`].
    #[must_use]
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.borrow())
    }

    /// The value as it is, and takes it for seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        Ref(self.0.borrow_and_update())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The value of a watch channel, which does not change while this exists.
#[derive(Debug)]
pub struct Ref<'a, T>(watch::Ref<'a, T>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Debug> Debug for Sender<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("value", &*self.borrow()).finish()
    }
}

impl<T: Debug> Debug for Receiver<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("value", &*self.borrow()).finish()
    }
}
