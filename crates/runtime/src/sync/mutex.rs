//! A lock that may be held across an `.await`.

use std::fmt::{self, Debug, Formatter};
use std::ops::{Deref, DerefMut};

use super::budgeted;

/// A value that one task at a time has, also while it waits for something else. Tasks get it in the order in
/// which they asked.
///
/// It is not poisoned: a task that panics while it has the lock gives it back.
///
/// # Examples
///
/// ```
/// use annulus_rt::sync::Mutex;
/// use std::sync::Arc;
///
/// annulus_rt::run(async {
///     let balance = Arc::new(Mutex::new(100));
///     let mine = balance.clone();
///     let task = annulus_rt::spawn(async move {
///         let mut balance = mine.lock().await;
///         let seen = *balance;
///         annulus_rt::yield_now().await; // nobody comes between
///         *balance = seen - 30;
///     });
///     annulus_rt::yield_now().await;
///     assert_eq!(*balance.lock().await, 70);
///     task.await.unwrap();
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Default)]
pub struct Mutex<T: ?Sized>(tokio::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A value that nobody has.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(tokio::sync::Mutex::new(value))
    }

    /// The value itself.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until the value is free. A future that is dropped gives up its turn, and the lock too if it was
    /// given it already: the next one gets it.
    pub async fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(budgeted(self.0.lock()).await)
    }

    /// The value, if it is free and nobody waits.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(MutexGuard)
    }

    /// The value, which nobody can have as this is borrowed alone.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<T: ?Sized + Debug> Debug for Mutex<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(value) => shown.field("value", &&*value),
            None => shown.field("value", &format_args!("<locked>")),
        };
        shown.finish()
    }
}

/// The value of a [`Mutex`], until it is dropped.
#[must_use = "the lock is given back when this is dropped"]
pub struct MutexGuard<'a, T: ?Sized>(tokio::sync::MutexGuard<'a, T>);

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: ?Sized + Debug> Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&**self, f)
    }
}
