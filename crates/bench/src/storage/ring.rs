//! Reads through a ring: as many entries under way as the depth says, all that completed replaced in one call.
#![allow(unsafe_code, reason = "pushes reads into memory that is never freed")]

use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

use annulus::types::{Fd, Fixed};
use annulus::{IoUring, opcode, squeue};

use super::Job;
use super::block::{Area, BLOCK, Block, Offsets};
use crate::backend::{Back, not_registered};
use crate::meter;
use crate::pin::keep_workers;
use crate::report::{Fault, Sample};

/// Calls between two readings of the clock.
const CALLS: u32 = 8;

pub(super) fn measure(job: &Job<'_>, back: Back, fixed: bool, core: usize) -> Result<Sample, Fault> {
    let mut reads = Reads::new(job, back, fixed, core)?;
    for slot in 0..job.depth {
        reads.push(slot)?;
    }
    let measured = meter::measure(job.window, || reads.turn());
    reads.drain()?;
    measured
}

/// The file that reads name.
#[derive(Clone, Copy)]
enum Target {
    Plain(Fd),
    /// The first registered file; each slot has a registered buffer.
    Fixed,
}

struct Reads {
    ring: IoUring,
    target: Target,
    /// A block for each slot. Never freed: what is in flight when a turn fails may still be written there.
    memory: NonNull<Block>,
    /// The block that each slot reads.
    slots: Vec<u64>,
    in_flight: u32,
    offsets: Offsets,
    area: Area,
}

impl Reads {
    fn new(job: &Job<'_>, back: Back, fixed: bool, core: usize) -> Result<Self, Fault> {
        let entries = job.depth.next_power_of_two();
        let ring = back.ring(entries, 2 * entries)?;
        keep_workers(&ring, core);
        let depth = job.depth as usize;
        let memory = NonNull::from(vec![*Block::new(); depth].leak()).cast();
        let mut reads = Self {
            ring,
            target: Target::Plain(Fd(job.file.as_raw_fd())),
            memory,
            slots: vec![0; depth],
            in_flight: 0,
            offsets: job.offsets(),
            area: job.area(),
        };
        if fixed {
            reads.register(job)?;
        }
        Ok(reads)
    }

    fn register(&mut self, job: &Job<'_>) -> Result<(), Fault> {
        let buffer = |slot| libc::iovec { iov_base: self.block(slot).cast(), iov_len: BLOCK as usize };
        let buffers: Vec<libc::iovec> = (0..job.depth).map(buffer).collect();
        let submitter = self.ring.submitter();
        // SAFETY: the memory is never freed, and looked at only between a completion and the next push.
        unsafe { submitter.register_buffers(&buffers) }.map_err(|error| not_registered("buffers", &error))?;
        let files = [job.file.as_raw_fd()];
        submitter.register_files(&files).map_err(|error| not_registered("a file", &error))?;
        self.target = Target::Fixed;
        Ok(())
    }

    /// Some calls, each of which submits what is there and waits for one read at least; the number of reads.
    fn turn(&mut self) -> Result<u64, Fault> {
        let mut reads = 0;
        for _ in 0..CALLS {
            self.ring.submit_and_wait(1)?;
            while let Some(slot) = self.completed()? {
                self.push(slot)?;
                reads += 1;
            }
        }
        Ok(reads)
    }

    /// Takes one completion out, looks at what was read, and returns its slot.
    fn completed(&mut self) -> Result<Option<u32>, Fault> {
        let Some(completion) = self.ring.completion().next() else { return Ok(None) };
        self.in_flight -= 1;
        let slot = u32::try_from(completion.user_data()).map_err(io::Error::other)?;
        let count = completion.to_result().map_err(io::Error::from)?;
        let start: *const [u8; 8] = self.block(slot).cast();
        // SAFETY: the block of this slot is never freed, longer than this, and nobody writes there: its read is complete.
        let found = unsafe { start.read() };
        self.area.check(self.slots[slot as usize], count as usize, found)?;
        Ok(Some(slot))
    }

    fn push(&mut self, slot: u32) -> Result<(), Fault> {
        let number = self.offsets.next_block();
        self.slots[slot as usize] = number;
        let entry = self.read(slot, number * u64::from(BLOCK));
        // SAFETY: the slot's memory is a block, never freed, and this slot has no other read in flight.
        unsafe { self.ring.submission().push(&entry) }.map_err(io::Error::other)?;
        self.in_flight += 1;
        Ok(())
    }

    fn read(&self, slot: u32, offset: u64) -> squeue::Entry {
        let block = self.block(slot);
        let entry = match self.target {
            Target::Plain(fd) => opcode::Read::new(fd, block, BLOCK).offset(offset).build(),
            Target::Fixed => {
                // A depth fits into 16 bits.
                let buffer = u16::try_from(slot).unwrap_or(u16::MAX);
                opcode::ReadFixed::new(Fixed(0), block, BLOCK, buffer).offset(offset).build()
            }
        };
        entry.user_data(slot.into())
    }

    /// Waits for what is in flight: the ring is not to be torn down under it.
    fn drain(&mut self) -> Result<(), Fault> {
        while self.in_flight > 0 {
            self.ring.submit_and_wait(1)?;
            let reaped = self.ring.completion().count();
            self.in_flight = self.in_flight.saturating_sub(u32::try_from(reaped).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// The memory of a slot.
    fn block(&self, slot: u32) -> *mut u8 {
        self.memory.as_ptr().wrapping_add(slot as usize).cast()
    }
}
