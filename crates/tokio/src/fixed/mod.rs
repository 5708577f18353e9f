//! Registered buffers: memory that rings have pinned, so that an operation need not look it up.
//!
//! A pool is bounded, and belongs to no runtime. A buffer is made when it is first wanted, and registered with a ring when it is first
//! used there. A guard ([`RegisteredBuf`]) brings its buffer back when it is dropped; an operation in flight owns its guard, so no buffer
//! comes back before the kernel is done with it. With the last share of a pool its rings let go of its memory.

mod guard;
mod op;
mod slots;

use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use annulus_rt::buf::AlignedBuf;
use tokio::sync::Semaphore;

use crate::ring::Ring;
pub use guard::{FixedBuf, RegisteredBuf};
pub(crate) use slots::Slots;

/// A pool of registered buffers, for [`File::read_fixed_at`](crate::File::read_fixed_at) and
/// [`File::write_fixed_at`](crate::File::write_fixed_at). Cheap to clone: clones are shares of one pool.
///
/// Each buffer is pinned once for each ring that it is used on, which are as many as the runtime has workers, and all that counts against
/// `RLIMIT_MEMLOCK` of users without `CAP_IPC_LOCK`. What may not be pinned is used like memory of any other kind, and a warning says
/// so once for each ring ([`RegisteredBuf::registrations`]).
///
/// ```
/// use annulus_tokio::File;
/// use annulus_tokio::buf::FixedPool;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let pool = FixedPool::new(16, 64 * 1024);
/// let file = File::open("Cargo.toml").await?;
/// let (read, buf) = file.read_fixed_at(pool.get().await, 0).await;
/// read?;
/// assert_eq!(&buf[..9], b"[package]");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FixedPool(Arc<Pool>);

struct Pool {
    most: usize,
    size: usize,
    /// As many permits as buffers can be lent; whoever waits gets his turn in order.
    places: Semaphore,
    /// Buffers that were made and are not lent.
    free: Mutex<Vec<Block>>,
}

/// A buffer, and where it is registered.
struct Block {
    buf: AlignedBuf,
    /// The slot in each ring that it was used on; `None` where it was refused. A ring that is gone keeps its place until the
    /// next one comes, so that no other is taken for it.
    slots: Mutex<Vec<(Weak<Ring>, Option<u16>)>>,
}

impl FixedPool {
    /// A pool of at most `most` buffers, with room for `size` bytes each, rounded up to whole pages of 4096. Nothing is made yet.
    ///
    /// # Panics
    ///
    /// If there are to be none, or none with room.
    #[must_use]
    pub fn new(most: usize, size: usize) -> Self {
        assert!(most > 0 && size > 0, "a pool of {most} buffers of {size} bytes");
        let (most, size) = (most.min(Semaphore::MAX_PERMITS), size.next_multiple_of(4096));
        Self(Arc::new(Pool { most, size, places: Semaphore::new(most), free: Mutex::default() }))
    }

    /// A buffer, empty, as soon as one is to be had; those who wait get theirs in the order in which they came.
    pub async fn get(&self) -> RegisteredBuf {
        if let Ok(place) = self.0.places.acquire().await {
            // Given back by the guard.
            place.forget();
        }
        self.take()
    }

    /// A buffer, empty; `None` if all are lent, or others wait for one.
    #[must_use]
    pub fn try_get(&self) -> Option<RegisteredBuf> {
        self.0.places.try_acquire().ok()?.forget();
        Some(self.take())
    }

    /// How many buffers could be lent at this moment.
    #[must_use]
    pub fn available(&self) -> usize {
        self.0.places.available_permits()
    }

    /// How many bytes a buffer has room for.
    #[must_use]
    pub fn buffer_size(&self) -> usize {
        self.0.size
    }

    fn take(&self) -> RegisteredBuf {
        let free = lock(&self.0.free).pop();
        let mut block = free.unwrap_or_else(|| Block::new(self.0.size));
        block.buf.clear();
        RegisteredBuf::new(block, self.0.clone())
    }
}

impl Debug for FixedPool {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedPool")
            .field("available", &self.available())
            .field("most", &self.0.most)
            .field("buffer_size", &self.0.size)
            .finish_non_exhaustive()
    }
}

impl Pool {
    fn give_back(&self, block: Block) {
        lock(&self.free).push(block);
        self.places.add_permits(1);
    }
}

impl Block {
    fn new(size: usize) -> Self {
        Self { buf: AlignedBuf::with_capacity(size), slots: Mutex::default() }
    }

    /// Its slot in a ring, with which it is registered if it was not before; `None` if it is refused there.
    fn slot_in(&self, ring: &Arc<Ring>) -> Option<u16> {
        let mut slots = lock(&self.slots);
        let here = slots.iter().find(|(other, _)| other.as_ptr() == Arc::as_ptr(ring));
        if let Some((_, slot)) = here {
            return *slot;
        }
        slots.retain(|(other, _)| other.strong_count() > 0);
        let slot = ring.with_slots(|table, submitter| table.register(submitter, &self.buf));
        slots.push((Arc::downgrade(ring), slot));
        slot
    }

    fn registrations(&self) -> usize {
        let lives = |(ring, slot): &&(Weak<Ring>, Option<u16>)| slot.is_some() && ring.strong_count() > 0;
        lock(&self.slots).iter().filter(lives).count()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let slots = self.slots.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (ring, slot) in slots.drain(..) {
            if let (Some(ring), Some(slot)) = (ring.upgrade(), slot) {
                ring.with_slots(|table, submitter| table.unregister(submitter, slot));
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What runs under these locks leaves the lists whole, whatever becomes of it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
