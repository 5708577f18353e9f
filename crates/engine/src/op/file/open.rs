//! `OPENAT` and `OPENAT2`: at once if everything on the way is in memory, by a worker otherwise.

use std::os::fd::RawFd;
use std::sync::Arc;

use annulus_abi::{self as abi, Sqe};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::paths::{Place, refuse_slot};
use super::uninterrupted;
use crate::files::File;
use crate::op::{Context, Operation, Outcome, Prepare, Step, Turn, Work};
use crate::pool::{Interrupt, Lane};
use crate::world::{Mode, Opening, World};

/// The size of `struct open_how` at its first, and of what may follow it.
const HOW_SIZE: usize = 24;
/// The longest structure that a later program may bring.
const LONGEST_HOW: usize = 4096;

/// Opening a file.
#[derive(Debug)]
pub(crate) struct Open {
    at: Place,
    how: Opening,
    /// `file_index`: 0 for a descriptor.
    slot: u32,
    /// What a worker has opened, until it is settled.
    made: Option<RawFd>,
}

impl Open {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EBADF` with `IOSQE_FIXED_FILE`. `EINVAL`: `O_CLOEXEC` for a slot, a structure that is too short. `E2BIG`: one that says what is not
    /// known here. `EFAULT`, and those of a path.
    pub(crate) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let mut how = if sqe.opcode == abi::IORING_OP_OPENAT2 {
            load_how(sqe, cx)?
        } else {
            Opening { flags: sqe.op_flags.into(), mode: sqe.len.into(), resolve: 0, lenient: true }
        };
        refuse_slot(sqe)?;
        let at = Place::load(cx, sqe.fd, sqe.addr, false)?;
        if sqe.file_index != 0 {
            if how.has(OFlags::CLOEXEC) {
                return Err(Errno::INVAL);
            }
            // The engine's descriptor is nobody else's: no other program inherits it.
            how.flags |= u64::from(OFlags::CLOEXEC.bits());
        }
        Ok(Self { at, how, slot: sqe.file_index, made: None })
    }

    /// Makes the result of a new descriptor: itself, or the slot it is put in.
    fn opened(&self, cx: &mut Context<'_>, fd: RawFd) -> Outcome {
        if self.slot == 0 {
            return Outcome::success(fd);
        }
        let file = File::new(fd, Arc::clone(cx.world));
        match cx.tables.files.install(self.slot, file) {
            Ok(result) => Outcome::success(result.cast_signed()),
            Err((errno, _)) => Outcome::failure(errno),
        }
    }
}

impl Operation for Open {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        let changes = [OFlags::CREATE, OFlags::TRUNC, OFlags::TMPFILE];
        if cx.turn == Turn::Worker || changes.into_iter().any(|flag| self.how.has(flag)) {
            return Step::Block(Work { lane: Lane::Bounded, hash: None });
        }
        match cx.world.open(self.at.at(), &self.how, Mode::Nonblocking) {
            Ok(fd) => Step::Done(self.opened(cx, fd)),
            Err(Errno::AGAIN | Errno::INTR) => Step::Block(Work { lane: Lane::Bounded, hash: None }),
            Err(errno) => Step::Done(Outcome::failure(errno)),
        }
    }

    fn block(&mut self, world: &dyn World, _: RawFd, interrupt: &Interrupt) -> Result<u32, Errno> {
        let open = || world.open(self.at.at(), &self.how, Mode::Blocking);
        self.made = Some(uninterrupted(interrupt, open)?);
        Ok(0)
    }

    fn settle(&mut self, cx: &mut Context<'_>, result: Result<u32, Errno>) -> Step {
        Step::Done(match (self.made.take(), result) {
            (Some(fd), _) => self.opened(cx, fd),
            (None, result) => Outcome::from(result),
        })
    }

    fn abandon(&mut self, cx: &mut Context<'_>) {
        if let Some(fd) = self.made.take() {
            // Nobody ever knew of it.
            let _ = cx.world.close(fd);
        }
    }
}

impl Opening {
    fn has(&self, flag: OFlags) -> bool {
        let bits = u64::from(flag.bits());
        self.flags & bits == bits
    }
}

/// `struct open_how` as the entry points to it: as long as `len` says, and zero behind what is known.
fn load_how(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Opening, Errno> {
    let len = usize::try_from(sqe.len).unwrap_or(usize::MAX);
    if len < HOW_SIZE {
        return Err(Errno::INVAL);
    }
    if len > LONGEST_HOW {
        return Err(Errno::TOOBIG);
    }
    let mut bytes = vec![0; len];
    cx.world.load(cx.vouched.span(sqe.off, len), &mut bytes)?;
    let (known, rest) = bytes.split_at(HOW_SIZE);
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Errno::TOOBIG);
    }
    let word = |index: usize| u64::from_ne_bytes(known[index * 8..][..8].try_into().unwrap_or_default());
    Ok(Opening { flags: word(0), mode: word(1), resolve: word(2), lenient: false })
}
