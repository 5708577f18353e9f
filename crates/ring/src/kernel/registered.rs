//! Rings that a thread registered with the kernel (`IORING_REGISTER_RING_FDS`): which index, whose thread.
//!
//! An index means something only in the thread that registered it: another thread has a table of
//! its own, where the same index may be another ring. So a [`Registration`] remembers its thread and
//! answers with an index only there. A ring that is dropped elsewhere cannot unregister itself; it leaves
//! its index with the owner, who gives it back the next time that it registers a ring. A child of fork(2) has
//! none of the registrations of its parent: once it registers a ring itself, its thread is another one.

use std::cell::RefCell;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a thread knows of its own table.
#[derive(Debug)]
pub(super) struct ThreadTable {
    /// The process that the thread was in when it registered first.
    process: u32,
    /// Indices of rings that were dropped by other threads.
    orphans: Mutex<Vec<u32>>,
}

thread_local! {
    static TABLE: RefCell<Option<Arc<ThreadTable>>> = const { RefCell::new(None) };
}

/// The state of one ring.
#[derive(Debug)]
pub(super) struct Registration {
    /// The table of the thread that registered; null while nobody did. Compared, never followed.
    owner: AtomicPtr<ThreadTable>,
    /// Meaningful to the owner alone.
    index: AtomicU32,
    /// Keeps the table's address from being used again. Locked while the two above are written.
    table: Mutex<Option<Arc<ThreadTable>>>,
}

impl Registration {
    pub(super) const fn none() -> Self {
        Self {
            owner: AtomicPtr::new(std::ptr::null_mut()),
            index: AtomicU32::new(0),
            table: Mutex::new(None),
        }
    }

    /// The index of the ring in the calling thread's table, if it has one.
    #[inline]
    pub(super) fn index(&self) -> Option<u32> {
        // Relaxed: a thread that finds itself here wrote that itself; any other value is a no.
        let owner = self.owner.load(Ordering::Relaxed);
        if owner.is_null() || !is_own(owner) {
            return None;
        }
        // Acquire: if another thread registers at this moment and this is its index already, then the second
        // look at the owner finds what that thread stored before it.
        let index = self.index.load(Ordering::Acquire);
        (self.owner.load(Ordering::Relaxed) == owner).then_some(index)
    }

    /// Notes that the calling thread registered the ring under `index`.
    pub(super) fn set(&self, index: u32) {
        let own = own_table();
        let owner = Arc::as_ptr(&own).cast_mut();
        let mut table = self.lock();
        self.leave(&mut table);
        // Release pairs with the acquire of `index`: whoever sees this sees that the owner before is none any more.
        self.index.store(index, Ordering::Release);
        self.owner.store(owner, Ordering::Relaxed);
        *table = Some(own);
    }

    /// Forgets the registration. Returns the index if the calling thread has to unregister it; an
    /// index of another thread is left with that thread.
    pub(super) fn forget(&self) -> Option<u32> {
        self.leave(&mut self.lock())
    }

    fn leave(&self, table: &mut Option<Arc<ThreadTable>>) -> Option<u32> {
        let table = table.take()?;
        let index = self.index.load(Ordering::Relaxed);
        self.owner.store(std::ptr::null_mut(), Ordering::Relaxed);
        if Arc::ptr_eq(&table, &own_table()) {
            return Some(index);
        }
        table.orphans.lock().unwrap_or_else(PoisonError::into_inner).push(index);
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<ThreadTable>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Indices of the calling thread whose rings other threads dropped: to be unregistered by it.
pub(super) fn take_orphans() -> Vec<u32> {
    let table = own_table();
    let mut orphans = table.orphans.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *orphans)
}

fn own_table() -> Arc<ThreadTable> {
    let process = std::process::id();
    let new = || Arc::new(ThreadTable { process, orphans: Mutex::default() });
    let own = |table: &RefCell<Option<Arc<ThreadTable>>>| {
        let mut table = table.borrow_mut();
        match &*table {
            Some(own) if own.process == process => Arc::clone(own),
            // The first time, or the first time since this process was forked from another one.
            _ => Arc::clone(table.insert(new())),
        }
    };
    // If the thread is ending, the kernel drops its table with it.
    TABLE.try_with(own).unwrap_or_else(|_| new())
}

#[inline]
fn is_own(owner: *mut ThreadTable) -> bool {
    let own = |table: &RefCell<Option<Arc<ThreadTable>>>| {
        table.borrow().as_ref().is_some_and(|table| std::ptr::eq(Arc::as_ptr(table), owner))
    };
    TABLE.try_with(own).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "what is tested is that another thread sees nothing")]
    use super::*;

    #[test]
    fn an_index_is_known_to_its_own_thread_alone() {
        let registration = Registration::none();
        assert_eq!(registration.index(), None);
        registration.set(3);
        assert_eq!(registration.index(), Some(3));
        std::thread::scope(|scope| {
            let elsewhere = scope.spawn(|| registration.index());
            assert_eq!(elsewhere.join().unwrap(), None);
        });
    }

    #[test]
    fn an_index_forgotten_elsewhere_is_left_with_its_owner() {
        let registration = Registration::none();
        registration.set(5);
        std::thread::scope(|scope| {
            let elsewhere = scope.spawn(|| registration.forget());
            assert_eq!(elsewhere.join().unwrap(), None);
        });
        assert_eq!(registration.index(), None);
        assert_eq!(take_orphans(), [5]);
        assert_eq!(take_orphans(), [0_u32; 0]);
    }

    #[test]
    fn an_index_forgotten_at_home_is_returned_for_unregistering() {
        let registration = Registration::none();
        registration.set(7);
        assert_eq!(registration.forget(), Some(7));
        assert_eq!(registration.forget(), None);
    }
}
