//! More completions than places: the backlog, its flag, and what ends because of it.

use annulus::abi::Features;
use annulus::opcode;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::tools::{fd, feed, nop, pipe};
use crate::harness::{Bench, Need, Outcome, Rig, cases};

const NEEDS: [Need; 1] = [Need::Feature(Features::NODROP)];

cases! {
    Every completions_that_do_not_fit_are_kept_and_flagged;
    Every an_enter_for_events_brings_what_was_kept_back;
    Every nothing_is_ever_dropped;
    Every submitting_goes_on_while_completions_are_kept_back;
    Every a_ring_is_readable_while_completions_are_kept_back;
    Calls an_overflow_ends_a_multishot_request;
}

fn completions_that_do_not_fit_are_kept_and_flagged(bench: &Bench<'_>) -> Outcome {
    let mut rig = overflown(bench)?;
    assert_eq!(rig.ring_mut().completion().len(), 4);
    assert!(rig.ring_mut().submission().cq_overflow());
    assert_eq!(rig.ring_mut().completion().overflow(), 0, "the counter is for what is lost");
    Ok(())
}

fn an_enter_for_events_brings_what_was_kept_back(bench: &Bench<'_>) -> Outcome {
    let mut rig = overflown(bench)?;
    let first: Vec<u64> = rig.ring_mut().completion().map(|cqe| cqe.user_data()).collect();
    rig.ring().submitter().get_events().expect("an enter");
    let rest: Vec<u64> = rig.ring_mut().completion().map(|cqe| cqe.user_data()).collect();
    assert_eq!((first, rest), (vec![0, 1, 2, 3], vec![4, 5]));
    assert!(!rig.ring_mut().submission().cq_overflow());
    Ok(())
}

fn nothing_is_ever_dropped(bench: &Bench<'_>) -> Outcome {
    bench.needs(NEEDS)?;
    let mut rig = small(bench)?;
    for n in 0..100 {
        rig.push(nop().user_data(n));
        rig.submit();
        rig.until_taken();
    }
    let seen: Vec<u64> = rig.take(100).iter().map(annulus::cqueue::Entry::user_data).collect();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    Ok(())
}

fn submitting_goes_on_while_completions_are_kept_back(bench: &Bench<'_>) -> Outcome {
    // Older kernels answered EBUSY.
    bench.needs([Need::Since(5, 19, "submitting in spite of a backlog")])?;
    let mut rig = overflown(bench)?;
    rig.push(nop().user_data(6));
    rig.submit();
    let seen: Vec<u64> = rig.take(7).iter().map(annulus::cqueue::Entry::user_data).collect();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
    Ok(())
}

fn a_ring_is_readable_while_completions_are_kept_back(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 12, "telling of a backlog")])?;
    let mut rig = overflown(bench)?;
    assert!(is_readable(&rig));
    assert_eq!(rig.ring_mut().completion().count(), 4);
    assert!(is_readable(&rig), "two more are there to be fetched");
    rig.ring().submitter().get_events().expect("an enter");
    assert!(is_readable(&rig));
    assert_eq!(rig.ring_mut().completion().count(), 2);
    assert!(!is_readable(&rig));
    Ok(())
}

fn an_overflow_ends_a_multishot_request(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 13, "IORING_POLL_ADD_MULTI")])?;
    let mut rig = bench.rig_with(|setup| (setup.entries, setup.cq_entries) = (2, Some(2)))?;
    let (reader, writer) = pipe();
    rig.push(opcode::PollAdd::new(fd(&reader), POLLIN).multi(true).build().user_data(7));
    rig.submit();
    for _ in 0..3 {
        feed(&writer, b"x");
        rig.ring().submitter().get_events().expect("an enter");
    }
    let more: Vec<bool> = rig.take(3).iter().map(annulus::cqueue::Entry::has_more).collect();
    assert_eq!(more, [true, true, false]);
    Ok(())
}

const POLLIN: u32 = 1;

/// Whether the ring's descriptor says that there is something to take.
fn is_readable(rig: &Rig) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(rig.ring(), PollFlags::IN)], Some(&at_once)).expect("a descriptor") > 0
}

/// A ring with four places for completions.
fn small(bench: &Bench<'_>) -> Result<Rig, crate::Skip> {
    bench.rig_with(|setup| (setup.entries, setup.cq_entries) = (4, Some(4)))
}

/// Six NOPs that have completed on a ring with four places.
fn overflown(bench: &Bench<'_>) -> Result<Rig, crate::Skip> {
    bench.needs(NEEDS)?;
    let mut rig = small(bench)?;
    for n in 0..6 {
        rig.push(nop().user_data(n));
        rig.submit();
        rig.until_taken();
    }
    rig.until("the overflow shows", |rig| rig.ring_mut().submission().cq_overflow());
    Ok(rig)
}
