//! Appends records to a file and says when they are safe: n writes in a chain, then an fsync, then the
//! result. One call hands over everything.
//!
//! ```text
//! cargo run -p annulus --example link_fsync -- FILE RECORD...
//! ```
//!
//! Unlinked operations may run in any order, so the fsync might run before the writes that it is for.
//! `IO_LINK` makes each entry wait for the one before, and ends the chain at the first that fails or
//! writes less than it should: what follows is not carried out and says `ECANCELED`. That is what a
//! log wants: no record without the ones before it, and no "safe" after a failure. `IO_HARDLINK` keeps the
//! order but goes on after a failure; the file would lack a record, and the fsync at the end would still say
//! that all is well.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its user")]

use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use annulus::owned::{Handle, OwnedRing, Sync, Write};
use annulus::squeue::Flags;
use rustix::io::Errno;

const USAGE: &str = "usage: link_fsync FILE RECORD...";

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let path = arguments.next().map(PathBuf::from);
    let records: Vec<Vec<u8>> = arguments.map(line).collect();
    let Some(path) = path.filter(|_| !records.is_empty()) else {
        eprintln!("link_fsync: a file and at least one record are needed\n{USAGE}");
        return ExitCode::from(2);
    };
    let count = records.len();
    match append(&path, records) {
        Ok(bytes) => {
            println!("{count} records, {bytes} bytes, on the disk");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("link_fsync: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn line(record: OsString) -> Vec<u8> {
    let mut line = record.into_vec();
    line.push(b'\n');
    line
}

/// Appends all records, makes them durable, and returns how many bytes that were.
fn append(path: &Path, records: Vec<Vec<u8>>) -> io::Result<usize> {
    let file = Handle::from(OpenOptions::new().append(true).create(true).open(path)?);
    let entries = u32::try_from(records.len() + 1).unwrap_or(u32::MAX);
    let mut ring = OwnedRing::new(entries)?;

    // The file is open for appending, so every write goes to its end, whatever the offset.
    let push =
        |record| ring.push_with(Write::new(&file, record), Flags::IO_LINK).expect("room for the chain");
    let writes: Vec<_> = records.into_iter().map(push).collect();
    let fsync = ring.push(Sync::all(&file)).expect("room for the chain");

    let mut bytes = 0;
    for (number, write) in (1..).zip(writes) {
        let (result, record) = ring.wait_for(write)?;
        let written = result.map_err(|errno| broken(&format!("record {number}"), errno))?;
        if written < record.len() {
            let text = format!("record {number}: {written} of {} bytes were written", record.len());
            return Err(io::Error::new(io::ErrorKind::WriteZero, text));
        }
        bytes += written;
    }
    ring.wait_for(fsync)?.map_err(|errno| broken("fsync", errno))?;
    Ok(bytes)
}

/// The first link that failed; those behind it say `ECANCELED`.
fn broken(what: &str, errno: Errno) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("{what}: {error}; nothing after it was carried out"))
}
