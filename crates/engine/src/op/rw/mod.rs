//! `READ`, `WRITE` and their relatives: vectored, into registered buffers, into provided ones, again and again.
//!
//! The first attempt is one call with `RWF_NOWAIT`, without a look at the file. Only what it answers decides what is asked:
//! a file that ends is read on by a worker until the buffer is full or the file ends, as the kernel does it; anything else is
//! watched. A file that is open for direct I/O goes to a worker at once, as its device would be waited for. (`O_NONBLOCK` makes no difference, as in Linux
//! 6.18: such a file is watched like any other. `RWF_NOWAIT` in the entry does.)
//!
//! The priority of an entry (`ioprio`) is that of the worker for the time of the call. What is found in the page cache has no use for one.

mod memory;
mod multishot;
#[cfg(test)]
mod tests;

use std::os::fd::RawFd;
use std::sync::Arc;

use annulus_abi::{self as abi, AttrPi, RwAttrFlags, RwFlags, Sqe, SqeFlags};
use rustix::event::PollFlags;
use rustix::io::Errno;

use self::memory::Memory;
use super::{Context, Interest, Operation, Outcome, Prepare, Step, Turn, Work};
use crate::buffers::{Buffer, Picked};
use crate::pool::{Interrupt, Lane};
use crate::world::{CURRENT, Direct, Direction, FileKind, ReadySet, SocketKind, Span, World};

/// What a read waits for.
const READABLE: ReadySet = PollFlags::IN.bits() as ReadySet;
/// What a write waits for.
const WRITABLE: ReadySet = PollFlags::OUT.bits() as ReadySet;

/// A read or a write.
#[derive(Debug)]
pub(crate) struct ReadWrite {
    direction: Direction,
    memory: Memory,
    /// Completes once for each buffer that it fills.
    multishot: bool,
    /// The ring polls for completions.
    iopoll: bool,
    /// The entry carries protection information.
    integrity: bool,
    /// The file has no offsets: it is a pipe, a socket, a terminal.
    is_stream: bool,
    /// The multishot read's file was looked at, or a file that is always ready was tried again.
    was_checked: bool,
    priority: u16,
    flags: u32,
    offset: u64,
    /// Bytes that earlier attempts moved.
    done: usize,
    /// The registered buffer, while the request is under way.
    buffer: Option<Arc<Buffer>>,
    /// The provided buffer, while a worker has it, or from when one took it.
    picked: Option<Box<Picked>>,
}

/// What an attempt without waiting came to.
enum Tried {
    /// So many bytes, in all.
    Moved(usize),
    Failed(Errno),
    NotReady,
    Blocks(Work),
    /// Direct I/O: it may go on by itself.
    Direct,
}

