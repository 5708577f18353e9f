//! Timeouts: alone, counting, linked, changed and removed.
//!
//! Times are either long past or far off, so that the load of the machine decides nothing.

use annulus::abi::IORING_TIMEOUT_MULTISHOT;
use annulus::opcode;
use annulus::squeue::{Entry, Flags};
use annulus::types::{TimeoutFlags, Timespec};

use super::tools::{CANCELED, feed, linked, nop, pipe, read};
use crate::harness::{Bench, Buffer, Kept, Need, Outcome, cases};

cases! {
    Every a_timeout_ends_with_etime => IORING_OP_TIMEOUT;
    Every a_timeout_severs_its_link;
    Every a_timeout_with_etime_success_keeps_its_result_and_its_link;
    Every a_timeout_counts_completions_and_ends_with_0_after_the_last;
    Every a_timeout_at_a_point_in_time_that_is_past_ends_at_once;
    Every a_timeout_on_each_clock_ends;
    Every a_timeout_with_two_clocks_is_refused;
    Every a_multishot_timeout_fires_as_often_as_it_says;
    Every a_removed_timeout_ends_with_ecanceled => IORING_OP_TIMEOUT_REMOVE;
    Every an_unknown_timeout_cannot_be_removed;
    Every a_timeout_can_be_given_another_time;
    Every a_link_timeout_ends_with_ecanceled_if_its_request_was_first;
    Every a_link_timeout_that_fires_cancels_its_request => IORING_OP_LINK_TIMEOUT;
    Every a_link_timeout_that_fires_severs_the_chain_behind_it;
    Every a_link_timeout_that_follows_nothing_is_refused;
    Every a_link_timeout_can_be_given_another_time;
    Every what_was_read_before_a_link_timeout_stays_in_the_pipe;
}

const SOON: Timespec = Timespec::new().nsec(1_000_000);
const NEVER: Timespec = Timespec::new().sec(1_000_000);

fn a_timeout_ends_with_etime(bench: &Bench<'_>) -> Outcome {
    assert_eq!(bench.rig()?.result(timeout(SOON)), -libc::ETIME);
    Ok(())
}

fn a_timeout_severs_its_link(bench: &Bench<'_>) -> Outcome {
    assert_eq!(bench.rig()?.batch([linked(timeout(SOON)), nop()]), [-libc::ETIME, CANCELED]);
    Ok(())
}

fn a_timeout_with_etime_success_keeps_its_result_and_its_link(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 16, "IORING_TIMEOUT_ETIME_SUCCESS")])?;
    let entry = flagged(SOON, TimeoutFlags::ETIME_SUCCESS);
    assert_eq!(bench.rig()?.batch([linked(entry), nop()]), [-libc::ETIME, 0]);
    Ok(())
}

fn a_timeout_counts_completions_and_ends_with_0_after_the_last(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig()?;
    let time = Kept::new(NEVER);
    rig.push(opcode::Timeout::new(time.ptr()).count(2).build().user_data(9));
    rig.submit();
    rig.push(nop().user_data(1));
    assert_eq!(rig.take_one().user_data(), 1, "one is not enough");
    rig.push(nop().user_data(2));
    let cqes = rig.take(2);
    let seen: Vec<_> = cqes.iter().map(|cqe| (cqe.user_data(), cqe.result())).collect();
    assert_eq!(seen, [(2, 0), (9, 0)]);
    Ok(())
}

fn a_timeout_at_a_point_in_time_that_is_past_ends_at_once(bench: &Bench<'_>) -> Outcome {
    let entry = flagged(Timespec::new().nsec(1), TimeoutFlags::ABS);
    assert_eq!(bench.rig()?.result(entry), -libc::ETIME);
    Ok(())
}

fn a_timeout_on_each_clock_ends(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 15, "IORING_TIMEOUT_BOOTTIME")])?;
    let clocks = [TimeoutFlags::BOOTTIME, TimeoutFlags::REALTIME];
    let results = bench.rig()?.batch(clocks.map(|clock| flagged(SOON, clock)));
    assert_eq!(results, [-libc::ETIME; 2]);
    Ok(())
}

fn a_timeout_with_two_clocks_is_refused(bench: &Bench<'_>) -> Outcome {
    let entry = flagged(SOON, TimeoutFlags::BOOTTIME | TimeoutFlags::REALTIME);
    assert_eq!(bench.rig()?.result(entry), -libc::EINVAL);
    Ok(())
}

