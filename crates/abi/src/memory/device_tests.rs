//! Tests of the device's ends against the program's, and against indices that no program should write.

use core::sync::atomic::Ordering::Relaxed;
use std::vec::Vec;

use super::super::tests::{
    CQ_FLAGS, CQ_HEAD, CQ_OVERFLOW, CQ_TAIL, Ring, SQ_DROPPED, SQ_HEAD, SQ_TAIL, array_word, nop, ring,
    ring_with,
};
use super::{CqProducer, SqConsumer};
use crate::{CqRingFlags, Cqe, Cqe32, CqeFlags, SetupFlags, SqRingFlags, Sqe128};

impl Ring {
    fn taker(&self) -> SqConsumer {
        // SAFETY: the tests take one at a time and drop it before the ring.
        unsafe { self.memory.sq_consumer() }
    }

    fn poster(&self) -> CqProducer {
        // SAFETY: the tests take one at a time and drop it before the ring.
        unsafe { self.memory.cq_producer() }
    }

    fn seen(&self) -> Vec<u64> {
        let mut end = self.consumer();
        core::iter::from_fn(|| end.pop().map(|cqe| cqe.user_data)).collect()
    }
}

fn cqe(user_data: u64) -> Cqe {
    Cqe { user_data, res: 7, flags: 0 }
}

fn wide(user_data: u64) -> Cqe {
    Cqe { flags: CqeFlags::F_32.bits(), ..cqe(user_data) }
}

fn taken(end: &mut SqConsumer) -> Vec<u64> {
    core::iter::from_fn(|| end.next().map(|entry| entry.sqe.user_data)).collect()
}

#[test]
fn slots_are_given_back_once_per_batch() {
    let ring = ring(4);
    assert!(ring.producer().push_all(&[nop(1), nop(2), nop(3)]));
    let mut end = ring.taker();
    assert_eq!(end.available(), 3);
    assert_eq!(taken(&mut end), [1, 2, 3]);
    assert_eq!((end.available(), ring.word(SQ_HEAD).load(Relaxed)), (0, 0));
    end.publish();
    assert_eq!(ring.word(SQ_HEAD).load(Relaxed), 3);
}

#[test]
fn entries_are_taken_across_the_end_of_the_index_word() {
    let ring = ring(4);
    for index in [SQ_HEAD, SQ_TAIL] {
        ring.word(index).store(u32::MAX - 1, Relaxed);
    }
    let mut end = ring.taker();
    for batch in [[1, 2, 3], [4, 5, 6]] {
        assert!(ring.producer().push_all(&batch.map(nop)));
        assert_eq!(taken(&mut end), batch);
        end.publish();
    }
    assert_eq!(ring.word(SQ_HEAD).load(Relaxed), 4);
}

#[test]
fn the_index_array_says_which_entry_comes_next() {
    let ring = ring_with(4, SetupFlags::empty());
    assert!(ring.producer().push_all(&[nop(10), nop(11), nop(12)]));
    for (place, slot) in [2, 0, 1].into_iter().enumerate() {
        array_word(&ring, place).store(slot, Relaxed);
    }
    assert_eq!(taken(&mut ring.taker()), [12, 10, 11]);
}

#[test]
fn an_index_that_names_no_entry_ends_the_batch_and_is_counted() {
    let ring = ring_with(4, SetupFlags::empty());
    assert!(ring.producer().push_all(&[nop(10), nop(11), nop(12)]));
    array_word(&ring, 1).store(4, Relaxed);
    let mut end = ring.taker();
    assert_eq!(taken(&mut end), [10]);
    assert_eq!(ring.word(SQ_DROPPED).load(Relaxed), 1);
    assert_eq!(taken(&mut end), [12], "the slot was passed over");
    end.publish();
    assert_eq!(ring.word(SQ_HEAD).load(Relaxed), 3);
}

#[test]
fn a_tail_out_of_bounds_offers_no_more_than_the_queue_holds() {
    let ring = ring(4);
    for tail in [5, 1 << 20, u32::MAX] {
        ring.word(SQ_TAIL).store(tail, Relaxed);
        let mut end = ring.taker();
        assert_eq!(end.available(), 4, "{tail}");
        let bound = end.available();
        assert_eq!((0..bound).filter_map(|_| end.next()).count(), 4, "{tail}");
    }
}

#[test]
fn the_second_half_of_an_entry_is_read_when_it_is_asked_for() {
    let ring = ring_with(4, SetupFlags::NO_SQARRAY | SetupFlags::SQE128);
    // SAFETY: the only one, of this ring's size.
    let mut program = unsafe { ring.memory.sq_producer::<Sqe128>() };
    for n in 0..2 {
        assert!(program.push(&Sqe128 { base: nop(n), extra: [n.to_le_bytes()[0] + 1; 64] }));
    }
    drop(program);
    let mut end = ring.taker();
    let entries = [end.next().unwrap(), end.next().unwrap()];
    assert_eq!(entries.map(|entry| entry.sqe.user_data), [0, 1]);
    assert_eq!(entries.map(|entry| end.extra(&entry)[63]), [1, 2]);
    let narrow = self::ring(4);
    assert!(narrow.producer().push(&nop(1)));
    let mut end = narrow.taker();
    let entry = end.next().unwrap();
    assert_eq!(end.extra(&entry), [0; 64]);
}

