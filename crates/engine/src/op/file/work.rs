//! `FSYNC`, `SYNC_FILE_RANGE`, `FALLOCATE`, `FTRUNCATE`, `FADVISE` and `MADVISE`: one call of a worker each.
//!
//! As in Linux, a failure of most of them does not break a chain: only advice about a file does.

use annulus_abi::{self as abi, FsyncFlags, Sqe};
use rustix::io::Errno;

use super::uninterrupted;
use crate::op::{Context, Operation, Outcome, Prepare, Step, Turn, Work};
use crate::pool::{Interrupt, Lane};
use crate::world::{Span, World};

/// Advice that only notes something, so that nobody waits: `POSIX_FADV_NORMAL`, `_RANDOM`, `_SEQUENTIAL`.
const IMMEDIATE_ADVICE: [u32; 3] = [0, 1, 2];

/// Work on a file, or on memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FileWork {
    /// `FSYNC`.
    Sync { data_only: bool },
    /// `SYNC_FILE_RANGE`.
    SyncRange { offset: u64, len: u64, flags: u32 },
    /// `FALLOCATE`.
    Allocate { mode: u32, offset: u64, len: u64 },
    /// `FTRUNCATE`.
    Truncate { len: u64 },
    /// `FADVISE`.
    Advise { offset: u64, len: u64, advice: u32 },
    /// `MADVISE`.
    AdviseMemory { memory: Span, advice: u32 },
}

impl FileWork {
    /// Reads the entry of one of these opcodes.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags of `FSYNC`, and any other opcode.
    pub(crate) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        Ok(match sqe.opcode {
            abi::IORING_OP_FSYNC => {
                let flags = FsyncFlags::from_bits(sqe.op_flags).ok_or(Errno::INVAL)?;
                // A part of a file cannot be asked for from here: all of it holds the part.
                Self::Sync { data_only: flags.contains(FsyncFlags::DATASYNC) }
            }
            abi::IORING_OP_SYNC_FILE_RANGE => {
                Self::SyncRange { offset: sqe.off, len: sqe.len.into(), flags: sqe.op_flags }
            }
            abi::IORING_OP_FALLOCATE => Self::Allocate { mode: sqe.len, offset: sqe.off, len: sqe.addr },
            abi::IORING_OP_FTRUNCATE => Self::Truncate { len: sqe.off },
            abi::IORING_OP_FADVISE => {
                Self::Advise { offset: sqe.off, len: long_or_short(sqe.addr, sqe.len), advice: sqe.op_flags }
            }
            abi::IORING_OP_MADVISE => {
                let len = usize::try_from(long_or_short(sqe.off, sqe.len)).map_err(|_| Errno::INVAL)?;
                Self::AdviseMemory { memory: cx.vouched.span(sqe.addr, len), advice: sqe.op_flags }
            }
            _ => return Err(Errno::INVAL),
        })
    }

    fn call(self, world: &dyn World, fd: i32) -> Result<(), Errno> {
        match self {
            Self::Sync { data_only } => world.sync(fd, data_only),
            Self::SyncRange { offset, len, flags } => world.sync_range(fd, offset, len, flags),
            Self::Allocate { mode, offset, len } => world.allocate(fd, mode, offset, len),
            Self::Truncate { len } => world.truncate(fd, len),
            Self::Advise { offset, len, advice } => world.advise(fd, offset, len, advice),
            Self::AdviseMemory { memory, advice } => world.advise_memory(memory, advice),
        }
    }

    fn outcome(self, result: Result<u32, Errno>) -> Outcome {
        match self {
            Self::Advise { .. } => Outcome::from(result),
            _ => Outcome::lenient(result),
        }
    }
}

impl Operation for FileWork {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        if let Self::Advise { advice, .. } = self
            && IMMEDIATE_ADVICE.contains(advice)
            && cx.turn != Turn::Worker
        {
            let result = self.call(cx.world.as_ref(), cx.fd);
            return Step::Done(self.outcome(result.map(|()| 0)));
        }
        // What changes a file's length takes turns with its writes.
        let hash = match self {
            Self::Allocate { .. } | Self::Truncate { .. } => cx.world.identity(cx.fd).ok(),
            _ => None,
        };
        Step::Block(Work { lane: Lane::Bounded, hash })
    }

    fn block(&mut self, world: &dyn World, fd: i32, interrupt: &Interrupt) -> Result<u32, Errno> {
        uninterrupted(interrupt, || self.call(world, fd)).map(|()| 0)
    }

    fn settle(&mut self, _: &mut Context<'_>, result: Result<u32, Errno>) -> Step {
        Step::Done(self.outcome(result))
    }
}

/// A length of 64 bits, or of 32 if there is none.
fn long_or_short(long: u64, short: u32) -> u64 {
    if long == 0 { short.into() } else { long }
}
