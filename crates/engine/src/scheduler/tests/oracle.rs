//! The rules once more, looking back at a whole run instead of forward from each event.
//!
//! It shares nothing with the scheduler but the definition of a request, and knows no state: which
//! requests belong together follows from the flags, what became of them from what ran before them, and whether they
//! kept their order from the list of events.

use std::ops::Range;

use annulus_abi::SqeFlags;
use rustix::io::Errno;

use super::stage::{End, Event, Stage, Step};
use crate::scheduler::Kind;

/// The chains, single requests included, as ranges of places. `cuts` are the places at which submissions ended.
pub(super) fn units(steps: &[Step], cuts: &[usize]) -> Vec<Range<usize>> {
    let mut units: Vec<Range<usize>> = Vec::new();
    for place in 0..steps.len() {
        match units.last_mut() {
            Some(unit) if steps[place - 1].is_linked() && !cuts.contains(&place) => {
                unit.end = place + 1;
            }
            _ => units.push(place..place + 1),
        }
    }
    units
}

/// The errno that each request is refused with before it is ordered at all.
fn refusals(steps: &[Step], units: &[Range<usize>]) -> Vec<Option<Errno>> {
    let skip_at = steps.iter().position(|step| step.flags.contains(SqeFlags::CQE_SKIP_SUCCESS));
    let is_timeout = |place: usize| steps[place].kind == Kind::LinkTimeout;
    let refusal = |place: usize, unit: &Range<usize>| {
        let late_drain =
            steps[place].flags.contains(SqeFlags::IO_DRAIN) && skip_at.is_some_and(|at| at <= place);
        let astray = is_timeout(place) && (place == unit.start || is_timeout(place - 1));
        let unsupported = late_drain.then_some(Errno::OPNOTSUPP);
        unsupported.or(steps[place].refused).or_else(|| astray.then_some(Errno::INVAL))
    };
    units.iter().flat_map(|unit| unit.clone().map(|place| refusal(place, unit)).collect::<Vec<_>>()).collect()
}

/// How each request has to end and whether it has to post, given how those that ran have ended.
pub(super) fn expected(stage: &Stage) -> Vec<(End, bool)> {
    let units = units(&stage.steps, &stage.cuts);
    let refusals = refusals(&stage.steps, &units);
    let ends = stage.ends();
    let run = Run { steps: &stage.steps, refusals: &refusals, ends: &ends };
    units
        .iter()
        .flat_map(|unit| if run.is_refused(unit) { run.refused(unit) } else { run.chain(unit.clone()) })
        .collect()
}

struct Run<'a> {
    steps: &'a [Step],
    refusals: &'a [Option<Errno>],
    ends: &'a [Option<(End, bool)>],
}

impl Run<'_> {
    fn is_refused(&self, unit: &Range<usize>) -> bool {
        self.refusals[unit.clone()].iter().any(Option::is_some)
    }

    fn skips(&self, place: usize) -> bool {
        self.steps[place].flags.contains(SqeFlags::CQE_SKIP_SUCCESS)
    }

    /// A chain with a bad entry in it.
    fn refused(&self, unit: &Range<usize>) -> Vec<(End, bool)> {
        let end = |place: usize| {
            let hangs_on_first = place == unit.start + 1
                && self.steps[place].kind == Kind::LinkTimeout
                && self.refusals[place].is_none();
            let posts = match place {
                _ if place == unit.start => true,
                _ if hangs_on_first => !self.skips(place),
                _ => !self.skips(unit.start),
            };
            (End::Refused(self.refusals[place].unwrap_or(Errno::CANCELED)), posts)
        };
        unit.clone().map(end).collect()
    }

    /// What is left of a chain whose first request runs.
    fn chain(&self, left: Range<usize>) -> Vec<(End, bool)> {
        if left.is_empty() {
            return Vec::new();
        }
        let head = left.start;
        let failed = matches!(self.ends[head], Some((End::Failed, _)));
        let mut expected = vec![(if failed { End::Failed } else { End::Ok }, failed || !self.skips(head))];
        let mut next = head + 1;
        if next < left.end && self.steps[next].kind == Kind::LinkTimeout {
            let fired = matches!(self.ends[next], Some((End::Fired, _)));
            let end = if fired { End::Fired } else { End::Refused(Errno::CANCELED) };
            expected.push((end, !self.skips(next)));
            next += 1;
        }
        if failed && !self.steps[head].flags.contains(SqeFlags::IO_HARDLINK) {
            expected.extend((next..left.end).map(|_| (End::Refused(Errno::CANCELED), !self.skips(head))));
        } else {
            expected.extend(self.chain(next..left.end));
        }
        expected
    }
}

/// Asserts that everything began after what it had to wait for.
pub(super) fn assert_order(stage: &Stage) {
    let units = units(&stage.steps, &stage.cuts);
    let began = |place: usize| {
        stage.moment(|event| matches!(event, Event::Issued(it) | Event::Started(it, _) if *it == place))
    };
    let ended = |place: usize| stage.moment(|event| matches!(event, Event::Ended(it, ..) if *it == place));
    let ran = |unit: &&Range<usize>| began(unit.start).is_some();
    for unit in units.iter().filter(ran) {
        for place in unit.clone().skip(1).filter(|place| stage.steps[*place].kind == Kind::Ordinary) {
            let before = (unit.start..place).rev().find(|it| stage.steps[*it].kind == Kind::Ordinary);
            let before = before.expect("a chain that runs begins with a request");
            assert!(
                began(place).is_none() || began(place) > ended(before),
                "{place} overtook {before}: {stage:?}"
            );
        }
    }
    for drain in units.iter().filter(|unit| drains(stage, unit)).filter(ran) {
        for other in units.iter().filter(ran).filter(|it| *it != drain) {
            let (first, second) = if other.start < drain.start { (other, drain) } else { (drain, other) };
            let last = first.clone().map(|place| ended(place).expect("it ended")).max();
            assert!(began(second.start) > last, "{second:?} overtook {first:?}: {stage:?}");
        }
    }
}

/// Asserts that what has not begun has a reason to wait.
pub(super) fn assert_prompt(stage: &Stage) {
    let units = units(&stage.steps, &stage.cuts);
    let ends = stage.ends();
    let over = |unit: &Range<usize>| unit.clone().all(|place| ends[place].is_some());
    let touched = |unit: &Range<usize>| {
        unit.clone().any(|place| ends[place].is_some() || stage.running.contains(&place))
    };
    for (index, unit) in units.iter().enumerate().filter(|(_, unit)| !touched(unit)) {
        let drains_before = units[..index].iter().any(|it| drains(stage, it) && !over(it));
        let waits_for_all = drains(stage, unit) && !units[..index].iter().all(over);
        assert!(drains_before || waits_for_all, "{unit:?} waits for nothing: {stage:?}");
    }
}

fn drains(stage: &Stage, unit: &Range<usize>) -> bool {
    stage.steps[unit.clone()].iter().any(|step| step.flags.contains(SqeFlags::IO_DRAIN))
}
