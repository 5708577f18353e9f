//! `RECVMSG`: a message with its address and control data, into the header's buffers or provided ones.
//!
//! A multishot receive lays each message out in one provided buffer: a `struct io_uring_recvmsg_out`, as much room for an
//! address and for control data as the header asked for, and the payload.

use annulus_abi::{CqeFlags, RecvSendFlags, RecvmsgOut, Sqe, SqeFlags};
use rustix::io::Errno;

use super::header::{CONTROL_LEN, FLAGS, Header, NAME_LEN, SIZE, load_buffers};
use super::outcome::{count, counted, ended, failed};
use super::send::rest;
use super::{DONTWAIT, ERR, FINAL, IN, PRI, RDHUP, WAITALL, pick, poll_first};
use crate::buffers::Picked;
use crate::op::{Context, Interest, Operation, Prepare, Step, Turn};
use crate::world::{Incoming, LONGEST_ADDRESS, ReadySet, Received, SocketKind, Span};

const ERRQUEUE: u32 = libc::MSG_ERRQUEUE.cast_unsigned();
const TRUNC: u32 = libc::MSG_TRUNC.cast_unsigned() | libc::MSG_CTRUNC.cast_unsigned();
/// The part of a multishot buffer in front of the address.
const OUT: usize = size_of::<RecvmsgOut>();

/// A receive of messages.
#[derive(Debug)]
pub(super) struct ReceiveMessage {
    /// Where the program has its header, which gets lengths and flags.
    header: Span,
    name: Span,
    control: Span,
    buffers: Vec<Span>,
    message_flags: u32,
    how: RecvSendFlags,
    /// Where buffers come from, and how much of one is wanted (0: all).
    select: Option<(u16, usize)>,
    /// Room for an address and for control data in each buffer of a multishot receive.
    layout: Option<(usize, usize)>,
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
    held: Option<Picked>,
}

