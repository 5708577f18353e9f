//! Tests of the two ends against a device's side played by hand.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;
use std::boxed::Box;
use std::vec::Vec;

use super::*;

/// A ring in memory of the test's own, with the offsets of Linux 6.18.
struct Ring {
    memory: RingMemory,
    words: NonNull<AtomicU32>,
    _regions: [Box<[u64]>; 2],
}

const SQ_HEAD: usize = 0;
const SQ_TAIL: usize = 1;
const CQ_HEAD: usize = 2;
const CQ_TAIL: usize = 3;
const SQ_FLAGS: usize = 9;

fn params(entries: u32, flags: SetupFlags) -> Params {
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
    let mut memory = [zeroed(64 + 10 * entries as usize), zeroed(16 * entries as usize)];
    let [ring, sqes] = &mut memory;
    let region =
        |bytes: &mut [u64]| Region { start: NonNull::from(&mut *bytes).cast(), len: size_of_val(bytes) };
    let (ring, sqes) = (region(ring), region(sqes));
    (memory, Regions { sq_ring: ring, cq_ring: ring, sqes })
}

fn ring(entries: u32) -> Ring {
    let (memory, regions) = regions(entries);
    let params = params(entries, SetupFlags::NO_SQARRAY);
    let words = regions.sq_ring.start.cast();
    // SAFETY: the boxes live beside the result.
    let ring = unsafe { RingMemory::new(&regions, &params) }.unwrap();
    Ring { memory: ring, words, _regions: memory }
}

impl Ring {
    fn word(&self, n: usize) -> &AtomicU32 {
        // SAFETY: the header holds sixteen words.
        unsafe { &*self.words.as_ptr().wrapping_add(n) }
    }

