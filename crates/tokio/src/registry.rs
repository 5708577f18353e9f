//! Which rings belong to which runtime.
//!
//! The registry keeps a ring alive as long as its runtime listens to it. A thread remembers the ring that it used last,
//! without keeping it alive.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::{Handle, Id};

use crate::ring::Ring;

/// The most rings of one runtime.
const MOST: usize = 64;

/// The rings of each runtime, by the threads that they are for.
type Runtimes = HashMap<Id, Vec<Option<Arc<Ring>>>>;

static RUNTIMES: LazyLock<Mutex<Runtimes>> = LazyLock::new(Mutex::default);

/// How many threads have used a ring. Relaxed, as it orders nothing.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The ring that this thread used last, and whose it is.
    static LAST: RefCell<Option<(Id, Weak<Ring>)>> = const { RefCell::new(None) };
    /// Which thread this is, among those that have used a ring.
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The ring of this thread, in the runtime that it is in.
///
/// # Errors
///
/// Those of setting up a ring, where neither the kernel nor the engine has one: `EMFILE`, `ENOMEM`.
///
/// # Panics
///
/// Outside of a runtime, or in one whose I/O is not enabled.
pub(crate) fn current() -> io::Result<Arc<Ring>> {
    let Ok(handle) = Handle::try_current() else {
        panic!(
            "annulus-tokio needs a runtime of tokio's: poll its futures in a task, or inside of `block_on`"
        )
    };
    let id = handle.id();
    if let Some(ring) = remembered(id) {
        return Ok(ring);
    }
    let ring = registered(&handle)?;
    let last = (id, Arc::downgrade(&ring));
    // A thread that is ending does without.
    let _ending = LAST.try_with(|remembered| remembered.replace(Some(last)));
    Ok(ring)
}

fn remembered(id: Id) -> Option<Arc<Ring>> {
    let find = |last: &RefCell<Option<(Id, Weak<Ring>)>>| {
        let last = last.borrow();
        last.as_ref().filter(|(whose, _)| *whose == id)?.1.upgrade()
    };
    LAST.try_with(find).ok().flatten().filter(|ring| ring.is_listened_to())
}

/// The ring of this thread out of the registry, made if it is not there.
fn registered(handle: &Handle) -> io::Result<Arc<Ring>> {
    let workers = handle.metrics().num_workers().clamp(1, MOST);
    let place = number() % workers;
    let made = {
        let mut runtimes = lock();
        let rings = runtimes.entry(handle.id()).or_insert_with(|| vec![None; workers]);
        if let Some(ring) = rings.get(place).and_then(Option::as_ref) {
            return Ok(ring.clone());
        }
        let ring = Ring::new(handle.id())?;
        if let Some(empty) = rings.get_mut(place) {
            *empty = Some(ring.clone());
        }
        ring
    };
    // Without the lock: in a runtime that is ending the listener is dropped at once, and comes back here.
    made.listen(handle)?;
    Ok(made)
}

/// Nobody listens to this ring any more: its runtime has ended.
pub(crate) fn forget(id: Id, ring: &Arc<Ring>) {
    let mut gone = Vec::new();
    let mut runtimes = lock();
    if let Some(rings) = runtimes.get_mut(&id) {
        for place in rings.iter_mut() {
            gone.extend(place.take_if(|other| Arc::ptr_eq(other, ring)));
        }
        if rings.iter().all(Option::is_none) {
            runtimes.remove(&id);
        }
    }
    // The last share of a ring waits for what is in flight: not with the lock.
    drop(runtimes);
    drop(gone);
}

fn number() -> usize {
    let find = |number: &Cell<Option<usize>>| {
        let mine = number.get().unwrap_or_else(|| THREADS.fetch_add(1, Ordering::Relaxed));
        number.set(Some(mine));
        mine
    };
    NUMBER.try_with(find).unwrap_or(0)
}

fn lock() -> MutexGuard<'static, Runtimes> {
    // What runs under this lock leaves the table whole, whatever becomes of it.
    RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner)
}
