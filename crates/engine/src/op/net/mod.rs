//! Operations on sockets.
//!
//! All of them try without waiting and then wait for readiness; only a connect to a full Unix socket needs a worker. Whether a
//! socket has `O_NONBLOCK` makes no difference, as in the kernel: who does not want to wait says `MSG_DONTWAIT`.

mod accept;
mod address;
mod command;
mod connect;
mod header;
mod incoming;
mod outcome;
mod outgoing;
mod receive;
mod send;
mod setup;
#[cfg(test)]
mod tests;

use annulus_abi::{self as abi, Sqe};
use rustix::event::PollFlags;
use rustix::io::Errno;

use self::accept::Accept;
use self::command::Command;
use self::connect::Connect;
use self::incoming::ReceiveMessage;
use self::outgoing::SendMessage;
use self::receive::Receive;
use self::send::Send;
use self::setup::{Bind, Listen, Shutdown, Socket};
use super::{Context, Interest, Op, Operation, Prepare, Step};
use crate::buffers::Picked;
use crate::world::{FileKind, ReadySet};

/// The two operations of a connection's daily life, by value.
#[derive(Debug)]
pub(crate) enum Transfer {
    /// `RECV`.
    Receive(Receive),
    /// `SEND` of one buffer, or of provided ones.
    Send(Send),
}

impl Transfer {
    /// [`Operation::attempt`].
    #[inline]
    pub(crate) fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        match self {
            Self::Receive(receive) => receive.attempt(cx),
            Self::Send(send) => send.attempt(cx),
        }
    }

    /// [`Operation::refuse`].
    pub(crate) fn refuse(&mut self, cx: &mut Context<'_>, errno: Errno) -> Step {
        match self {
            Self::Receive(receive) => receive.refuse(cx, errno),
            Self::Send(send) => send.refuse(cx, errno),
        }
    }

    /// [`Operation::abandon`].
    pub(crate) fn abandon(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Receive(receive) => receive.abandon(cx),
            Self::Send(send) => send.abandon(cx),
        }
    }

    /// [`Operation::progress`].
    pub(crate) fn progress(&self) -> u32 {
        match self {
            Self::Receive(receive) => receive.progress(),
            Self::Send(send) => send.progress(),
        }
    }
}

/// Whether the opcode is one of these.
pub(crate) const fn has(opcode: u8) -> bool {
    matches!(
        opcode,
        abi::IORING_OP_RECV
            | abi::IORING_OP_RECVMSG
            | abi::IORING_OP_SEND
            | abi::IORING_OP_SENDMSG
            | abi::IORING_OP_SEND_ZC
            | abi::IORING_OP_SENDMSG_ZC
            | abi::IORING_OP_ACCEPT
            | abi::IORING_OP_CONNECT
            | abi::IORING_OP_SOCKET
            | abi::IORING_OP_BIND
            | abi::IORING_OP_LISTEN
            | abi::IORING_OP_SHUTDOWN
            | abi::IORING_OP_URING_CMD
    )
}

/// Makes an operation of an entry with one of these opcodes.
///
/// # Errors
///
/// `EINVAL` for values without meaning, `EFAULT` for memory that cannot be read, `EMSGSIZE`, `EOVERFLOW` for lengths that are too much.
pub(crate) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Op, Errno> {
    match sqe.opcode {
        abi::IORING_OP_RECV => Receive::prepare(sqe, cx).map(|op| Op::Transfer(Transfer::Receive(op))),
        abi::IORING_OP_SEND => send::prepare(sqe, cx),
        abi::IORING_OP_RECVMSG => ReceiveMessage::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_SENDMSG => SendMessage::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_SEND_ZC | abi::IORING_OP_SENDMSG_ZC => {
            SendMessage::prepare_zero_copy(sqe, cx).map(boxed)
        }
        abi::IORING_OP_ACCEPT => Accept::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_CONNECT => Connect::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_SOCKET => Socket::prepare(sqe).map(boxed),
        abi::IORING_OP_BIND => Bind::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_LISTEN => Ok(boxed(Listen::prepare(sqe))),
        abi::IORING_OP_SHUTDOWN => Ok(boxed(Shutdown::prepare(sqe))),
        abi::IORING_OP_URING_CMD => Command::prepare(sqe, cx).map(boxed),
        _ => Err(Errno::INVAL),
    }
}

/// What stands for an entry with one of these opcodes that could not be prepared, if its end is unlike that of others.
pub(crate) fn unprepared(sqe: &Sqe) -> Option<Op> {
    outgoing::unprepared(sqe).map(boxed)
}

/// The next buffer of a group, as [`Context::pick`] gives it.
///
/// # Errors
///
/// `ENOBUFS`; before that `EBADF` and `ENOTSOCK`, for what is no socket.
#[inline]
fn pick(cx: &mut Context<'_>, group: u16, wanted: usize) -> Result<Picked, Errno> {
    cx.pick(group, wanted).map_err(|errno| unless_no_socket(cx, errno))
}

/// This error, or what would have come first if the file is no socket.
#[cold]
fn unless_no_socket(cx: &Context<'_>, errno: Errno) -> Errno {
    match cx.world.kind(cx.fd) {
        Err(Errno::BADF) => Errno::BADF,
        Ok(FileKind::Socket) | Err(_) => errno,
        Ok(_) => Errno::NOTSOCK,
    }
}

fn boxed(operation: impl Operation + 'static) -> Op {
    Op::Other(Box::new(operation))
}

const IN: ReadySet = PollFlags::IN.bits() as ReadySet;
const OUT: ReadySet = PollFlags::OUT.bits() as ReadySet;
const PRI: ReadySet = PollFlags::PRI.bits() as ReadySet;
const ERR: ReadySet = PollFlags::ERR.bits() as ReadySet;
const HUP: ReadySet = PollFlags::HUP.bits() as ReadySet;
const RDHUP: ReadySet = PollFlags::RDHUP.bits() as ReadySet;
/// After any of these there may be more to be had than what a first read leaves: an error, or the end.
const FINAL: ReadySet = ERR | HUP | RDHUP;

/// Flags of send(2) and recv(2).
const DONTWAIT: u32 = libc::MSG_DONTWAIT.cast_unsigned();
const WAITALL: u32 = libc::MSG_WAITALL.cast_unsigned();

/// The wait of an operation that polls first. Only a socket is worth it: anything else is refused at once.
fn poll_first(cx: &Context<'_>, interest: Interest, dontwait: bool) -> Step {
    match cx.world.kind(cx.fd) {
        Ok(FileKind::Socket) if dontwait => outcome::failed(Errno::AGAIN),
        Ok(FileKind::Socket) => Step::Wait(interest),
        Ok(_) => outcome::failed(Errno::NOTSOCK),
        Err(errno) => outcome::failed(errno),
    }
}
