//! Copies a file with many linked pairs of read and write in flight.
//!
//! ```text
//! cargo run -p annulus --example cp -- SOURCE DESTINATION
//! ```
//!
//! Each block is a read linked to the write of the same buffer: the kernel starts the write as soon as the
//! read has succeeded, without asking. A short read breaks the link (the write says `ECANCELED`), as does
//! the end of the file; then the rest of the block is read and the whole block written, again as a pair. A
//! short write is continued by a write alone.
//!
//! The copy grows under another name beside the destination. It gets its mode, is made durable, and only then
//! takes the destination's name; whatever goes wrong before leaves the destination as it was. A source that
//! ends before bytes that were read already has shrunk meanwhile: an error, as the copy would be neither the
//! one file nor the other.
#![allow(unsafe_code, reason = "reads and writes name the buffers of their blocks")]
#![allow(clippy::print_stderr, reason = "a program that reports to its user")]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, process};

use annulus::squeue::{Entry, Flags};
use annulus::{IoUring, opcode, types};
use rustix::io::Errno;

const USAGE: &str = "usage: cp SOURCE DESTINATION";
const BLOCK: usize = 128 * 1024;
const BLOCKS_IN_FLIGHT: u32 = 32;

/// The user data of the fsync at the end; blocks have theirs from zero on.
const FSYNC: u64 = u64::MAX;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [source, destination] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match copy(source, destination) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cp: {error}");
            ExitCode::FAILURE
        }
    }
}

fn copy(source: &Path, destination: &Path) -> io::Result<()> {
    let of_source = |error| named(source, error);
    let input = File::open(source).map_err(of_source)?;
    let metadata = input.metadata().map_err(of_source)?;
    if metadata.is_dir() {
        return Err(of_source(Errno::ISDIR.into()));
    }
    let destination = place(source, destination);
    let of_destination = |error| named(&destination, error);
    if let Ok(old) = fs::metadata(&destination) {
        if !old.is_file() {
            return Err(of_destination(io::Error::other("is there already, and is no regular file")));
        }
        if (old.dev(), old.ino()) == (metadata.dev(), metadata.ino()) {
            return Err(of_destination(io::Error::other("is the source itself")));
        }
    }
    let output = Unfinished::beside(&destination).map_err(of_destination)?;
    let mut transfer = Transfer::new(&input, &output.file, metadata.len())?;
    transfer.run().map_err(|failure| match failure {
        Failure::Read(error) => of_source(error),
        Failure::Write(error) => of_destination(error),
    })?;
    let mode = Permissions::from_mode(metadata.mode() & 0o777);
    output.file.set_permissions(mode).map_err(of_destination)?;
    transfer.fsync().map_err(of_destination)?;
    drop(transfer);
    output.rename(&destination).map_err(of_destination)
}

/// Where the copy goes: into a folder, under the source's name; to where a symbolic link leads.
fn place(source: &Path, destination: &Path) -> PathBuf {
    let destination = match source.file_name() {
        Some(name) if destination.is_dir() => destination.join(name),
        _ => destination.to_owned(),
    };
    fs::canonicalize(&destination).unwrap_or(destination)
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A copy that has not got its name yet, and is removed if it never does.
struct Unfinished {
    file: File,
    path: PathBuf,
}

impl Unfinished {
    fn beside(destination: &Path) -> io::Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(destination.file_name().ok_or(Errno::INVAL)?);
        name.push(format!(".{}.part", process::id()));
        let path = destination.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path })
    }

    fn rename(mut self, destination: &Path) -> io::Result<()> {
        fs::rename(&self.path, destination)?;
        self.path = PathBuf::new(); // Nothing is left to be removed.
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

enum Failure {
    Read(io::Error),
    Write(io::Error),
}

/// A piece of the file on its way, and the buffer that it goes through.
struct Block {
    buffer: Vec<u8>,
    offset: u64,
    /// Bytes of the buffer that have been read, and of those, that have been written.
    read: usize,
    written: usize,
    /// How many operations are in flight, and what came of those that have ended.
    pending: usize,
    read_result: Option<Result<u32, Errno>>,
    write_result: Option<Result<u32, Errno>>,
}

struct Transfer<'f> {
    ring: IoUring,
    input: types::Fd,
    output: types::Fd,
    blocks: Vec<Block>,
    /// Where the next block begins.
    next: u64,
    /// How long the source said it is, how far reads have come, and where they found its end.
    expected: u64,
    furthest: u64,
    end: Option<u64>,
    in_flight: usize,
    files: std::marker::PhantomData<&'f File>,
}

impl<'f> Transfer<'f> {
    fn new(input: &'f File, output: &'f File, expected: u64) -> io::Result<Self> {
        let ring = IoUring::new(2 * BLOCKS_IN_FLIGHT)?;
        Ok(Self {
            ring,
            input: types::Fd(input.as_raw_fd()),
            output: types::Fd(output.as_raw_fd()),
            blocks: Vec::new(),
            next: 0,
            expected,
            furthest: 0,
            end: None,
            in_flight: 0,
            files: std::marker::PhantomData,
        })
    }

    /// Copies everything, from the start to the end that reads find: files of /proc say that they are empty
    /// and are not, those of /sys are shorter than they say, and a log grows.
    fn run(&mut self) -> Result<(), Failure> {
        let result = self.run_blocks();
        // Operations in flight use the buffers, which must not go before they have ended.
        while self.in_flight > 0 {
            let _ = self.reap();
        }
        result
    }

