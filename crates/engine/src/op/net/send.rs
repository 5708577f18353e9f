//! `SEND`: one buffer of the entry, a provided one, or several in their order (a bundle).
//!
//! Provided buffers are gone from their group once they were picked, whatever comes of it, as the kernel has it: their order is the
//! order of the stream, and whoever picked them sends them.

use std::borrow::Cow;

use annulus_abi::{CqeFlags, RecvSendFlags, Sqe, SqeFlags};
use rustix::io::Errno;

use super::outcome::{count, counted, ended, failed};
use super::outgoing::{SendMessage, destination, is_padded};
use super::{DONTWAIT, OUT, Transfer, WAITALL, boxed, poll_first};
use crate::buffers::Picked;
use crate::op::{Context, Interest, Op, Prepare, Step, Turn};
use crate::world::{Outgoing, SocketAddress, SocketKind, Span};

/// As many buffers one call of a bundle sends.
const BUNDLE: usize = 256;

/// A send.
#[derive(Debug)]
pub(crate) struct Send {
    /// The entry's buffer; of provided buffers only its length counts, as the limit.
    from: Span,
    /// To whom, if the socket does not know.
    address: Option<Box<SocketAddress>>,
    message_flags: u32,
    how: RecvSendFlags,
    /// Where buffers come from, if not from the entry.
    group: Option<u16>,
    /// Bytes that were sent in earlier attempts.
    done: u32,
    /// It became ready once.
    polled: bool,
    /// Buffers that are being sent.
    held: Vec<Picked>,
}

/// Reads the entry of a `SEND`.
///
/// # Errors
///
/// `EINVAL` for unknown flags, a negative length, a reserved field; `EFAULT` for an address that cannot be read.
pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Op, Errno> {
    let known = RecvSendFlags::POLL_FIRST | RecvSendFlags::BUNDLE | RecvSendFlags::VECTORIZED;
    let how = RecvSendFlags::from_bits_retain(sqe.ioprio);
    if !known.contains(how) || sqe.len.cast_signed() < 0 || !is_padded(sqe) {
        return Err(Errno::INVAL);
    }
    let select = SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::BUFFER_SELECT);
    let address = destination(sqe, cx)?;
    if how.contains(RecvSendFlags::VECTORIZED) && !select {
        return SendMessage::prepare_vectorized(sqe, cx, address).map(boxed);
    }
    let bundle = if how.contains(RecvSendFlags::BUNDLE) { WAITALL } else { 0 };
    Ok(Op::Transfer(Transfer::Send(Send {
        from: cx.vouched.span(sqe.addr, sqe.len as usize),
        address: address.map(Box::new),
        message_flags: sqe.op_flags | bundle,
        how,
        group: select.then_some(sqe.buf_index),
        done: 0,
        polled: false,
        held: Vec::new(),
    })))
}

