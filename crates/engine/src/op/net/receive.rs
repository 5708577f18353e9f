//! `RECV`: into the entry's buffer, a provided one, or several; once or again and again.
//!
//! What a buffer group gives is picked at each attempt and put back if nothing came. Only a receive that must fill its buffer
//! (`MSG_WAITALL`) and got a part keeps it, and one that asked for a worker (`IOSQE_ASYNC`), who takes a buffer of a ring for good.

use annulus_abi::{CqeFlags, RecvSendFlags, Sqe, SqeFlags};
use rustix::io::Errno;

use super::outcome::{count, counted, ended, failed};
use super::{DONTWAIT, ERR, FINAL, IN, PRI, RDHUP, WAITALL, pick, poll_first, unless_no_socket};
use crate::buffers::Picked;
use crate::op::{Context, Interest, Outcome, Prepare, Step, Turn};
use crate::world::{Incoming, ReadySet, SocketFact, SocketKind, Span};

/// As many buffers a bundle takes at once.
const BUNDLE: usize = 64;
const ERRQUEUE: u32 = libc::MSG_ERRQUEUE.cast_unsigned();
const PEEK: u32 = libc::MSG_PEEK.cast_unsigned();
const TRUNC: u32 = libc::MSG_TRUNC.cast_unsigned() | libc::MSG_CTRUNC.cast_unsigned();

/// A receive.
#[derive(Debug)]
pub(crate) struct Receive {
    /// The entry's buffer; of provided buffers only its length counts, as the limit.
    into: Span,
    message_flags: u32,
    how: RecvSendFlags,
    /// Where buffers come from, if not from the entry.
    group: Option<u16>,
    /// Bytes that a multishot receive may still bring; 0 is no limit.
    limit: u32,
    /// Bytes that came in earlier attempts.
    done: u32,
    /// What the descriptor was last ready for.
    seen: ReadySet,
    /// It became ready once.
    polled: bool,
    /// Nothing more is there until it becomes ready again.
    drained: bool,
    /// Asked once it matters.
    kind: Option<SocketKind>,
    /// A buffer that was filled in part, or taken for good.
    held: Option<Box<Picked>>,
}

/// What one call brought.
struct Got {
    bytes: usize,
    /// As much as there was room for, or more (`MSG_TRUNC`).
    full: bool,
    /// A part of a message is lost.
    cut: bool,
}