    fn run_blocks(&mut self) -> Result<(), Failure> {
        for slot in 0..BLOCKS_IN_FLIGHT as usize {
            if slot > 0 && self.next >= self.expected {
                break;
            }
            self.blocks.push(Block::new());
            self.start_block(slot);
        }
        while self.in_flight > 0 {
            for slot in self.reap().map_err(Failure::Read)? {
                self.advance(slot)?;
            }
        }
        match self.end {
            Some(end) if end < self.furthest => {
                let text = format!("shrank to {end} bytes while it was copied");
                Err(Failure::Read(io::Error::other(text)))
            }
            _ => Ok(()),
        }
    }

    /// Gives a block the next piece of the file, if there is one left. Where the file should end by now,
    /// one block alone looks whether it does.
    fn start_block(&mut self, slot: usize) {
        if self.end.is_some() || (self.next >= self.expected && self.in_flight > 0) {
            return;
        }
        let block = &mut self.blocks[slot];
        (block.offset, block.read, block.written) = (self.next, 0, 0);
        self.next += BLOCK as u64;
        self.push_pair(slot);
    }

    /// Goes on with a block whose operations have all completed.
    fn advance(&mut self, slot: usize) -> Result<(), Failure> {
        let block = &mut self.blocks[slot];
        match block.read_result.take() {
            Some(Ok(0)) => {
                let end = block.offset + block.read as u64;
                self.end = Some(self.end.map_or(end, |known| known.min(end)));
            }
            Some(Ok(len)) => {
                block.read += len as usize;
                self.furthest = self.furthest.max(block.offset + block.read as u64);
            }
            Some(Err(Errno::INTR)) | None => {}
            Some(Err(errno)) => return Err(Failure::Read(errno.into())),
        }
        match block.write_result.take() {
            Some(Ok(0)) => return Err(Failure::Write(io::ErrorKind::WriteZero.into())),
            Some(Ok(len)) => block.written += len as usize,
            // The link was broken by the read, or there was no write.
            Some(Err(Errno::INTR | Errno::CANCELED)) | None => {}
            Some(Err(errno)) => return Err(Failure::Write(errno.into())),
        }
        self.go_on(slot);
        Ok(())
    }

    /// Pushes what a block needs next: a pair for its rest, a write alone, or the next piece of the file.
    fn go_on(&mut self, slot: usize) {
        let block = &self.blocks[slot];
        let at_end = self.end.is_some_and(|end| block.offset + block.read as u64 >= end);
        if block.read < BLOCK && !at_end {
            self.push_pair(slot);
        } else if block.written < block.read {
            let write = self.write(slot, block.read);
            self.push(slot, &[write]);
        } else {
            self.start_block(slot);
        }
    }

    /// Reads the rest of a block, and linked to that writes all of it.
    fn push_pair(&mut self, slot: usize) {
        let block = &mut self.blocks[slot];
        let rest = &mut block.buffer[block.read..];
        let read = opcode::Read::new(self.input, rest.as_mut_ptr(), len(rest))
            .offset(block.offset + block.read as u64)
            .build()
            .flags(Flags::IO_LINK)
            .user_data(2 * slot as u64);
        let write = self.write(slot, BLOCK);
        self.push(slot, &[read, write]);
    }

    /// The write of a block's bytes up to `end` that are not written yet.
    fn write(&self, slot: usize, end: usize) -> Entry {
        let block = &self.blocks[slot];
        let rest = &block.buffer[block.written..end];
        opcode::Write::new(self.output, rest.as_ptr(), len(rest))
            .offset(block.offset + block.written as u64)
            .build()
            .user_data(2 * slot as u64 + 1)
    }

    fn push(&mut self, slot: usize, entries: &[Entry]) {
        // SAFETY: the files are borrowed for 'f; the buffers stay where they are until `run` has seen all
        // completions, and nobody looks into one while its block has operations in flight.
        unsafe { self.ring.submission().push_multiple(entries) }.expect("two entries for each block");
        self.blocks[slot].pending = entries.len();
        self.in_flight += entries.len();
    }

    /// Submits, waits, and returns the blocks whose operations have all completed.
    fn reap(&mut self) -> io::Result<Vec<usize>> {
        if let Err(error) = self.ring.submit_and_wait(1) {
            let passing = [Errno::INTR, Errno::AGAIN, Errno::BUSY].map(|errno| Some(errno.raw_os_error()));
            if !passing.contains(&error.raw_os_error()) {
                return Err(error);
            }
        }
        let mut idle = Vec::new();
        for cqe in self.ring.completion() {
            let slot = usize::try_from(cqe.user_data() / 2).expect("the number of a block");
            let block = &mut self.blocks[slot];
            let result =
                if cqe.user_data() % 2 == 0 { &mut block.read_result } else { &mut block.write_result };
            *result = Some(cqe.to_result());
            block.pending -= 1;
            self.in_flight -= 1;
            if block.pending == 0 {
                idle.push(slot);
            }
        }
        Ok(idle)
    }

    fn fsync(&mut self) -> io::Result<()> {
        let fsync = opcode::Fsync::new(self.output).build().user_data(FSYNC);
        // SAFETY: the file is borrowed for 'f; an fsync names no memory.
        unsafe { self.ring.submission().push(&fsync) }.expect("nothing else is in flight");
        self.ring.submit()?;
        loop {
            match self.ring.wait() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                cqe => return Ok(cqe?.to_result().map(drop)?),
            }
        }
    }
}

fn len(part: &[u8]) -> u32 {
    u32::try_from(part.len()).expect("a part of a block")
}

impl Block {
    fn new() -> Self {
        Self {
            buffer: vec![0; BLOCK],
            offset: 0,
            read: 0,
            written: 0,
            pending: 0,
            read_result: None,
            write_result: None,
        }
    }
}
