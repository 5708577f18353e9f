//! The `annulus` program: reads the command line and hands over to the crate that does the work.
//!
//! Each subcommand is a module of its own. What a command has to say goes to standard output, what
//! went wrong to standard error, and the exit status tells which it was: 0 it worked, 1 it did not, 2 the
//! command line was not understood.

mod bench;
mod probe;
mod serve;

use std::process::ExitCode;

use annulus::BackendChoice;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};

/// io_uring for Rust, everywhere.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::Arguments),
    /// Tell what executes rings on this machine and what it offers, or why there are none to be had.
    Probe(probe::Arguments),
    Serve(Box<serve::Arguments>),
}

/// What `--backend` takes.
fn backend() -> impl TypedValueParser<Value = BackendChoice> {
    let names = BackendChoice::ALL.map(BackendChoice::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<BackendChoice>())
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Bench(arguments) => bench::run(arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
    }
}
