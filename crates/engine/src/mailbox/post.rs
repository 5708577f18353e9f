//! The mailbox itself: a list behind a lock, and a flag that spares the lock while there is nothing. Written over
//! [`sync`], and checked with loom.

use super::sync::{self, AtomicBool, Mutex, Ordering};

/// What waits to be taken out, in the order in which it came.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    /// Whether `letters` may hold something: lets the ring ask after every step without a lock.
    any: AtomicBool,
    letters: Mutex<Vec<T>>,
}

impl<T> Mailbox<T> {
    /// Leaves something.
    pub(crate) fn put(&self, letter: T) {
        let mut letters = sync::lock(&self.letters);
        letters.push(letter);
        // Release: pairs with the Acquire in `take`. With the lock held, so that no `take` can clear it afterwards
        // and leave the letter.
        self.any.store(true, Ordering::Release);
    }

    /// Takes all out. What is left at this moment is found the next time.
    #[inline]
    pub(crate) fn take(&self) -> Vec<T> {
        // Acquire: pairs with the Release in `put`.
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut letters = sync::lock(&self.letters);
        // Relaxed: `put` sets it with the lock held, as it is here.
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut letters)
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { any: AtomicBool::new(false), letters: Mutex::new(Vec::new()) }
    }
}
