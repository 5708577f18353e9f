//! Cuts a failing program down: first whole runs of steps, then single steps, then flags and sizes.
//!
//! It knows nothing of what a failure is: it asks. What it returns fails, and no single cut that it knows of
//! leaves a program that still does, unless it was told to stop asking.

use std::collections::BTreeMap;

use annulus::abi::{IOSQE_IO_HARDLINK, IOSQE_IO_LINK};

use super::program::{Op, Program, Request, Step, Tweak, Wait};
use crate::harness::Mode;

/// The smallest program that it finds for which `fails` holds, asking at most `limit` times.
pub fn shrink(program: &Program, limit: usize, fails: impl FnMut(&Program) -> bool) -> Program {
    let mut shrinker = Shrinker { best: program.clone(), left: limit, fails };
    loop {
        let before = shrinker.best.clone();
        shrinker.cut_steps();
        shrinker.simplify_requests();
        shrinker.simplify_ring();
        if shrinker.best == before || shrinker.left == 0 {
            return shrinker.best;
        }
    }
}

struct Shrinker<F> {
    best: Program,
    left: usize,
    fails: F,
}

impl<F: FnMut(&Program) -> bool> Shrinker<F> {
    /// Keeps a candidate if it still fails.
    fn keeps(&mut self, candidate: Program) -> bool {
        if self.left == 0
            || candidate == self.best
            || !settles(&candidate)
            || opens_a_chain(&candidate, &self.best)
            || merges_windows(&candidate, &self.best)
            || hurries(&candidate) > hurries(&self.best)
        {
            return false;
        }
        self.left -= 1;
        let fails = (self.fails)(&candidate);
        if fails {
            self.best = candidate;
        }
        fails
    }

    /// Leaves out runs of steps, half of them at first, then ever shorter ones.
    fn cut_steps(&mut self) {
        let mut run = self.best.steps.len().div_ceil(2);
        while run > 0 {
            let mut start = 0;
            while start < self.best.steps.len() {
                let mut candidate = self.best.clone();
                let end = usize::min(start + run, candidate.steps.len());
                candidate.steps.drain(start..end);
                if !self.keeps(candidate) {
                    start += run;
                }
            }
            run /= 2;
        }
    }

    fn simplify_requests(&mut self) {
        for place in 0..self.best.steps.len() {
            let Step::Push(request) = self.best.steps[place] else { continue };
            // Links stay: without them, what they kept in order would race.
            let links = IOSQE_IO_LINK | IOSQE_IO_HARDLINK;
            let mut tries = vec![Request { tweak: Tweak::Nothing, ..request }];
            tries.push(Request { flags: request.flags & links, ..request });
            tries.extend(
                (0..8).map(|bit| Request { flags: request.flags & (links | !(1 << bit)), ..request }),
            );
            tries.push(Request { op: Op::Nop { result: 0 }, tweak: Tweak::Nothing, ..request });
            for simpler in tries {
                let Step::Push(now) = self.best.steps[place] else { break };
                let simpler = Request { flags: simpler.flags & now.flags, ..simpler };
                let mut candidate = self.best.clone();
                candidate.steps[place] = Step::Push(simpler);
                self.keeps(candidate);
            }
        }
    }

    fn simplify_ring(&mut self) {
        let ring = self.best.ring;
        let mut plain = ring;
        plain.mode = Mode::Interrupt;
        self.keeps(Program { ring: plain, ..self.best.clone() });
        let roomy = super::program::RingShape { cq_entries: 64, submit_all: false, ..self.best.ring };
        self.keeps(Program { ring: roomy, ..self.best.clone() });
    }
}

/// Whether more chains than before are ended by their submission, which makes them go to a worker.
fn opens_a_chain(candidate: &Program, before: &Program) -> bool {
    let open = |program: &Program| {
        let links = |step: &Step| matches!(step, Step::Push(request) if request.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK) != 0);
        program.steps.windows(2).filter(|pair| links(&pair[0]) && pair[1] == Step::Submit).count()
    };
    open(candidate) > open(before)
}

