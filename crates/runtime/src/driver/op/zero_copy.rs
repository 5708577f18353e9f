//! Sending from the program's own pages: the buffers come back when the network is done with them.
//!
//! The kernel posts two completions, the result and the notification; memory belongs to the operation until
//! the second.
#![allow(unsafe_code, reason = "names buffers that the operations own")]

use std::future::poll_fn;
use std::io;

use annulus::abi::CqeFlags;
use annulus::types::RecvSendFlags;
use annulus::{opcode, squeue};
use rustix::net::SocketAddrAny;

use super::msg::SendMsg;
use super::parts::Source;
use super::{length, number};
use crate::buf::{FixedBuf, Held, IoBuf};
use crate::driver::{Completion, Flow, Operation};
use crate::fd::SharedFd;

/// The flags of each of these: tell whether it was a copy in the end.
pub(crate) const REPORT: u16 = RecvSendFlags::ZC_REPORT_USAGE.bits();

/// In the result of a notification: it was.
const COPIED: i32 = i32::MIN;

/// send(2) or sendto(2) without a copy.
pub(crate) struct SendZc<B> {
    fd: SharedFd,
    buf: Held<B>,
    flags: i32,
    /// Where the buffer is registered, until an entry has named it: a second one is for another ring.
    slot: Option<u16>,
    to: Option<Box<SocketAddrAny>>,
}

impl<B: IoBuf> SendZc<B> {
    pub(crate) fn new(fd: SharedFd, buf: B, flags: i32) -> Self {
        Self { fd, buf: Held::new(buf), flags, slot: None, to: None }
    }

    /// To this address, or to the peer.
    pub(crate) fn to(mut self, address: Option<SocketAddrAny>) -> Self {
        self.to = address.map(Box::new);
        self
    }

    pub(crate) fn into_inner(self) -> B {
        self.buf.into_inner()
    }
}

impl<B: FixedBuf> SendZc<B> {
    /// Out of a registered buffer; out of one that is not registered here, as out of any other.
    pub(crate) fn registered(fd: SharedFd, buf: B, flags: i32) -> Self {
        let slot = buf.slot();
        Self { slot, ..Self::new(fd, buf, flags) }
    }
}

// SAFETY: the buffer keeps its address (`Held`), and its slot while its guard is here (`FixedBuf`); the address to send to
// is on the heap, the share keeps the descriptor open.
unsafe impl<B: IoBuf> Operation for SendZc<B> {
    type Output = ();

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.buf.as_stable_ptr(), length(self.buf.filled()));
        let mut send = opcode::SendZc::new(self.fd.target(), start, len).flags(self.flags).zc_flags(REPORT);
        if let Some(to) = &self.to {
            send = send.dest_addr(to.as_ptr().cast()).dest_addr_len(to.addr_len());
        }
        send.buf_index(self.slot.take()).build()
    }

    fn complete(self, _completion: Completion) {}
}

/// An operation of two completions.
pub(crate) trait Notified: Operation {}

impl<B: IoBuf> Notified for SendZc<B> {}

impl<S: Source> Notified for SendMsg<S> {}

/// What came of it: how many bytes were sent, and whether they were copied.
pub(crate) type Sent = io::Result<(usize, bool)>;

/// Submits it and waits until the memory is free.
pub(crate) async fn send<T: Notified>(op: T) -> (Sent, T) {
    let mut flow = match Flow::try_start(op, 0) {
        Ok(flow) => flow,
        Err((errno, op)) => return (Err(errno.into()), op),
    };
    let mut sent = Err(io::ErrorKind::Other.into());
    let mut copied = false;
    while let Some(completion) = poll_fn(|cx| flow.poll_next(cx)).await {
        if completion.flags.contains(CqeFlags::NOTIF) {
            copied = completion.result & COPIED != 0;
        } else {
            sent = number(completion);
        }
    }
    let op = flow.take_ended().expect("its last completion was read just now");
    (sent.map(|sent| (sent, copied)), op)
}
