//! The memory that both sides of a ring share, behind checked accessors.
//!
//! ```text
//!                 written by            read by          store     pairs with the load
//!   sq.tail       the program           back end         Release   Acquire: entries below it are whole
//!   sq.head       back end              the program      Release   Acquire: slots below it may be reused
//!   sq.flags      back end              the program      Relaxed   after a SeqCst fence, see `sq_flags_after_fence`
//!   sq.dropped    back end              the program      Relaxed   Relaxed: a counter
//!   cq.tail       back end              the program      Release   Acquire: entries below it are whole
//!   cq.head       the program           back end         Release   Acquire: slots below it may be reused
//!   cq.overflow   back end              the program      Relaxed   Relaxed: a counter
//!   cq.flags      the program           back end         Relaxed   Relaxed: a hint
//! ```
//!
//! Every index runs freely over 32 bits and is masked only where it names a slot. What is checked
//! once, in [`RingMemory::new`]: each index lies aligned inside its region, entry counts are
//! powers of two, and the entry arrays fit their regions; so no later access can leave them.
//! [`SqProducer`] and [`CqConsumer`] (`program.rs`) are the program's ends of the two queues, [`SqConsumer`] and
//! [`CqProducer`] (`device.rs`) the back end's, where that is no kernel. What no check can establish is that
//! there is only one of each at a time, so taking one is `unsafe`; using it is not.
//!
//! This folder neither maps nor frees anything: regions belong to the back end.
#![allow(unsafe_code, reason = "shared memory is reached through pointers; RingMemory::new checks them all")]

use core::fmt;
use core::mem::{align_of, size_of};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering, fence};

mod device;
mod program;

pub use device::{CqProducer, SqConsumer, SqEntry};
pub use program::{CqConsumer, SqProducer};

use crate::{CqRingFlags, Cqe, Cqe32, Params, SetupFlags, SqRingFlags, Sqe, Sqe128};

/// An entry that may lie in a queue: plain data without padding, valid in any bit pattern.
///
/// # Safety
///
/// Every bit pattern of the type's size is a valid value, and it holds no padding and no reference.
pub unsafe trait Slot: Copy + fmt::Debug + 'static {}

// SAFETY: integers only; the layout assertions beside the type exclude padding.
unsafe impl Slot for Sqe {}
// SAFETY: as above.
unsafe impl Slot for Sqe128 {}
// SAFETY: as above.
unsafe impl Slot for Cqe {}
// SAFETY: as above.
unsafe impl Slot for Cqe32 {}

/// A piece of shared memory: where it starts and how many bytes it holds.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// The first byte.
    pub start: NonNull<u8>,
    /// Size in bytes.
    pub len: usize,
}

/// The three regions of a ring. With `IORING_FEAT_SINGLE_MMAP` the first two are the same.
#[derive(Clone, Copy, Debug)]
pub struct Regions {
    /// Holds the indices of the submission queue and, unless `IORING_SETUP_NO_SQARRAY`, its array.
    pub sq_ring: Region,
    /// Holds the indices and the entries of the completion queue.
    pub cq_ring: Region,
    /// Holds the submission queue entries.
    pub sqes: Region,
}

/// Why the parameters and the regions of a ring do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutError {
    /// `what` lies at byte `offset` of a region of `len` bytes: outside, or not aligned.
    Outside {
        /// The field of `struct io_uring_params`.
        what: &'static str,
        /// Where it should lie.
        offset: usize,
        /// How long the region is.
        len: usize,
    },
    /// `what` should be a power of two and is `entries`.
    NotPowerOfTwo {
        /// The field of `struct io_uring_params`.
        what: &'static str,
        /// Its value.
        entries: u32,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Outside { what, offset, len } => {
                write!(f, "ring layout: {what} at byte {offset} does not fit a region of {len} bytes")
            }
            Self::NotPowerOfTwo { what, entries } => {
                write!(f, "ring layout: {what} is {entries}, which is no power of two")
            }
        }
    }
}

impl core::error::Error for LayoutError {}

/// The indices and entries of one ring, checked once.
#[derive(Debug)]
pub struct RingMemory {
    sq_head: NonNull<AtomicU32>,
    sq_tail: NonNull<AtomicU32>,
    sq_flags: NonNull<AtomicU32>,
    sq_dropped: NonNull<AtomicU32>,
    cq_head: NonNull<AtomicU32>,
    cq_tail: NonNull<AtomicU32>,
    cq_overflow: NonNull<AtomicU32>,
    cq_flags: Option<NonNull<AtomicU32>>,
    /// What names the entries; `None` with `IORING_SETUP_NO_SQARRAY`.
    sq_array: Option<NonNull<AtomicU32>>,
    sqes: NonNull<u8>,
    cqes: NonNull<u8>,
    sq_entries: u32,
    cq_entries: u32,
    sqe_size: usize,
    cqe_size: usize,
    /// Whether completions of both sizes lie in the queue (`IORING_SETUP_CQE_MIXED`).
    cqe_mixed: bool,
}

