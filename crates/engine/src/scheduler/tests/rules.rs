//! The rules, one by one.

use annulus_abi::SqeFlags;
use rustix::io::Errno;

use super::stage::{End, Event, Stage, Step, key};
use crate::scheduler::{Action, Key, Kind, Scheduler};

const LINK: SqeFlags = SqeFlags::IO_LINK;
const HARD: SqeFlags = SqeFlags::IO_HARDLINK;
const DRAIN: SqeFlags = SqeFlags::IO_DRAIN;
const SKIP: SqeFlags = SqeFlags::CQE_SKIP_SUCCESS;
const NONE: SqeFlags = SqeFlags::empty();

const OK: Option<End> = Some(End::Ok);
const FAILED: Option<End> = Some(End::Failed);
const GONE: Option<End> = Some(End::Refused(Errno::CANCELED));
const BAD: Option<End> = Some(End::Refused(Errno::BADF));
const SILENT: Option<End> = None;

fn plain(flags: SqeFlags) -> Step {
    Step::new(flags)
}

/// What becomes of one submission whose requests end as soon as they are issued.
fn answers(steps: &[Step]) -> Vec<Option<End>> {
    let mut stage = Stage::default();
    stage.submit(steps);
    stage.complete_all();
    stage.assert_at_rest();
    stage.answers()
}

fn submitted(steps: &[Step]) -> Stage {
    let mut stage = Stage::default();
    stage.submit(steps);
    stage
}

#[test]
fn a_chain_runs_one_request_after_the_other() {
    let mut stage = submitted(&[plain(LINK), plain(LINK), plain(NONE), plain(NONE)]);
    assert_eq!(stage.running, [0, 3]);
    stage.complete(0);
    assert_eq!(stage.running, [3, 1]);
    stage.complete(1);
    assert_eq!(stage.running, [3, 2]);
    stage.complete_all();
    stage.assert_at_rest();
}

#[test]
fn a_failure_severs_a_soft_link_and_not_a_hard_one() {
    let both = LINK | HARD;
    assert_eq!(
        answers(&[plain(LINK).failing(), plain(LINK), plain(NONE), plain(NONE)]),
        [FAILED, GONE, GONE, OK]
    );
    assert_eq!(answers(&[plain(HARD).failing(), plain(both).failing(), plain(NONE)]), [FAILED, FAILED, OK]);
}

#[test]
fn a_failure_that_may_be_silent_silences_the_rest() {
    assert_eq!(answers(&[plain(SKIP | LINK).failing(), plain(LINK), plain(NONE)]), [FAILED, SILENT, SILENT]);
    assert_eq!(answers(&[plain(LINK).failing(), plain(SKIP | LINK), plain(SKIP)]), [FAILED, GONE, GONE]);
}

#[test]
fn an_entry_that_was_refused_cancels_its_whole_chain() {
    let chain = [plain(LINK), plain(LINK).refused(), plain(NONE), plain(NONE)];
    assert_eq!(answers(&chain), [GONE, BAD, GONE, OK]);
    assert_eq!(answers(&[plain(HARD).refused(), plain(NONE)]), [BAD, GONE]);
    assert_eq!(answers(&[plain(HARD), plain(NONE).refused()]), [GONE, BAD]);
    assert_eq!(answers(&[plain(LINK).refused()]), [BAD], "cut by the end of the submission");
}

#[test]
fn the_first_of_a_refused_chain_decides_whether_the_rest_is_silent() {
    assert_eq!(answers(&[plain(LINK | SKIP), plain(LINK), plain(NONE).refused()]), [GONE, SILENT, SILENT]);
    assert_eq!(answers(&[plain(LINK), plain(LINK | SKIP).refused(), plain(SKIP)]), [GONE, BAD, GONE]);
    assert_eq!(answers(&[plain(SKIP).refused()]), [BAD]);
}

#[test]
fn an_open_chain_ends_with_its_submission() {
    let mut stage = submitted(&[plain(LINK)]);
    assert_eq!(stage.running, [0]);
    assert!(stage.scheduler.is_idle());
    stage.submit(&[plain(NONE)]);
    assert_eq!(stage.running, [0, 1]);
    stage.complete_all();
    stage.assert_at_rest();
}

