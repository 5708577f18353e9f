//! What protocols that loom checks are built of. Their models compile the same files a second time over
//! `model.rs`, which has loom's in its place.

pub(super) use std::sync::{Mutex, MutexGuard};

use std::sync::PoisonError;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing of the user's runs under the lock but the clone of a waker, before anything was changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
