//! The memory of a ring: mapped from its descriptor, or given to it (`IORING_SETUP_NO_MMAP`).
//!
//! Nothing here reads or writes that memory; `RingMemory` does, through pointers that are good for
//! as long as a [`Mappings`] lives.
#![allow(unsafe_code, reason = "maps and unmaps")]

use std::mem::size_of;
use std::os::fd::RawFd;
use std::ptr::NonNull;

use annulus_abi::{
    Cqe, Cqe32, Features, IORING_OFF_CQ_RING, IORING_OFF_SQ_RING, IORING_OFF_SQES, Params, Region, Regions,
    SetupFlags, Sqe, Sqe128,
};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};

use super::RingSource;
use super::calls::SystemCalls;
use crate::pages::page_size;

/// The size of a huge page that x86-64 and most aarch64 systems have.
const HUGE_PAGE: usize = 2 << 20;
/// More than the indices take before the entries begin, on any kernel so far (64 on 6.18, 320 on 5.10).
const RING_HEADER: usize = 512;

/// The three regions of a ring and what has to be undone for them.
#[derive(Debug)]
pub(crate) struct Mappings {
    pub(super) regions: Regions,
    owned: Vec<Owned>,
}

/// One mapping to undo.
#[derive(Debug)]
struct Owned {
    region: Region,
    unmap: unsafe fn(NonNull<u8>, usize),
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Mappings {}
// SAFETY: shared access only reads addresses and sizes.
unsafe impl Sync for Mappings {}

/// Memory for a ring that is given its own, named in its parameters; `None` for one that the kernel allocates.
///
/// # Errors
///
/// `ENOMEM` if there is none, or too little was given; `EINVAL` if that does not start on a page.
pub(crate) fn give_memory(
    source: RingSource,
    entries: u32,
    params: &mut Params,
) -> Result<Option<Mappings>, Errno> {
    let mappings = match source {
        RingSource::Kernel => return Ok(None),
        RingSource::Anonymous => Mappings::anonymous(entries, params)?,
        RingSource::Given(memory) => Mappings::given(memory, entries, params)?,
    };
    params.flags |= SetupFlags::NO_MMAP.bits();
    params.cq_off.user_addr = mappings.regions.cq_ring.start.as_ptr().expose_provenance() as u64;
    params.sq_off.user_addr = mappings.regions.sqes.start.as_ptr().expose_provenance() as u64;
    Ok(Some(mappings))
}

impl Mappings {
    /// Maps the rings of an open descriptor.
    ///
    /// # Errors
    ///
    /// `ENOMEM` and what else mmap(2) says.
    ///
    /// # Safety
    ///
    /// `fd` is a ring that was set up through `calls` with the parameters `params`.
    pub(super) unsafe fn of_fd(calls: &SystemCalls, fd: RawFd, params: &Params) -> Result<Self, Errno> {
        let [sq_len, cq_len] = ring_sizes(params);
        let mut owned = Vec::with_capacity(3);
        let mut map = |len, offset| {
            // SAFETY: the contract of this function: `fd` belongs to `calls`.
            let start = unsafe { (calls.map)(fd, len, offset) }?;
            let region = Region { start, len };
            owned.push(Owned { region, unmap: calls.unmap });
            Ok::<_, Errno>(region)
        };
        let result = (|| {
            let sqes = map(sqes_size(params), IORING_OFF_SQES)?;
            if params.feature_flags().contains(Features::SINGLE_MMAP) {
                let both = map(sq_len.max(cq_len), IORING_OFF_SQ_RING)?;
                return Ok(Regions { sq_ring: both, cq_ring: both, sqes });
            }
            let sq_ring = map(sq_len, IORING_OFF_SQ_RING)?;
            Ok(Regions { sq_ring, cq_ring: map(cq_len, IORING_OFF_CQ_RING)?, sqes })
        })();
        match result {
            Ok(regions) => Ok(Self { regions, owned }),
            Err(errno) => {
                owned.iter().for_each(Owned::unmap);
                Err(errno)
            }
        }
    }