#[test]
fn completions_show_once_they_are_published() {
    let ring = ring(2);
    let mut end = ring.poster();
    assert!(end.push(&cqe(1), [0; 2]));
    assert_eq!((end.waiting(), end.free(), ring.seen()), (1, 3, std::vec![]));
    end.publish();
    assert_eq!(ring.seen(), [1]);
    assert_eq!((end.waiting(), end.free()), (0, 4));
}

#[test]
fn a_full_queue_refuses_until_the_program_gave_places_back() {
    let ring = ring(2);
    for index in [CQ_HEAD, CQ_TAIL] {
        ring.word(index).store(u32::MAX - 1, Relaxed);
    }
    let mut end = ring.poster();
    assert_eq!((0..9).take_while(|&n| end.push(&cqe(n), [0; 2])).count(), 4);
    end.publish();
    assert_eq!(ring.word(CQ_TAIL).load(Relaxed), 2);
    assert_eq!(ring.seen(), [0, 1, 2, 3]);
    assert!(end.push(&cqe(4), [0; 2]));
}

#[test]
fn a_head_out_of_bounds_never_makes_more_room_than_there_is() {
    let ring = ring(2);
    let mut end = ring.poster();
    assert!(end.push(&cqe(1), [0; 2]));
    for (head, waiting) in
        [(0, 1), (1, 0), (2, 0), (1 << 30, 0), (u32::MAX, 2), (1 << 31, 0), (u32::MAX << 30, 4)]
    {
        ring.word(CQ_HEAD).store(head, Relaxed);
        assert_eq!((end.waiting(), end.free()), (waiting, 4 - waiting), "{head:#x}");
    }
    assert_eq!((0..100).filter(|&n| end.push(&cqe(n), [0; 2])).count(), 3, "as far as known before");
}

#[test]
fn every_completion_of_a_wide_ring_brings_its_second_half() {
    let ring = ring_with(4, SetupFlags::NO_SQARRAY | SetupFlags::CQE32);
    let mut end = ring.poster();
    assert!((0..8).all(|n| end.push(&cqe(n), [n, 10 * n])));
    assert!(!end.push(&cqe(8), [0; 2]));
    end.publish();
    // SAFETY: the only one, of this ring's size.
    let mut program = unsafe { ring.memory.cq_consumer::<Cqe32>() };
    let extras: Vec<_> = core::iter::from_fn(|| program.pop()).map(|cqe| cqe.extra).collect();
    assert_eq!((extras[0], extras[7], extras.len()), ([0, 0], [7, 70], 8));
}

#[test]
fn a_wide_completion_of_a_mixed_ring_does_not_wrap() {
    let ring = ring_with(2, SetupFlags::NO_SQARRAY | SetupFlags::CQE_MIXED);
    let mut end = ring.poster();
    assert!((0..3).all(|n| end.push(&cqe(n), [0; 2])));
    assert!(!end.push(&wide(3), [5, 6]), "a place at the end, which the filler takes");
    assert_eq!(end.waiting(), 4);
    end.publish();
    let mut program = ring.consumer();
    assert_eq!(program.advance(3), 3);
    assert_eq!(program.pop().unwrap().flags, CqeFlags::SKIP.bits());
    drop(program);
    assert!(end.push(&wide(3), [5, 6]));
    end.publish();
    let mut program = ring.consumer();
    assert_eq!(program.pop(), Some(wide(3)));
    assert_eq!(program.pop().map(|half| half.user_data), Some(5));
    assert_eq!((program.pop(), end.waiting()), (None, 2));
}

#[test]
fn only_a_mixed_ring_gives_two_places_to_a_wide_completion() {
    let ring = ring(2);
    let mut end = ring.poster();
    assert!((0..4).all(|n| end.push(&wide(n), [1, 2])));
    end.publish();
    assert_eq!(ring.seen(), [0, 1, 2, 3]);
}

#[test]
fn words_of_both_sides_are_passed_on() {
    let ring = ring(2);
    let (taker, poster) = (ring.taker(), ring.poster());
    taker.set_flags(SqRingFlags::NEED_WAKEUP);
    poster.set_flags(SqRingFlags::CQ_OVERFLOW);
    assert_eq!(ring.memory.sq_flags(), SqRingFlags::NEED_WAKEUP | SqRingFlags::CQ_OVERFLOW);
    taker.clear_flags(SqRingFlags::NEED_WAKEUP);
    assert_eq!(ring.memory.sq_flags(), SqRingFlags::CQ_OVERFLOW);
    poster.clear_flags(SqRingFlags::CQ_OVERFLOW);
    assert_eq!(ring.memory.sq_flags(), SqRingFlags::empty());
    poster.set_overflow(3);
    assert_eq!((ring.word(CQ_OVERFLOW).load(Relaxed), ring.memory.cq_overflow()), (3, 3));
    assert!(!poster.eventfd_disabled());
    ring.word(CQ_FLAGS).store(CqRingFlags::EVENTFD_DISABLED.bits(), Relaxed);
    assert!(poster.eventfd_disabled());
}
