//! One connection: its socket, its buffer, and what it does next.
//!
//! A connection has one operation in flight at a time, so its buffer has one user at a time: it is greeted,
//! then receives and sends in turn. At the client's end of the stream everything received has been sent;
//! then the server's end follows, and the socket is closed.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use annulus::{opcode, squeue, types};
use rustix::io::Errno;

use crate::queue::Purpose;

/// As large as a read with `O_DIRECT` wants its buffers, and aligned so.
pub(crate) const BUFFER: u32 = 4096;

#[repr(align(4096))]
struct Buffer([u8; BUFFER as usize]);

pub(crate) struct Connection {
    socket: Option<OwnedFd>,
    buffer: Box<Buffer>,
    /// Which bytes of the buffer are still to be sent.
    sent: usize,
    filled: usize,
    /// Whether those bytes are the client's own, and how many of those went back so far.
    is_echo: bool,
    pub(crate) echoed: u64,
    /// Whose end of the stream has passed.
    pub(crate) client_ended: bool,
    pub(crate) server_ended: bool,
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        let buffer = Box::new(Buffer([0; BUFFER as usize]));
        Self {
            socket: Some(socket),
            buffer,
            sent: 0,
            filled: 0,
            is_echo: false,
            echoed: 0,
            client_ended: false,
            server_ended: false,
        }
    }

    /// Reads the greeting into the buffer.
    pub(crate) fn greet(&mut self, file: types::Fd) -> squeue::Entry {
        opcode::Read::new(file, self.buffer.0.as_mut_ptr(), BUFFER).build()
    }

    pub(crate) fn recv(&mut self, number: usize) -> squeue::Entry {
        let socket = self.socket();
        opcode::Recv::new(socket, self.buffer.0.as_mut_ptr(), BUFFER)
            .build()
            .user_data(Purpose::Recv.of(number))
    }

    /// Sends what was read or received: the first `filled` bytes of the buffer.
    pub(crate) fn send(&mut self, filled: u32, is_echo: bool, number: usize) -> squeue::Entry {
        (self.sent, self.filled, self.is_echo) = (0, filled as usize, is_echo);
        self.send_rest(number)
    }

    /// Takes note of what was sent; the send of the rest, if there is one.
    pub(crate) fn sent(&mut self, more: u32, number: usize) -> Option<squeue::Entry> {
        self.sent += more as usize;
        if self.is_echo {
            self.echoed += u64::from(more);
        }
        (self.sent < self.filled).then(|| self.send_rest(number))
    }

    fn send_rest(&self, number: usize) -> squeue::Entry {
        let rest = &self.buffer.0[self.sent..self.filled];
        let len = u32::try_from(rest.len()).expect("a part of the buffer");
        opcode::Send::new(self.socket(), rest.as_ptr(), len)
            .flags(libc::MSG_NOSIGNAL)
            .build()
            .user_data(Purpose::Send.of(number))
    }

    /// Sends the end of the stream.
    pub(crate) fn shutdown(&self, number: usize) -> squeue::Entry {
        opcode::Shutdown::new(self.socket(), libc::SHUT_WR).build().user_data(Purpose::Shutdown.of(number))
    }

    /// Closes the socket, which must have no other operation in flight.
    pub(crate) fn close(&mut self, number: usize) -> Result<squeue::Entry, Errno> {
        let socket = self.socket.take().ok_or(Errno::BADF)?;
        let close = opcode::Close::new(types::Fd(socket.into_raw_fd()));
        Ok(close.build().user_data(Purpose::Close.of(number)))
    }

    fn socket(&self) -> types::Fd {
        types::Fd(self.socket.as_ref().map_or(-1, AsRawFd::as_raw_fd))
    }
}
