//! Random submissions, with requests that end, and timeouts that fire, in any order between them.

use annulus_abi::SqeFlags;
use proptest::prelude::*;

use super::oracle::{assert_order, assert_prompt, expected};
use super::stage::{Stage, Step};
use crate::scheduler::Kind;

/// What happens next. Numbers choose one of what runs.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Take(Step),
    EndSubmission,
    Complete(usize),
    /// A timeout fires and cancels its target; or it fires and finds that its target cannot be cancelled.
    Fire(usize, bool),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_request_ends_once_and_as_the_rules_say_in_any_order_of_completions(
        turns in prop::collection::vec(turn(SqeFlags::empty()), 1..80),
        rest in prop::collection::vec(any::<usize>(), 8),
    ) {
        check(&turns, &rest);
    }

    #[test]
    fn the_rules_hold_beside_requests_that_may_be_silent(
        turns in prop::collection::vec(turn(SqeFlags::CQE_SKIP_SUCCESS), 1..80),
        rest in prop::collection::vec(any::<usize>(), 8),
    ) {
        check(&turns, &rest);
    }
}

fn check(turns: &[Turn], rest: &[usize]) {
    let mut stage = Stage::default();
    play(&mut stage, turns);
    finish(&mut stage, rest);
    stage.assert_at_rest();
    let ends: Vec<_> = stage.ends().into_iter().flatten().collect();
    assert_eq!(ends, expected(&stage), "{stage:?}");
    assert_order(&stage);
}

fn play(stage: &mut Stage, turns: &[Turn]) {
    for turn in turns {
        match *turn {
            Turn::Take(step) => {
                stage.take(step);
            }
            Turn::EndSubmission => {
                stage.end();
                assert_prompt(stage);
            }
            Turn::Complete(choice) => {
                complete_one(stage, choice);
            }
            Turn::Fire(choice, cancels) => {
                let timers: Vec<usize> = stage
                    .running
                    .iter()
                    .copied()
                    .filter(|it| stage.steps[*it].kind == Kind::LinkTimeout)
                    .collect();
                if let Some(timer) = choose(&timers, choice) {
                    if cancels { stage.fire(timer) } else { stage.complete(timer) }
                }
            }
        }
    }
}

/// Ends what runs, in the order that the numbers say, until nothing is left.
fn finish(stage: &mut Stage, choices: &[usize]) {
    stage.end();
    for choice in choices.iter().cycle() {
        if !complete_one(stage, *choice) {
            break;
        }
        assert_prompt(stage);
    }
}

fn complete_one(stage: &mut Stage, choice: usize) -> bool {
    let running: Vec<usize> = stage.running_requests();
    let chosen = choose(&running, choice);
    if let Some(place) = chosen {
        stage.complete(place);
    }
    chosen.is_some()
}

fn choose(from: &[usize], choice: usize) -> Option<usize> {
    from.get(choice.checked_rem(from.len())?).copied()
}

fn turn(also: SqeFlags) -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => step(also).prop_map(Turn::Take),
        1 => Just(Turn::EndSubmission),
        3 => any::<usize>().prop_map(Turn::Complete),
        1 => any::<(usize, bool)>().prop_map(|(choice, cancels)| Turn::Fire(choice, cancels)),
    ]
}

/// A request. `also` is a flag that it may have beside those that tie and drain.
fn step(also: SqeFlags) -> impl Strategy<Value = Step> {
    let tie = prop_oneof![
        4 => Just(SqeFlags::empty()),
        4 => Just(SqeFlags::IO_LINK),
        2 => Just(SqeFlags::IO_HARDLINK),
        1 => Just(SqeFlags::IO_LINK | SqeFlags::IO_HARDLINK),
    ];
    let rarely = || prop::bool::weighted(0.1);
    (tie, rarely(), rarely(), prop::bool::weighted(0.2), rarely(), prop::bool::weighted(0.3)).prop_map(
        move |(tie, drains, has_also, is_timeout, refused, fails)| {
            let mut flags = tie;
            flags.set(SqeFlags::IO_DRAIN, drains);
            flags |= if has_also { also } else { SqeFlags::empty() };
            let step = if is_timeout { Step::timeout(flags) } else { Step { fails, ..Step::new(flags) } };
            if refused { step.refused() } else { step }
        },
    )
}
