//! Sending without a copy: the buffer comes back when the network is done with it.
#![allow(unsafe_code, reason = "names buffers that the operation owns")]

use std::fmt;

use rustix::io::Errno;

use super::buffer::entry_len;
use super::{Buffer, Handle, Operation};
use crate::{cqueue, opcode, squeue};

/// Sends a buffer without copying it. Linux 6.0.
///
/// Ends, and gives the buffer back, when the peer has acknowledged the data: later than
/// [`Send`](super::Send) does.
pub struct SendZc<B> {
    handle: Handle,
    buffer: B,
    flags: i32,
    /// What the first completion said; the second one only tells that the buffer is free.
    sent: Option<Result<u32, Errno>>,
}

impl<B: Buffer> SendZc<B> {
    /// Sends `buffer` on a connected socket.
    pub fn new(handle: impl Into<Handle>, buffer: B) -> Self {
        Self { handle: handle.into(), buffer, flags: 0, sent: None }
    }

    /// Sets `MSG_*`; with `MSG_WAITALL` it is sent whole.
    #[must_use]
    pub fn flags(mut self, flags: i32) -> Self {
        self.flags = flags;
        self
    }
}

// SAFETY: the entry names the bytes of the buffer, which the value owns; `more` does not touch them. The last
// completion is the notification, or the result if none follows it.
unsafe impl<B: Buffer> Operation for SendZc<B> {
    type Output = (Result<usize, Errno>, B);

    fn entry(&mut self) -> squeue::Entry {
        let bytes = self.buffer.bytes();
        opcode::SendZc::new(self.handle.target(), bytes.as_ptr(), entry_len(bytes.len()))
            .flags(self.flags)
            .build()
    }

    unsafe fn more(&mut self, cqe: &cqueue::Entry) {
        self.sent = Some(cqe.to_result());
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        let sent = match self.sent {
            Some(sent) if cqe.is_notification() => sent,
            _ => cqe.to_result(),
        };
        (sent.map(|len| len as usize), self.buffer)
    }
}

impl<B> fmt::Debug for SendZc<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendZc").field("handle", &self.handle).finish_non_exhaustive()
    }
}
