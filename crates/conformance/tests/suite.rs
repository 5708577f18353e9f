//! Every case on every back end, as tests: `cargo test -p annulus-conformance --test suite -- links`.
//!
//! Also a program by itself, to be run under another kernel (`scripts/vm-modes`). It decides nothing: cases
//! skip themselves, and say why; what was skipped is counted in the last lines.

use std::process::ExitCode;
use std::sync::OnceLock;

use annulus_conformance::harness::trials;
use annulus_conformance::{BackendUnderTest, backends, cases};
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    static BACKENDS: OnceLock<Vec<BackendUnderTest>> = OnceLock::new();
    let arguments = Arguments::from_args();
    let trials = trials(BACKENDS.get_or_init(backends), &cases());
    libtest_mimic::run(&arguments, trials).exit_code()
}
