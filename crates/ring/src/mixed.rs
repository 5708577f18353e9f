//! Completions of a ring that holds both sizes (`IORING_SETUP_CQE_MIXED`, Linux 6.18).
//!
//! Entries lie 16 bytes apart; one that is flagged takes two places, and never wraps: where it would, the
//! kernel fills the odd place with an entry to be skipped. [`EntryMixed`] hides both facts.

use std::fmt;

use annulus_abi::{CqConsumer, Cqe, CqeFlags, SetupFlags};

use crate::cqueue::{Entry, EntryMarker, sealed};

/// A completion of 16 or 32 bytes, from a ring of
/// [`IoUring<squeue::Entry, EntryMixed>`](crate::IoUring).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EntryMixed {
    entry: Entry,
    extra: Option<[u64; 2]>,
}

impl EntryMixed {
    /// The first 16 bytes, with all that can be asked of them.
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The second 16 bytes, if the operation gave any.
    #[must_use]
    pub const fn big_cqe(&self) -> Option<&[u64; 2]> {
        self.extra.as_ref()
    }

    /// The result as the kernel gave it.
    #[must_use]
    pub const fn result(&self) -> i32 {
        self.entry.result()
    }

    /// What the request carried.
    #[must_use]
    pub const fn user_data(&self) -> u64 {
        self.entry.user_data()
    }

    /// The flag word as the kernel gave it.
    #[must_use]
    pub const fn flags(&self) -> u32 {
        self.entry.flags()
    }
}

impl sealed::Sealed for EntryMixed {}

impl EntryMarker for EntryMixed {
    const BUILD_FLAGS: u32 = SetupFlags::CQE_MIXED.bits();

    type Slot = Entry;

    fn take(end: &mut CqConsumer<'_, Entry>) -> Option<Self> {
        loop {
            let entry = end.pop()?;
            let flags = entry.cqe_flags();
            if flags.contains(CqeFlags::F_32) {
                return Some(Self { entry, extra: end.pop().map(halves) });
            }
            if !flags.contains(CqeFlags::SKIP) {
                return Some(Self { entry, extra: None });
            }
        }
    }

    fn first(ready: &[Entry]) -> Option<Self> {
        let at = ready.iter().position(|entry| !entry.cqe_flags().contains(CqeFlags::SKIP))?;
        let entry = ready[at];
        let wide = entry.cqe_flags().contains(CqeFlags::F_32);
        Some(Self { entry, extra: ready.get(at + 1).filter(|_| wide).copied().map(halves) })
    }

    fn user_data(&self) -> u64 {
        self.entry.user_data()
    }

    fn set_user_data(&mut self, user_data: u64) {
        self.entry.set_user_data(user_data);
    }

    fn cqe(&self) -> &Cqe {
        self.entry.cqe()
    }
}

impl From<EntryMixed> for Entry {
    fn from(mixed: EntryMixed) -> Self {
        mixed.entry
    }
}

impl fmt::Debug for EntryMixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryMixed").field("entry", &self.entry).field("big_cqe", &self.extra).finish()
    }
}

/// The second half of a wide entry, read as what it is: two words.
const fn halves(entry: Entry) -> [u64; 2] {
    let cqe = entry.cqe();
    let [a, b, c, d] = cqe.res.to_ne_bytes();
    let [e, f, g, h] = cqe.flags.to_ne_bytes();
    [cqe.user_data, u64::from_ne_bytes([a, b, c, d, e, f, g, h])]
}
