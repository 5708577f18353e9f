//! The ring's own table of files: slots that operations fill (an accepted connection) and name, without a
//! descriptor of the process.
//!
//! The table is registered when it is first asked for, empty, with a fixed number of slots; the kernel
//! picks. What it keeps true: a slot is emptied once, through the ring as long as there is room, at once if
//! there is none; and what the ring still holds when it goes, goes with it.

use std::cell::Cell;
use std::fmt::{self, Debug, Formatter};
use std::rc::Rc;

use annulus::{opcode, types};
use rustix::io::Errno;

use super::table::Place;
use super::{Completion, Driver};

/// The table, as far as this side knows it.
#[derive(Debug)]
pub(crate) struct Slots {
    count: u32,
    /// How many are known to be filled. What was accepted and not looked at yet is not among them.
    used: Cell<u32>,
}

impl Slots {
    /// How many slots are not known to be filled.
    pub(crate) fn free(&self) -> u32 {
        self.count.saturating_sub(self.used.get())
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }
}

/// A slot that an operation has filled. Dropping it empties it.
pub(crate) struct Slot {
    index: u32,
    driver: Rc<Driver>,
}

impl Slot {
    /// The slot that a completion says was filled.
    ///
    /// # Errors
    ///
    /// The completion's, negated as there.
    pub(crate) fn filled(driver: &Rc<Driver>, completion: Completion) -> Result<Self, i32> {
        let index = u32::try_from(completion.result).map_err(|_| completion.result)?;
        if let Some(slots) = driver.known_slots() {
            slots.used.set(slots.used.get() + 1);
        }
        Ok(Self { index, driver: driver.clone() })
    }

    pub(crate) const fn index(&self) -> u32 {
        self.index
    }

    /// Whether it is one of that driver's ring.
    pub(crate) fn is_of(&self, driver: &Rc<Driver>) -> bool {
        Rc::ptr_eq(&self.driver, driver)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slots) = self.driver.known_slots() {
            slots.used.set(slots.used.get().saturating_sub(1));
        }
        self.driver.empty(self.index);
    }
}

impl Debug for Slot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Driver {
    /// The table of `count` slots, which is registered by the first call; `None` where it cannot be, for want of memory or
    /// before Linux 5.19; and before 6.8, where nothing that is in it could be given a descriptor or asked for its addresses.
    pub(crate) fn slots(&self, count: u32) -> Option<&Slots> {
        let made = self.slots.get_or_init(|| {
            let installs = self.inner.borrow().table.place_for(opcode::FixedFdInstall::CODE);
            if installs != Place::Main {
                tracing::info!(
                    "what is in a table of files could not leave it; ordinary descriptors instead"
                );
                return None;
            }
            let registered = self.with_ring(|ring| {
                // A kernel that does not know this call (before Linux 5.13) waits until nothing is in flight, and refuses then.
                if !ring.params().is_feature_resource_tagging() {
                    return Err(Errno::INVAL.into());
                }
                ring.submitter().register_files_sparse(count.max(1))
            })?;
            match registered {
                Ok(()) => Some(Slots { count: count.max(1), used: Cell::new(0) }),
                Err(error) => {
                    tracing::info!(%error, count, "no table of files; ordinary descriptors instead");
                    None
                }
            }
        });
        made.as_ref()
    }

    /// Whether the ring has a table of files.
    pub(super) fn has_slots(&self) -> bool {
        self.known_slots().is_some()
    }

    /// The table, if there is one already.
    fn known_slots(&self) -> Option<&Slots> {
        self.slots.get().and_then(Option::as_ref)
    }

    /// Empties a slot.
    fn empty(&self, index: u32) {
        let mut inner = self.inner.borrow_mut();
        if inner.closing || inner.is_full(Place::Main) {
            if let Some(main) = inner.main() {
                let emptied = main.ring().submitter().register_files_update(index, &[-1]);
                tracing::trace!(index, ?emptied, "a slot was emptied outside of the queue");
            }
            return;
        }
        let close = opcode::Close::new(types::Fixed(index)).build().flags(inner.quiet);
        inner.queue_ignored(Place::Main, close);
    }
}
