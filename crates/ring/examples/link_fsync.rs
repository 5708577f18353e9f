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
//! order but goes on after a failure; the file would have a hole where a record is missing, and the fsync at
//! the end would still say that all is well.
#![allow(unsafe_code, reason = "a write names the buffer that it takes")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its user")]

use std::env;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use annulus::squeue::{Entry, Flags};
use annulus::{IoUring, opcode, types};
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
    match append(&path, &records) {
        Ok(bytes) => {
            println!("{} records, {bytes} bytes, on the disk", records.len());
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
fn append(path: &Path, records: &[Vec<u8>]) -> io::Result<usize> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let chain = chain(&file, records);
    let mut ring: IoUring = IoUring::builder().build(u32::try_from(chain.len()).unwrap_or(u32::MAX))?;
    // SAFETY: `main` keeps the records to the end of the program, and the file stays open until all of the
    // chain has been submitted.
    unsafe { ring.submission().push_multiple(&chain) }.expect("the ring has room for the chain");
    let results = run(&mut ring, chain.len())?;
    verdict(records, &results)
}

/// The writes and the fsync, each linked to the next.
fn chain(file: &File, records: &[Vec<u8>]) -> Vec<Entry> {
    let file = types::Fd(file.as_raw_fd());
    let write = |record: &Vec<u8>| {
        let len = u32::try_from(record.len()).expect("an argument is shorter than 4 GiB");
        // The file is open for appending, so every write goes to its end, whatever the offset.
        opcode::Write::new(file, record.as_ptr(), len).build().flags(Flags::IO_LINK)
    };
    let entries = records.iter().map(write).chain([opcode::Fsync::new(file).build()]);
    (0..).zip(entries).map(|(index, entry)| entry.user_data(index)).collect()
}

/// Submits the chain and waits for all of it. The results are in the order of the chain.
fn run(ring: &mut IoUring, len: usize) -> io::Result<Vec<Result<u32, Errno>>> {
    let mut results = vec![Err(Errno::CANCELED); len];
    let mut completed = 0;
    while completed < len {
        match ring.submit_and_wait(len - completed) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => drop(result?),
        }
        for cqe in ring.completion() {
            let index = usize::try_from(cqe.user_data()).expect("an index of the chain");
            results[index] = cqe.to_result();
            completed += 1;
        }
    }
    Ok(results)
}

/// All bytes, or the first link that broke.
fn verdict(records: &[Vec<u8>], results: &[Result<u32, Errno>]) -> io::Result<usize> {
    let mut bytes = 0;
    for (number, (record, result)) in (1..).zip(records.iter().zip(results)) {
        match result {
            Ok(written) if *written as usize == record.len() => bytes += record.len(),
            Ok(written) => {
                let text = format!("record {number}: {written} of {} bytes were written", record.len());
                return Err(io::Error::new(io::ErrorKind::WriteZero, text));
            }
            Err(errno) => return Err(failure(&format!("record {number}"), *errno)),
        }
    }
    let fsync = results.last().expect("the chain ends with the fsync");
    fsync.map(|_| bytes).map_err(|errno| failure("fsync", errno))
}

fn failure(what: &str, errno: Errno) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("{what}: {error}; nothing after it was carried out"))
}
