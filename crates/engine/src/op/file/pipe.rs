//! `PIPE`: two descriptors, or two slots.

use std::os::fd::RawFd;
use std::sync::Arc;

use annulus_abi::{IORING_FILE_INDEX_ALLOC, Sqe};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::files::File;
use crate::op::{Context, Operation, Outcome, Prepare, Step};
use crate::world::Span;

/// `O_NOTIFICATION_PIPE`, which shares its bit.
const NOTIFICATION: OFlags = OFlags::EXCL;

/// Making a pipe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pipe {
    /// Where two numbers go: descriptors or slots.
    into: Span,
    flags: u32,
    /// `file_index`: 0 for descriptors.
    slot: u32,
}

impl Pipe {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags.
    pub(crate) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let known = OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::DIRECT | NOTIFICATION;
        if sqe.op_flags & !known.bits() != 0 {
            return Err(Errno::INVAL);
        }
        Ok(Self { into: cx.vouched.span(sqe.addr, 8), flags: sqe.op_flags, slot: sqe.file_index })
    }

    fn store(&self, cx: &Context<'_>, ends: [u32; 2]) -> Result<(), Errno> {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&ends[0].to_ne_bytes());
        bytes[4..].copy_from_slice(&ends[1].to_ne_bytes());
        cx.world.store(self.into, &bytes)
    }

    fn make_descriptors(&self, cx: &Context<'_>) -> Result<(), Errno> {
        let ends = cx.world.pipe(self.flags)?;
        self.store(cx, ends.map(RawFd::cast_unsigned)).inspect_err(|_| {
            for end in ends {
                // Nobody ever knew of it.
                let _ = cx.world.close(end);
            }
        })
    }

    fn make_slots(&self, cx: &mut Context<'_>) -> Result<(), Errno> {
        if self.flags & OFlags::CLOEXEC.bits() != 0 {
            return Err(Errno::INVAL);
        }
        let [reader, writer] = cx.world.pipe(self.flags | OFlags::CLOEXEC.bits())?;
        let [reader, writer] = [reader, writer].map(|end| File::new(end, Arc::clone(cx.world)));
        let first = install(cx, self.slot, reader)?;
        // A slot that is named stands for two, one behind the other.
        let next = if self.slot == IORING_FILE_INDEX_ALLOC { self.slot } else { self.slot.wrapping_add(1) };
        let stored = match install(cx, next, writer) {
            Ok(second) => self.store(cx, [first, second]).inspect_err(|_| {
                let _ = cx.tables.files.remove(second);
            }),
            Err(errno) => Err(errno),
        };
        stored.inspect_err(|_| {
            let _ = cx.tables.files.remove(first);
        })
    }
}

impl Operation for Pipe {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        let made = if self.slot == 0 { self.make_descriptors(cx) } else { self.make_slots(cx) };
        Step::Done(Outcome::from(made.map(|()| 0)))
    }
}

/// Puts one end into a slot; says which.
fn install(cx: &mut Context<'_>, slot: u32, end: File) -> Result<u32, Errno> {
    match cx.tables.files.install(slot, end) {
        Ok(found) if slot == IORING_FILE_INDEX_ALLOC => Ok(found),
        Ok(_) => Ok(slot.wrapping_sub(1)),
        Err((errno, _)) => Err(errno),
    }
}
