//! A TCP echo server on a ring, in each of the four modes that a ring has.
//!
//! ```text
//! cargo run -p annulus --example tcp_echo -- [--mode MODE] [--listen ADDRESS:PORT] [--greeting FILE] [--entries N]
//! ```
//!
//! | `--mode` | Sockets | The greeting's file |
//! |---|---|---|
//! | `interrupt` (default) | an ordinary ring | the same ring |
//! | `sqpoll` | a ring whose kernel thread submits, so that a busy server makes no system call | the same ring |
//! | `iopoll` | an ordinary ring | a second ring that polls the device (`IORING_SETUP_IOPOLL`) |
//! | `both` | a ring whose kernel thread submits | a second ring whose kernel thread submits and polls |
//!
//! Why a second ring: a ring with `IORING_SETUP_IOPOLL` takes reads and writes of devices with poll queues
//! (opened with `O_DIRECT`), NOPs and messages of other rings, and nothing else. On Linux 6.18 it answers accept,
//! receive, send, poll, timeout, close and cancel with `EINVAL`, and reads of what cannot be polled with
//! `EOPNOTSUPP`. A server that wants polled files beside its sockets has two rings in one thread and looks at
//! both: while a polled read is in flight it does not sleep, otherwise it sleeps on the sockets. Where the
//! greeting's device cannot be polled the server says so, once, and reads through the sockets' ring.
//!
//! The greeting, if there is one, goes to every client first, read from its file each time, as servers of mail do.
//! The first line on standard output says where the server listens; with port 0 the system picks the port.
//! SIGINT and SIGTERM end it in order: no new connections, what was received is sent back, and connections that
//! then do not end by themselves are closed after two seconds.
#![allow(unsafe_code, reason = "entries name the buffers of connections; signals are blocked with libc")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its user")]

mod connection;
mod options;
mod queue;
mod server;
#[path = "../common/termination.rs"]
mod termination;

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;

use options::Options;
use server::Server;

fn main() -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_env()) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("tcp_echo: {error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tcp_echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> io::Result<()> {
    let signals = termination::signals()?;
    let listener = TcpListener::bind(options.listen)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", options.listen)))?;
    println!("listening on {}", listener.local_addr()?);
    let totals = Server::new(options, &listener, &signals)?.run()?;
    println!("{} connections, {} bytes echoed", totals.connections, totals.bytes);
    Ok(())
}