// SAFETY: the pointers lead to memory shared with another process or the kernel anyway; indices are
// atomics, and entries are reached only through the two ends, whose uniqueness their constructors demand.
unsafe impl Send for RingMemory {}
// SAFETY: as above.
unsafe impl Sync for RingMemory {}

impl RingMemory {
    /// Checks the regions against the parameters that the back end filled in, and fills the
    /// submission queue's array (where there is one) so that slot `i` always names entry `i`.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if an index or an array would lie outside its region.
    ///
    /// # Safety
    ///
    /// The regions are readable and writable, and stay so for as long as the result lives; nobody
    /// holds a Rust reference into them.
    pub unsafe fn new(regions: &Regions, params: &Params) -> Result<Self, LayoutError> {
        let flags = SetupFlags::from_bits_retain(params.flags);
        let sqe_size =
            if flags.contains(SetupFlags::SQE128) { size_of::<Sqe128>() } else { size_of::<Sqe>() };
        let cqe_size = if flags.contains(SetupFlags::CQE32) { size_of::<Cqe32>() } else { size_of::<Cqe>() };
        let (sq, cq) = (&params.sq_off, &params.cq_off);
        let sq_entries = power_of_two("sq_entries", params.sq_entries)?;
        let cq_entries = power_of_two("cq_entries", params.cq_entries)?;
        let sq_index = |what, offset| regions.sq_ring.index(what, offset);
        let cq_index = |what, offset| regions.cq_ring.index(what, offset);
        let sq_array = if flags.contains(SetupFlags::NO_SQARRAY) {
            None
        } else {
            Some(regions.sq_ring.array("sq_off.array", sq.array, sq_entries, size_of::<u32>())?.cast())
        };
        let memory = Self {
            sq_array,
            sq_head: sq_index("sq_off.head", sq.head)?,
            sq_tail: sq_index("sq_off.tail", sq.tail)?,
            sq_flags: sq_index("sq_off.flags", sq.flags)?,
            sq_dropped: sq_index("sq_off.dropped", sq.dropped)?,
            cq_head: cq_index("cq_off.head", cq.head)?,
            cq_tail: cq_index("cq_off.tail", cq.tail)?,
            cq_overflow: cq_index("cq_off.overflow", cq.overflow)?,
            // Kernels before 5.8 leave the offset zero: they have no such word.
            cq_flags: if cq.flags == 0 { None } else { Some(cq_index("cq_off.flags", cq.flags)?) },
            sqes: regions.sqes.array("sqes", 0, sq_entries, sqe_size)?,
            cqes: regions.cq_ring.array("cq_off.cqes", cq.cqes, cq_entries, cqe_size)?,
            sq_entries,
            cq_entries,
            sqe_size,
            cqe_size,
            cqe_mixed: flags.contains(SetupFlags::CQE_MIXED),
        };
        if let Some(array) = sq_array {
            for i in 0..sq_entries {
                // SAFETY: `array` checked that `sq_entries` words lie here.
                let word = unsafe { array.add(i as usize) };
                at(word).store(i, Ordering::Relaxed);
            }
        }
        Ok(memory)
    }

    /// A second view of the same memory, to be kept where a reference into the back end cannot be.
    ///
    /// # Safety
    ///
    /// The regions outlive the result too.
    #[must_use]
    pub const unsafe fn alias(&self) -> Self {
        Self { ..*self }
    }

    /// Entries of the submission queue.
    #[must_use]
    pub const fn sq_entries(&self) -> u32 {
        self.sq_entries
    }

    /// Entries of the completion queue (of 16 bytes on a mixed ring).
    #[must_use]
    pub const fn cq_entries(&self) -> u32 {
        self.cq_entries
    }

    /// Published and not yet consumed submissions.
    #[must_use]
    #[inline]
    pub fn sq_len(&self) -> u32 {
        // Relaxed: the program itself stored the tail. Acquire: slots below the head may be reused.
        let tail = at(self.sq_tail).load(Ordering::Relaxed);
        tail.wrapping_sub(at(self.sq_head).load(Ordering::Acquire))
    }

