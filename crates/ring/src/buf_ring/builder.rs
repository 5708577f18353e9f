//! How a buffer ring is made: its sizes, its group, where its memory comes from, how buffers are used up.
#![allow(unsafe_code, reason = "registers memory that the ring owns until it has unregistered it")]

use std::cell::Cell;
use std::sync::Arc;

use annulus_abi::{BufReg, IORING_OFF_PBUF_RING, IORING_OFF_PBUF_SHIFT, PbufRingFlags, RegisterOp};
use rustix::io::Errno;

use super::memory::{Buffers, Entries};
use super::slots::Slots;
use super::{BufRing, unregister};
use crate::Submitter;
use crate::pages::Pages;
use crate::register::RegisterError;

/// The most entries that a buffer ring has.
const MAX_ENTRIES: u16 = 1 << 15;

/// Makes a [`BufRing`]: see [`BufRing::builder`].
#[derive(Clone, Debug)]
pub struct BufRingBuilder {
    entries: u16,
    buffer_len: u32,
    flags: PbufRingFlags,
    min_left: u32,
    empty: bool,
}

impl BufRingBuilder {
    pub(super) const fn new(entries: u16, buffer_len: u32) -> Self {
        Self { entries, buffer_len, flags: PbufRingFlags::empty(), min_left: 0, empty: false }
    }

    /// Has each buffer filled piece by piece, each piece where the last one ended, by as many operations as
    /// it takes (`IOU_PBUF_RING_INC`). A few large buffers then serve many small receives. For sockets and
    /// pipes; reads of files use a whole buffer each. Linux 6.12.
    #[must_use]
    pub const fn incremental(mut self) -> Self {
        self.flags = self.flags.union(PbufRingFlags::INC);
        self
    }

    /// With [`incremental`](Self::incremental): a buffer with fewer bytes left than this counts as used up.
    /// Newer than Linux 6.18: 7.2 has it.
    #[must_use]
    pub const fn min_left(mut self, bytes: u32) -> Self {
        self.min_left = bytes;
        self
    }

    /// Has the kernel allocate the ring (not the buffers), which is then mapped (`IOU_PBUF_RING_MMAP`).
    /// Without this the ring lies in memory of the program's that the kernel pins. Linux 6.4.
    #[must_use]
    pub const fn kernel_memory(mut self) -> Self {
        self.flags = self.flags.union(PbufRingFlags::MMAP);
        self
    }

    /// Starts with no buffer in the ring: each is [filled](super::BufRing::vacant) by the program first. This
    /// is the way to send with buffer selection; used buffers do not go back by themselves.
    #[must_use]
    pub const fn start_empty(mut self) -> Self {
        self.empty = true;
        self
    }

    /// Allocates the memory, puts the buffers into the ring, and registers it as group `bgid`.
    ///
    /// # Errors
    ///
    /// [`RegisterError`], by errno: `EINVAL` for a number of entries that is no power of two up to 32,768, for
    /// empty buffers, for flags that this kernel lacks (see there), and before Linux 5.19; `EEXIST` if the
    /// ring has this group already; `ENOMEM`; `EOPNOTSUPP` from a back end without kernel memory.
    pub fn register(&self, submitter: &Submitter<'_>, bgid: u16) -> Result<BufRing, RegisterError> {
        let what = "buffer ring";
        if !self.entries.is_power_of_two() || self.entries > MAX_ENTRIES {
            return Err(RegisterError::BufRingEntries { asked: self.entries, most: MAX_ENTRIES });
        }
        if self.buffer_len == 0 {
            return Err(RegisterError::BufRingEmptyBuffers);
        }
        let ring = self.try_register(submitter, bgid).map_err(|errno| match errno {
            Errno::EXIST => RegisterError::BufRingGroup { bgid },
            errno => RegisterError::Other { what, errno },
        })?;
        if !self.empty {
            while let Some(bid) = ring.slots.take_idle() {
                ring.add(bid, self.buffer_len);
            }
            ring.publish();
        }
        Ok(ring)
    }

    /// # Errors
    ///
    /// Those of mmap(2) and of the registration.
    fn try_register(&self, submitter: &Submitter<'_>, bgid: u16) -> Result<BufRing, Errno> {
        let backend = submitter.shared_backend();
        let buffers = Buffers::new(self.entries, self.buffer_len)?;
        let size = Entries::size(self.entries);
        let in_kernel = self.flags.contains(PbufRingFlags::MMAP);
        let own = if in_kernel { None } else { Some(Pages::own(size)?) };
        let mut arg = BufReg {
            ring_addr: own.as_ref().map_or(0, Pages::address),
            ring_entries: u32::from(self.entries),
            bgid,
            flags: self.flags.bits(),
            min_left: self.min_left,
            ..BufReg::default()
        };
        // SAFETY: the ring's pages are large enough and stay until `BufRing` has unregistered them.
        unsafe { backend.register(RegisterOp::REGISTER_PBUF_RING, (&raw mut arg).cast(), 1) }?;
        let pages = own.map_or_else(
            || {
                let offset = IORING_OFF_PBUF_RING | u64::from(bgid) << IORING_OFF_PBUF_SHIFT;
                Pages::of_backend(backend, size, offset)
            },
            Ok,
        );
        let pages = pages.inspect_err(|_| {
            let _ = unregister(backend, bgid);
        })?;
        Ok(BufRing {
            entries: Entries::new(pages, self.entries),
            buffers,
            slots: Slots::new(self.entries),
            backend: Arc::clone(backend),
            bgid,
            incremental: self.flags.contains(PbufRingFlags::INC),
            recycles: !self.empty,
            published: Cell::new(0),
            holds: Cell::new(0),
        })
    }
}
