//! `annulus probe`: what this machine's io_uring offers, opcode by opcode.
//!
//! `gather` asks the machine, `text` writes for a person, serde for a program; a report is plain data
//! between them. `matrix` writes what is known of every kernel and of the engine, wherever it runs.

mod gather;
mod matrix;
mod report;
mod text;

use std::io::{self, Write};
use std::process::ExitCode;

use annulus::BackendChoice;

/// Tell what this machine's io_uring offers, and the engine: opcodes, setup flags, features, register operations, limits.
///
/// The exit status is 1 if no ring can be set up, neither by the kernel nor by the engine, as far as `--backend` allows; the
/// report then says why.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Also list the forms of each opcode: multishot, provided buffers, flags of later releases.
    #[arg(long, conflicts_with = "json")]
    forms: bool,
    /// Write the support matrix instead: every form of every opcode, Linux by Linux and on the engine, as Markdown.
    #[arg(long, conflicts_with_all = ["json", "forms"])]
    matrix: bool,
    /// What rings shall run on: the kernel's io_uring, the engine in this process, or the first of them that is to be had. For
    /// `auto`, the variable ANNULUS_BACKEND decides if it is set. With `engine` the kernel is not asked for anything.
    #[arg(long, value_name = "BACKEND", default_value = "auto", value_parser = crate::backend())]
    backend: BackendChoice,
}

/// Gathers the report and writes it to standard output.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut out = io::stdout().lock();
    if arguments.matrix {
        return match matrix::write(&mut out) {
            Err(error) => failed(&error),
            Ok(()) => ExitCode::SUCCESS,
        };
    }
    let report = gather::report(arguments.backend);
    let written = if arguments.json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        text::write(&report, arguments.forms, &mut out)
    };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => failed(&error),
        _ if report.rings.run_on.is_some() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// A reader that has seen enough, such as `head`, is no failure of the probe's.
fn failed(error: &io::Error) -> ExitCode {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(io::stderr(), "annulus probe: could not write the report: {error}");
    ExitCode::FAILURE
}
