//! A ring in memory of the tests' own, whose words they can reach, and tests of the layout checks.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;
use std::boxed::Box;
use std::vec::Vec;

use super::*;

/// A ring in memory of the test's own, with the offsets of Linux 6.18.
pub(super) struct Ring {
    pub(super) memory: RingMemory,
    words: NonNull<AtomicU32>,
    _regions: [Box<[u64]>; 2],
}

pub(super) const SQ_HEAD: usize = 0;
pub(super) const SQ_TAIL: usize = 1;
pub(super) const CQ_HEAD: usize = 2;
pub(super) const CQ_TAIL: usize = 3;
pub(super) const SQ_DROPPED: usize = 8;
pub(super) const SQ_FLAGS: usize = 9;
pub(super) const CQ_FLAGS: usize = 10;
pub(super) const CQ_OVERFLOW: usize = 11;

pub(super) fn params(entries: u32, flags: SetupFlags) -> Params {
    let mut params =
        Params { sq_entries: entries, cq_entries: 2 * entries, flags: flags.bits(), ..Params::default() };
    (params.sq_off.head, params.sq_off.tail, params.sq_off.flags, params.sq_off.dropped) = (0, 4, 36, 32);
    (params.cq_off.head, params.cq_off.tail, params.cq_off.overflow) = (8, 12, 44);
    (params.cq_off.flags, params.cq_off.cqes) = (40, 64);
    params.sq_off.array = 64 + 2 * entries * 32;
    params
}

fn regions(entries: u32) -> ([Box<[u64]>; 2], Regions) {
    let zeroed = |words: usize| std::vec![0_u64; words].into_boxed_slice();
    // Room for entries of the larger sizes too.
    let mut memory = [zeroed(64 + 10 * entries as usize), zeroed(16 * entries as usize)];
    let [ring, sqes] = &mut memory;
    let region =
        |bytes: &mut [u64]| Region { start: NonNull::from(&mut *bytes).cast(), len: size_of_val(bytes) };
    let (ring, sqes) = (region(ring), region(sqes));
    (memory, Regions { sq_ring: ring, cq_ring: ring, sqes })
}

pub(super) fn ring(entries: u32) -> Ring {
    ring_with(entries, SetupFlags::NO_SQARRAY)
}

pub(super) fn ring_with(entries: u32, flags: SetupFlags) -> Ring {
    let (memory, regions) = regions(entries);
    let params = params(entries, flags);
    let words = regions.sq_ring.start.cast();
    // SAFETY: the boxes live beside the result.
    let ring = unsafe { RingMemory::new(&regions, &params) }.unwrap();
    Ring { memory: ring, words, _regions: memory }
}

/// A word of the index array, which lies behind the header and the completions.
pub(super) fn array_word(ring: &Ring, place: usize) -> &AtomicU32 {
    ring.word(16 + 16 * ring.memory.sq_entries() as usize + place)
}

impl Ring {
    pub(super) fn word(&self, n: usize) -> &AtomicU32 {
        // SAFETY: the tests name words of the header and of the array, which lie in the first box.
        unsafe { &*self.words.as_ptr().wrapping_add(n) }
    }

    pub(super) fn producer(&self) -> SqProducer<'_, Sqe> {
        // SAFETY: the tests take one at a time.
        unsafe { self.memory.sq_producer() }
    }

    pub(super) fn consumer(&self) -> CqConsumer<'_, Cqe> {
        // SAFETY: the tests take one at a time.
        unsafe { self.memory.cq_consumer() }
    }

    pub(super) fn sqe(&self, slot: usize) -> Sqe {
        // SAFETY: the tests name slots that exist.
        unsafe { self.memory.sqes.cast::<Sqe>().as_ptr().wrapping_add(slot).read() }
    }

    pub(super) fn complete(&self, user_data: u64) {
        let tail = self.word(CQ_TAIL).load(Relaxed);
        let slot = (tail % self.memory.cq_entries()) as usize;
        // SAFETY: a masked slot.
        unsafe {
            self.memory.cqes.cast::<Cqe>().as_ptr().wrapping_add(slot).write(Cqe {
                user_data,
                res: 0,
                flags: 0,
            })
        };
        self.word(CQ_TAIL).store(tail.wrapping_add(1), Relaxed);
    }
}

pub(super) fn nop(user_data: u64) -> Sqe {
    Sqe { user_data, ..Sqe::new(0) }
}

#[test]
fn layouts_that_leave_their_region_are_refused() {
    let (_memory, regions) = regions(4);
    let refused = |params: Params| {
        // SAFETY: the boxes live until the end of the test.
        unsafe { RingMemory::new(&regions, &params) }.unwrap_err()
    };
    let mut outside = params(4, SetupFlags::NO_SQARRAY);
    outside.cq_off.tail = 1 << 20;
    assert_eq!(
        refused(outside),
        LayoutError::Outside { what: "cq_off.tail", offset: 1 << 20, len: regions.cq_ring.len }
    );
    let mut crooked = params(4, SetupFlags::NO_SQARRAY);
    crooked.sq_off.head = 2;
    assert!(matches!(refused(crooked), LayoutError::Outside { what: "sq_off.head", .. }));
    let mut odd = params(4, SetupFlags::NO_SQARRAY);
    odd.sq_entries = 3;
    assert_eq!(refused(odd), LayoutError::NotPowerOfTwo { what: "sq_entries", entries: 3 });
    assert!(matches!(
        refused(params(256, SetupFlags::NO_SQARRAY)),
        LayoutError::Outside { what: "sqes", .. }
    ));
}

#[test]
fn the_index_array_names_each_entry_by_its_slot() {
    let (memory, regions) = regions(4);
    let params = params(4, SetupFlags::empty());
    // SAFETY: the boxes live until the end of the test.
    let _ring = unsafe { RingMemory::new(&regions, &params) }.unwrap();
    let at = params.sq_off.array as usize / 8;
    let array: Vec<u8> = memory[0][at..at + 2].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let array: Vec<u32> = array.chunks(4).map(|b| u32::from_ne_bytes(b.try_into().unwrap())).collect();
    assert_eq!(array, [0, 1, 2, 3]);
}

#[test]
fn a_ring_before_linux_5_8_has_no_completion_flags() {
    let (_memory, regions) = regions(4);
    let mut params = params(4, SetupFlags::NO_SQARRAY);
    params.cq_off.flags = 0;
    // SAFETY: the boxes live until the end of the test.
    let ring = unsafe { RingMemory::new(&regions, &params) }.unwrap();
    assert_eq!(ring.cq_flags(), None);
    assert!(!ring.set_cq_flags(CqRingFlags::EVENTFD_DISABLED, true));
}