    /// Completions that are there and not yet given back.
    #[must_use]
    #[inline]
    pub fn cq_len(&self) -> u32 {
        // Acquire pairs with the back end's Release: the entries below the tail are whole.
        let tail = at(self.cq_tail).load(Ordering::Acquire);
        tail.wrapping_sub(at(self.cq_head).load(Ordering::Relaxed))
    }

    /// The flags of the submission ring as they are, good for the bits that the back end sets from
    /// the program's own calls (`CQ_OVERFLOW`, `TASKRUN`).
    #[must_use]
    #[inline]
    pub fn sq_flags(&self) -> SqRingFlags {
        // Relaxed: the bits say that an enter is worth while and publish no other data.
        SqRingFlags::from_bits_retain(at(self.sq_flags).load(Ordering::Relaxed))
    }

    /// The flags of the submission ring, ordered after every earlier store of the tail: the only
    /// right way to ask for `NEED_WAKEUP`.
    ///
    /// The polling thread sets the flag, fences, then looks at the tail once more before it
    /// sleeps; the program stores the tail, fences, then looks at the flag. One of them must see
    /// the other's store, which only two sequentially consistent fences give.
    #[must_use]
    #[inline]
    pub fn sq_flags_after_fence(&self) -> SqRingFlags {
        fence(Ordering::SeqCst);
        self.sq_flags()
    }

    /// Submissions that the back end refused to read: their array slot named no entry.
    #[must_use]
    pub fn sq_dropped(&self) -> u32 {
        at(self.sq_dropped).load(Ordering::Relaxed)
    }

    /// Completions that were lost because the queue was full, on kernels without `IORING_FEAT_NODROP`.
    #[must_use]
    pub fn cq_overflow(&self) -> u32 {
        at(self.cq_overflow).load(Ordering::Relaxed)
    }

    /// The flags that the program keeps on the completion ring; `None` before Linux 5.8.
    #[must_use]
    pub fn cq_flags(&self) -> Option<CqRingFlags> {
        self.cq_flags.map(|word| CqRingFlags::from_bits_retain(at(word).load(Ordering::Relaxed)))
    }

    /// Sets or clears flags of the completion ring. Says whether this ring has such a word.
    #[must_use]
    pub fn set_cq_flags(&self, flags: CqRingFlags, on: bool) -> bool {
        let Some(word) = self.cq_flags else { return false };
        // Relaxed: the back end reads the word whenever it posts, as a hint.
        if on {
            at(word).fetch_or(flags.bits(), Ordering::Relaxed);
        } else {
            at(word).fetch_and(!flags.bits(), Ordering::Relaxed);
        }
        true
    }

    /// Bytes from one submission queue entry to the next: 64 or 128.
    #[must_use]
    pub const fn sqe_size(&self) -> usize {
        self.sqe_size
    }

    /// Bytes from one completion queue entry to the next: 16 or 32.
    #[must_use]
    pub const fn cqe_size(&self) -> usize {
        self.cqe_size
    }
}

impl Region {
    fn index(&self, what: &'static str, offset: u32) -> Result<NonNull<AtomicU32>, LayoutError> {
        Ok(self.array(what, offset, 1, size_of::<u32>())?.cast())
    }

    /// The start of `count` elements of `size` bytes at `offset`, if they lie inside, aligned.
    fn array(
        &self,
        what: &'static str,
        offset: u32,
        count: u32,
        size: usize,
    ) -> Result<NonNull<u8>, LayoutError> {
        let offset = offset as usize;
        let outside = LayoutError::Outside { what, offset, len: self.len };
        let bytes = (count as usize).checked_mul(size).ok_or(outside)?;
        let end = offset.checked_add(bytes).ok_or(outside)?;
        let align = if size == size_of::<u32>() { align_of::<u32>() } else { align_of::<u64>() };
        if end > self.len || !(self.start.as_ptr().addr() + offset).is_multiple_of(align) {
            return Err(outside);
        }
        // SAFETY: `offset` lies inside the region, as just checked.
        Ok(unsafe { self.start.add(offset) })
    }
}

const fn power_of_two(what: &'static str, entries: u32) -> Result<u32, LayoutError> {
    if entries.is_power_of_two() { Ok(entries) } else { Err(LayoutError::NotPowerOfTwo { what, entries }) }
}

/// The index word behind a checked pointer.
#[inline]
const fn at<'m>(word: NonNull<AtomicU32>) -> &'m AtomicU32 {
    // SAFETY: every such pointer comes from `Region::index` in `RingMemory::new`, whose caller keeps
    // the regions alive as long as the `RingMemory` that all callers of this function borrow.
    unsafe { word.as_ref() }
}

#[cfg(test)]
mod tests;
