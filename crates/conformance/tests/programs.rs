//! Random programs on the kernel and on every back end: `ANNULUS_SEED=7 cargo test -p annulus-conformance --test programs`.
//!
//! The seeds are the same in every run, so that a red test is red again; `ANNULUS_SEED` begins elsewhere and
//! `ANNULUS_PROGRAMS` sets how many. Each back end has its programs in four tests. For many more of them
//! there is the program `programs`.

use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;

use annulus_conformance::programs::{Hunt, Verdict};
use annulus_conformance::{BackendUnderTest, backends};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// The first seed.
const SEED: u64 = 20_261_122;

/// How many programs each back end is given.
const PROGRAMS: u64 = 2_000;

/// How many tests they are spread over.
const PARTS: u64 = 4;

fn main() -> ExitCode {
    static BACKENDS: OnceLock<Vec<BackendUnderTest>> = OnceLock::new();
    let arguments = Arguments::from_args();
    let backends: &'static [BackendUnderTest] = BACKENDS.get_or_init(backends);
    let (first, programs) = (number("ANNULUS_SEED", SEED), number("ANNULUS_PROGRAMS", PROGRAMS));
    let _ = writeln!(std::io::stdout(), "ANNULUS_SEED={first} ANNULUS_PROGRAMS={programs}");
    let mut trials = Vec::new();
    for subject in backends {
        let each = programs.div_ceil(PARTS).max(1);
        for part in 0..PARTS {
            let seeds = first + part * each..first + programs.min((part + 1) * each);
            if seeds.is_empty() {
                continue;
            }
            let name = format!(
                "{}::programs::random_programs_do_as_on_{}_part_{part}",
                subject.name, backends[0].name
            );
            trials.push(Trial::ignorable_test(name, move || compare(&backends[0], subject, seeds)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs the programs of these seeds on both. The first that tells them apart is the failure, cut down.
fn compare(
    reference: &BackendUnderTest,
    subject: &BackendUnderTest,
    seeds: std::ops::Range<u64>,
) -> Result<Completion, Failed> {
    let mut hunt = Hunt::new(reference, subject);
    let mut compared = 0_u32;
    for seed in seeds.clone() {
        match hunt.seed(seed) {
            Ok(Verdict::Different(differences)) => {
                return Err(hunt.pin_down(seed, differences).to_string().into());
            }
            Ok(Verdict::Same) => compared += 1,
            Ok(Verdict::Unsteady(_) | Verdict::Racing(_)) => {}
            Err(skip) => return Ok(Completion::ignored_with(format!("SKIP: {skip}"))),
        }
    }
    // Programs that show nothing are the exception, or else nothing is compared here.
    let all = seeds.end - seeds.start;
    if u64::from(compared) * 10 < all * 9 {
        return Err(format!("only {compared} of {all} programs came to the same in two runs").into());
    }
    Ok(Completion::Completed)
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(default)
}