impl ReceiveMessage {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags, a negative length, several buffers beside provided ones, multishot without those or with
    /// `MSG_WAITALL`; `EOVERFLOW` for lengths that no buffer has; those of the header.
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let how = RecvSendFlags::from_bits_retain(sqe.ioprio);
        let known = RecvSendFlags::POLL_FIRST | RecvSendFlags::MULTISHOT;
        if !known.contains(how) || sqe.len.cast_signed() < 0 {
            return Err(Errno::INVAL);
        }
        let multishot = how.contains(RecvSendFlags::MULTISHOT);
        let select = SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::BUFFER_SELECT);
        if multishot && (!select || sqe.op_flags & WAITALL != 0) {
            return Err(Errno::INVAL);
        }
        let header = Header::load(cx, sqe.addr)?;
        let mut buffers = Vec::new();
        let mut wanted = 0;
        if !select {
            buffers = load_buffers(cx, header.buffers, header.count)?;
        } else if header.count > 1 {
            return Err(Errno::INVAL);
        } else if header.count == 1 {
            // The kernel keeps this length in 32 bits.
            wanted = load_buffers(cx, header.buffers, 1)?[0].len();
        }
        Ok(Self {
            header: cx.vouched.span(sqe.addr, SIZE),
            name: cx.vouched.span(header.name, header.address_len()),
            control: header.control,
            buffers,
            message_flags: sqe.op_flags,
            how,
            select: select.then_some((sqe.buf_index, wanted)),
            layout: if multishot { Some(layout(&header)?) } else { None },
            done: 0,
            seen: 0,
            polled: false,
            drained: false,
            kind: None,
            held: None,
        })
    }

    /// Whether nothing can come any more: of datagrams a call that does not wait says only that there are none.
    const fn is_over(&self) -> bool {
        self.seen & RDHUP != 0 && self.message_flags & DONTWAIT == 0
    }

    const fn interest(&self) -> Interest {
        let data = if self.message_flags & ERRQUEUE == 0 { IN | RDHUP } else { 0 };
        Interest::file(data | PRI | ERR)
    }

    /// One message into the header's buffers, or one provided one.
    fn once(&mut self, cx: &mut Context<'_>) -> Step {
        if self.held.is_none()
            && let Some((group, wanted)) = self.select
        {
            match pick(cx, group, wanted) {
                Ok(picked) => self.held = Some(picked),
                Err(errno) => return failed(errno),
            }
        }
        let whole: Vec<Span> = match &self.held {
            Some(held) => vec![held.span],
            None => std::mem::take(&mut self.buffers),
        };
        let step = self.fill(cx, &whole);
        if self.held.is_none() {
            self.buffers = whole;
        }
        step
    }

    fn fill(&mut self, cx: &mut Context<'_>, whole: &[Span]) -> Step {
        loop {
            let rest = rest(whole, self.done as usize);
            let wanted: usize = rest.iter().map(|span| span.len()).sum();
            let into = Incoming { name: self.name, buffers: &rest, control: self.control };
            let received = match cx.world.receive_message(cx.fd, &into, self.message_flags & !WAITALL) {
                Ok(received) => received,
                Err(Errno::AGAIN) if self.is_over() => return self.finish(cx, Ok(0), true, false),
                Err(Errno::AGAIN) if self.message_flags & DONTWAIT == 0 => return self.keep(cx),
                Err(errno) => return self.finish(cx, Err(errno), true, false),
            };
            if let Err(errno) = self.tell(cx, &received) {
                return self.finish(cx, Err(errno), true, false);
            }
            let all = self.message_flags & WAITALL != 0;
            // With control data a part is all there is: the rest may have control data of its own.
            let short = all && self.control.len() == 0 && received.count < wanted;
            if !short || received.count == 0 || !self.continues(cx) {
                let cut = all && received.flags & TRUNC != 0;
                return self.finish(cx, Ok(count(received.count)), short || cut, received.count >= wanted);
            }
            self.done += count(received.count);
        }
    }

    /// Writes into the program's header what recvmsg(2) writes there.
    fn tell(&self, cx: &Context<'_>, received: &Received) -> Result<(), Errno> {
        if self.name.addr() != 0 {
            cx.world.store(self.header.part(NAME_LEN, 4), &received.name_len.to_ne_bytes())?;
        }
        let len = received.control_len.to_ne_bytes();
        cx.world.store(self.header.part(CONTROL_LEN, len.len()), &len)?;
        cx.world.store(self.header.part(FLAGS, 4), &received.flags.to_ne_bytes())
    }

    /// Waits. A buffer in which there is something stays with the receive; another is anybody's.
    fn keep(&mut self, cx: &mut Context<'_>) -> Step {
        if let Some(held) = self.held.take() {
            if self.done == 0 && !held.is_taken() {
                cx.tables.groups.put_back(held);
            } else {
                self.held = Some(cx.tables.groups.keep(held));
            }
        }
        Step::Wait(self.interest())
    }

    fn finish(&mut self, cx: &mut Context<'_>, result: Result<u32, Errno>, short: bool, full: bool) -> Step {
        let total = self.done.saturating_add(result.unwrap_or(0));
        let mut flags = CqeFlags::empty();
        if let Some(held) = self.held.take() {
            if total == 0 && !held.is_taken() {
                cx.tables.groups.put_back(held);
            } else {
                let room = held.span.len();
                flags = cx.tables.groups.commit(held, (total as usize).min(room));
            }
        }
        if full && total > 0 {
            flags |= self.nonempty(cx);
        }
        Step::Done(ended(self.done, result, short, flags))
    }

    /// One message of many, laid out in a provided buffer.
    fn next(&mut self, cx: &mut Context<'_>, (name_room, control_room): (usize, usize)) -> Step {
        let (group, wanted) = self.select.unwrap_or_default();
        let picked = match pick(cx, group, wanted) {
            Ok(picked) => picked,
            Err(errno) => return failed(errno),
        };
        let front = OUT + name_room + control_room;
        if picked.span.len() < front {
            cx.tables.groups.put_back(picked);
            return failed(Errno::FAULT);
        }
        let payload = picked.span.part(front, picked.span.len());
        let into = Incoming {
            name: picked.span.part(OUT, name_room.min(LONGEST_ADDRESS)),
            buffers: &[payload],
            control: picked.span.part(OUT + name_room, control_room),
        };
        let received = cx.world.receive_message(cx.fd, &into, self.message_flags);
        let told = received.and_then(|received| {
            cx.world.store(picked.span, &out(&received, name_room > 0))?;
            Ok(received)
        });
        let received = match told {
            Ok(received) => received,
            Err(errno) => {
                cx.tables.groups.put_back(picked);
                let waits = errno == Errno::AGAIN && self.message_flags & DONTWAIT == 0;
                return if waits { Step::Wait(self.interest()) } else { failed(errno) };
            }
        };
        let taken = received.count.min(payload.len());
        let mut flags = cx.tables.groups.commit(picked, front + taken);
        if received.count >= payload.len() {
            flags |= self.nonempty(cx);
        }
        let outcome = counted(count(front + taken)).with_flags(flags);
        if received.count == 0 {
            // The end of a stream, or a datagram of no length: either is the last.
            return Step::Done(outcome);
        }
        let stream = self.kind(cx) == Some(SocketKind::Stream);
        self.drained = stream && !flags.contains(CqeFlags::SOCK_NONEMPTY) && self.seen & FINAL == 0;
        Step::More(outcome)
    }

    /// Whether more waits in a stream.
    fn nonempty(&mut self, cx: &Context<'_>) -> CqeFlags {
        let waiting = cx.world.receivable(cx.fd).is_ok_and(|bytes| bytes > 0);
        let stream = waiting && self.kind(cx) == Some(SocketKind::Stream);
        if stream { CqeFlags::SOCK_NONEMPTY } else { CqeFlags::empty() }
    }

    fn continues(&mut self, cx: &Context<'_>) -> bool {
        matches!(self.kind(cx), Some(SocketKind::Stream | SocketKind::SeqPacket))
    }

    fn kind(&mut self, cx: &Context<'_>) -> Option<SocketKind> {
        if self.kind.is_none() {
            self.kind = cx.world.socket_kind(cx.fd).ok();
        }
        self.kind
    }
}

impl Operation for ReceiveMessage {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
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
        match self.layout {
            Some(layout) => self.next(cx, layout),
            None => self.once(cx),
        }
    }

    fn refuse(&mut self, cx: &mut Context<'_>, errno: Errno) -> Step {
        self.finish(cx, Err(errno), true, false)
    }

    fn abandon(&mut self, cx: &mut Context<'_>) {
        if let Some(held) = self.held.take() {
            cx.tables.groups.put_back(held);
        }
    }

    fn progress(&self) -> u32 {
        self.done
    }
}

/// How much room a header asks for in each buffer.
fn layout(header: &Header) -> Result<(usize, usize), Errno> {
    let name = i32::try_from(header.name_len).map_err(|_| Errno::OVERFLOW)?.unsigned_abs() as usize;
    let control = header.control.len();
    let front = (OUT + name).checked_add(control).ok_or(Errno::OVERFLOW)?;
    if i32::try_from(front).is_err() { Err(Errno::OVERFLOW) } else { Ok((name, control)) }
}

/// What stands at the start of a buffer.
fn out(received: &Received, named: bool) -> [u8; OUT] {
    let name_len = if named { received.name_len } else { 0 };
    let words = [name_len, count(received.control_len), count(received.count), received.flags];
    let mut bytes = [0; OUT];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}