/// Whether requests that were submitted one after the other are submitted together: they may race then.
fn merges_windows(candidate: &Program, before: &Program) -> bool {
    let windows = windows(before);
    let mut current = None;
    candidate.steps.iter().any(|step| match step {
        Step::Push(request) => {
            let window = windows.get(&request.name);
            current.replace(window).is_some_and(|current| current != window)
        }
        Step::Settle => {
            current = None;
            false
        }
        _ => false,
    })
}

/// After how many settlings each request is pushed.
fn windows(program: &Program) -> BTreeMap<u16, usize> {
    let mut settled = 0;
    let mut windows = BTreeMap::new();
    for step in &program.steps {
        match step {
            Step::Settle => settled += 1,
            Step::Push(request) => {
                windows.insert(request.name, settled);
            }
            _ => {}
        }
    }
    windows
}

/// How many requests have little time and would not wait for it: they race with a clock.
fn hurries(program: &Program) -> usize {
    let is_short = |step: &Step| {
        matches!(step, Step::Push(Request { op: Op::LinkTimeout { wait: Wait::Short | Wait::Zero }, .. }))
    };
    let waits = |step: &Step| {
        matches!(
            step,
            Step::Push(Request {
                op: Op::Recv { .. } | Op::RecvMsg { .. } | Op::PollAdd { .. } | Op::Accept { .. },
                ..
            })
        )
    };
    program.steps.windows(2).filter(|pair| is_short(&pair[1]) && !waits(&pair[0])).count()
}

/// Whether a program settles as those of the generator do: what is pushed is submitted and settled before anything
/// else happens, and so is what it does by itself. Otherwise a cut would only make it race.
fn settles(program: &Program) -> bool {
    // What the steps so far wait for: nothing, a submit, a settling.
    let (mut unsubmitted, mut unsettled) = (false, false);
    for step in &program.steps {
        match step {
            Step::Push(_) if unsettled => return false,
            Step::Push(_) => unsubmitted = true,
            Step::Submit => (unsubmitted, unsettled) = (false, true),
            Step::Settle if unsubmitted => return false,
            Step::Settle => unsettled = false,
            Step::Register(_) if !unsettled && !unsubmitted => {}
            _ if unsettled || unsubmitted => return false,
            _ => unsettled = true,
        }
    }
    !unsubmitted && !unsettled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::generate;

    fn has_nop_with(program: &Program, wanted: i32) -> bool {
        program.steps.iter().any(
            |step| matches!(step, Step::Push(Request { op: Op::Nop { result }, .. }) if *result == wanted),
        )
    }

    #[test]
    fn what_is_left_is_only_what_is_needed_to_fail() {
        let fails = |program: &Program| has_nop_with(program, 7) && program.steps.contains(&Step::Submit);
        let program = (0..).map(generate).find(|program| program.steps.len() > 20 && fails(program));
        let small = shrink(&program.expect("an endless search"), 1000, fails);
        assert_eq!(small.steps.len(), 3, "{small:?}");
        assert!(has_nop_with(&small, 7) && small.steps.contains(&Step::Submit), "{small:?}");
    }

    #[test]
    fn no_cut_leaves_a_program_that_does_not_settle() {
        let mut asked = 0;
        for seed in 0..20 {
            let program = generate(seed);
            assert!(settles(&program), "{program:?}");
            shrink(&program, 200, |candidate| {
                asked += 1;
                assert!(settles(candidate), "{candidate:?}");
                asked % 3 == 0
            });
        }
    }

    #[test]
    fn it_asks_no_more_often_than_it_may() {
        let mut asked = 0;
        let program = generate(3);
        let same = shrink(&program, 5, |_| {
            asked += 1;
            false
        });
        assert_eq!((asked, same), (5, program));
    }
}
