//! What annulus costs beside its peers: rings, echo servers and random reads, each contender measured in turns on
//! the same machine.
//!
//! A bench takes a list of contenders (annulus on each of its back ends, and what people use instead) and a list of
//! cases. Each measurement is made in a process of its own, kept on one core; contenders take turns within each round,
//! and the report gives medians with their spread and the CPU time of each unit. No figure is an assertion: a back end
//! that is forbidden here is a line of the report, and so is a bar that is not met.
//!
//! ```no_run
//! use annulus_bench::{Bench, Launcher, Plan, RingBench};
//!
//! // This program calls `annulus_bench::work` when its first argument is `worker`.
//! let launcher = Launcher::new(std::env::current_exe()?, ["worker".into()]);
//! let bench = Bench::Ring(RingBench::default());
//! let report = annulus_bench::run(&bench, &Plan::default(), &launcher, |step| eprintln!("{step}"))?;
//! println!("{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backend;
mod echo;
mod error;
mod launcher;
mod machine;
mod meter;
mod nop;
mod pin;
pub mod report;
mod run;
mod storage;
mod worker;

use std::num::NonZeroUsize;
use std::time::Duration;

pub use echo::EchoBench;
pub use error::BenchError;
pub use launcher::Launcher;
pub use nop::RingBench;
pub use storage::{StorageBench, StorageFile};
pub use worker::work;

use pin::Cores;
use report::{BARS, Report, check};
use run::Runner;

/// What is measured.
#[derive(Clone, Debug)]
pub enum Bench {
    /// NOPs through a ring.
    Ring(RingBench),
    /// TCP servers that send back what they receive.
    Echo(EchoBench),
    /// Random reads of a file.
    Storage(StorageBench),
}

/// How it is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often each contender is measured in each case.
    pub rounds: NonZeroUsize,
    /// For how long each time.
    pub duration: Duration,
    /// Only contenders with one of these in their names. Empty for all.
    pub only: Vec<String>,
    /// Whether the report holds engine and runtime against their bars.
    pub check: bool,
}

impl Default for Plan {
    /// Seven rounds of a second each: fewer rounds do not tell a difference from the machine's own noise.
    fn default() -> Self {
        Self {
            rounds: const { NonZeroUsize::new(7).unwrap() },
            duration: Duration::from_secs(1),
            only: Vec::new(),
            check: false,
        }
    }
}

/// Runs a bench. `progress` is told before each measurement which one it is.
///
/// # Errors
///
/// [`BenchError`], before anything is measured: parameters that make no case, a file that is not to be had (`ENOENT`,
/// `EACCES`, `ENOSPC`), cores that cannot be chosen (`EINVAL`, `EPERM`). What goes wrong with one contender stands in the
/// report.
pub fn run(
    bench: &Bench,
    plan: &Plan,
    launcher: &Launcher,
    mut progress: impl FnMut(&str),
) -> Result<Report, BenchError> {
    let cores = Cores::choose().map_err(BenchError::Machine)?;
    let machine = machine::machine();
    let mut runner = Runner { plan, launcher, cores, notes: Vec::new(), progress: &mut progress };
    if cfg!(debug_assertions) {
        runner.notes.push("built without optimisation: these figures say nothing".to_owned());
    }
    let (name, cases) = match bench {
        Bench::Ring(bench) => ("ring", nop::run(bench, &mut runner)?),
        Bench::Echo(bench) => ("echo", echo::run(bench, &mut runner)?),
        Bench::Storage(bench) => ("storage", storage::run(bench, &mut runner)?),
    };
    Ok(Report {
        bench: name,
        version: env!("CARGO_PKG_VERSION"),
        machine,
        rounds: plan.rounds.get(),
        seconds: plan.duration.as_secs_f64(),
        notes: runner.notes,
        bars: if plan.check { check(name, &cases, &BARS) } else { Vec::new() },
        cases,
    })
}

/// Refuses a parameter outside its range.
fn within(name: &'static str, given: u64, least: u64, most: u64) -> Result<(), BenchError> {
    if (least..=most).contains(&given) {
        Ok(())
    } else {
        Err(BenchError::Parameter { name, given, least, most })
    }
}
