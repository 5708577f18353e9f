//! The rules of order as pure functions: what becomes of each request of one submission.
//!
//! No ring, no clock. `cases::exhaustive` compares it with a back end over every short sequence; an engine's
//! scheduler can be held to it in the same way. It covers links, hard links, success without completion
//! and drains; timeouts and what comes from outside are not modelled.

use annulus::squeue::Flags;

/// One request of a submission: how it is tied to the next, and what it comes to if it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Of `IO_LINK`, `IO_HARDLINK`, `IO_DRAIN`, `SKIP_SUCCESS` and `ASYNC`, those that are set.
    pub flags: Flags,
    /// Its result, if it is started.
    pub result: i32,
}

impl Step {
    /// A request without ties that succeeds.
    pub const PLAIN: Self = Self { flags: Flags::empty(), result: 0 };

    const fn is_linked(self) -> bool {
        self.flags.intersects(Flags::IO_LINK.union(Flags::IO_HARDLINK))
    }

    const fn severs(self) -> bool {
        self.result < 0 && !self.flags.contains(Flags::IO_HARDLINK)
    }
}

/// The result that each request is to be answered with; `None` for one without completion.
///
/// A request with `IO_LINK` or `IO_HARDLINK` is tied to the next one; the last of a chain has neither, or the
/// submission ends. A failure severs the chain unless its request is tied by `IO_HARDLINK` (alone or beside
/// `IO_LINK`): whatever follows in the chain ends with `ECANCELED`, in silence if the request that failed
/// carries `SKIP_SUCCESS`, and not otherwise.
///
/// ```
/// use annulus::squeue::Flags;
/// use annulus_conformance::model::{Step, answers};
///
/// let fails = Step { flags: Flags::IO_LINK, result: -5 };
/// assert_eq!(answers(&[fails, Step::PLAIN]), [Some(-5), Some(-libc::ECANCELED)]);
/// ```
#[must_use]
pub fn answers(steps: &[Step]) -> Vec<Option<i32>> {
    let mut answers = Vec::with_capacity(steps.len());
    for range in chains(steps) {
        let mut severed_by: Option<Step> = None;
        for step in &steps[range] {
            let answer = match severed_by {
                Some(failed) => (!failed.flags.contains(Flags::SKIP_SUCCESS)).then_some(-libc::ECANCELED),
                None => (step.result < 0 || !step.flags.contains(Flags::SKIP_SUCCESS)).then_some(step.result),
            };
            answers.push(answer);
            if severed_by.is_none() && step.severs() {
                severed_by = Some(*step);
            }
        }
    }
    answers
}

/// The pairs of requests whose completions are promised to come in this order, as places in `steps`.
///
/// Within a chain, in the order of the chain. A drain, and a chain that has one in it, begins after
/// everything before it has completed, and everything after it begins when it has completed.
#[must_use]
pub fn promised_order(steps: &[Step]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for range in chains(steps) {
        let drains = steps[range.clone()].iter().any(|step| step.flags.contains(Flags::IO_DRAIN));
        for place in range.clone() {
            if place + 1 < range.end {
                pairs.push((place, place + 1));
            }
            if drains {
                pairs.extend((0..range.start).map(|before| (before, place)));
                pairs.extend((range.end..steps.len()).map(|after| (place, after)));
            }
        }
    }
    pairs
}

/// The chains, single requests included, as ranges of places.
fn chains(steps: &[Step]) -> Vec<std::ops::Range<usize>> {
    let mut chains = Vec::new();
    let mut start = 0;
    for (place, step) in steps.iter().enumerate() {
        if !step.is_linked() || place + 1 == steps.len() {
            chains.push(start..place + 1);
            start = place + 1;
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: Option<i32> = Some(-libc::ECANCELED);

    fn step(flags: Flags, result: i32) -> Step {
        Step { flags, result }
    }

    #[test]
    fn a_failure_severs_a_chain_up_to_its_last_request() {
        let steps = [step(Flags::IO_LINK, -5), step(Flags::IO_LINK, 0), Step::PLAIN, Step::PLAIN];
        assert_eq!(answers(&steps), [Some(-5), GONE, GONE, Some(0)]);
    }

    #[test]
    fn a_hard_link_survives_a_failure_also_beside_a_soft_one() {
        let both = Flags::IO_LINK | Flags::IO_HARDLINK;
        let steps = [step(Flags::IO_HARDLINK, -5), step(both, -6), Step::PLAIN];
        assert_eq!(answers(&steps), [Some(-5), Some(-6), Some(0)]);
    }

    #[test]
    fn a_failure_that_may_be_silent_silences_the_rest() {
        let skip = Flags::SKIP_SUCCESS;
        assert_eq!(answers(&[step(skip | Flags::IO_LINK, -5), Step::PLAIN]), [Some(-5), None]);
        assert_eq!(answers(&[step(Flags::IO_LINK, -5), step(skip, 0)]), [Some(-5), GONE]);
        assert_eq!(answers(&[step(skip | Flags::IO_LINK, 0), Step::PLAIN]), [None, Some(0)]);
    }

    #[test]
    fn a_drain_orders_everything_around_its_chain() {
        let steps = [Step::PLAIN, step(Flags::IO_LINK, 0), step(Flags::IO_DRAIN, 0), Step::PLAIN];
        let mut pairs = promised_order(&steps);
        pairs.sort_unstable();
        assert_eq!(pairs, [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]);
    }

    #[test]
    fn a_chain_that_the_submission_ends_is_a_chain() {
        let link = step(Flags::IO_LINK, 0);
        assert_eq!(chains(&[link, link, Step::PLAIN, link]), [0..3, 3..4]);
    }
}
