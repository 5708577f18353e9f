//! One seed after the other: generate, run on both, compare; and what to do about a difference.
//!
//! A run that is not patient may be too quick on a loaded machine. So a difference counts only if it is still there
//! when both runs take their time, several times over, and if the reference then agrees with itself.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use super::arena::Arena;
use super::compare::{Difference, differences};
use super::encode::path_addresses;
use super::generate::generate;
use super::print::print;
use super::program::{PATHS, Program};
use super::record::Record;
use super::run::{Pace, run};
use super::shrink::shrink;
use crate::harness::{BackendUnderTest, Skip, Watch};

/// How patient the runs are that confirm a difference.
const PATIENCE: [u32; 3] = [4, 12, 40];

/// How patient runs are while a program is being cut down.
const SHRINKING: u32 = 8;

/// How many smaller programs are tried.
const SHRINKS: usize = 600;

/// The numbers of descriptors, which are the process's: one that a program gives up while its requests still name it would be
/// that of a file of another program, were one run meanwhile on another thread.
static NUMBERS: RwLock<()> = RwLock::new(());

/// Two back ends, and programs to tell them apart.
#[derive(Debug)]
pub struct Hunt<'a> {
    reference: &'a BackendUnderTest,
    subject: &'a BackendUnderTest,
    arena: Arena,
    paths: [u64; PATHS.len()],
}

/// What became of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both back ends did the same.
    Same,
    /// They differed when hurried and not when given time.
    Unsteady(Vec<Difference>),
    /// The reference does not agree with itself: the program races, and shows nothing.
    Racing(Vec<Difference>),
    /// They differ.
    Different(Vec<Difference>),
}

/// A program that tells the two back ends apart.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Where it comes from.
    pub seed: u64,
    /// The smallest that was found.
    pub program: Program,
    /// In what they differ on it.
    pub differences: Vec<Difference>,
}

impl<'a> Hunt<'a> {
    /// A hunt for programs on which `subject` does not do what `reference` does.
    #[must_use]
    pub fn new(reference: &'a BackendUnderTest, subject: &'a BackendUnderTest) -> Self {
        Self { reference, subject, arena: Arena::new(), paths: path_addresses() }
    }

    /// Tries the program of a seed.
    ///
    /// # Errors
    ///
    /// The reason to skip, if one of the back ends has no such ring.
    pub fn seed(&mut self, seed: u64) -> Result<Verdict, Skip> {
        let names = (self.reference.name, self.subject.name);
        let _watch =
            Watch::over(format!("the program of ANNULUS_SEED={seed} on {} and {}", names.0, names.1));
        self.check(&generate(seed))
    }

    /// Runs a program on both and compares.
    ///
    /// # Errors
    ///
    /// The reason to skip, if one of the back ends has no such ring.
    pub fn check(&mut self, program: &Program) -> Result<Verdict, Skip> {
        if !self.reference.is_complete() {
            let (major, minor) = self.reference.release;
            return Err(Skip::Privilege(format!(
                "Linux {major}.{minor} is no reference for the interface of 6.18"
            )));
        }
        let expected = self.run(program, self.reference, Pace::Search(1))?;
        let got = self.run(program, self.subject, Pace::Follow(&expected, 1))?;
        let hurried = differences(program, &expected, &got);
        if hurried.is_empty() {
            return Ok(Verdict::Same);
        }
        for patience in PATIENCE {
            match self.check_patiently(program, patience)? {
                Verdict::Same => return Ok(Verdict::Unsteady(hurried)),
                found if patience == PATIENCE[PATIENCE.len() - 1] => return Ok(found),
                _ => {}
            }
        }
        Ok(Verdict::Unsteady(hurried))
    }

    fn check_patiently(&mut self, program: &Program, patience: u32) -> Result<Verdict, Skip> {
        let expected = self.run(program, self.reference, Pace::Search(patience))?;
        let got = self.run(program, self.subject, Pace::Search(patience))?;
        let found = differences(program, &expected, &got);
        if found.is_empty() {
            return Ok(Verdict::Same);
        }
        let again = self.run(program, self.reference, Pace::Search(patience))?;
        let races = differences(program, &expected, &again);
        Ok(if races.is_empty() { Verdict::Different(found) } else { Verdict::Racing(races) })
    }

    fn run(&mut self, program: &Program, backend: &BackendUnderTest, pace: Pace<'_>) -> Result<Record, Skip> {
        if program.gives_up_numbers() {
            let _alone = NUMBERS.write().unwrap_or_else(PoisonError::into_inner);
            return run(program, backend, &mut self.arena, &self.paths, pace);
        }
        let _beside_others = NUMBERS.read().unwrap_or_else(PoisonError::into_inner);
        run(program, backend, &mut self.arena, &self.paths, pace)
    }

    /// Cuts the program of a seed down to what makes the back ends differ.
    pub fn pin_down(&mut self, seed: u64, differences: Vec<Difference>) -> Finding {
        let program = generate(seed);
        let names = (self.reference.name, self.subject.name);
        let mut last = differences;
        let program = shrink(&program, SHRINKS, |candidate| {
            let _watch = Watch::over(format!("shrinking ANNULUS_SEED={seed} on {} and {}", names.0, names.1));
            match self.check_patiently(candidate, SHRINKING) {
                Ok(Verdict::Different(found)) => {
                    last = found;
                    true
                }
                _ => false,
            }
        });
        Finding { seed, program, differences: last }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        writeln!(f, "again: ANNULUS_SEED={} ANNULUS_PROGRAMS=1", self.seed)?;
        f.write_str(&print(&self.program, &format!("seed_{}_is_the_same_on_every_back_end", self.seed)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::harness::{Setup, backends};
    use crate::programs::program::Step;

    use annulus::abi::SetupFlags;
    use annulus::{IoUring, SetupError};

    /// Opens rings as the first back end does, but forgets a flag.
    fn open_without_submit_all(setup: &Setup) -> Result<IoUring, SetupError> {
        let mut setup = setup.clone();
        setup.flags -= SetupFlags::SUBMIT_ALL;
        (backends()[0].open)(&setup)
    }

    #[test]
    fn a_back_end_that_forgets_a_flag_is_found_and_its_program_cut_down() {
        let backends = backends();
        let reference = &backends[0];
        if let Err(error) = reference.opcodes() {
            let _ = writeln!(std::io::stderr(), "SKIP: no ring: {error}");
            return;
        }
        let subject = reference.variant("forgetful", open_without_submit_all);
        let mut hunt = Hunt::new(reference, &subject);
        let found = (0..20_000).find_map(|seed| match hunt.seed(seed) {
            Ok(Verdict::Different(differences)) => Some((seed, differences)),
            other => other.map(|_| None).expect("the first back end has rings"),
        });
        let (seed, differences) = found.expect("some program has a refused entry before another one");
        let before = generate(seed);
        let finding = hunt.pin_down(seed, differences);
        assert!(finding.program.ring.submit_all, "without it there is no difference");
        assert!(finding.program.steps.len() < before.steps.len(), "{finding}");
        assert!(finding.program.steps.len() <= 6, "{finding}");
        assert!(finding.program.steps.contains(&Step::Submit), "{finding}");
        let text = finding.to_string();
        assert!(text.contains(&format!("ANNULUS_SEED={seed} ANNULUS_PROGRAMS=1")), "{text}");
    }
}
