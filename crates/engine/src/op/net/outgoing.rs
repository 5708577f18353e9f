//! Messages that are sent: `SENDMSG`, a `SEND` of several buffers, and zero-copy sends.
//!
//! A zero-copy send copies here: its notification follows at once, and says so if it was asked to report.

use std::sync::Arc;

use annulus_abi::{self as abi, CqeFlags, IORING_NOTIF_USAGE_ZC_COPIED, RecvSendFlags, Sqe, SqeFlags};
use rustix::io::Errno;

use super::header::{Header, load_buffers};
use super::outcome::{count, ended, failed};
use super::send::{continues, rest};
use super::{DONTWAIT, OUT, WAITALL, address, poll_first};
use crate::buffers::Buffer;
use crate::op::{Context, Interest, Operation, Outcome, Prepare, Step, Turn};
use crate::world::{Outgoing, SocketAddress, SocketFact, Span};

/// A message.
#[derive(Debug)]
pub(super) struct SendMessage {
    address: Option<SocketAddress>,
    buffers: Vec<Span>,
    control: Span,
    message_flags: u32,
    how: RecvSendFlags,
    /// The notification of a zero-copy send.
    notice: Option<Outcome>,
    /// The registered buffer that the payload is in.
    fixed: Option<Fixed>,
    /// Bytes that were sent in earlier attempts.
    done: u32,
    /// It became ready once.
    polled: bool,
}

/// A registered buffer, held from the first attempt on.
#[derive(Debug)]
struct Fixed {
    index: u16,
    held: Option<Arc<Buffer>>,
}

impl SendMessage {
    /// Reads the entry of a `SENDMSG`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags and a negative length; those of the header.
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let how = RecvSendFlags::from_bits_retain(sqe.ioprio);
        let known = RecvSendFlags::POLL_FIRST | RecvSendFlags::VECTORIZED;
        if !known.contains(how) || sqe.len.cast_signed() < 0 {
            return Err(Errno::INVAL);
        }
        Self::with_header(sqe, cx)
    }

    /// Reads the entry of a `SEND` of several buffers, whose flags were checked.
    ///
    /// # Errors
    ///
    /// `EINVAL` for too many buffers, a length that no address has; `EFAULT`.
    pub(super) fn prepare_vectorized(
        sqe: &Sqe,
        cx: &Prepare<'_>,
        address: Option<SocketAddress>,
    ) -> Result<Self, Errno> {
        let buffers = load_buffers(cx, sqe.addr, sqe.len.into())?;
        Ok(Self::new(sqe, cx, address, buffers))
    }

    /// Reads the entry of a `SEND_ZC` or `SENDMSG_ZC`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags, `IOSQE_CQE_SKIP_SUCCESS`, a reserved field; those of addresses, headers and lists.
    pub(super) fn prepare_zero_copy(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let known = RecvSendFlags::POLL_FIRST
            | RecvSendFlags::FIXED_BUF
            | RecvSendFlags::ZC_REPORT_USAGE
            | RecvSendFlags::VECTORIZED;
        let how = RecvSendFlags::from_bits_retain(sqe.ioprio);
        let skip = SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::CQE_SKIP_SUCCESS);
        if skip || !known.contains(how) {
            return Err(Errno::INVAL);
        }
        let mut message = if sqe.opcode == abi::IORING_OP_SENDMSG_ZC {
            Self::with_header(sqe, cx)?
        } else {
            let vectorized = how.contains(RecvSendFlags::VECTORIZED);
            if vectorized && how.contains(RecvSendFlags::FIXED_BUF) || !is_padded(sqe) {
                return Err(Errno::INVAL);
            }
            let address = destination(sqe, cx)?;
            if vectorized {
                Self::prepare_vectorized(sqe, cx, address)?
            } else {
                Self::new(sqe, cx, address, vec![cx.vouched.span(sqe.addr, sqe.len as usize)])
            }
        };
        message.notice = Some(notice(how));
        message.fixed =
            how.contains(RecvSendFlags::FIXED_BUF).then_some(Fixed { index: sqe.buf_index, held: None });
        Ok(message)
    }

    fn with_header(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let header = Header::load(cx, sqe.addr)?;
        let address = match header.address_len() {
            0 => None,
            len => Some(address::load(cx, header.name, len as u64)?),
        };
        let buffers = load_buffers(cx, header.buffers, header.count)?;
        Ok(Self { control: header.control, ..Self::new(sqe, cx, address, buffers) })
    }

    fn new(sqe: &Sqe, cx: &Prepare<'_>, address: Option<SocketAddress>, buffers: Vec<Span>) -> Self {
        Self {
            address,
            buffers,
            control: cx.vouched.span(0, 0),
            message_flags: sqe.op_flags,
            how: RecvSendFlags::from_bits_retain(sqe.ioprio),
            notice: None,
            fixed: None,
            done: 0,
            polled: false,
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Step {
        if self.notice.is_some()
            && let Err(errno) = self.check_zero_copy(cx)
        {
            return failed(errno);
        }
        if !self.polled && self.how.contains(RecvSendFlags::POLL_FIRST) {
            return poll_first(cx, Interest::file(OUT), self.message_flags & DONTWAIT != 0);
        }
        if let Err(errno) = self.hold_fixed(cx) {
            return failed(errno);
        }
        loop {
            let rest = rest(&self.buffers, self.done as usize);
            let wanted: usize = rest.iter().map(|span| span.len()).sum();
            let message = Outgoing { address: self.address.as_ref(), buffers: &rest, control: self.control };
            let sent = match cx.world.send_message(cx.fd, &message, self.message_flags) {
                Ok(sent) => sent,
                Err(Errno::AGAIN) if self.message_flags & DONTWAIT == 0 => {
                    return Step::Wait(Interest::file(OUT));
                }
                Err(errno) => return self.end(Err(errno), true),
            };
            let short = self.message_flags & WAITALL != 0 && sent < wanted;
            if !short || sent == 0 || !continues(cx) {
                return self.end(Ok(count(sent)), short);
            }
            // Control data goes along with the first byte.
            self.control = self.control.part(0, 0);
            self.done += count(sent);
        }
    }

    fn end(&self, result: Result<u32, Errno>, short: bool) -> Step {
        Step::Done(ended(self.done, result, short, CqeFlags::empty()))
    }

    /// Only some protocols know zero-copy sends; their sockets say nothing about it but their protocol.
    fn check_zero_copy(&self, cx: &Context<'_>) -> Result<(), Errno> {
        if self.polled {
            return Ok(());
        }
        match cx.world.socket_fact(cx.fd, SocketFact::Protocol)? {
            libc::IPPROTO_TCP | libc::IPPROTO_UDP => Ok(()),
            _ => Err(Errno::OPNOTSUPP),
        }
    }

    /// Finds the registered buffer, in which all of the payload must lie.
    fn hold_fixed(&mut self, cx: &Context<'_>) -> Result<(), Errno> {
        let Some(Fixed { index, held: held @ None }) = &mut self.fixed else { return Ok(()) };
        let buffer = cx.tables.buffers.get(*index)?;
        for span in &self.buffers {
            buffer.span(span.addr(), span.len(), cx.vouched)?;
        }
        *held = Some(Arc::clone(buffer));
        Ok(())
    }
}

impl Operation for SendMessage {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        self.polled |= matches!(cx.turn, Turn::Ready(_));
        noticed(self.send(cx), self.notice)
    }

    fn refuse(&mut self, _cx: &mut Context<'_>, errno: Errno) -> Step {
        noticed(self.end(Err(errno), true), self.notice)
    }

    fn progress(&self) -> u32 {
        self.done
    }
}