fn a_multishot_timeout_fires_as_often_as_it_says(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 4, "IORING_TIMEOUT_MULTISHOT")])?;
    let mut rig = bench.rig()?;
    let time = Kept::new(SOON);
    let mut entry = opcode::Timeout::new(time.ptr()).count(3).build();
    entry.set_op_flags(IORING_TIMEOUT_MULTISHOT);
    rig.push(entry);
    let cqes = rig.take(3);
    let seen: Vec<_> = cqes.iter().map(|cqe| (cqe.result(), cqe.has_more())).collect();
    assert_eq!(seen, [(-libc::ETIME, true), (-libc::ETIME, true), (-libc::ETIME, false)]);
    rig.nothing_more();
    Ok(())
}

fn a_removed_timeout_ends_with_ecanceled(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig()?;
    rig.push(timeout(NEVER).user_data(1));
    rig.submit();
    rig.push(opcode::TimeoutRemove::new(1).build().user_data(2));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&1].result(), cqes[&2].result()), (CANCELED, 0));
    Ok(())
}

fn an_unknown_timeout_cannot_be_removed(bench: &Bench<'_>) -> Outcome {
    assert_eq!(bench.rig()?.result(opcode::TimeoutRemove::new(404).build()), -libc::ENOENT);
    Ok(())
}

fn a_timeout_can_be_given_another_time(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig()?;
    rig.push(timeout(NEVER).user_data(1));
    rig.submit();
    let soon = Kept::new(SOON);
    rig.push(opcode::TimeoutUpdate::new(1, soon.ptr()).build().user_data(2));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&1].result(), cqes[&2].result()), (-libc::ETIME, 0));
    Ok(())
}

fn a_link_timeout_ends_with_ecanceled_if_its_request_was_first(bench: &Bench<'_>) -> Outcome {
    let results = bench.rig()?.batch([linked(nop()), link_timeout(NEVER)]);
    assert_eq!(results, [0, CANCELED]);
    Ok(())
}

fn a_link_timeout_that_fires_cancels_its_request(bench: &Bench<'_>) -> Outcome {
    let ((reader, _writer), buffer) = (pipe(), Buffer::new(1));
    let results = bench.rig()?.batch([linked(read(&reader, &buffer)), link_timeout(SOON)]);
    assert!([CANCELED, -libc::EINTR].contains(&results[0]), "{results:?}");
    assert_eq!(results[1], -libc::ETIME);
    Ok(())
}

fn a_link_timeout_that_fires_severs_the_chain_behind_it(bench: &Bench<'_>) -> Outcome {
    let ((reader, _writer), buffer) = (pipe(), Buffer::new(1));
    let results = bench.rig()?.batch([linked(read(&reader, &buffer)), linked(link_timeout(SOON)), nop()]);
    assert!([CANCELED, -libc::EINTR].contains(&results[0]), "{results:?}");
    assert_eq!(results[1..], [-libc::ETIME, CANCELED]);
    Ok(())
}

fn a_link_timeout_that_follows_nothing_is_refused(bench: &Bench<'_>) -> Outcome {
    assert_eq!(bench.rig()?.result(link_timeout(NEVER)), -libc::EINVAL);
    Ok(())
}

fn a_link_timeout_can_be_given_another_time(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 15, "IORING_LINK_TIMEOUT_UPDATE")])?;
    let ((reader, _writer), buffer) = (pipe(), Buffer::new(1));
    let mut rig = bench.rig()?;
    rig.push_together(&[linked(read(&reader, &buffer)).user_data(1), link_timeout(NEVER).user_data(2)]);
    rig.submit();
    let soon = Kept::new(SOON);
    let update = opcode::TimeoutUpdate::new(2, soon.ptr()).flags(TimeoutFlags::LINK_TIMEOUT_UPDATE);
    rig.push(update.build().user_data(3));
    let cqes = rig.by_user_data(3);
    assert_eq!((cqes[&2].result(), cqes[&3].result()), (-libc::ETIME, 0));
    Ok(())
}

fn what_was_read_before_a_link_timeout_stays_in_the_pipe(bench: &Bench<'_>) -> Outcome {
    let ((reader, writer), buffer) = (pipe(), Buffer::new(4));
    let mut rig = bench.rig()?;
    let timed = [linked(read(&reader, &buffer)).flags(Flags::ASYNC), link_timeout(SOON)];
    let results = rig.batch(timed);
    assert!(results[0] < 0, "{results:?}");
    feed(&writer, b"late");
    assert_eq!(rig.result(read(&reader, &buffer)), 4, "the request that ended takes nothing any more");
    Ok(())
}

fn timeout(time: Timespec) -> Entry {
    flagged(time, TimeoutFlags::empty())
}

fn flagged(time: Timespec, flags: TimeoutFlags) -> Entry {
    opcode::Timeout::new(Kept::new(time).ptr()).flags(flags).build()
}

fn link_timeout(time: Timespec) -> Entry {
    opcode::LinkTimeout::new(Kept::new(time).ptr()).build()
}
