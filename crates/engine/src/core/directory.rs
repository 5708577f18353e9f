//! The engine's rings of this process, by descriptor: for messages from ring to ring, and for rings that share workers.

use std::cell::Cell;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Ring;
use crate::world::World;

type Rings = Vec<(RawFd, Weak<Ring>)>;

static RINGS: Mutex<Rings> = Mutex::new(Vec::new());

thread_local! {
    /// The directory, while the calling thread forks its process.
    static HELD: Cell<Option<MutexGuard<'static, Rings>>> = const { Cell::new(None) };
}

/// Nobody else has the directory until [`release`]: a child of fork(2) would never get it back.
pub(crate) fn hold() {
    // A thread that has given up its own variables goes without.
    let _ = HELD.try_with(|held| held.set(Some(rings())));
}

/// Gives back what [`hold`] has taken, in the parent and in the child.
pub(crate) fn release() {
    let _ = HELD.try_with(|held| drop(held.take()));
}

fn rings() -> MutexGuard<'static, Rings> {
    RINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a ring known by its descriptor.
pub(crate) fn register(fd: RawFd, ring: &Arc<Ring>) {
    rings().push((fd, Arc::downgrade(ring)));
}

/// Forgets a ring. To be called before its descriptor is closed.
pub(crate) fn unregister(ring: &Arc<Ring>) {
    rings().retain(|(_, known)| !std::ptr::eq(known.as_ptr(), Arc::as_ptr(ring)));
}

/// The ring that a descriptor stands for, be it the ring's own or a duplicate.
pub(crate) fn find(fd: RawFd, world: &dyn World) -> Option<Arc<Ring>> {
    let rings = rings();
    let own = rings.iter().find(|(known, _)| *known == fd);
    own.or_else(|| rings.iter().find(|(known, _)| world.is_same(*known, fd)))
        .and_then(|(_, ring)| ring.upgrade())
        .filter(|ring| ring.home.is_here())
}

/// Whether the program would call this descriptor a ring. (A duplicate of one is not recognised: that would cost a call
/// for each ring.)
pub(crate) fn is_ring(fd: RawFd) -> bool {
    rings().iter().any(|(known, _)| *known == fd)
}
