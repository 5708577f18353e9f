//! Every short sequence of NOPs, compared with the model of the rules.
//!
//! Results are compared by user data, as completions of requests without ties may come in any order;
//! order only where the model says that it is promised.

use annulus::opcode;
use annulus::squeue::{Entry, Flags};

use crate::harness::{Bench, Mode, Need, Outcome, Rig, cases};
use crate::model::{Step, answers, promised_order};

/// Read as a NOP's result, a failure that nothing else produces.
const FAILURE: i32 = -libc::EXDEV;

cases! {
    Every every_sequence_of_links_ends_as_the_model_says;
    Every every_sequence_of_links_that_skip_successes_ends_as_the_model_says;
    Every every_sequence_with_drains_keeps_the_promised_order;
}

fn every_sequence_of_links_ends_as_the_model_says(bench: &Bench<'_>) -> Outcome {
    let ties = [Flags::empty(), Flags::IO_LINK, Flags::IO_HARDLINK, Flags::IO_LINK | Flags::IO_HARDLINK];
    // Each sequence has to be handed to the polling thread and back, so fewer of them there.
    let longest = if bench.mode() == Mode::SqPoll { 4 } else { 5 };
    let tried = compare_all(bench, &with_results(&ties), longest)?;
    assert_eq!(tried, if longest == 4 { 4_680 } else { 37_448 });
    Ok(())
}

fn every_sequence_of_links_that_skip_successes_ends_as_the_model_says(bench: &Bench<'_>) -> Outcome {
    let skip = Flags::SKIP_SUCCESS;
    let ties = [Flags::empty(), Flags::IO_LINK, Flags::IO_HARDLINK];
    let ties = [ties[0], ties[1], ties[2], ties[0] | skip, ties[1] | skip, ties[2] | skip];
    assert_eq!(compare_all(bench, &with_results(&ties), 3)?, 1_884);
    Ok(())
}

fn every_sequence_with_drains_keeps_the_promised_order(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 16, "drains that hold back what is behind them until they end")])?;
    let kinds = [
        Flags::empty(),
        Flags::ASYNC,
        Flags::IO_DRAIN,
        Flags::IO_LINK,
        Flags::IO_LINK.union(Flags::IO_DRAIN),
    ];
    let kinds: Vec<Step> = kinds.into_iter().map(|flags| Step { flags, result: 0 }).collect();
    let longest = if bench.mode() == Mode::SqPoll { 4 } else { 5 };
    let tried = compare_all(bench, &kinds, longest)?;
    assert_eq!(tried, if longest == 4 { 780 } else { 3_905 });
    Ok(())
}

/// Each way to be tied, once succeeding and once failing.
fn with_results(ties: &[Flags]) -> Vec<Step> {
    ties.iter().flat_map(|flags| [0, FAILURE].map(|result| Step { flags: *flags, result })).collect()
}

/// Runs every sequence of these kinds up to a length, and gives their number.
fn compare_all(bench: &Bench<'_>, kinds: &[Step], longest: usize) -> Result<usize, crate::Skip> {
    bench.needs([Need::Since(6, 10, "IORING_NOP_INJECT_RESULT")])?;
    let mut rig = bench.rig()?;
    let mut tried = 0;
    for length in 1..=longest {
        for number in 0..kinds.len().pow(u32::try_from(length).expect("short")) {
            compare(&mut rig, &sequence(kinds, length, number));
            tried += 1;
        }
    }
    Ok(tried)
}

/// The sequence of this number: its digits in base `kinds.len()`.
fn sequence(kinds: &[Step], length: usize, number: usize) -> Vec<Step> {
    let digits = std::iter::successors(Some(number), |rest| Some(rest / kinds.len()));
    digits.take(length).map(|rest| kinds[rest % kinds.len()]).collect()
}

fn compare(rig: &mut Rig, steps: &[Step]) {
    let expected = answers(steps);
    rig.push_all(steps.iter().map(entry));
    let cqes = rig.take(expected.iter().flatten().count());
    let place = |user_data: u64| cqes.iter().position(|cqe| cqe.user_data() == user_data);
    let seen: Vec<Option<i32>> =
        (0..steps.len() as u64).map(|n| place(n).map(|at| cqes[at].result())).collect();
    assert_eq!(seen, expected, "of {steps:?}");
    for (first, second) in promised_order(steps) {
        let (Some(first_at), Some(second_at)) = (place(first as u64), place(second as u64)) else { continue };
        assert!(first_at < second_at, "{second} came before {first} of {steps:?}: {cqes:?}");
    }
}

fn entry(step: &Step) -> Entry {
    opcode::Nop::new().inject_result(step.result).build().flags(step.flags)
}
