//! The four ways to drive a ring, on a device: `modes DEVICE_OR_FILE...`.
//!
//! Writes 64 blocks of a pattern past the page cache, reads them back and compares them, once in each mode:
//! interrupts, IOPOLL, SQPOLL, and both together. One line for each: `ok`, `SKIP` with the reason (no device
//! with poll queues, an older kernel), or what went wrong, which is also told by the exit status. **It
//! overwrites the first 256 KiB of what it is given.** A file that is not there is created, and stays.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;

use annulus::abi::SetupFlags;
use annulus::squeue::Entry;
use annulus::{opcode, types::Fd};
use annulus_conformance::{BackendUnderTest, Buffer, Rig, Setup, backends};

const BLOCKS: u32 = 64;
const BLOCK: u32 = 4096;

/// The modes by name.
const MODES: [(&str, SetupFlags); 4] = [
    ("interrupt", SetupFlags::empty()),
    ("iopoll", SetupFlags::IOPOLL),
    ("sqpoll", SetupFlags::SQPOLL),
    ("iopoll+sqpoll", SetupFlags::IOPOLL.union(SetupFlags::SQPOLL)),
];

/// How a mode ended, if it did not succeed.
enum Failure {
    /// It cannot be tried here.
    Skip(String),
    /// It does not work.
    Wrong(String),
}

fn main() -> ExitCode {
    let targets: Vec<_> = std::env::args_os().skip(1).collect();
    if targets.is_empty() {
        say(&format_args!("usage: modes DEVICE_OR_FILE...   (overwrites the first 256 KiB of each)"));
        return ExitCode::from(2);
    }
    let mut failed = false;
    for backend in backends() {
        for target in &targets {
            for (seed, (name, flags)) in (0..).zip(MODES) {
                let outcome = open(target).and_then(|file| try_mode(&backend, &file, flags, seed));
                let verdict = match &outcome {
                    Ok(()) => format!("ok: {BLOCKS} blocks of {BLOCK} bytes written, read and compared"),
                    Err(Failure::Skip(reason)) => format!("SKIP: {reason}"),
                    Err(Failure::Wrong(what)) => format!("FAILED: {what}"),
                };
                failed |= matches!(outcome, Err(Failure::Wrong(_)));
                say(&format_args!("{} {} {name}: {verdict}", backend.name, target.display()));
            }
        }
    }
    ExitCode::from(u8::from(failed))
}

/// Opens what is to be written past the page cache.
fn open(target: &std::ffi::OsStr) -> Result<File, Failure> {
    let direct =
        OpenOptions::new().read(true).write(true).create(true).custom_flags(libc::O_DIRECT).open(target);
    direct.map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL) => Failure::Skip("the file system does not take O_DIRECT".to_owned()),
        _ => Failure::Wrong(format!("cannot open it: {error}")),
    })
}

fn try_mode(backend: &BackendUnderTest, file: &File, flags: SetupFlags, seed: u8) -> Result<(), Failure> {
    let mut setup = Setup::new(BLOCKS);
    setup.flags = flags;
    let ring = (backend.open)(&setup).map_err(|error| Failure::Skip(format!("no such ring: {error}")))?;
    let mut rig = Rig::new(ring);
    let pattern: Vec<Buffer> = (0..BLOCKS).map(|block| Buffer::of(&contents(seed, block))).collect();
    let target = Fd(file.as_raw_fd());
    all_whole(&mut rig, "write", &pattern, |block| opcode::Write::new(target, block.ptr(), BLOCK).build())?;
    let back: Vec<Buffer> = (0..BLOCKS).map(|_| Buffer::new(BLOCK as usize)).collect();
    all_whole(&mut rig, "read", &back, |block| opcode::Read::new(target, block.ptr(), BLOCK).build())?;
    let differs = pattern.iter().zip(&back).position(|(written, read)| written.bytes() != read.bytes());
    match differs {
        Some(block) => Err(Failure::Wrong(format!("block {block} is not what was written"))),
        None => Ok(()),
    }
}

/// One operation for each block, all in flight at once; each must be answered with the whole block.
fn all_whole(
    rig: &mut Rig,
    what: &str,
    blocks: &[Buffer],
    operation: impl Fn(&Buffer) -> Entry,
) -> Result<(), Failure> {
    let entries = (0..).zip(blocks).map(|(number, block)| {
        let mut entry = operation(block);
        entry.set_off(number * u64::from(BLOCK));
        entry
    });
    for (block, result) in rig.batch(entries).into_iter().enumerate() {
        match result {
            result if result == BLOCK.cast_signed() => {}
            result if result == -libc::EOPNOTSUPP => {
                return Err(Failure::Skip("the device has no poll queues (EOPNOTSUPP)".to_owned()));
            }
            result if result < 0 => {
                let error = io::Error::from_raw_os_error(-result);
                return Err(Failure::Wrong(format!("{what} of block {block}: {error}")));
            }
            short => {
                return Err(Failure::Wrong(format!("{what} of block {block}: {short} bytes of {BLOCK}")));
            }
        }
    }
    Ok(())
}

/// What a block holds: no two of a run are the same, nor the same block in two modes.
fn contents(seed: u8, block: u32) -> Vec<u8> {
    let word = |place: u32| (u64::from(seed) << 48 | u64::from(block) << 24 | u64::from(place)).to_le_bytes();
    (0..BLOCK / 8).flat_map(word).collect()
}

/// A line on standard output; whoever closed it does not want to know.
fn say(line: &dyn fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
