//! `annulus bench`: annulus on each of its back ends and what people use instead, side by side on this machine.
//!
//! It turns the command line into an `annulus_bench::Bench` and its `Plan`, and writes the report down. Whether a bar is met
//! does not decide the exit status: only what failed does.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use annulus_bench::report::Report;
use annulus_bench::{Bench, EchoBench, Launcher, Plan, RingBench, StorageBench, StorageFile};
use clap::{Args, Subcommand};

/// Compare annulus with its peers on this machine.
///
/// Contenders take turns: the first round measures each of them once, then comes the second. What is measured runs in a
/// process of its own on the first core, the client of a server on the second. The table gives medians, with
/// (max - min) / median as their spread. Build with `--release`, and keep the machine quiet.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What a round trip through a ring costs, by NOPs in batches.
    Ring {
        /// NOPs for each call.
        #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1,8,32")]
        batches: Vec<u32>,
        #[command(flatten)]
        common: Common,
    },
    /// TCP servers that send back what they receive, over loopback.
    Echo {
        /// Connections at a time.
        #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1,50,500")]
        connections: Vec<u32>,
        /// Bytes of a request.
        #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "64,1024")]
        bytes: Vec<u32>,
        /// Make each connection for one request, after which another takes its place.
        #[arg(long)]
        short_lived: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Random reads of 4 KiB, from the page cache and past it.
    Storage {
        /// Read from this file. Nothing is written to it.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["dir", "size"])]
        file: Option<PathBuf>,
        /// Write the file that is read from into this directory, and remove it at the end. Default: that for temporary
        /// files.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Its size in MiB.
        #[arg(long, value_name = "MIB", default_value = "256")]
        size: u32,
        /// Reads under way at a time.
        #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1,64")]
        depths: Vec<u32>,
        #[command(flatten)]
        common: Common,
    },
    /// A measuring process.
    #[command(hide = true, name = WORKER)]
    Worker { task: String },
}

/// The hidden subcommand that measuring processes are started with.
const WORKER: &str = "worker";

/// What all benches take.
#[derive(Debug, Args)]
struct Common {
    /// How often each contender is measured in each case [default: 7, with --quick 3].
    #[arg(long, value_name = "N")]
    rounds: Option<NonZeroUsize>,
    /// For how many seconds each time [default: 1, with --quick 0.2].
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Look only roughly: fewer and shorter rounds.
    #[arg(long)]
    quick: bool,
    /// Measure only contenders with one of these in their names.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    only: Vec<String>,
    /// Hold engine and runtime against their bars, and say which are met.
    #[arg(long)]
    check: bool,
    /// Write the report to this file, too, as JSON with the values of every round.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Common {
    fn plan(&self) -> Plan {
        let whole = Plan::default();
        let quick = Plan {
            rounds: const { NonZeroUsize::new(3).unwrap() },
            duration: Duration::from_millis(200),
            ..Plan::default()
        };
        let base = if self.quick { quick } else { whole };
        Plan {
            rounds: self.rounds.unwrap_or(base.rounds),
            duration: self.seconds.unwrap_or(base.duration),
            only: self.only.clone(),
            check: self.check,
        }
    }
}

/// Runs a bench and writes its report; or is a measuring process of one.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let (bench, common) = match arguments.command {
        Command::Ring { batches, common } => (Bench::Ring(RingBench { batches }), common),
        Command::Echo { connections, bytes, short_lived, common } => {
            (Bench::Echo(EchoBench { connections, bytes, short_lived }), common)
        }
        Command::Storage { file, dir, size, depths, common } => {
            let temporary = StorageFile::Temporary { directory: dir, size_mib: size };
            let file = file.map_or(temporary, StorageFile::Existing);
            (Bench::Storage(StorageBench { file, depths }), common)
        }
        Command::Worker { task } => return annulus_bench::work(&task),
    };
    match report(&bench, &common) {
        Ok(report) if !report.has_failures() => ExitCode::SUCCESS,
        Ok(_) => {
            complain("a contender failed: its line says why");
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn report(bench: &Bench, common: &Common) -> Result<Report, Box<dyn std::error::Error>> {
    // A file that cannot be written is found before the minutes that a bench takes.
    let json = common.json.as_deref().map(|path| Ok((path, create(path)?))).transpose();
    let json: Option<(&Path, File)> = json.map_err(|error: String| error)?;
    let launcher = Launcher::new(std::env::current_exe()?, ["bench", WORKER].map(Into::into));
    let watched = io::stderr().is_terminal();
    let report = annulus_bench::run(bench, &common.plan(), &launcher, |step| {
        if watched {
            // Writes over the line of the step before.
            let _ = write!(io::stderr(), "\r\x1b[K{step}");
        }
    });
    if watched {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let report = report?;
    write!(io::stdout().lock(), "{report}")?;
    if let Some((path, mut file)) = json {
        let mut text = serde_json::to_string_pretty(&report)?;
        text.push('\n');
        file.write_all(text.as_bytes())
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(report)
}

fn create(path: &Path) -> Result<File, String> {
    File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "annulus bench: {what}");
}

/// Seconds with a fraction: long enough for the clock, short enough to be meant.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    if (0.001..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("`{text}` seconds cannot be measured; give 0.001 to 3600"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common() -> Common {
        Common { rounds: None, seconds: None, quick: false, only: Vec::new(), check: false, json: None }
    }

    #[test]
    fn seconds_have_fractions_and_bounds() {
        assert_eq!(seconds("0.05"), Ok(Duration::from_millis(50)));
        assert_eq!(seconds("2"), Ok(Duration::from_secs(2)));
        assert_eq!(seconds("0"), Err("`0` seconds cannot be measured; give 0.001 to 3600".to_owned()));
        assert_eq!(seconds("NaN"), Err("`NaN` seconds cannot be measured; give 0.001 to 3600".to_owned()));
        assert_eq!(seconds("soon"), Err("`soon` is no number of seconds".to_owned()));
    }

    #[test]
    fn quick_is_shorter_and_numbers_that_are_given_count() {
        let plan = common().plan();
        assert_eq!((plan.rounds.get(), plan.duration), (7, Duration::from_secs(1)));
        let quick = Common { quick: true, ..common() }.plan();
        assert_eq!((quick.rounds.get(), quick.duration), (3, Duration::from_millis(200)));
        let given = Common { quick: true, rounds: NonZeroUsize::new(9), ..common() }.plan();
        assert_eq!((given.rounds.get(), given.duration), (9, Duration::from_millis(200)));
    }
}
