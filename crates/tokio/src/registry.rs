//! Which rings belong to which runtime.
//!
//! The registry keeps a ring alive as long as its runtime listens to it. A thread remembers the ring that it used last,
//! without keeping it alive.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use annulus::BackendChoice;
use tokio::runtime::{Handle, Id};

use crate::ring::Ring;

/// The most rings of one runtime.
const MOST: usize = 64;

/// The rings of each runtime, by the threads that they are for; and behind them one of the engine, for what the kernel lacks.
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
    let handle = handle();
    let id = handle.id();
    if let Some(ring) = remembered(id) {
        return Ok(ring);
    }
    let ring = registered(&handle, |workers| number() % workers)?;
    let last = (id, Arc::downgrade(&ring));
    // A thread that is ending does without.
    let _ending = LAST.try_with(|remembered| remembered.replace(Some(last)));
    Ok(ring)
}

/// A ring that has an opcode, as far as is known: that of this thread, or one of the engine, which has all that are used here.
///
/// # Errors
///
/// As [`current`].
///
/// # Panics
///
/// As [`current`].
pub(crate) fn with(opcode: u8) -> io::Result<Arc<Ring>> {
    let ring = current()?;
    if ring.supports(opcode) {
        return Ok(ring);
    }
    registered(&handle(), |workers| workers)
}

fn handle() -> Handle {
    let Ok(handle) = Handle::try_current() else {
        panic!(
            "annulus-tokio needs a runtime of tokio's: poll its futures in a task, or inside of `block_on`"
        )
    };
    handle
}

fn remembered(id: Id) -> Option<Arc<Ring>> {
    let find = |last: &RefCell<Option<(Id, Weak<Ring>)>>| {
        let last = last.borrow();
        last.as_ref().filter(|(whose, _)| *whose == id)?.1.upgrade()
    };
    LAST.try_with(find).ok().flatten().filter(|ring| ring.is_listened_to())
}

/// The ring at a place, which follows from the number of workers, out of the registry; made if it is not there. The place behind the last
/// worker's is that of the engine.
fn registered(handle: &Handle, place: impl FnOnce(usize) -> usize) -> io::Result<Arc<Ring>> {
    let workers = handle.metrics().num_workers().clamp(1, MOST);
    let place = place(workers);
    let made = {
        let mut runtimes = lock();
        let rings = runtimes.entry(handle.id()).or_insert_with(|| vec![None; workers + 1]);
        if let Some(ring) = rings.get(place).and_then(Option::as_ref) {
            return Ok(ring.clone());
        }
        let backend = if place < workers { BackendChoice::Auto } else { BackendChoice::Engine };
        let ring = Ring::new(handle.id(), backend)?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use annulus::owned::MakeDir;
    use tokio::runtime::Builder;

    use super::*;
    use crate::running::run_new;

    /// An opcode that no kernel has.
    const NONE: u8 = 255;

    #[test]
    fn what_the_kernel_lacks_goes_to_a_ring_of_the_engine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made");
        let c_path = annulus_rt::fs::parts::c_path(&path).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let (own, aside) = (current().unwrap(), with(NONE).unwrap());
            assert!(!Arc::ptr_eq(&own, &aside) && aside.is_of_the_engine());
            assert!(Arc::ptr_eq(&with(NONE).unwrap(), &aside), "one for the runtime");
            run_new(NONE, || MakeDir::new(c_path.clone())).await.unwrap();
            let again = run_new(NONE, || MakeDir::new(c_path.clone())).await;
            assert_eq!(again.unwrap_err().raw_os_error(), Some(libc::EEXIST));
        });
        assert!(path.is_dir());
    }
}
