//! What a shutdown is built of. The tests compile the same file a second time with loom's in its place.

pub(super) use std::sync::{Mutex, MutexGuard};

use std::sync::PoisonError;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing of the user's runs under the lock but the clone of a waker, before anything was changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
