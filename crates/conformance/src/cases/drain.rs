//! Drains: a barrier in the order of submission.

use annulus::squeue::Flags;

use super::tools::{CANCELED, feed, linked, nop, pipe, read};
use crate::harness::{Bench, Buffer, Outcome, cases};

cases! {
    Every a_drain_waits_for_all_before_it_and_holds_all_behind_it;
    Every a_drain_in_a_chain_holds_the_whole_chain;
    Every a_drain_begins_although_what_was_before_it_failed;
    Every a_drained_request_that_fails_severs_its_chain;
}

fn a_drain_waits_for_all_before_it_and_holds_all_behind_it(bench: &Bench<'_>) -> Outcome {
    let ((reader, writer), buffer) = (pipe(), Buffer::new(1));
    let mut rig = bench.rig()?;
    rig.push_all([read(&reader, &buffer), nop().flags(Flags::IO_DRAIN), nop()]);
    rig.submit_and_look();
    assert_eq!(rig.ring_mut().completion().len(), 0, "the read waits, and so does what is behind it");
    feed(&writer, b"x");
    let order: Vec<u64> = rig.take(3).iter().map(annulus::cqueue::Entry::user_data).collect();
    if holds_back(bench) {
        assert_eq!(order, [0, 1, 2]);
    } else {
        assert_eq!(order[0], 0, "the drain waited, at least: {order:?}");
    }
    Ok(())
}

fn a_drain_in_a_chain_holds_the_whole_chain(bench: &Bench<'_>) -> Outcome {
    let ((reader, writer), buffer) = (pipe(), Buffer::new(1));
    let mut rig = bench.rig()?;
    rig.push_all([read(&reader, &buffer), linked(nop()), nop().flags(Flags::IO_DRAIN), nop()]);
    rig.submit_and_look();
    assert_eq!(rig.ring_mut().completion().len(), 0, "the head of the chain waits too");
    feed(&writer, b"x");
    let order: Vec<u64> = rig.take(4).iter().map(annulus::cqueue::Entry::user_data).collect();
    if holds_back(bench) {
        assert_eq!(order, [0, 1, 2, 3]);
    } else {
        assert_eq!(order[0], 0, "the drain waited, at least: {order:?}");
    }
    Ok(())
}

fn a_drain_begins_although_what_was_before_it_failed(bench: &Bench<'_>) -> Outcome {
    let bad = read(&-1, &Buffer::new(1));
    assert_eq!(bench.rig()?.batch([bad, nop().flags(Flags::IO_DRAIN)]), [-libc::EBADF, 0]);
    Ok(())
}

fn a_drained_request_that_fails_severs_its_chain(bench: &Bench<'_>) -> Outcome {
    let bad = read(&-1, &Buffer::new(1)).flags(Flags::IO_DRAIN);
    assert_eq!(bench.rig()?.batch([nop(), linked(bad), nop(), nop()]), [0, -libc::EBADF, CANCELED, 0]);
    Ok(())
}

/// Whether what is behind a drain begins only when the drain has ended. Before Linux 6.16 it was let go
/// together with the drain.
fn holds_back(bench: &Bench<'_>) -> bool {
    bench.backend().is_at_least(6, 16)
}
