//! Eventfds: told of completions, but not of all of them.

use std::os::fd::OwnedFd;

use annulus::squeue::Flags;
use rustix::event::{EventfdFlags, eventfd};

use super::tools::{fd, feed, nop, pipe, read};
use crate::harness::{Bench, Buffer, Need, Outcome, cases};

cases! {
    Every an_eventfd_counts_up_with_completions;
    Every an_eventfd_is_not_told_of_successes_that_are_skipped;
    Calls an_eventfd_for_async_completions_is_not_told_of_inline_ones;
    Every an_eventfd_can_be_switched_off_and_on;
    Every a_second_eventfd_is_refused_until_the_first_is_unregistered;
}

fn an_eventfd_counts_up_with_completions(bench: &Bench<'_>) -> Outcome {
    let (mut rig, event) = (bench.rig()?, counter());
    rig.ring().submitter().register_eventfd(fd(&event).0).expect("an eventfd");
    assert_eq!(count(&event), None);
    assert_eq!(rig.result(nop()), 0);
    assert_eq!(count(&event), Some(1));
    Ok(())
}

fn an_eventfd_is_not_told_of_successes_that_are_skipped(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Feature(annulus::abi::Features::CQE_SKIP)])?;
    let (mut rig, event) = (bench.rig()?, counter());
    rig.push(nop().flags(Flags::SKIP_SUCCESS));
    rig.ring().submitter().register_eventfd(fd(&event).0).expect("an eventfd");
    rig.submit();
    rig.until_taken();
    assert_eq!(count(&event), None);
    Ok(())
}

fn an_eventfd_for_async_completions_is_not_told_of_inline_ones(bench: &Bench<'_>) -> Outcome {
    let (mut rig, event, (reader, writer)) = (bench.rig()?, counter(), pipe());
    rig.ring().submitter().register_eventfd_async(fd(&event).0).expect("an eventfd");
    assert_eq!(rig.result(nop()), 0);
    assert_eq!(count(&event), None, "the submitter knows");
    rig.push(read(&reader, &Buffer::new(1)).flags(Flags::ASYNC));
    rig.submit();
    feed(&writer, b"x");
    assert_eq!(rig.take_one().result(), 1);
    assert!(count(&event).is_some(), "a worker posted it");
    Ok(())
}

fn an_eventfd_can_be_switched_off_and_on(bench: &Bench<'_>) -> Outcome {
    let (mut rig, event) = (bench.rig()?, counter());
    rig.ring().submitter().register_eventfd(fd(&event).0).expect("an eventfd");
    rig.ring_mut().completion().set_eventfd_enabled(false).expect("the switch");
    assert_eq!(rig.result(nop()), 0);
    assert_eq!(count(&event), None);
    rig.ring_mut().completion().set_eventfd_enabled(true).expect("the switch");
    assert_eq!(rig.result(nop()), 0);
    assert_eq!(count(&event), Some(1));
    Ok(())
}

fn a_second_eventfd_is_refused_until_the_first_is_unregistered(bench: &Bench<'_>) -> Outcome {
    let (rig, first, second) = (bench.rig()?, counter(), counter());
    let submitter = rig.ring().submitter();
    submitter.register_eventfd(fd(&first).0).expect("the first");
    let refused = submitter.register_eventfd(fd(&second).0).expect_err("the second");
    assert_eq!(refused.raw_os_error(), Some(libc::EBUSY));
    submitter.unregister_eventfd().expect("away with the first");
    submitter.register_eventfd(fd(&second).0).expect("now the second");
    Ok(())
}

fn counter() -> OwnedFd {
    eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).expect("an eventfd")
}

/// What was counted since the last look; `None` is nothing.
fn count(event: &OwnedFd) -> Option<u64> {
    let mut bytes = [0; 8];
    match rustix::io::read(event, &mut bytes) {
        Err(rustix::io::Errno::AGAIN) => None,
        read => {
            assert_eq!(read, Ok(8));
            Some(u64::from_ne_bytes(bytes))
        }
    }
}
