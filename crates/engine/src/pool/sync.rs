//! The lock and the condition variable that [`handover`](super::handover) is written over, and nothing else.
//!
//! The tests compile the same hand-over a second time with loom's in their place, so this
//! file holds all that the two differ in. A lock whose holder panicked is taken over: what runs under it
//! keeps its data whole at every step that can panic.

pub(super) use std::sync::{Condvar, Mutex, MutexGuard};

use std::sync::PoisonError;
use std::time::Duration;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until somebody notifies, at most for `timeout`, or for no reason. Says whether the time ran out.
pub(super) fn wait<'a, T>(
    _mutex: &'a Mutex<T>,
    guard: MutexGuard<'a, T>,
    condvar: &Condvar,
    timeout: Duration,
) -> (MutexGuard<'a, T>, bool) {
    let (guard, outcome) = condvar.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner);
    (guard, outcome.timed_out())
}

/// Waits until `condition` is no longer met, at most for `timeout`.
pub(super) fn wait_while<'a, T>(
    guard: MutexGuard<'a, T>,
    condvar: &Condvar,
    timeout: Duration,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    condvar.wait_timeout_while(guard, timeout, condition).unwrap_or_else(PoisonError::into_inner).0
}