impl ReadWrite {
    /// Reads the entry of one of these opcodes.
    ///
    /// # Errors
    ///
    /// `EINVAL` and `EPERM` for a priority, `EINVAL` and `EFAULT` for lists of buffers and attributes.
    pub(crate) fn prepare(sqe: &Sqe, cx: &mut Prepare<'_>) -> Result<Self, Errno> {
        if sqe.ioprio != 0 {
            cx.world.check_priority(sqe.ioprio)?;
        }
        let multishot = sqe.opcode == abi::IORING_OP_READ_MULTISHOT;
        if multishot && !SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::BUFFER_SELECT) {
            return Err(Errno::INVAL);
        }
        let integrity = sqe.pad2 != 0;
        if integrity {
            check_attributes(sqe, cx)?;
        }
        Ok(Self {
            direction: match sqe.opcode {
                abi::IORING_OP_WRITE
                | abi::IORING_OP_WRITEV
                | abi::IORING_OP_WRITE_FIXED
                | abi::IORING_OP_WRITEV_FIXED => Direction::Write,
                _ => Direction::Read,
            },
            memory: Memory::prepare(sqe, cx)?,
            multishot,
            iopoll: cx.iopoll,
            integrity,
            is_stream: false,
            was_checked: false,
            priority: sqe.ioprio,
            flags: sqe.op_flags,
            offset: sqe.off,
            done: 0,
            buffer: None,
            picked: None,
        })
    }

    /// One attempt at moving bytes from or to `memory`, `wanted` in all.
    fn try_inline(&mut self, cx: &mut Context<'_>, memory: &[Span], wanted: usize) -> Tried {
        if cx.turn == Turn::Inline
            && let Some(tried) = self.look_at_cache(cx)
        {
            return tried;
        }
        if wanted == 0
            && self.direction == Direction::Write
            && let Some(tried) = self.write_nothing(cx)
        {
            return tried;
        }
        loop {
            let rest;
            let memory = if self.done == 0 {
                memory
            } else {
                rest = memory::skip(memory, self.done);
                &rest
            };
            let flags = self.flags | RwFlags::NOWAIT.bits();
            let moved = cx.world.transfer(self.direction, cx.fd, memory, self.position(), flags);
            match moved {
                // Of nothing, system calls do not look at the flags.
                Ok(0) if wanted == 0 && RwFlags::from_bits(self.flags).is_none() => {
                    return Tried::Failed(Errno::OPNOTSUPP);
                }
                Ok(moved) => {
                    self.done += moved;
                    if moved == 0 || self.done >= wanted || self.ends_short(cx) {
                        return Tried::Moved(self.done);
                    }
                }
                Err(Errno::AGAIN) => {
                    if let Some(tried) = self.not_now(cx) {
                        return tried;
                    }
                }
                Err(Errno::OPNOTSUPP) => {
                    if let Some(tried) = self.not_so(cx, memory) {
                        return tried;
                    }
                }
                Err(Errno::SPIPE) if self.is_off_place(&**cx.world, cx.fd) => return self.over(Errno::SPIPE),
                Err(errno) => {
                    if let Some(tried) = self.failed(errno) {
                        return tried;
                    }
                }
            }
        }
    }

    /// Whether the entry names an offset of a socket, which has none. (Pipes and the like do not look at it.)
    fn is_off_place(&self, world: &dyn World, fd: RawFd) -> bool {
        !matches!(self.offset, 0 | CURRENT) && world.kind(fd) == Ok(FileKind::Socket)
    }

    /// Writes no bytes to a socket, which is a message of its own to some, and tells others that nobody is there any more;
    /// pwritev2(2) would not even ask it.
    #[cold]
    fn write_nothing(&self, cx: &Context<'_>) -> Option<Tried> {
        let is_socket = cx.world.kind(cx.fd) == Ok(FileKind::Socket);
        if !is_socket || self.is_off_place(&**cx.world, cx.fd) || RwFlags::from_bits(self.flags).is_none() {
            return None;
        }
        let ends_record = cx.world.socket_kind(cx.fd) == Ok(SocketKind::SeqPacket);
        let flags = if ends_record { libc::MSG_EOR.cast_unsigned() } else { 0 };
        Some(match cx.world.send(cx.fd, cx.vouched.span(0, 0), flags) {
            Ok(_) => Tried::Moved(0),
            Err(Errno::AGAIN) if !self.must_not_wait() => Tried::NotReady,
            Err(errno) => Tried::Failed(errno),
        })
    }

    /// Leaves direct I/O to a worker, as its device would be waited for.
    fn look_at_cache(&mut self, cx: &mut Context<'_>) -> Option<Tried> {
        if cx.tables.hints.is_buffered(cx.fd) {
            return None;
        }
        match cx.world.status(cx.fd) {
            Ok(status) if status.direct => {
                let kind = cx.world.kind(cx.fd).ok()?;
                (kind.is_bounded() && !self.must_not_wait()).then_some(Tried::Direct)
            }
            Ok(_) => {
                cx.tables.hints.learn_buffered(cx.fd);
                None
            }
            // The call itself says what is wrong with it.
            Err(_) => None,
        }
    }

    /// After `EAGAIN`. Nothing: try again at once.
    #[cold]
    fn not_now(&mut self, cx: &mut Context<'_>) -> Option<Tried> {
        if self.must_not_wait() {
            return Some(self.over(Errno::AGAIN));
        }
        if self.is_stream {
            return Some(Tried::NotReady);
        }
        let kind = match cx.world.kind(cx.fd) {
            Ok(kind) => kind,
            Err(errno) => return Some(self.over(errno)),
        };
        match kind {
            FileKind::Regular | FileKind::Block => Some(self.blocks(cx)),
            FileKind::Pipe | FileKind::Socket => Some(Tried::NotReady),
            // It may be one that cannot be watched: those are always ready.
            FileKind::Other => match cx.world.ready(cx.fd, self.interest()) {
                Ok(0) | Err(_) => Some(Tried::NotReady),
                Ok(_) if !self.was_checked => {
                    self.was_checked = true;
                    None
                }
                Ok(_) => Some(Tried::Blocks(Work { lane: Lane::Unbounded, hash: None })),
            },
        }
    }

    /// After `EOPNOTSUPP`: the file does not take `RWF_NOWAIT` (pipes and sockets before Linux 6.4), or not the entry's
    /// own flags.
    #[cold]
    fn not_so(&mut self, cx: &mut Context<'_>, memory: &[Span]) -> Option<Tried> {
        if RwFlags::from_bits(self.flags).is_none() {
            return Some(self.over(Errno::OPNOTSUPP));
        }
        let kind = match cx.world.kind(cx.fd) {
            Ok(kind) => kind,
            Err(errno) => return Some(self.over(errno)),
        };
        let is_stream = matches!(kind, FileKind::Pipe | FileKind::Socket);
        if self.must_not_wait() && !is_stream {
            // File systems that cannot write without waiting answer so, and the ring's own attempt makes `EAGAIN` of it.
            let waits = self.direction == Direction::Write && kind == FileKind::Regular;
            return Some(self.over(if waits { Errno::AGAIN } else { Errno::OPNOTSUPP }));
        }
        if kind.is_bounded() {
            return Some(self.blocks(cx));
        }
        let not_ready = |this: &Self| {
            if this.must_not_wait() { this.over(Errno::AGAIN) } else { Tried::NotReady }
        };
        match cx.world.ready(cx.fd, self.interest()) {
            Ok(0) => return Some(not_ready(self)),
            Ok(_) => {}
            Err(errno) => return Some(self.over(errno)),
        }
        let flags = self.flags & !RwFlags::NOWAIT.bits();
        match cx.world.transfer_at_once(self.direction, cx.fd, memory, self.position(), flags) {
            Ok(moved) => {
                self.done += moved;
                Some(Tried::Moved(self.done))
            }
            Err(Errno::AGAIN) => Some(not_ready(self)),
            Err(errno) => self.failed(errno),
        }
    }

    /// After another error. Nothing: try again at once.
    #[cold]
    fn failed(&mut self, errno: Errno) -> Option<Tried> {
        match errno {
            Errno::SPIPE if !self.is_stream => {
                self.is_stream = true;
                None
            }
            Errno::INTR => None,
            errno => Some(self.over(errno)),
        }
    }

    /// An error ends it; what was moved before it counts more.
    fn over(&self, errno: Errno) -> Tried {
        if self.done > 0 { Tried::Moved(self.done) } else { Tried::Failed(errno) }
    }

    /// Whether fewer bytes than wanted are all there is.
    fn ends_short(&self, cx: &Context<'_>) -> bool {
        self.is_stream || self.must_not_wait() || !cx.world.kind(cx.fd).is_ok_and(FileKind::is_bounded)
    }

    /// A worker goes on. Writes to one file take turns.
    fn blocks(&self, cx: &Context<'_>) -> Tried {
        let hash = match self.direction {
            Direction::Read => None,
            Direction::Write => cx.world.identity(cx.fd).ok(),
        };
        Tried::Blocks(bounded(hash))
    }

    /// What is rare: flags that a ring refuses, polled I/O, and the first turn of a worker.
    #[cold]
    fn look_first(&mut self, cx: &Context<'_>) -> Option<Tried> {
        let status = match cx.world.status(cx.fd) {
            Ok(status) => status,
            Err(errno) => return Some(Tried::Failed(errno)),
        };
        let allowed = match self.direction {
            Direction::Read => status.readable,
            Direction::Write => status.writable,
        };
        if !allowed {
            return Some(Tried::Failed(Errno::BADF));
        }
        let is_bounded = cx.world.kind(cx.fd).is_ok_and(FileKind::is_bounded);
        if self.iopoll {
            if !status.direct || !is_bounded {
                return Some(Tried::Failed(Errno::OPNOTSUPP));
            }
            self.flags |= RwFlags::HIPRI.bits();
            return Some(if self.integrity {
                Tried::Failed(Errno::INVAL)
            } else {
                Tried::Blocks(bounded(None))
            });
        }
        // No file here can check integrity: that is asked of the device, below the system calls.
        if self.integrity || self.flags & RwFlags::HIPRI.bits() != 0 {
            return Some(Tried::Failed(Errno::INVAL));
        }
        (cx.turn == Turn::Worker && is_bounded)
            .then(|| if status.direct { Tried::Blocks(bounded(None)) } else { self.blocks(cx) })
    }

    fn is_unusual(&self, turn: Turn) -> bool {
        turn == Turn::Worker || self.iopoll || self.integrity || self.flags & RwFlags::HIPRI.bits() != 0
    }

    /// The entry itself asks for an answer at once.
    const fn must_not_wait(&self) -> bool {
        self.flags & RwFlags::NOWAIT.bits() != 0
    }

    const fn interest(&self) -> ReadySet {
        match self.direction {
            Direction::Read => READABLE,
            Direction::Write => WRITABLE,
        }
    }

    /// Where in the file it goes on.
    fn position(&self) -> u64 {
        if self.is_stream || self.offset == CURRENT {
            CURRENT
        } else {
            self.offset.wrapping_add(self.done as u64)
        }
    }

    /// The step that follows an attempt on memory of the entry's own.
    fn step(&mut self, tried: Tried, wanted: usize) -> Step {
        match tried {
            Tried::Moved(count) => Step::Done(Outcome::transferred(count, wanted)),
            Tried::Failed(errno) => Step::Done(Outcome::failure(errno)),
            Tried::NotReady => Step::Wait(Interest::file(self.interest())),
            Tried::Blocks(work) => Step::Block(work),
            Tried::Direct => Step::Block(bounded(None)),
        }
    }

    /// Direct I/O goes on by itself, if nothing about it is unusual.
    fn step_of_direct(&self, cx: &Context<'_>, span: Span) -> Step {
        let is_plain = self.flags == 0 && self.priority == 0 && self.done == 0 && self.offset != CURRENT;
        if !is_plain {
            return Step::Block(bounded(None));
        }
        let direct = Direct { direction: self.direction, fd: cx.fd, span, offset: self.offset };
        Step::Start(direct, bounded(None))
    }

    fn try_span(&mut self, cx: &mut Context<'_>, span: Span) -> Step {
        if self.is_unusual(cx.turn)
            && let Some(tried) = self.look_first(cx)
        {
            return self.step(tried, span.len());
        }
        match self.try_inline(cx, &[span], span.len()) {
            Tried::Direct => self.step_of_direct(cx, span),
            tried => self.step(tried, span.len()),
        }
    }

    fn try_list(&mut self, cx: &mut Context<'_>, list: &[Span]) -> Step {
        let wanted = memory::total(list);
        if self.is_unusual(cx.turn)
            && let Some(tried) = self.look_first(cx)
        {
            return self.step(tried, wanted);
        }
        let tried = self.try_inline(cx, list, wanted);
        self.step(tried, wanted)
    }

    /// With a buffer of a group, which goes back if nothing happens to it.
    fn try_group(&mut self, cx: &mut Context<'_>, group: u16, wanted: usize) -> Step {
        let picked = match self.picked.take() {
            Some(picked) => *picked,
            None => match cx.pick(group, wanted) {
                Ok(picked) => picked,
                Err(errno) => return Step::Done(Outcome::failure(errno)),
            },
        };
        let span = picked.span;
        let early = if self.is_unusual(cx.turn) { self.look_first(cx) } else { None };
        let tried = early.unwrap_or_else(|| self.try_inline(cx, &[span], span.len()));
        match tried {
            Tried::Moved(count) => {
                let flags = cx.tables.groups.commit(picked, count);
                Step::Done(Outcome::transferred(count, span.len()).with_flags(flags))
            }
            Tried::Failed(errno) => {
                let flags = cx.tables.groups.fail(picked);
                Step::Done(Outcome::failure(errno).with_flags(flags))
            }
            Tried::NotReady => {
                if picked.is_taken() {
                    self.picked = Some(Box::new(picked));
                } else {
                    cx.tables.groups.put_back(picked);
                }
                Step::Wait(Interest::file(self.interest()))
            }
            Tried::Blocks(_) | Tried::Direct => {
                let work = if let Tried::Blocks(work) = tried { work } else { bounded(None) };
                // The worker does not hold the ring: nobody else must get this buffer.
                self.picked = Some(Box::new(cx.tables.groups.keep(picked)));
                Step::Block(work)
            }
        }
    }

    /// The memory that a worker moves bytes from or to.
    fn blocking_memory(&self) -> Vec<Span> {
        match (&self.memory, &self.picked) {
            (Memory::Plain(span) | Memory::Fixed { span, .. }, _) => memory::skip(&[*span], self.done),
            (Memory::List(list) | Memory::FixedList { list, .. }, _) => memory::skip(list, self.done),
            (Memory::Group { .. }, Some(picked)) => memory::skip(&[picked.span], self.done),
            (Memory::Group { .. }, None) => Vec::new(),
        }
    }

    fn wanted(&self) -> usize {
        match (&self.memory, &self.picked) {
            (Memory::Plain(span) | Memory::Fixed { span, .. }, _) => span.len(),
            (Memory::List(list) | Memory::FixedList { list, .. }, _) => memory::total(list),
            (Memory::Group { .. }, Some(picked)) => picked.span.len(),
            (Memory::Group { .. }, None) => 0,
        }
    }
}