impl Send {
    #[inline]
    pub(super) fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        self.polled |= matches!(cx.turn, Turn::Ready(_));
        if !self.polled && self.how.contains(RecvSendFlags::POLL_FIRST) {
            return poll_first(cx, Interest::file(OUT), self.message_flags & DONTWAIT != 0);
        }
        if self.group.is_some() {
            return self.select(cx);
        }
        if self.message_flags & WAITALL == 0 && self.address.is_none() {
            return match cx.world.send(cx.fd, self.from, self.message_flags) {
                Ok(bytes) => Step::Done(counted(count(bytes))),
                Err(errno) => self.stopped(cx, errno),
            };
        }
        let step = self.whole(cx, &[self.from]);
        let step = self.go_on(step);
        if let Step::More(_) = step {
            // A bundle of the entry's own buffer has nothing behind it, and says so as the kernel does.
            self.from = self.from.part(0, 0);
        }
        step
    }

    /// Provided buffers.
    fn select(&mut self, cx: &mut Context<'_>) -> Step {
        let group = self.group.unwrap_or_default();
        if self.held.is_empty() {
            let most = if self.how.contains(RecvSendFlags::BUNDLE) { BUNDLE } else { 1 };
            match cx.tables.groups.take_many(group, self.from.len(), most) {
                Ok(picked) => self.held = picked,
                Err(errno) => return failed(errno),
            }
        }
        let spans: Vec<Span> = self.held.iter().map(|picked| picked.span).collect();
        let step = self.whole(cx, &spans);
        if cx.tables.groups.is_empty(group) { step } else { self.go_on(step) }
    }

    /// What a bundle sent in one go is followed by what comes next.
    fn go_on(&mut self, step: Step) -> Step {
        match step {
            Step::Done(outcome)
                if self.how.contains(RecvSendFlags::BUNDLE)
                    && !outcome.severs
                    && outcome.result > 0
                    && !self.polled =>
            {
                self.done = 0;
                Step::More(outcome)
            }
            step => step,
        }
    }

    /// Sends what is left of these buffers; with `MSG_WAITALL` until nothing is.
    fn whole(&mut self, cx: &mut Context<'_>, buffers: &[Span]) -> Step {
        loop {
            // Nothing is put together anew for what goes out in one call, as almost everything does.
            let rest = match self.done {
                0 => Cow::Borrowed(buffers),
                done => Cow::Owned(rest(buffers, done as usize)),
            };
            let wanted: usize = rest.iter().map(|span| span.len()).sum();
            let sent = match rest[..] {
                [one] if self.address.is_none() => cx.world.send(cx.fd, one, self.message_flags),
                _ => {
                    let control = self.from.part(0, 0);
                    let message = Outgoing { address: self.address.as_deref(), buffers: &rest, control };
                    cx.world.send_message(cx.fd, &message, self.message_flags)
                }
            };
            let sent = match sent {
                Ok(sent) => sent,
                Err(errno) => return self.stopped(cx, errno),
            };
            let short = self.message_flags & WAITALL != 0 && sent < wanted;
            if !short || sent == 0 || !continues(cx) {
                let flags = self.commit(cx);
                return Step::Done(ended(self.done, Ok(count(sent)), short, flags));
            }
            self.done += count(sent);
        }
    }

    /// The step after a call that failed.
    fn stopped(&mut self, cx: &mut Context<'_>, errno: Errno) -> Step {
        if errno == Errno::AGAIN && self.message_flags & DONTWAIT == 0 {
            return Step::Wait(Interest::file(OUT));
        }
        let flags = self.commit(cx);
        Step::Done(ended(self.done, Err(errno), true, flags))
    }

    /// The buffers were used, whatever came of it.
    fn commit(&mut self, cx: &mut Context<'_>) -> CqeFlags {
        if self.held.is_empty() {
            return CqeFlags::empty();
        }
        let held = std::mem::take(&mut self.held);
        let total = held.iter().map(|picked| picked.span.len()).sum();
        cx.tables.groups.commit_many(held, total)
    }

    pub(super) fn refuse(&mut self, cx: &mut Context<'_>, errno: Errno) -> Step {
        let flags = self.commit(cx);
        Step::Done(ended(self.done, Err(errno), true, flags))
    }

    pub(super) fn abandon(&mut self, cx: &mut Context<'_>) {
        cx.tables.groups.put_back_many(std::mem::take(&mut self.held));
    }

    pub(super) const fn progress(&self) -> u32 {
        self.done
    }
}

/// What is left of buffers of which `done` bytes are over.
pub(super) fn rest(buffers: &[Span], mut done: usize) -> Vec<Span> {
    let mut rest = Vec::with_capacity(buffers.len());
    for span in buffers {
        let here = done.min(span.len());
        done -= here;
        if here < span.len() || span.len() == 0 {
            rest.push(span.part(here, span.len()));
        }
    }
    rest
}

/// Whether what is left is sent by another call: of a datagram it is lost.
pub(super) fn continues(cx: &Context<'_>) -> bool {
    matches!(cx.world.socket_kind(cx.fd), Ok(SocketKind::Stream | SocketKind::SeqPacket))
}