    fn producer(&self) -> SqProducer<'_, Sqe> {
        // SAFETY: the tests take one at a time.
        unsafe { self.memory.sq_producer() }
    }

    fn consumer(&self) -> CqConsumer<'_, Cqe> {
        // SAFETY: the tests take one at a time.
        unsafe { self.memory.cq_consumer() }
    }

    fn sqe(&self, slot: usize) -> Sqe {
        // SAFETY: the tests name slots that exist.
        unsafe { self.memory.sqes.cast::<Sqe>().as_ptr().wrapping_add(slot).read() }
    }

    fn complete(&self, user_data: u64) {
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

fn nop(user_data: u64) -> Sqe {
    Sqe { user_data, ..Sqe::new(0) }
}

#[test]
fn pushed_entries_show_only_once_the_end_is_dropped() {
    let ring = ring(4);
    let mut end = ring.producer();
    assert!(end.push(&nop(7)));
    assert_eq!(ring.word(SQ_TAIL).load(Relaxed), 0);
    drop(end);
    assert_eq!(ring.word(SQ_TAIL).load(Relaxed), 1);
    assert_eq!((ring.sqe(0).user_data, ring.memory.sq_len()), (7, 1));
}

#[test]
fn a_full_queue_refuses_until_the_other_side_consumed() {
    let ring = ring(2);
    let mut end = ring.producer();
    assert!(end.push_all(&[nop(1), nop(2)]));
    assert!(!end.push(&nop(3)));
    assert!(!end.push_all(&[nop(3)]));
    ring.word(SQ_HEAD).store(1, Relaxed);
    assert!(end.is_full(), "the head is a snapshot until sync");
    end.sync();
    assert!(end.push(&nop(3)));
    drop(end);
    assert_eq!(ring.sqe(0).user_data, 3);
}

#[test]
fn an_end_through_which_nothing_went_stores_nothing() {
    let ring = ring(4);
    let end = ring.producer();
    ring.word(SQ_TAIL).store(9, Relaxed);
    drop(end);
    assert_eq!(ring.word(SQ_TAIL).load(Relaxed), 9);
    let end = ring.consumer();
    ring.word(CQ_HEAD).store(9, Relaxed);
    drop(end);
    assert_eq!(ring.word(CQ_HEAD).load(Relaxed), 9);
}

#[test]
fn indices_run_over_the_end_of_their_word() {
    let ring = ring(4);
    for index in [SQ_HEAD, SQ_TAIL, CQ_HEAD, CQ_TAIL] {
        ring.word(index).store(u32::MAX - 1, Relaxed);
    }
    let mut end = ring.producer();
    assert!(end.push_all(&[nop(1), nop(2), nop(3), nop(4)]));
    assert!(!end.push(&nop(5)));
    drop(end);
    assert_eq!(ring.word(SQ_TAIL).load(Relaxed), 2);
    assert_eq!((ring.sqe(2).user_data, ring.sqe(0).user_data), (1, 3));
    (10..15).for_each(|n| ring.complete(n));
    let seen: Vec<u64> = core::iter::from_fn({
        let mut end = ring.consumer();
        move || end.pop().map(|cqe| cqe.user_data)
    })
    .collect();
    assert_eq!(seen, [10, 11, 12, 13, 14]);
    assert_eq!(ring.word(CQ_HEAD).load(Relaxed), 3);
}

#[test]
fn an_unpublished_entry_can_be_taken_back() {
    let ring = ring(4);
    let mut end = ring.producer();
    assert!(end.push(&nop(1)));
    end.sync();
    assert!(end.push(&nop(2)));
    assert_eq!(end.pop().map(|sqe| sqe.user_data), Some(2));
    assert_eq!(end.pop(), None, "what is published belongs to the other side");
}

#[test]
fn ready_entries_come_in_two_slices_where_the_ring_wraps() {
    let ring = ring(2);
    for index in [CQ_HEAD, CQ_TAIL] {
        ring.word(index).store(3, Relaxed);
    }
    (0..3).for_each(|n| ring.complete(n));
    let mut end = ring.consumer();
    let (older, newer) = end.ready();
    assert_eq!((older.len(), newer.len()), (1, 2));
    assert_eq!((older[0].user_data, newer[1].user_data), (0, 2));
    assert_eq!((end.advance(2), end.advance(9)), (2, 1));
    end.sync();
    assert_eq!(ring.word(CQ_HEAD).load(Relaxed), 6);
}

#[test]
fn a_wide_entry_never_wraps_and_a_nop_fills_the_gap() {
    let ring = ring(4);
    let wide = Sqe128 { base: nop(5), extra: [0xa5; 64] };
    let filler = Sqe { flags: crate::SqeFlags::CQE_SKIP_SUCCESS.bits(), ..nop(0) };
    let mut end = ring.producer();
    assert!(end.push_all(&[nop(1), nop(2), nop(3)]));
    assert!(!end.push_wide(&wide, &filler), "one slot is left");
    end.publish();
    ring.word(SQ_HEAD).store(3, Relaxed);
    end.sync();
    assert!(end.push_wide(&wide, &filler));
    drop(end);
    assert_eq!(ring.word(SQ_TAIL).load(Relaxed), 6);
    assert_eq!(ring.sqe(3).flags, crate::SqeFlags::CQE_SKIP_SUCCESS.bits());
    assert_eq!((ring.sqe(0).user_data, ring.sqe(1).pad2), (5, 0xa5a5_a5a5_a5a5_a5a5));
}

#[test]
fn flags_of_the_other_side_are_seen() {
    let ring = ring(2);
    ring.word(SQ_FLAGS).store(SqRingFlags::NEED_WAKEUP.bits(), Relaxed);
    assert_eq!(ring.memory.sq_flags_after_fence(), SqRingFlags::NEED_WAKEUP);
    assert!(ring.memory.set_cq_flags(CqRingFlags::EVENTFD_DISABLED, true));
    assert_eq!(ring.memory.cq_flags(), Some(CqRingFlags::EVENTFD_DISABLED));
    assert!(ring.memory.set_cq_flags(CqRingFlags::EVENTFD_DISABLED, false));
    assert_eq!(ring.memory.cq_flags(), Some(CqRingFlags::empty()));
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