impl Operation for ReadWrite {
    #[inline]
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        match &mut self.memory {
            Memory::Plain(span) => {
                let span = *span;
                self.try_span(cx, span)
            }
            Memory::Fixed { span, index } => {
                let (span, index) = (*span, *index);
                match self.fixed(cx, index, &[span]) {
                    Ok(()) => self.try_span(cx, span),
                    Err(errno) => Step::Done(Outcome::failure(errno)),
                }
            }
            Memory::List(list) => {
                let list = std::mem::take(list);
                let step = self.try_list(cx, &list);
                self.memory = Memory::List(list);
                step
            }
            Memory::FixedList { list, index } => {
                let (list, index) = (std::mem::take(list), *index);
                let step = match self.fixed(cx, index, &list) {
                    Ok(()) => self.try_list(cx, &list),
                    Err(errno) => Step::Done(Outcome::failure(errno)),
                };
                self.memory = Memory::FixedList { list, index };
                step
            }
            Memory::Group { group, wanted } => {
                let (group, wanted) = (*group, *wanted);
                if self.multishot { self.try_multishot(cx, group) } else { self.try_group(cx, group, wanted) }
            }
        }
    }

    fn block(&mut self, world: &dyn World, fd: RawFd, interrupt: &Interrupt) -> Result<u32, Errno> {
        let memory = self.blocking_memory();
        let before = if self.priority == 0 { None } else { world.replace_priority(self.priority) };
        let moved = loop {
            if interrupt.requested() {
                break Err(Errno::INTR);
            }
            match world.transfer(self.direction, fd, &memory, self.position(), self.flags) {
                Err(Errno::INTR) => {}
                Err(Errno::SPIPE) if !self.is_stream && !self.is_off_place(world, fd) => {
                    self.is_stream = true
                }
                moved => break moved,
            }
        };
        if let Some(before) = before {
            world.replace_priority(before);
        }
        match moved {
            Ok(moved) => self.done += moved,
            Err(errno) if self.done == 0 => return Err(errno),
            // What was moved before it counts more.
            Err(_) => {}
        }
        Ok(u32::try_from(self.done).unwrap_or(u32::MAX))
    }

    fn settle(&mut self, cx: &mut Context<'_>, result: Result<u32, Errno>) -> Step {
        let wanted = self.wanted();
        let outcome = match result {
            Ok(count) => Outcome::transferred(usize::try_from(count).unwrap_or(usize::MAX), wanted),
            Err(errno) => Outcome::failure(errno),
        };
        let flags = match (self.picked.take(), result) {
            (None, _) => outcome.flags,
            (Some(picked), Ok(_)) => cx.tables.groups.commit(*picked, self.done),
            (Some(picked), Err(_)) => cx.tables.groups.fail(*picked),
        };
        Step::Done(outcome.with_flags(flags))
    }

    fn refuse(&mut self, cx: &mut Context<'_>, errno: Errno) -> Step {
        let outcome = Outcome::refused(self.progress(), errno);
        // A buffer that was taken is the program's again with this completion.
        let flags = match self.picked.take() {
            Some(picked) if picked.is_taken() => cx.tables.groups.fail(*picked),
            Some(picked) => {
                cx.tables.groups.put_back(*picked);
                outcome.flags
            }
            None => outcome.flags,
        };
        Step::Done(outcome.with_flags(flags))
    }

    fn progress(&self) -> u32 {
        u32::try_from(self.done).unwrap_or(u32::MAX)
    }

    fn abandon(&mut self, cx: &mut Context<'_>) {
        if let Some(picked) = self.picked.take() {
            cx.tables.groups.put_back(*picked);
        }
    }
}

/// Work of a worker that ends by itself.
const fn bounded(hash: Option<(u64, u64)>) -> Work {
    Work { lane: Lane::Bounded, hash }
}

/// What an entry's attributes must be to be refused later: no file can do anything with them.
fn check_attributes(sqe: &Sqe, cx: &Prepare<'_>) -> Result<(), Errno> {
    if sqe.pad2 != RwAttrFlags::PI.bits() {
        return Err(Errno::INVAL);
    }
    let mut bytes = [0; size_of::<AttrPi>()];
    cx.world.load(cx.vouched.span(sqe.addr3, bytes.len()), &mut bytes)?;
    let reserved = &bytes[std::mem::offset_of!(AttrPi, rsvd)..];
    if reserved.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Errno::INVAL) }
}
