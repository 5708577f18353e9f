//! Tests of the program's ends against a device's side played by hand.

use core::sync::atomic::Ordering::Relaxed;
use std::vec::Vec;

use super::super::tests::{CQ_HEAD, CQ_TAIL, SQ_FLAGS, SQ_HEAD, SQ_TAIL, nop, ring};
use crate::{CqRingFlags, SqRingFlags, Sqe, Sqe128};

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
