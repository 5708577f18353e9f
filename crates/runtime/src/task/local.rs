//! Values of a task's own: [`task_local!`](crate::task_local) and [`LocalKey`].

use std::cell::{Cell, RefCell};
use std::fmt::{self, Debug, Display, Formatter};
use std::pin::pin;
use std::thread;

/// Declares values that each future may have of its own: [`LocalKey`]s.
///
/// # Examples
///
/// ```
/// annulus_rt::task_local! {
///     /// The number of the request that a task serves.
///     static REQUEST: u64;
/// }
///
/// async fn log(text: &str) -> String {
///     format!("request {}: {text}", REQUEST.get())
/// }
///
/// annulus_rt::run(async {
///     let first = annulus_rt::spawn(REQUEST.scope(1, log("begun")));
///     let second = annulus_rt::spawn(REQUEST.scope(2, log("begun")));
///     assert_eq!(first.await.unwrap(), "request 1: begun");
///     assert_eq!(second.await.unwrap(), "request 2: begun");
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty; $($rest:tt)*) => {
        $crate::task_local!($(#[$attribute])* $visibility static $name: $type);
        $crate::task_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty) => {
        $(#[$attribute])*
        $visibility static $name: $crate::task::LocalKey<$type> = {
            ::std::thread_local! {
                static PLACE: ::std::cell::RefCell<::std::option::Option<$type>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            $crate::task::LocalKey::new(&PLACE)
        };
    };
}

/// A value that a future has of its own while it is polled and dropped, and with it everything that it calls. Made by
/// [`task_local!`](crate::task_local).
///
/// Tasks that are spawned inside do not inherit it: give them a [`scope`](Self::scope) of their own.
pub struct LocalKey<T: 'static> {
    place: &'static thread::LocalKey<RefCell<Option<T>>>,
}

impl<T: 'static> LocalKey<T> {
    /// What [`task_local!`](crate::task_local) expands to.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(place: &'static thread::LocalKey<RefCell<Option<T>>>) -> Self {
        Self { place }
    }

    /// Runs a future with this value, which hides one that is set outside of it. It is dropped with the future.
    ///
    /// # Panics
    ///
    /// If it is polled inside of [`with`](Self::with) of the same key.
    pub async fn scope<F: Future>(&'static self, value: T, future: F) -> F::Output {
        let kept = Cell::new(Some(value));
        // The order of these three is that of their ends, backwards: the future is dropped while the value is in its place.
        let _last = Swap { key: self, kept: &kept };
        let mut future = pin!(future);
        let _first = Swap { key: self, kept: &kept };
        std::future::poll_fn(|cx| {
            let _in_place = InPlace::new(self, &kept);
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Runs a closure with this value, which hides one that is set outside of it.
    ///
    /// # Panics
    ///
    /// Inside of [`with`](Self::with) of the same key.
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let kept = Cell::new(Some(value));
        let _in_place = InPlace::new(self, &kept);
        f()
    }

    /// Looks at the value.
    ///
    /// # Panics
    ///
    /// Outside of a [`scope`](Self::scope) of this key.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.try_with(f).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Looks at the value, if there is one.
    ///
    /// # Errors
    ///
    /// [`AccessError`] outside of a [`scope`](Self::scope) of this key.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let looked = self.place.try_with(|place| place.try_borrow().ok()?.as_ref().map(f));
        looked.ok().flatten().ok_or(AccessError(()))
    }

    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// As [`with`](Self::with).
    #[must_use]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// Exchanges what is in place for what is kept. Whether that could be done: not inside of [`with`](Self::with), nor while
    /// the thread's own storage goes away.
    fn swap(&'static self, kept: &Cell<Option<T>>) -> bool {
        let swapped = self.place.try_with(|place| {
            let Ok(mut place) = place.try_borrow_mut() else { return false };
            let before = place.take();
            *place = kept.replace(before);
            true
        });
        swapped.unwrap_or(false)
    }
}

impl<T: 'static> Debug for LocalKey<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// Exchanges the two when it is dropped.
struct Swap<'k, T: 'static> {
    key: &'static LocalKey<T>,
    kept: &'k Cell<Option<T>>,
}

impl<T: 'static> Drop for Swap<'_, T> {
    fn drop(&mut self) {
        self.key.swap(self.kept);
    }
}

/// Exchanges the two when it is made, and back when it is dropped.
struct InPlace<'k, T: 'static> {
    _back: Swap<'k, T>,
}

impl<'k, T: 'static> InPlace<'k, T> {
    fn new(key: &'static LocalKey<T>, kept: &'k Cell<Option<T>>) -> Self {
        assert!(
            key.swap(kept),
            "a scope of a task-local value was entered while that value was being looked at"
        );
        Self { _back: Swap { key, kept } }
    }
}

/// A [`LocalKey`] was looked at outside of its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError(());

impl Display for AccessError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a task-local value was looked at outside of its scope: run the future by `LocalKey::scope`",
        )
    }
}

impl std::error::Error for AccessError {}