/// A zero-copy send that could not be prepared: its failure is followed by a notification all the same.
#[derive(Debug)]
pub(super) struct Unprepared {
    notice: Outcome,
}

impl Operation for Unprepared {
    fn attempt(&mut self, _cx: &mut Context<'_>) -> Step {
        unreachable!("what could not be prepared is not attempted")
    }

    fn refuse(&mut self, _cx: &mut Context<'_>, errno: Errno) -> Step {
        noticed(failed(errno), Some(self.notice))
    }
}

/// Of zero-copy sends the kernel makes the notification before it looks at most fields.
pub(super) fn unprepared(sqe: &Sqe) -> Option<Unprepared> {
    let zero_copy = matches!(sqe.opcode, abi::IORING_OP_SEND_ZC | abi::IORING_OP_SENDMSG_ZC);
    let skip = SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::CQE_SKIP_SUCCESS);
    if !zero_copy || skip || sqe.addr3 != 0 || sqe.pad2 != 0 {
        return None;
    }
    let how = RecvSendFlags::from_bits(sqe.ioprio).unwrap_or_default();
    Some(Unprepared { notice: notice(how) })
}

/// The last step of a send, with its notification if there is one.
fn noticed(step: Step, notice: Option<Outcome>) -> Step {
    match (step, notice) {
        (Step::Done(outcome), Some(notice)) => Step::DoneWithNotice(outcome, notice),
        (step, _) => step,
    }
}

/// The notification of a zero-copy send with these flags: all was copied.
fn notice(how: RecvSendFlags) -> Outcome {
    let report = how.contains(RecvSendFlags::ZC_REPORT_USAGE);
    Outcome::success(if report { IORING_NOTIF_USAGE_ZC_COPIED.cast_signed() } else { 0 })
}

/// Whether the half of the field behind the length of an address is zero.
pub(super) fn is_padded(sqe: &Sqe) -> bool {
    sqe.file_index.to_ne_bytes()[2..] == [0, 0]
}

/// The address that a `SEND` names beside its buffer.
///
/// # Errors
///
/// `EINVAL` for a length that no address has; `EFAULT`.
pub(super) fn destination(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Option<SocketAddress>, Errno> {
    match sqe.off {
        0 => Ok(None),
        addr => address::load(cx, addr, sqe.addr_len().into()).map(Some),
    }
}
