//! `CLOSE`, of a descriptor or a slot.

use std::os::fd::RawFd;

use annulus_abi::Sqe;
use rustix::io::Errno;

use super::paths::refuse_slot;
use crate::op::{Context, Operation, Outcome, Step, Work};
use crate::pool::{Interrupt, Lane};
use crate::world::World;

/// Closing a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Close {
    /// A descriptor of the program.
    Descriptor(RawFd),
    /// A slot.
    Slot(u32),
}

impl Close {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EBADF` with `IOSQE_FIXED_FILE`: a slot is named by `file_index`. `EINVAL`: both a descriptor and a slot.
    pub(crate) fn prepare(sqe: &Sqe) -> Result<Self, Errno> {
        refuse_slot(sqe)?;
        match (sqe.file_index, sqe.fd) {
            (0, fd) => Ok(Self::Descriptor(fd)),
            (slot, 0) => Ok(Self::Slot(slot - 1)),
            _ => Err(Errno::INVAL),
        }
    }
}

impl Operation for Close {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        let closed = match *self {
            Self::Slot(slot) => cx.tables.files.remove(slot),
            // A ring goes by its own end, not by a request of one.
            Self::Descriptor(fd) if cx.tables.rings.is_ring(fd) => Err(Errno::BADF),
            Self::Descriptor(fd) if cx.world.closes_at_once(fd) => cx.world.close(fd),
            Self::Descriptor(_) => return Step::Block(Work { lane: Lane::Bounded, hash: None }),
        };
        Step::Done(Outcome::from(closed.map(|()| 0)))
    }

    fn block(&mut self, world: &dyn World, _: RawFd, _: &Interrupt) -> Result<u32, Errno> {
        match *self {
            // Not again after EINTR: the number is free, and may be somebody else's by now.
            Self::Descriptor(fd) => world.close(fd).map(|()| 0),
            Self::Slot(_) => unreachable!("a slot is emptied at once"),
        }
    }
}
