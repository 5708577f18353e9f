//! An event loop of sockets and timers that reads files through a ring.
//!
//! ```text
//! cargo run -p annulus --example event_loop -- FOLDER [--listen ADDRESS:PORT] [--tick MS] [--patience TICKS]
//! ```
//!
//! A client sends the name of a file and a newline, and receives the file. Sockets, the timer and signals are
//! descriptors in an epoll set, as programs have had them for twenty years. Files have no readiness that epoll could
//! tell of, so such loops hand them to threads; here they go through a ring, whose own descriptor stands in the same
//! set: it is readable while completions wait. This is how libuv uses io_uring.
//!
//! One turn of the loop: handle what epoll reported, submit what that led to in one call, take what has completed,
//! sleep. The order matters. Completions that the submit brought along are taken before the sleep, because once
//! they are out of the ring its descriptor no longer tells of them.
//!
//! The timer ticks every `--tick` milliseconds (1000), and a client that does nothing for `--patience` ticks (30)
//! is closed. Names lead to files in the folder and below, never out of it. The first line on standard output says
//! where the program listens; SIGINT and SIGTERM end it.
#![allow(unsafe_code, reason = "signals are blocked with libc")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its user")]

mod client;
mod event_loop;
#[path = "../common/termination.rs"]
mod termination;

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use event_loop::EventLoop;
use lexopt::{Arg, ValueExt};

const USAGE: &str = "usage: event_loop FOLDER [--listen ADDRESS:PORT] [--tick MS] [--patience TICKS]";

struct Options {
    folder: PathBuf,
    listen: SocketAddr,
    tick: Duration,
    patience: u32,
}

fn main() -> ExitCode {
    let options = match parse(lexopt::Parser::from_env()) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("event_loop: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("event_loop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: lexopt::Parser) -> Result<Options, lexopt::Error> {
    let (mut folder, mut listen) = (None, SocketAddr::from(([127, 0, 0, 1], 3456)));
    let (mut tick, mut patience) = (Duration::from_secs(1), 30);
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(path) if folder.is_none() => folder = Some(PathBuf::from(path)),
            Arg::Long("listen") => listen = arguments.value()?.parse()?,
            Arg::Long("tick") => tick = Duration::from_millis(arguments.value()?.parse()?),
            Arg::Long("patience") => patience = arguments.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    let folder = folder.ok_or("which folder?")?;
    if tick.is_zero() {
        return Err("--tick 0: a timer needs some time".into());
    }
    Ok(Options { folder, listen, tick, patience })
}

fn serve(options: &Options) -> io::Result<()> {
    let signals = termination::signals()?;
    let folder = File::open(&options.folder).map_err(|error| named(options.folder.display(), &error))?;
    if !folder.metadata()?.is_dir() {
        return Err(named(options.folder.display(), &io::Error::from(io::ErrorKind::NotADirectory)));
    }
    let listener = TcpListener::bind(options.listen).map_err(|error| named(options.listen, &error))?;
    println!("listening on {}", listener.local_addr()?);
    let mut event_loop = EventLoop::new(listener, signals, folder, options.tick, options.patience)?;
    event_loop.run()?;
    println!("{} clients, {} bytes sent", event_loop.clients(), event_loop.bytes());
    Ok(())
}

fn named(what: impl std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
