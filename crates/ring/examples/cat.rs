//! Copies files to standard output, reading them through a ring.
//!
//! ```text
//! cargo run -p annulus --example cat -- FILE...
//! ```
//!
//! `-` is standard input. Two buffers take turns: while one is written out, the next read fills the
//! other. Reads go on where the last one ended, so pipes and terminals do as well as files. What cannot
//! be read is named on standard error, the rest is copied, and the program ends with status 1.
#![allow(clippy::print_stderr, reason = "a program that reports to its user")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use annulus::owned::{Handle, OwnedRing, Read, Ticket};
use rustix::io::Errno;

const USAGE: &str = "usage: cat FILE...  (`-` is standard input)";
const BLOCK: usize = 128 * 1024;

/// As the offset of a read: where the last read ended.
const AT_POSITION: u64 = u64::MAX;

fn main() -> ExitCode {
    let files: Vec<OsString> = std::env::args_os().skip(1).collect();
    if files.is_empty() || files.iter().any(|file| file == "--help") {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match cat(&files) {
        Ok(status) => status,
        // Nobody reads what is written any more, as in `cat FILE | head`.
        Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Write(error)) => {
            eprintln!("cat: standard output: {error}");
            ExitCode::FAILURE
        }
        Err(Failure::Ring(error)) => {
            eprintln!("cat: the ring: {error}");
            ExitCode::FAILURE
        }
        Err(Failure::Read(_)) => unreachable!("there is the next file"),
    }
}

/// What went wrong. After a failed read there is the next file; after the others there is nothing.
enum Failure {
    Read(io::Error),
    Write(io::Error),
    Ring(io::Error),
}

fn cat(files: &[OsString]) -> Result<ExitCode, Failure> {
    let mut ring = OwnedRing::new(2).map_err(Failure::Ring)?;
    let mut status = ExitCode::SUCCESS;
    for file in files {
        match open(file).and_then(|handle| copy(&mut ring, &handle)) {
            Err(Failure::Read(error)) => {
                eprintln!("cat: {}: {error}", Path::new(file).display());
                status = ExitCode::FAILURE;
            }
            result => result?,
        }
    }
    Ok(status)
}

fn open(file: &OsString) -> Result<Handle, Failure> {
    let opened =
        if file == "-" { io::stdin().as_fd().try_clone_to_owned() } else { File::open(file).map(Into::into) };
    opened.map(Handle::from).map_err(Failure::Read)
}

/// Copies one file, a read ahead of the writes.
fn copy(ring: &mut OwnedRing, file: &Handle) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let mut spare = Vec::with_capacity(BLOCK);
    let mut filling = start(ring, file, Vec::with_capacity(BLOCK))?;
    loop {
        let (result, block) = ring.wait_for(filling).map_err(Failure::Ring)?;
        match result {
            Ok(0) => return stdout.flush().map_err(Failure::Write),
            Ok(_) => filling = start(ring, file, spare)?,
            Err(Errno::INTR) => {
                filling = start(ring, file, block)?;
                continue;
            }
            Err(errno) => return Err(Failure::Read(errno.into())),
        }
        stdout.write_all(&block).map_err(Failure::Write)?;
        spare = block;
    }
}

fn start(ring: &mut OwnedRing, file: &Handle, block: Vec<u8>) -> Result<Ticket<Read<Vec<u8>>>, Failure> {
    let read = ring.push(Read::new(file, block).offset(AT_POSITION)).expect("one read at a time");
    ring.submit().map_err(Failure::Ring)?;
    Ok(read)
}
