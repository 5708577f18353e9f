//! Waking a task that waits, without a value.

use super::budgeted;

/// Wakes one task that waits, or all of them.
///
/// # Examples
///
/// ```
/// use annulus_rt::sync::Notify;
/// use std::sync::Arc;
///
/// annulus_rt::run(async {
///     let notify = Arc::new(Notify::new());
///     let waiting = notify.clone();
///     let task = annulus_rt::spawn(async move { waiting.notified().await });
///     notify.notify_one(); // kept, should the task not wait yet
///     task.await.unwrap();
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Notify(tokio::sync::Notify);

impl Notify {
    /// Nobody was notified.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits to be notified. Hears of [`notify_waiters`](Self::notify_waiters) from the moment that it is made,
    /// of [`notify_one`](Self::notify_one) from its first poll on.
    ///
    /// A future that is dropped after it was notified, but before it has yielded, passes a `notify_one` on to the next.
    pub fn notified(&self) -> impl Future<Output = ()> + '_ {
        budgeted(self.0.notified())
    }

    /// Wakes the one that has waited longest. If nobody waits, the next who does goes on at once; only one such
    /// notification is kept.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all that wait now. Nothing is kept.
    pub fn notify_waiters(&self) {
        self.0.notify_waiters();
    }
}