impl Receive {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags, a negative length, a limit of a single receive, and multishot without provided buffers or with `MSG_WAITALL`.
    pub(crate) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let known = RecvSendFlags::POLL_FIRST | RecvSendFlags::MULTISHOT | RecvSendFlags::BUNDLE;
        let how = RecvSendFlags::from_bits_retain(sqe.ioprio);
        let select = SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::BUFFER_SELECT);
        if !known.contains(how) || sqe.len.cast_signed() < 0 {
            return Err(Errno::INVAL);
        }
        let multishot = how.contains(RecvSendFlags::MULTISHOT);
        if multishot && (!select || sqe.op_flags & WAITALL != 0) || !multishot && sqe.file_index != 0 {
            return Err(Errno::INVAL);
        }
        Ok(Self {
            into: cx.vouched.span(sqe.addr, sqe.len as usize),
            message_flags: sqe.op_flags,
            how,
            group: select.then_some(sqe.buf_index),
            limit: sqe.file_index,
            done: 0,
            seen: 0,
            polled: false,
            drained: false,
            kind: None,
            held: None,
        })
    }

    #[inline]
    pub(super) fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        if let Turn::Ready(ready) = cx.turn {
            (self.seen, self.polled, self.drained) = (ready, true, false);
        }
        // A worker leaves a multishot receive to readiness, without a look at its buffers.
        let worker = cx.turn == Turn::Worker && self.how.contains(RecvSendFlags::MULTISHOT);
        if self.drained || worker {
            return Step::Wait(self.interest());
        }
        if !self.polled && self.how.contains(RecvSendFlags::POLL_FIRST) {
            return poll_first(cx, self.interest(), self.message_flags & DONTWAIT != 0);
        }
        if self.message_flags & WAITALL != 0 {
            return self.fill(cx);
        }
        match self.group {
            None => match cx.world.receive(cx.fd, self.into, self.message_flags) {
                Ok(bytes) => {
                    let flags = self.hint(cx, bytes, bytes >= self.into.len());
                    Step::Done(counted(count(bytes)).with_flags(flags))
                }
                Err(errno) => self.nothing(errno),
            },
            Some(group) if self.how.contains(RecvSendFlags::BUNDLE) => self.bundle(cx, group),
            Some(group) => self.select(cx, group),
        }
    }

    /// Into one provided buffer.
    fn select(&mut self, cx: &mut Context<'_>, group: u16) -> Step {
        let picked = match self.held.take() {
            Some(held) => *held,
            None => match pick(cx, group, self.into.len()) {
                Ok(picked) => picked,
                Err(errno) => return failed(errno),
            },
        };
        match cx.world.receive(cx.fd, picked.span, self.message_flags) {
            Ok(0) => {
                cx.tables.groups.put_back(picked);
                Step::Done(Outcome::success(0).with_flags(self.hint(cx, 0, false)))
            }
            Ok(bytes) => {
                let room = picked.span.len();
                let flags = cx.tables.groups.commit(picked, bytes.min(room));
                self.received(cx, bytes, bytes >= room, flags)
            }
            Err(errno) => {
                let step = self.nothing(errno);
                match step {
                    Step::Wait(_) if picked.is_taken() => self.held = Some(Box::new(picked)),
                    _ => cx.tables.groups.put_back(picked),
                }
                step
            }
        }
    }

    /// Into several provided buffers.
    fn bundle(&mut self, cx: &mut Context<'_>, group: u16) -> Step {
        let picked = match cx.tables.groups.pick_many(group, self.room(), BUNDLE) {
            Ok(picked) => picked,
            Err(errno) => return failed(unless_no_socket(cx, errno)),
        };
        let spans: Vec<Span> = picked.iter().map(|picked| picked.span).collect();
        match self.call(cx, &spans) {
            Ok(Got { bytes: 0, .. }) => {
                cx.tables.groups.put_back_many(picked);
                Step::Done(Outcome::success(0).with_flags(self.hint(cx, 0, false)))
            }
            Ok(got) => {
                let flags = cx.tables.groups.commit_many(picked, got.bytes);
                let step = self.received(cx, got.bytes, got.full, flags);
                // With no buffers for the next one this was the last, as in the kernel.
                match step {
                    Step::More(outcome) if cx.tables.groups.is_empty(group) => Step::Done(outcome),
                    step => step,
                }
            }
            Err(errno) => {
                cx.tables.groups.put_back_many(picked);
                self.nothing(errno)
            }
        }
    }

    /// The completion for these bytes, and whether there will be others.
    fn received(&mut self, cx: &Context<'_>, bytes: usize, full: bool, flags: CqeFlags) -> Step {
        let more = self.hint(cx, bytes, full);
        let outcome = counted(count(bytes)).with_flags(flags | more);
        if !self.how.contains(RecvSendFlags::MULTISHOT) {
            return Step::Done(outcome);
        }
        if self.limit > 0 {
            self.limit = self.limit.saturating_sub(count(bytes));
            if self.limit == 0 {
                return Step::Done(outcome);
            }
        }
        // A stream has nothing left after a short read, unless it ended: that is not told a second time. Of
        // messages nobody knows.
        self.drained = more.is_empty() && self.seen & FINAL == 0 && self.is_stream(cx);
        Step::More(outcome)
    }

    /// Until the buffer is full, however many attempts it takes.
    fn fill(&mut self, cx: &mut Context<'_>) -> Step {
        let whole = match (&self.held, self.group) {
            (Some(held), _) => held.span,
            (None, None) => self.into,
            (None, Some(group)) => match pick(cx, group, self.into.len()) {
                Ok(picked) => self.held.insert(Box::new(picked)).span,
                Err(errno) => return failed(errno),
            },
        };
        loop {
            let rest = whole.part(self.done as usize, whole.len());
            let got = match self.call(cx, &[rest]) {
                Ok(got) => got,
                Err(Errno::AGAIN) if self.is_over() => return self.finish(cx, Ok(0), true),
                Err(Errno::AGAIN) if self.message_flags & DONTWAIT == 0 => return self.keep(cx),
                Err(errno) => return self.finish(cx, Err(errno), true),
            };
            if got.bytes == 0 || got.full || !self.continues(cx) {
                let short = got.bytes < rest.len() || got.cut;
                return self.finish(cx, Ok(count(got.bytes)), short);
            }
            self.done += count(got.bytes);
        }
    }

    /// Waits. A buffer in which there is something stays with the receive; another is anybody's.
    fn keep(&mut self, cx: &mut Context<'_>) -> Step {
        if let Some(held) = self.held.take() {
            if self.done == 0 && !held.is_taken() {
                cx.tables.groups.put_back(*held);
            } else {
                self.held = Some(Box::new(cx.tables.groups.keep(*held)));
            }
        }
        Step::Wait(self.interest())
    }

    /// The end of a receive that had to fill its buffer.
    fn finish(&mut self, cx: &mut Context<'_>, result: Result<u32, Errno>, short: bool) -> Step {
        let total = self.done.saturating_add(result.unwrap_or(0));
        let mut flags = CqeFlags::empty();
        if let Some(held) = self.held.take() {
            if total == 0 && !held.is_taken() {
                cx.tables.groups.put_back(*held);
            } else {
                let room = held.span.len();
                flags = cx.tables.groups.commit(*held, (total as usize).min(room));
            }
        }
        if let Ok(bytes) = result {
            flags |= self.hint(cx, bytes as usize, !short);
        }
        Step::Done(ended(self.done, result, short, flags))
    }

    /// One call that tells more than a count.
    fn call(&self, cx: &Context<'_>, buffers: &[Span]) -> Result<Got, Errno> {
        let nowhere = cx.vouched.span(0, 0);
        let into = Incoming { name: nowhere, buffers, control: nowhere };
        let received = cx.world.receive_message(cx.fd, &into, self.message_flags & !WAITALL)?;
        let room: usize = buffers.iter().map(|span| span.len()).sum();
        Ok(Got { bytes: received.count, full: received.count >= room, cut: received.flags & TRUNC != 0 })
    }

    /// The step after a call that brought nothing.
    fn nothing(&self, errno: Errno) -> Step {
        if errno == Errno::AGAIN && self.is_over() {
            return Step::Done(Outcome::success(0));
        }
        if errno == Errno::AGAIN && self.message_flags & DONTWAIT == 0 {
            return Step::Wait(self.interest());
        }
        failed(errno)
    }

    /// How much a bundle may take: what the entry says, and what is left of the limit. (A single buffer is not held to the limit.)
    const fn room(&self) -> usize {
        let (entry, limit) = (self.into.len(), self.limit as usize);
        if self.limit > 0 && (entry == 0 || limit < entry) { limit } else { entry }
    }

    /// Whether nothing can come any more: of datagrams a call that does not wait says only that there are none.
    const fn is_over(&self) -> bool {
        self.seen & RDHUP != 0 && self.message_flags & DONTWAIT == 0
    }

    const fn interest(&self) -> Interest {
        let data = if self.message_flags & ERRQUEUE == 0 { IN | RDHUP } else { 0 };
        Interest::file(data | PRI | ERR)
    }

    /// Whether another receive would find something: more of a stream, or (TCP counts it) its end.
    #[inline]
    fn hint(&mut self, cx: &Context<'_>, bytes: usize, full: bool) -> CqeFlags {
        if full || self.message_flags & PEEK != 0 {
            return self.nonempty(cx);
        }
        if bytes == 0 || self.seen & RDHUP != 0 { self.ended(cx) } else { CqeFlags::empty() }
    }

    /// The hint after the end of a stream.
    #[cold]
    fn ended(&mut self, cx: &Context<'_>) -> CqeFlags {
        let inet = cx
            .world
            .socket_fact(cx.fd, SocketFact::Domain)
            .is_ok_and(|domain| [libc::AF_INET, libc::AF_INET6].contains(&domain));
        if inet && self.is_stream(cx) { CqeFlags::SOCK_NONEMPTY } else { CqeFlags::empty() }
    }

    /// Whether more waits in a stream.
    fn nonempty(&mut self, cx: &Context<'_>) -> CqeFlags {
        let waiting = cx.world.receivable(cx.fd).is_ok_and(|bytes| bytes > 0);
        if waiting && self.is_stream(cx) { CqeFlags::SOCK_NONEMPTY } else { CqeFlags::empty() }
    }

    fn is_stream(&mut self, cx: &Context<'_>) -> bool {
        self.kind(cx) == Some(SocketKind::Stream)
    }

    /// Whether a part is followed by the rest.
    fn continues(&mut self, cx: &Context<'_>) -> bool {
        matches!(self.kind(cx), Some(SocketKind::Stream | SocketKind::SeqPacket))
    }

    fn kind(&mut self, cx: &Context<'_>) -> Option<SocketKind> {
        if self.kind.is_none() {
            self.kind = cx.world.socket_kind(cx.fd).ok();
        }
        self.kind
    }

    pub(super) fn refuse(&mut self, cx: &mut Context<'_>, errno: Errno) -> Step {
        self.finish(cx, Err(errno), true)
    }

    pub(super) fn abandon(&mut self, cx: &mut Context<'_>) {
        if let Some(held) = self.held.take() {
            cx.tables.groups.put_back(*held);
        }
    }

    pub(super) const fn progress(&self) -> u32 {
        self.done
    }
}
