//! The engine's rings of this process, by descriptor: for messages from ring to ring, and for rings that share workers.

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Ring;
use crate::world::World;

static RINGS: Mutex<Vec<(RawFd, Weak<Ring>)>> = Mutex::new(Vec::new());

fn rings() -> std::sync::MutexGuard<'static, Vec<(RawFd, Weak<Ring>)>> {
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
}

/// Whether the program would call this descriptor a ring. (A duplicate of one is not recognised: that would cost a call
/// for each ring.)
pub(crate) fn is_ring(fd: RawFd) -> bool {
    rings().iter().any(|(known, _)| *known == fd)
}
