//! Every short sequence of requests in one submission, in three orders of completion.

use annulus_abi::SqeFlags;

use super::oracle::{assert_order, assert_prompt, expected};
use super::stage::{Stage, Step};

const NONE: SqeFlags = SqeFlags::empty();
const LINK: SqeFlags = SqeFlags::IO_LINK;
const HARD: SqeFlags = SqeFlags::IO_HARDLINK;
const DRAIN: SqeFlags = SqeFlags::IO_DRAIN;
const SKIP: SqeFlags = SqeFlags::CQE_SKIP_SUCCESS;

#[test]
fn every_sequence_of_links_ends_as_the_rules_say() {
    let kinds = with_results(&[NONE, LINK, HARD, LINK | HARD]);
    assert_eq!(check_all(&kinds, 5), 37_448);
}

#[test]
fn every_sequence_of_links_that_skip_successes_ends_as_the_rules_say() {
    let kinds = with_results(&[NONE, LINK, HARD, SKIP, LINK | SKIP, HARD | SKIP]);
    assert_eq!(check_all(&kinds, 4), 22_620);
}

#[test]
fn every_sequence_with_drains_keeps_the_promised_order() {
    let kinds = [NONE, SqeFlags::ASYNC, DRAIN, LINK, LINK | DRAIN].map(Step::new);
    assert_eq!(check_all(&kinds, 5), 3_905);
}

#[test]
fn every_sequence_with_linked_timeouts_and_bad_entries_ends_as_the_rules_say() {
    let kinds = [
        Step::new(NONE),
        Step::new(LINK),
        Step::new(LINK | SKIP).failing(),
        Step::new(HARD).failing(),
        Step::new(LINK).refused(),
        Step::timeout(NONE),
        Step::timeout(LINK),
        Step::timeout(LINK | SKIP),
    ];
    assert_eq!(check_all(&kinds, 5), 37_448);
}

#[test]
fn every_sequence_with_drains_in_chains_with_bad_entries_and_timeouts_keeps_the_promised_order() {
    let kinds = [
        Step::new(NONE),
        Step::new(DRAIN),
        Step::new(LINK),
        Step::new(LINK | DRAIN).failing(),
        Step::new(DRAIN).refused(),
        Step::timeout(LINK),
        Step::timeout(DRAIN),
    ];
    assert_eq!(check_all(&kinds, 5), 19_607);
}

/// Each way to be tied, once succeeding and once failing.
fn with_results(ties: &[SqeFlags]) -> Vec<Step> {
    ties.iter().flat_map(|flags| [Step::new(*flags), Step::new(*flags).failing()]).collect()
}

/// Runs every sequence of these kinds up to a length, and gives their number.
fn check_all(kinds: &[Step], longest: u32) -> usize {
    let mut tried = 0;
    for length in 1..=longest {
        for number in 0..kinds.len().pow(length) {
            let digits = std::iter::successors(Some(number), |rest| Some(rest / kinds.len()));
            let steps: Vec<Step> =
                digits.take(length as usize).map(|rest| kinds[rest % kinds.len()]).collect();
            for order in [Order::AtOnce, Order::OldestFirst, Order::NewestFirst] {
                check(&steps, order);
            }
            tried += 1;
        }
    }
    tried
}

#[derive(Clone, Copy, Debug)]
enum Order {
    /// Each request ends before the next one is taken.
    AtOnce,
    OldestFirst,
    NewestFirst,
}

fn check(steps: &[Step], order: Order) {
    let mut stage = Stage::default();
    for step in steps {
        stage.take(*step);
        if matches!(order, Order::AtOnce) {
            stage.complete_all();
        }
    }
    stage.end();
    assert_prompt(&stage);
    if matches!(order, Order::NewestFirst) {
        while let Some(newest) = stage.running_requests().last().copied() {
            stage.complete(newest);
            assert_prompt(&stage);
        }
    }
    stage.complete_all();
    stage.assert_at_rest();
    let ends: Vec<_> = stage.ends().into_iter().flatten().collect();
    assert_eq!(ends, expected(&stage), "{order:?} of {steps:?}");
    assert_order(&stage);
}
