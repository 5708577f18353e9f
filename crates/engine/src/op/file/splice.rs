//! `SPLICE` and `TEE`.
//!
//! Linux has a worker wait for the pipe. Here nobody does: the pipes and sockets on both sides are watched until they are ready, and
//! only then bytes are moved, without waiting for a pipe: between two pipes here and now, by a worker where a disk or a socket may be waited for.

use std::os::fd::RawFd;
use std::sync::Arc;

use annulus_abi::{self as abi, SpliceFlags, Sqe};
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::uninterrupted;
use crate::files::File;
use crate::op::{Context, Interest, Operation, Outcome, Step, Work};
use crate::pool::{Interrupt, Lane};
use crate::world::{CURRENT, End, FileKind, ReadySet, World};

const READABLE: ReadySet = PollFlags::IN.bits() as ReadySet;
const WRITABLE: ReadySet = PollFlags::OUT.bits() as ReadySet;

/// Moving or copying bytes through a pipe.
#[derive(Debug)]
pub(crate) struct Splice {
    /// Leaves the bytes where they are.
    is_tee: bool,
    /// `splice_fd_in`: a descriptor, or a slot.
    source: i32,
    offset_in: Option<u64>,
    offset_out: Option<u64>,
    len: usize,
    flags: SpliceFlags,
    /// The source, found by the first attempt.
    found: Option<Found>,
}

#[derive(Debug)]
struct Found {
    source: Arc<File>,
    /// Neither side may be waited for.
    at_once: bool,
    /// A worker has to move the bytes.
    blocks: Option<Work>,
    /// Which sides are to be ready.
    watches: (bool, bool),
}

impl Splice {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags.
    pub(crate) fn prepare(sqe: &Sqe) -> Result<Self, Errno> {
        let offset = |offset: u64| (offset != CURRENT).then_some(offset);
        Ok(Self {
            is_tee: sqe.opcode == abi::IORING_OP_TEE,
            source: sqe.file_index.cast_signed(),
            offset_in: offset(sqe.addr),
            offset_out: offset(sqe.off),
            len: usize::try_from(sqe.len).unwrap_or(usize::MAX),
            flags: SpliceFlags::from_bits(sqe.op_flags).ok_or(Errno::INVAL)?,
            found: None,
        })
    }

    /// Looks both files up, once.
    fn find(&self, cx: &Context<'_>) -> Result<Found, Errno> {
        let source = if self.flags.contains(SpliceFlags::FD_IN_FIXED) {
            Arc::clone(cx.tables.files.get(self.source)?)
        } else {
            Arc::new(File::new(cx.world.hold(self.source)?, Arc::clone(cx.world)))
        };
        let (kind_in, kind_out) = (source.kind()?, cx.world.kind(cx.fd)?);
        let (open_in, open_out) = (cx.world.status(source.fd())?, cx.world.status(cx.fd)?);
        let (from_pipe, to_pipe) = (kind_in == FileKind::Pipe, kind_out == FileKind::Pipe);
        // What splice(2) and tee(2) say at once, and not after a wait for the pipe.
        if self.len > 0 {
            let is_at = |kind, offset: Option<u64>, of| kind == of && offset.is_some() && !self.is_tee;
            let is_off_place =
                |of| is_at(kind_in, self.offset_in, of) || is_at(kind_out, self.offset_out, of);
            let has_pipes = if self.is_tee { from_pipe && to_pipe } else { from_pipe || to_pipe };
            if !open_in.readable || !open_out.writable {
                return Err(Errno::BADF);
            } else if is_off_place(FileKind::Pipe) {
                return Err(Errno::SPIPE);
            } else if !has_pipes || is_off_place(FileKind::Socket) {
                return Err(Errno::INVAL);
            }
        }
        let at_once = self.flags.contains(SpliceFlags::NONBLOCK)
            || from_pipe && open_in.nonblocking
            || to_pipe && open_out.nonblocking;
        let blocks = (!(self.is_tee || from_pipe && to_pipe)).then(|| Work {
            lane: if kind_out.is_bounded() { Lane::Bounded } else { Lane::Unbounded },
            hash: if kind_out.is_bounded() { cx.world.identity(cx.fd).ok() } else { None },
        });
        Ok(Found { source, at_once, blocks, watches: (!kind_in.is_bounded(), !kind_out.is_bounded()) })
    }

    /// Moves bytes without waiting for a pipe.
    fn call(&self, world: &dyn World, source: RawFd, fd: RawFd) -> Result<usize, Errno> {
        let flags = (self.flags.difference(SpliceFlags::FD_IN_FIXED) | SpliceFlags::NONBLOCK).bits();
        if self.is_tee {
            return world.tee(source, fd, self.len, flags);
        }
        let (from, to) = (End { fd: source, offset: self.offset_in }, End { fd, offset: self.offset_out });
        world.splice(from, to, self.len, flags)
    }

    /// What is to be waited for before bytes can be moved.
    fn obstacle(found: &Found, cx: &Context<'_>) -> Result<Option<Interest>, Errno> {
        let source = found.source.fd();
        if found.watches.0 && cx.world.ready(source, READABLE)? == 0 {
            return Ok(Some(Interest { events: READABLE, on: Some(source) }));
        }
        if found.watches.1 && cx.world.ready(cx.fd, WRITABLE)? == 0 {
            return Ok(Some(Interest::file(WRITABLE)));
        }
        Ok(None)
    }

    /// A count that is not all of it breaks a chain.
    fn moved(&self, count: usize) -> Step {
        Step::Done(Outcome::transferred(count, self.len))
    }
}

impl Operation for Splice {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        let found = match self.found.take().map_or_else(|| self.find(cx), Ok) {
            Ok(found) => self.found.insert(found),
            Err(errno) => return Step::Done(Outcome::failure(errno)),
        };
        if self.len == 0 {
            return Step::Done(Outcome::success(0));
        }
        if !found.at_once {
            match Self::obstacle(found, cx) {
                Ok(None) => {}
                Ok(Some(interest)) => return Step::Wait(interest),
                Err(errno) => return Step::Done(Outcome::failure(errno)),
            }
        }
        if let Some(work) = found.blocks {
            return Step::Block(work);
        }
        let (source, at_once) = (found.source.fd(), found.at_once);
        match self.call(cx.world.as_ref(), source, cx.fd) {
            Ok(count) => self.moved(count),
            // Somebody else was faster.
            Err(Errno::AGAIN) if !at_once => Step::Wait(Interest { events: READABLE, on: Some(source) }),
            Err(errno) => Step::Done(Outcome::failure(errno)),
        }
    }

    fn block(&mut self, world: &dyn World, fd: RawFd, interrupt: &Interrupt) -> Result<u32, Errno> {
        let Some(found) = &self.found else { return Err(Errno::BADF) };
        let source = found.source.fd();
        let count = uninterrupted(interrupt, || self.call(world, source, fd))?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn settle(&mut self, cx: &mut Context<'_>, result: Result<u32, Errno>) -> Step {
        match result {
            Ok(count) => self.moved(usize::try_from(count).unwrap_or(usize::MAX)),
            // What was ready is so no more: it is watched again.
            Err(Errno::AGAIN) if self.found.as_ref().is_some_and(|found| !found.at_once) => self.attempt(cx),
            Err(errno) => Step::Done(Outcome::failure(errno)),
        }
    }
}
