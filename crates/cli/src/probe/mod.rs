//! `annulus probe`: what this machine's io_uring offers, opcode by opcode.
//!
//! `gather` asks the machine, `text` writes for a person, serde for a program; a report is plain data
//! between them.

mod gather;
mod report;
mod text;

use std::io::{self, Write};
use std::process::ExitCode;

/// Tell what this machine's io_uring offers: opcodes, setup flags, features, register operations, limits.
///
/// The exit status is 1 if no ring can be set up; the report then says why.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Gathers the report and writes it to standard output.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let report = gather::report();
    let mut out = io::stdout().lock();
    let written = if arguments.json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        text::write(&report, &mut out)
    };
    match written {
        // A reader that has seen enough, such as `head`, is no failure of the probe's.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "annulus probe: could not write the report: {error}");
            ExitCode::FAILURE
        }
        _ if report.available => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
