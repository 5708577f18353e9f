//! Copies files to standard output, reading them through a ring.
//!
//! ```text
//! cargo run -p annulus --example cat -- FILE...
//! ```
//!
//! `-` is standard input. Two buffers take turns: while one is written out, the next read fills the
//! other. Reads go on where the last one ended, so pipes and terminals do as well as files. What cannot
//! be read is named on standard error, the rest is copied, and the program ends with status 1.
#![allow(unsafe_code, reason = "a read names the buffer that it fills")]
#![allow(clippy::print_stderr, reason = "a program that reports to its user")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::process::ExitCode;

use annulus::{IoUring, opcode, types};
use rustix::io::Errno;

const USAGE: &str = "usage: cat FILE...  (`-` is standard input)";
const BLOCK: usize = 128 * 1024;

/// Read where the last read ended.
const AT_POSITION: u64 = u64::MAX;

fn main() -> ExitCode {
    let files: Vec<OsString> = std::env::args_os().skip(1).collect();
    if files.is_empty() || files.iter().any(|file| file == "--help") {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    let mut cat = match Cat::new() {
        Ok(cat) => cat,
        Err(error) => {
            eprintln!("cat: no ring: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut status = ExitCode::SUCCESS;
    for file in &files {
        match cat.copy(Path::new(file)) {
            Ok(()) => {}
            // Nobody reads what is written any more, as in `cat FILE | head`.
            Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => return status,
            Err(Failure::Write(error)) => {
                eprintln!("cat: standard output: {error}");
                return ExitCode::FAILURE;
            }
            Err(Failure::Ring(error)) => {
                eprintln!("cat: the ring: {error}");
                return ExitCode::FAILURE;
            }
            Err(Failure::Read(error)) => {
                eprintln!("cat: {}: {error}", file.display());
                status = ExitCode::FAILURE;
            }
        }
    }
    status
}

/// What went wrong. After a failed read there is the next file; after the others there is nothing.
enum Failure {
    Read(io::Error),
    Write(io::Error),
    Ring(io::Error),
}

struct Cat {
    ring: IoUring,
    /// The buffer that is being filled, and the one that is being written out.
    buffers: [Vec<u8>; 2],
}

impl Cat {
    fn new() -> Result<Self, annulus::SetupError> {
        let ring = IoUring::builder().try_build(2)?;
        Ok(Self { ring, buffers: [vec![0; BLOCK], vec![0; BLOCK]] })
    }

    fn copy(&mut self, path: &Path) -> Result<(), Failure> {
        if path.as_os_str() == "-" {
            return self.copy_from(io::stdin().as_fd());
        }
        let file = File::open(path).map_err(Failure::Read)?;
        self.copy_from(file.as_fd())
    }

    fn copy_from(&mut self, file: BorrowedFd<'_>) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        self.start_read(file)?;
        loop {
            let len = self.finish_read(file)?;
            if len == 0 {
                return stdout.flush().map_err(Failure::Write);
            }
            let [filling, full] = &mut self.buffers;
            mem::swap(filling, full);
            self.start_read(file)?;
            if let Err(error) = stdout.write_all(&self.buffers[1][..len]) {
                // The read that was just started may still fill its buffer; it must end first.
                let _ = self.finish_read(file);
                return Err(Failure::Write(error));
            }
        }
    }

    fn start_read(&mut self, file: BorrowedFd<'_>) -> Result<(), Failure> {
        let buffer = &mut self.buffers[0];
        let read = opcode::Read::new(types::Fd(file.as_raw_fd()), buffer.as_mut_ptr(), BLOCK as u32)
            .offset(AT_POSITION)
            .build();
        // SAFETY: the buffer lives as long as the program, for which a failing ring is the end; swapping
        // vectors moves no bytes, and nobody looks into this one before the read has ended.
        unsafe { self.ring.submission().push(&read) }.expect("one read at a time");
        self.ring.submit().map(drop).map_err(Failure::Ring)
    }

    /// Waits for the read that was started. Returns how many bytes it gave.
    fn finish_read(&mut self, file: BorrowedFd<'_>) -> Result<usize, Failure> {
        loop {
            match wait(&mut self.ring).map_err(Failure::Ring)?.to_result() {
                Ok(len) => return Ok(len as usize),
                Err(Errno::INTR) => self.start_read(file)?,
                Err(errno) => return Err(Failure::Read(errno.into())),
            }
        }
    }
}

/// The next completion. A signal does not end the wait for it.
fn wait(ring: &mut IoUring) -> io::Result<annulus::cqueue::Entry> {
    loop {
        match ring.wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
