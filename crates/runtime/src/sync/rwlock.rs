//! A lock that many may read under, or one may write.

use std::fmt::{self, Debug, Formatter};
use std::ops::{Deref, DerefMut};

use super::budgeted;

/// A value that many tasks have to read, or one to write, also across an `.await`.
///
/// In the order in which they asked: a reader that comes after a writer waits for it, so readers do not
/// starve writers. Hence a task that has it for reading must not ask again: a writer may wait between.
///
/// # Examples
///
/// ```
/// use annulus_rt::sync::RwLock;
///
/// annulus_rt::run(async {
///     let settings = RwLock::new(vec![1]);
///     {
///         let (one, other) = (settings.read().await, settings.try_read().unwrap());
///         assert_eq!((one.len(), other.len()), (1, 1));
///         assert!(settings.try_write().is_none());
///     }
///     settings.write().await.push(2);
///     assert_eq!(*settings.read().await, [1, 2]);
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Default)]
pub struct RwLock<T: ?Sized>(tokio::sync::RwLock<T>);

impl<T> RwLock<T> {
    /// A value that nobody has.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(tokio::sync::RwLock::new(value))
    }

    /// The value itself.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody writes, or waits to. A future that is dropped gives up its turn.
    pub async fn read(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard(budgeted(self.0.read()).await)
    }

    /// Waits until nobody reads or writes. A future that is dropped gives up its turn.
    pub async fn write(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard(budgeted(self.0.write()).await)
    }

    /// The value to read, if nobody writes, or waits to.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.0.try_read().ok().map(RwLockReadGuard)
    }

    /// The value to write, if nobody has it or waits for it.
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.0.try_write().ok().map(RwLockWriteGuard)
    }

    /// The value, which nobody can have as this is borrowed alone.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<T: ?Sized + Debug> Debug for RwLock<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RwLock");
        match self.try_read() {
            Some(value) => shown.field("value", &&*value),
            None => shown.field("value", &format_args!("<locked>")),
        };
        shown.finish()
    }
}

/// The value of an [`RwLock`] to read, until it is dropped.
#[must_use = "the lock is given back when this is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized>(tokio::sync::RwLockReadGuard<'a, T>);

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized + Debug> Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&**self, f)
    }
}

/// The value of an [`RwLock`] to write, until it is dropped.
#[must_use = "the lock is given back when this is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized>(tokio::sync::RwLockWriteGuard<'a, T>);

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Goes on reading, without letting a writer in between.
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard(self.0.downgrade())
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: ?Sized + Debug> Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&**self, f)
    }
}
