//! Random programs without end in sight: `ANNULUS_PROGRAMS=100000 ANNULUS_SEED=1 programs`.
//!
//! Runs so many programs, from this seed on, on the kernel and on every back end of the suite (the kernel itself
//! included, which shows that the programs do not race), and prints each that tells two of them apart, cut down, as a
//! test to be pasted. The exit status tells whether there was one.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::process::ExitCode;

use annulus_conformance::programs::{Hunt, Verdict};
use annulus_conformance::{BackendUnderTest, backends};

/// How many programs are run unless `ANNULUS_PROGRAMS` says otherwise.
const PROGRAMS: u64 = 10_000;

/// How many kinds of findings end the run.
const ENOUGH: usize = 20;

fn main() -> ExitCode {
    let programs = number("ANNULUS_PROGRAMS").unwrap_or(PROGRAMS);
    let first = number("ANNULUS_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    let only = std::env::args().nth(1);
    let backends = backends();
    let Some(reference) = backends.first() else { return ExitCode::FAILURE };
    if let Some(only) = only.as_ref().filter(|only| backends.iter().all(|backend| backend.name != **only)) {
        let names: Vec<&str> = backends.iter().map(|backend| backend.name).collect();
        say(&format!("there is no back end `{only}` among {names:?}"));
        return ExitCode::from(2);
    }
    let mut found = 0;
    for subject in backends.iter().filter(|subject| only.as_ref().is_none_or(|only| only == subject.name)) {
        found += hunt(reference, subject, first, programs);
    }
    ExitCode::from(u8::from(found > 0))
}

/// Runs the programs; gives how many told the two apart.
fn hunt(reference: &BackendUnderTest, subject: &BackendUnderTest, first: u64, programs: u64) -> usize {
    let pair = format!("{} and {}", reference.name, subject.name);
    say(&format!("{pair}: {programs} programs from ANNULUS_SEED={first}"));
    let mut hunt = Hunt::new(reference, subject);
    // How often a difference of each kind was seen. The first of its kind is cut down.
    let mut kinds = BTreeMap::new();
    let (mut found, mut racing, mut unsteady) = (0, 0, 0);
    for seed in first..first + programs {
        match hunt.seed(seed) {
            Ok(Verdict::Same) => {}
            Ok(Verdict::Unsteady(differences)) => {
                unsteady += 1;
                say(&format!("{pair}: seed {seed} differs only in a hurry: {}", differences[0]));
            }
            Ok(Verdict::Racing(differences)) => {
                racing += 1;
                say(&format!("{pair}: seed {seed} races: {}", differences[0]));
            }
            Ok(Verdict::Different(differences)) => {
                found += 1;
                let seen = kinds.entry(differences[0].kind()).or_insert(0_u32);
                *seen += 1;
                if *seen > 1 {
                    continue;
                }
                say(&format!("{pair}: seed {seed} tells them apart:\n{}", hunt.pin_down(seed, differences)));
                if kinds.len() == ENOUGH {
                    break;
                }
            }
            Err(skip) => {
                say(&format!("{pair}: SKIP: {skip}"));
                break;
            }
        }
    }
    for (kind, times) in kinds {
        say(&format!("{pair}: {times} times {kind}"));
    }
    say(&format!("{pair}: {found} differ, {racing} race, {unsteady} differ only in a hurry"));
    found
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.trim().parse().ok()
}

/// A line on standard output; whoever closed it does not want to know.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