#[test]
fn a_drain_waits_for_all_before_it_and_holds_all_behind_it() {
    let mut stage =
        submitted(&[plain(NONE), plain(NONE), plain(DRAIN), plain(NONE), plain(LINK), plain(NONE)]);
    assert_eq!(stage.running, [0, 1]);
    stage.complete(1);
    assert_eq!(stage.running, [0]);
    stage.complete(0);
    assert_eq!(stage.running, [2], "the drain, alone");
    stage.complete(2);
    assert_eq!(stage.running, [3, 4], "and then the others");
    stage.complete_all();
    stage.assert_at_rest();
}

#[test]
fn a_drain_in_a_chain_holds_the_whole_chain_and_waits_for_whole_chains() {
    let mut stage = submitted(&[plain(LINK), plain(NONE), plain(LINK), plain(DRAIN), plain(NONE)]);
    assert_eq!(stage.running, [0]);
    stage.complete(0);
    assert_eq!(stage.running, [1], "what follows in a chain before the drain goes first");
    stage.complete(1);
    assert_eq!(stage.running, [2]);
    stage.complete(2);
    assert_eq!(stage.running, [3]);
    stage.complete(3);
    assert_eq!(stage.running, [4]);
    stage.complete(4);
    stage.assert_at_rest();
}

#[test]
fn what_was_let_go_behind_a_drain_holds_nothing_back() {
    let mut stage = submitted(&[plain(DRAIN), plain(NONE)]);
    stage.complete(0);
    assert!(stage.scheduler.is_idle());
    stage.submit(&[plain(NONE)]);
    assert_eq!(stage.running, [1, 2]);
    stage.complete_all();
    stage.assert_at_rest();
}

#[test]
fn a_refused_drain_ends_at_once_and_holds_nothing() {
    let mut stage = submitted(&[plain(NONE), plain(DRAIN).refused(), plain(NONE)]);
    assert_eq!(stage.running, [0, 2]);
    stage.complete_all();
    stage.assert_at_rest();
}

#[test]
fn a_chain_with_an_entry_that_was_refused_does_not_wait_for_drains() {
    let mut stage = submitted(&[plain(NONE), plain(DRAIN), plain(LINK), plain(NONE).refused()]);
    assert_eq!(
        stage.ends()[2..],
        [Some((End::Refused(Errno::CANCELED), true)), Some((End::Refused(Errno::BADF), true))]
    );
    stage.complete_all();
    stage.assert_at_rest();
}

#[test]
fn drains_are_refused_from_the_first_request_on_that_may_be_silent() {
    let unsupported = Some(End::Refused(Errno::OPNOTSUPP));
    assert_eq!(answers(&[plain(DRAIN), plain(SKIP), plain(DRAIN)]), [OK, SILENT, unsupported]);
    assert_eq!(answers(&[plain(DRAIN | SKIP)]), [unsupported]);
    assert_eq!(answers(&[plain(SKIP), plain(LINK), plain(DRAIN)]), [SILENT, GONE, unsupported]);
    let mut stage = submitted(&[plain(SKIP).refused()]);
    assert_eq!(stage.take(plain(DRAIN).refused()), Some(Errno::OPNOTSUPP), "before the entry's own errno");
}

#[test]
fn an_entry_whose_flags_were_not_read_neither_drains_nor_disables_drains() {
    let (mut scheduler, mut out) = (Scheduler::default(), Vec::new());
    scheduler.submit_unread(Key(1), SKIP, Kind::Ordinary, Errno::INVAL, &mut out);
    assert_eq!(scheduler.submit(Key(2), DRAIN, Kind::Ordinary, None, &mut out), None);
    let refused = Action::Refuse { key: Key(1), errno: Errno::INVAL, silent: false };
    assert_eq!(out, [refused, Action::Issue(Key(2))]);
}

#[test]
fn a_linked_timeout_starts_just_before_its_target_and_stops_with_it() {
    let mut stage = submitted(&[plain(LINK), Step::timeout(LINK), plain(NONE)]);
    assert_eq!(stage.events, [Event::Started(1, 0), Event::Issued(0)]);
    stage.complete(0);
    let stopped = Event::Ended(1, End::Refused(Errno::CANCELED), true);
    assert_eq!(stage.events[2..], [Event::Ended(0, End::Ok, true), stopped, Event::Issued(2)]);
    stage.complete(2);
    stage.assert_at_rest();
}

