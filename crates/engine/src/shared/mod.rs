//! The memory of a ring with the device's ends of its queues.
//!
//! The ends are `annulus-abi`'s, the mirror image of those that `annulus` works with; here they meet the
//! mapping that they work in. Which sizes and flags a ring may have is `setup`'s matter, when something is taken or
//! posted the core's.
//!
//! What stays true: ends and memory come from one [`Mapping`], and there is one end of each kind.
#![allow(unsafe_code, reason = "takes the device's ends, one each, in memory that it owns beside them")]

mod layout;
mod mapping;
mod resize;
#[cfg(test)]
mod tests;

use annulus_abi::{Params, RingMemory, SetupFlags};
use rustix::io::Errno;

pub(crate) use annulus_abi::{CqProducer, SqConsumer, SqEntry as Entry};
pub(crate) use mapping::{Mapping, page_size};
pub(crate) use resize::resized;

use layout::Layout;

/// A ring's memory and the device's ends of its queues.
///
/// Whoever takes it apart keeps `mapping` until nobody uses the other parts any more.
#[derive(Debug)]
pub(crate) struct Rings {
    /// The program's view: what a back end hands out.
    pub(crate) memory: RingMemory,
    pub(crate) sq: SqConsumer,
    pub(crate) cq: CqProducer,
    /// As they were set up, with the offsets that are in force.
    pub(crate) params: Params,
    pub(crate) mapping: Mapping,
}

/// The indices that empty queues begin with.
#[derive(Clone, Copy, Debug, Default)]
struct Start {
    sq: u32,
    cq: u32,
}

impl Rings {
    /// Empty queues of the sizes in `params`, which are checked, and fills in their offsets.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EMFILE` and `ENFILE`; for memory that the program gave `EFAULT`, `EINVAL` and `EOVERFLOW`.
    ///
    /// # Safety
    ///
    /// With `IORING_SETUP_NO_MMAP`, memory at the addresses in `params` is the ring's for as long as the
    /// result and its parts live.
    pub(crate) unsafe fn new(params: &mut Params) -> Result<Self, Errno> {
        // SAFETY: the contract of this function.
        unsafe { Self::starting_at(params, Start::default()) }
    }

    /// Gives the ring new sizes: see [`resized`]. Nothing changes if that fails.
    ///
    /// # Errors
    ///
    /// Those of [`resized`].
    ///
    /// # Safety
    ///
    /// Nobody else uses an end of either queue meanwhile, and nobody the memory of before afterwards. Addresses in
    /// `params`: as for [`Rings::new`].
    pub(crate) unsafe fn resize(&mut self, params: &mut Params) -> Result<(), Errno> {
        self.sq.publish();
        self.cq.publish();
        // SAFETY: the contract of this function; the ends of this ring published everything just now.
        if let Some(rings) = unsafe { resized(&self.memory, &self.mapping, &self.params, params) }? {
            *self = rings;
        }
        Ok(())
    }

    /// # Safety
    ///
    /// That of [`Rings::new`].
    unsafe fn starting_at(params: &mut Params, start: Start) -> Result<Self, Errno> {
        let layout = Layout::of(params);
        let mapping = if params.setup_flags().contains(SetupFlags::NO_MMAP) {
            // SAFETY: the contract of this function.
            unsafe { Mapping::adopt(&layout) }?
        } else {
            Mapping::allocate(&layout)?
        };
        (params.sq_off, params.cq_off) = (layout.sq, layout.cq);
        let (sq, cq) = (&layout.sq, &layout.cq);
        let words = [
            (sq.head, start.sq),
            (sq.tail, start.sq),
            (cq.head, start.cq),
            (cq.tail, start.cq),
            (sq.ring_mask, params.sq_entries - 1),
            (cq.ring_mask, params.cq_entries - 1),
            (sq.ring_entries, params.sq_entries),
            (cq.ring_entries, params.cq_entries),
        ];
        for (offset, value) in words {
            mapping.store(offset, value);
        }
        // SAFETY: the mapping is stored beside the memory, and nothing else refers to it yet.
        let memory = unsafe { RingMemory::new(mapping.regions(), params) };
        let memory = memory.expect("a layout of this crate's own fits the regions that were made for it");
        // SAFETY: the first one, in memory that is kept beside it.
        let sq = unsafe { memory.sq_consumer() };
        // SAFETY: as above.
        let cq = unsafe { memory.cq_producer() };
        Ok(Self { memory, sq, cq, params: *params, mapping })
    }
}
