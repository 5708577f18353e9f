//! `URING_CMD`: commands of sockets. No other file has any here, as in a kernel whose drivers have none.

use annulus_abi::{self as abi, CqeFlags, Sqe, SqeFlags, UringCmdFlags};
use rustix::io::Errno;

use super::ERR;
use super::outcome::{counted, failed};
use crate::op::{Context, Interest, Operation, Outcome, Prepare, Step};
use crate::world::{FileKind, SocketFact, Span};

/// A command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command {
    number: u32,
    level: i32,
    name: i32,
    value: Span,
    value_len: i32,
    multishot: bool,
    /// Time stamps have somewhere to go.
    wide: bool,
}

impl Command {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags, a reserved field, and multishot without provided buffers or the other way round.
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let flags = UringCmdFlags::from_bits(sqe.op_flags).ok_or(Errno::INVAL)?;
        let select = SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::BUFFER_SELECT);
        let multishot = flags.contains(UringCmdFlags::MULTISHOT);
        let reserved = sqe.off.to_ne_bytes()[4..] != [0; 4];
        if reserved || select != multishot || multishot && flags.contains(UringCmdFlags::FIXED) {
            return Err(Errno::INVAL);
        }
        let (level, name) = sqe.sockopt();
        let value_len = sqe.file_index.cast_signed();
        Ok(Self {
            number: sqe.cmd_op(),
            level: level.cast_signed(),
            name: name.cast_signed(),
            value: cx.vouched.span(sqe.addr3, usize::try_from(value_len).unwrap_or(0)),
            value_len,
            multishot,
            wide: cx.wide_completions,
        })
    }

    fn execute(&self, cx: &Context<'_>) -> Result<u32, Errno> {
        if cx.world.kind(cx.fd)? != FileKind::Socket || self.multishot {
            return Err(Errno::OPNOTSUPP);
        }
        match self.number {
            abi::SOCKET_URING_OP_SIOCINQ if has_queues(cx)? => cx.world.receivable(cx.fd),
            abi::SOCKET_URING_OP_SIOCOUTQ if has_queues(cx)? => cx.world.unsent(cx.fd),
            abi::SOCKET_URING_OP_GETSOCKOPT if self.level == libc::SOL_SOCKET => {
                self.check_len()?;
                cx.world.socket_option(cx.fd, self.level, self.name, self.value)
            }
            abi::SOCKET_URING_OP_SETSOCKOPT => {
                self.check_len()?;
                cx.world.set_socket_option(cx.fd, self.level, self.name, self.value).map(|()| 0)
            }
            _ => Err(Errno::OPNOTSUPP),
        }
    }

    const fn check_len(&self) -> Result<(), Errno> {
        if self.value_len < 0 { Err(Errno::INVAL) } else { Ok(()) }
    }

    /// Time stamps, each a completion of its own, until the request is cancelled.
    fn next_stamp(&self, cx: &Context<'_>) -> Step {
        if !self.wide {
            return failed(Errno::INVAL);
        }
        match cx.world.take_send_stamp(cx.fd) {
            Ok(stamp) => {
                let hardware = if stamp.hardware { CqeFlags::TSTAMP_HW } else { CqeFlags::empty() };
                let kind = CqeFlags::from_bits_retain(stamp.kind << abi::IORING_TIMESTAMP_TYPE_SHIFT);
                let outcome = counted(stamp.key).with_flags(hardware | kind);
                Step::More(Outcome { extra: Some(stamp.time), ..outcome })
            }
            Err(Errno::AGAIN) => Step::Wait(Interest::file(ERR)),
            Err(errno) => failed(errno),
        }
    }
}

impl Operation for Command {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        if self.number == abi::SOCKET_URING_OP_TX_TIMESTAMP
            && !self.multishot
            && cx.world.kind(cx.fd) == Ok(FileKind::Socket)
        {
            return self.next_stamp(cx);
        }
        Step::Done(Outcome::from(self.execute(cx)))
    }
}

/// Unix sockets do not answer for the length of their queues here, though they do to an ioctl.
fn has_queues(cx: &Context<'_>) -> Result<bool, Errno> {
    Ok(cx.world.socket_fact(cx.fd, SocketFact::Domain)? != libc::AF_UNIX)
}