#[test]
fn a_linked_timeout_in_the_middle_of_a_chain_starts_with_its_own_target() {
    let mut stage = submitted(&[plain(LINK), plain(LINK), Step::timeout(NONE)]);
    assert_eq!((stage.running.as_slice(), stage.scheduler.link_timeout_of(key(1))), (&[0][..], None));
    stage.complete(0);
    assert_eq!(stage.running, [2, 1]);
    stage.complete(1);
    stage.assert_at_rest();
}

#[test]
fn a_timeout_that_fires_leaves_the_chain_to_its_target() {
    let mut stage = submitted(&[plain(LINK), Step::timeout(LINK), plain(NONE)]);
    stage.fire(1);
    stage.assert_at_rest();
    assert_eq!(stage.answers(), [FAILED, Some(End::Fired), GONE]);

    let mut stage = submitted(&[plain(HARD), Step::timeout(LINK), plain(NONE)]);
    stage.complete(1);
    assert_eq!(stage.running, [0], "its target could not be cancelled");
    stage.complete(0);
    assert_eq!(stage.running, [2]);
    stage.complete(2);
    stage.assert_at_rest();
}

#[test]
fn a_linked_timeout_that_is_stopped_is_silent_by_its_own_flag_alone() {
    assert_eq!(
        answers(&[plain(LINK | SKIP).failing(), Step::timeout(LINK), plain(NONE)]),
        [FAILED, GONE, SILENT]
    );
    assert_eq!(
        answers(&[plain(LINK).failing(), Step::timeout(LINK | SKIP), plain(SKIP)]),
        [FAILED, SILENT, GONE]
    );
    assert_eq!(answers(&[plain(LINK).refused(), Step::timeout(SKIP)]), [BAD, SILENT], "it was never started");
    let further = [plain(LINK).failing(), plain(LINK), Step::timeout(SKIP)];
    assert_eq!(answers(&further), [FAILED, GONE, GONE], "further behind it is one of many");
}

#[test]
fn a_linked_timeout_that_follows_no_request_is_refused() {
    let invalid = Some(End::Refused(Errno::INVAL));
    assert_eq!(answers(&[Step::timeout(NONE)]), [invalid]);
    assert_eq!(answers(&[plain(NONE), Step::timeout(LINK), plain(NONE)]), [OK, invalid, GONE]);
    let second = [plain(LINK), Step::timeout(LINK), Step::timeout(LINK), plain(NONE)];
    assert_eq!(answers(&second), [GONE, GONE, invalid, GONE]);
    let behind_a_bad_one = [plain(LINK), Step::timeout(LINK).refused(), Step::timeout(NONE)];
    assert_eq!(answers(&behind_a_bad_one), [GONE, BAD, invalid]);
}

#[test]
fn drains_wait_for_linked_timeouts_too() {
    let mut stage = submitted(&[plain(LINK), Step::timeout(NONE), plain(DRAIN)]);
    assert_eq!(stage.scheduler.fired(key(1)), Some(key(0)));
    stage.complete(0);
    assert_eq!(stage.running, [1], "it has fired and not posted yet");
    stage.complete(1);
    assert_eq!(stage.running, [2]);
    stage.complete(2);
    stage.assert_at_rest();
}

#[test]
fn a_long_chain_costs_no_stack() {
    let length = 100_000;
    let mut stage = Stage::default();
    stage.submit(&vec![plain(LINK); length]);
    for place in 0..length {
        assert_eq!(stage.running, [place]);
        stage.complete(place);
    }
    stage.assert_at_rest();
}

#[test]
#[should_panic(expected = "Key(3) was not issued, and has ended")]
fn the_end_of_a_request_that_was_not_issued_is_a_mistake() {
    let (mut scheduler, mut out) = (Scheduler::default(), Vec::new());
    scheduler.submit(Key(2), LINK, Kind::Ordinary, None, &mut out);
    scheduler.submit(Key(3), NONE, Kind::Ordinary, None, &mut out);
    scheduler.complete(Key(3), false, &mut out);
}

#[test]
#[should_panic(expected = "1 requests have ended where 0 were outstanding")]
fn the_end_of_a_request_that_nobody_knows_is_a_mistake() {
    Scheduler::default().complete(Key(0), false, &mut Vec::new());
}