    /// Allocates memory for a ring that takes it from the program: huge pages where they are to be had.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn anonymous(entries: u32, params: &Params) -> Result<Self, Errno> {
        let [rings, sqes] = given_sizes(entries, params);
        let total = rings.next_multiple_of(page_size()) + sqes.next_multiple_of(page_size());
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let huge = total.next_multiple_of(HUGE_PAGE);
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), huge, protection, flags | MapFlags::HUGETLB)
        };
        let (start, len) = match start {
            Ok(start) => (start, huge),
            Err(_) => {
                // SAFETY: as above.
                let start =
                    unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), total, protection, flags) }?;
                (start, total)
            }
        };
        let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        let whole = Region { start, len };
        let unmap = SystemCalls::LINUX.unmap;
        Ok(Self { regions: split(whole, rings), owned: vec![Owned { region: whole, unmap }] })
    }

    /// Uses the caller's memory.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if it is smaller than [`memory_size`], `EINVAL` if it does not start on a page.
    pub(super) fn given(memory: Region, entries: u32, params: &Params) -> Result<Self, Errno> {
        if memory.len < memory_size(entries, params) {
            return Err(Errno::NOMEM);
        }
        if !memory.start.as_ptr().addr().is_multiple_of(page_size()) {
            return Err(Errno::INVAL);
        }
        let [rings, _] = given_sizes(entries, params);
        Ok(Self { regions: split(memory, rings), owned: Vec::new() })
    }

    /// Keeps the rings out of children of fork(2).
    ///
    /// # Errors
    ///
    /// What madvise(2) says.
    pub(super) fn dontfork(&self) -> Result<(), Errno> {
        let Regions { sq_ring, cq_ring, sqes } = self.regions;
        for region in [sq_ring, cq_ring, sqes] {
            // SAFETY: the region is mapped, and whether children inherit it changes nothing here.
            unsafe { rustix::mm::madvise(region.start.as_ptr().cast(), region.len, Advice::LinuxDontFork) }?;
        }
        Ok(())
    }
}

impl Drop for Mappings {
    fn drop(&mut self) {
        self.owned.iter().for_each(Owned::unmap);
    }
}

impl Owned {
    fn unmap(&self) {
        // SAFETY: the region came from the mapping call that goes with `unmap`, and its owner is going away.
        unsafe { (self.unmap)(self.region.start, self.region.len) };
    }
}

/// Bytes of memory that a ring of this size takes: what it counts against `RLIMIT_MEMLOCK`, and what
/// `IORING_SETUP_NO_MMAP` wants to be given. Generous by less than a page in each part.
pub(crate) fn memory_size(entries: u32, params: &Params) -> usize {
    let [rings, sqes] = given_sizes(entries, params);
    rings.next_multiple_of(page_size()) + sqes.next_multiple_of(page_size())
}

/// Sizes of the SQ and the CQ region of a ring that is set up.
const fn ring_sizes(params: &Params) -> [usize; 2] {
    let array = if params.setup_flags().contains(SetupFlags::NO_SQARRAY) {
        // There is no array: what is left are the indices, which lie before the entries.
        params.cq_off.cqes as usize
    } else {
        params.sq_off.array as usize + params.sq_entries as usize * size_of::<u32>()
    };
    [array, params.cq_off.cqes as usize + params.cq_entries as usize * cqe_size(params)]
}

/// Sizes of the rings and of the entries for memory that is allocated before the kernel says its offsets.
/// A number of entries that the kernel will clamp or refuse counts as the largest that there can be.
fn given_sizes(entries: u32, params: &Params) -> [usize; 2] {
    let flags = params.setup_flags();
    let sq_entries = entries.clamp(1, Params::MAX_SQ_ENTRIES).next_power_of_two() as usize;
    let cq_entries = if flags.contains(SetupFlags::CQSIZE) {
        params.cq_entries.clamp(1, Params::MAX_CQ_ENTRIES).next_power_of_two() as usize
    } else {
        2 * sq_entries
    };
    let rings = RING_HEADER + cq_entries * cqe_size(params) + sq_entries * size_of::<u32>();
    [rings, sq_entries * sqe_size(params)]
}

/// Rings first, entries from the next page on.
fn split(whole: Region, rings: usize) -> Regions {
    let at = rings.next_multiple_of(page_size());
    let ring = Region { start: whole.start, len: at };
    // SAFETY: every caller allocated or checked `memory_size` bytes, of which `at` is the first part.
    let start = unsafe { whole.start.add(at) };
    Regions { sq_ring: ring, cq_ring: ring, sqes: Region { start, len: whole.len - at } }
}

const fn sqes_size(params: &Params) -> usize {
    params.sq_entries as usize * sqe_size(params)
}

const fn sqe_size(params: &Params) -> usize {
    let wide = params.setup_flags().contains(SetupFlags::SQE128);
    if wide { size_of::<Sqe128>() } else { size_of::<Sqe>() }
}

const fn cqe_size(params: &Params) -> usize {
    let wide = params.setup_flags().contains(SetupFlags::CQE32);
    if wide { size_of::<Cqe32>() } else { size_of::<Cqe>() }
}
