//! Success without a completion (`IOSQE_CQE_SKIP_SUCCESS`), alone and in chains.

use annulus::abi::Features;
use annulus::squeue::{Entry, Flags};

use super::tools::{CANCELED, linked, nop, read, refused};
use crate::harness::{Bench, Buffer, Need, Outcome, cases};

const NEEDS: [Need; 1] = [Need::Feature(Features::CQE_SKIP)];

cases! {
    Every a_success_that_is_skipped_posts_nothing;
    Every a_failure_is_posted_although_success_is_skipped;
    Every a_skipped_head_that_fails_silences_its_chain;
    Every a_head_that_fails_is_followed_by_completions_for_all_even_those_that_skip;
    Every only_the_last_of_a_chain_needs_to_be_heard;
    Every a_drain_fails_once_a_success_was_skipped;
}

fn a_success_that_is_skipped_posts_nothing(bench: &Bench<'_>) -> Outcome {
    bench.needs(NEEDS)?;
    let mut rig = bench.rig()?;
    rig.push(skipped(nop()).user_data(1));
    rig.submit();
    rig.nothing_more();
    Ok(())
}

fn a_failure_is_posted_although_success_is_skipped(bench: &Bench<'_>) -> Outcome {
    bench.needs(NEEDS)?;
    assert_eq!(bench.rig()?.result(skipped(refused())), -libc::EINVAL);
    Ok(())
}

fn a_skipped_head_that_fails_silences_its_chain(bench: &Bench<'_>) -> Outcome {
    bench.needs(NEEDS)?;
    let mut rig = bench.rig()?;
    rig.push_all([skipped(linked(bad_descriptor())), linked(nop()), nop()]);
    let cqe = rig.take_one();
    assert_eq!((cqe.user_data(), cqe.result()), (0, -libc::EBADF));
    rig.nothing_more();
    Ok(())
}

fn a_head_that_fails_is_followed_by_completions_for_all_even_those_that_skip(bench: &Bench<'_>) -> Outcome {
    bench.needs(NEEDS)?;
    let chain = [linked(bad_descriptor()), skipped(linked(nop())), skipped(nop())];
    assert_eq!(bench.rig()?.batch(chain), [-libc::EBADF, CANCELED, CANCELED]);
    Ok(())
}

fn only_the_last_of_a_chain_needs_to_be_heard(bench: &Bench<'_>) -> Outcome {
    bench.needs(NEEDS)?;
    let mut rig = bench.rig()?;
    rig.push_all([skipped(linked(nop())), skipped(linked(nop())), nop()]);
    let cqe = rig.take_one();
    assert_eq!((cqe.user_data(), cqe.result()), (2, 0));
    rig.nothing_more();
    Ok(())
}

fn a_drain_fails_once_a_success_was_skipped(bench: &Bench<'_>) -> Outcome {
    bench.needs(NEEDS)?;
    let mut rig = bench.rig()?;
    assert_eq!(rig.result(nop().flags(Flags::IO_DRAIN)), 0, "before");
    rig.push(skipped(nop()).user_data(1));
    rig.submit();
    assert_eq!(rig.result(nop().flags(Flags::IO_DRAIN).user_data(2)), -libc::EOPNOTSUPP);
    Ok(())
}

fn skipped(entry: Entry) -> Entry {
    entry.flags(Flags::SKIP_SUCCESS)
}

fn bad_descriptor() -> Entry {
    read(&-1, &Buffer::new(1))
}
