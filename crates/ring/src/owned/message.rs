//! Messages: several buffers, an address, control data (sendmsg(2), recvmsg(2)).
#![allow(unsafe_code, reason = "names headers, buffers and addresses that the operation owns")]

use std::fmt;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::Errno;
use rustix::net::SocketAddrAny;

use super::socket::AddressSpace;
use super::vectored::Pieces;
use super::{Buffer, BufferMut, BuffersMut, Handle, Operation};
use crate::types::ControlMessages;
use crate::{cqueue, opcode, squeue};

/// A `struct msghdr` that is filled in when the operation has come to its place.
struct Header(libc::msghdr);

// SAFETY: addresses of memory that the operation owns, which is `Send` itself.
unsafe impl Send for Header {}

impl Header {
    const fn empty() -> Self {
        // SAFETY: integers and pointers, all valid when zero.
        Self(unsafe { std::mem::zeroed() })
    }

    fn set_pieces(&mut self, pieces: &mut Pieces) {
        self.0.msg_iov = pieces.as_mut_ptr();
        // The type of the count differs between C libraries; 1,024 pieces are the most there can be.
        self.0.msg_iovlen = pieces.len() as _;
    }

    fn set_control(&mut self, control: *mut u8, len: usize) {
        self.0.msg_control = if len == 0 { ptr::null_mut() } else { control.cast() };
        self.0.msg_controllen = len as _;
    }
}

/// Sends a message: sendmsg(2).
pub struct SendMsg<B> {
    handle: Handle,
    buffers: Vec<B>,
    address: Option<SocketAddrAny>,
    control: Vec<u8>,
    flags: u32,
    pieces: Pieces,
    header: Header,
}

impl<B: Buffer> SendMsg<B> {
    /// Sends `buffers` one behind the other.
    pub fn new(handle: impl Into<Handle>, buffers: Vec<B>) -> Self {
        Self {
            handle: handle.into(),
            buffers,
            address: None,
            control: Vec::new(),
            flags: 0,
            pieces: Pieces::default(),
            header: Header::empty(),
        }
    }

    /// Sets where to send, for a socket that is not connected.
    #[must_use]
    pub fn to(mut self, address: impl Into<SocketAddrAny>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Sets the control data, laid out as cmsg(3) says. Descriptors in it must stay open until the message was
    /// submitted.
    #[must_use]
    pub fn control(mut self, control: Vec<u8>) -> Self {
        self.control = control;
        self
    }

    /// Sets `MSG_*`.
    #[must_use]
    pub fn flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }
}

// SAFETY: the entry names the header and it the pieces, address and control data, and the pieces the bytes of
// the buffers; the value owns all of them.
unsafe impl<B: Buffer> Operation for SendMsg<B> {
    type Output = (Result<usize, Errno>, Vec<B>);

    fn entry(&mut self) -> squeue::Entry {
        self.pieces = Pieces::of_bytes(&self.buffers);
        self.header.set_pieces(&mut self.pieces);
        self.header.set_control(self.control.as_mut_ptr(), self.control.len());
        if let Some(address) = &mut self.address {
            self.header.0.msg_name = address.as_mut_ptr().cast();
            self.header.0.msg_namelen = address.addr_len();
        }
        opcode::SendMsg::new(self.handle.target(), &raw const self.header.0).flags(self.flags).build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        (cqe.to_result().map(|len| len as usize), self.buffers)
    }
}

/// Receives a message: recvmsg(2).
pub struct RecvMsg<B> {
    handle: Handle,
    buffers: Vec<B>,
    address: AddressSpace,
    control: Vec<u8>,
    flags: u32,
    pieces: Pieces,
    header: Header,
}

/// What came with a received message.
#[derive(Debug)]
pub struct Received {
    /// Bytes written to the buffers, in order.
    pub len: usize,
    /// The sender's address, if the socket tells it.
    pub address: Option<SocketAddrAny>,
    /// `MSG_*` of the message: `MSG_TRUNC`, `MSG_CTRUNC`, ...
    pub flags: i32,
    /// The control data. Numbers of descriptors in it are those of [`descriptors`](Self::descriptors).
    pub control: Vec<u8>,
    /// The descriptors that came with the message (`SCM_RIGHTS`, `SCM_PIDFD`), in order, with `FD_CLOEXEC`. What
    /// nobody takes out is closed, also if the message comes when nobody wants it any more.
    pub descriptors: Vec<OwnedFd>,
}

impl Received {
    /// The control messages one by one.
    #[must_use]
    pub fn control_messages(&self) -> ControlMessages<'_> {
        ControlMessages::new(&self.control)
    }
}

impl<B: BufferMut> RecvMsg<B> {
    /// Receives into `buffers`, one after the other.
    pub fn new(handle: impl Into<Handle>, buffers: Vec<B>) -> Self {
        Self {
            handle: handle.into(),
            buffers,
            address: AddressSpace::new(),
            control: Vec::new(),
            flags: 0,
            pieces: Pieces::default(),
            header: Header::empty(),
        }
    }

    /// Sets how many bytes of control data to receive at the most; none unless asked for.
    #[must_use]
    pub fn control(mut self, len: usize) -> Self {
        self.control = vec![0; len];
        self
    }

    /// Sets `MSG_*`, but `MSG_TRUNC`, which has no meaning here: [`Received::flags`] has it if the message was cut.
    #[must_use]
    pub fn flags(mut self, flags: u32) -> Self {
        // With it the result tells of more bytes than were written.
        self.flags = flags & !libc::MSG_TRUNC.cast_unsigned();
        self
    }
}

// SAFETY: the entry names the header and it the pieces, the room for address and control data, and the pieces the
// rooms of the buffers; the value owns all of them and leaves them alone.
unsafe impl<B: BufferMut> Operation for RecvMsg<B> {
    type Output = (Result<Received, Errno>, Vec<B>);

    fn entry(&mut self) -> squeue::Entry {
        self.pieces = Pieces::of_space(&mut self.buffers);
        self.header.set_pieces(&mut self.pieces);
        self.header.set_control(self.control.as_mut_ptr(), self.control.len());
        self.header.0.msg_name = self.address.storage().cast();
        self.header.0.msg_namelen = self.address.len;
        // A descriptor that is received is to be inherited only if the program says so later.
        let flags = self.flags | libc::MSG_CMSG_CLOEXEC.cast_unsigned();
        opcode::RecvMsg::new(self.handle.target(), &raw mut self.header.0).flags(flags).build()
    }

    unsafe fn complete(mut self, cqe: &cqueue::Entry) -> Self::Output {
        let received = cqe.to_result().map(|len| {
            let len = len as usize;
            // SAFETY: the kernel wrote that many bytes to the pieces, in order.
            unsafe { self.buffers.filled(len) };
            self.address.len = self.header.0.msg_namelen;
            self.control.truncate(self.header.0.msg_controllen as _);
            let flags = self.header.0.msg_flags & !libc::MSG_CMSG_CLOEXEC;
            // SAFETY: the kernel wrote this control data, just now, and it is read for descriptors this once.
            let descriptors = unsafe { descriptors(&self.control) };
            Received { len, address: self.address.read(), flags, control: self.control, descriptors }
        });
        (received, self.buffers)
    }
}

/// The descriptors in control data.
///
/// # Safety
///
/// The kernel wrote it for a message that was received into this process, and nobody else takes them.
unsafe fn descriptors(control: &[u8]) -> Vec<OwnedFd> {
    /// Of a socket with `SO_PASSPIDFD`: the sender. Linux 6.5.
    const SCM_PIDFD: i32 = 4;
    ControlMessages::new(control)
        .filter(|message| message.level == libc::SOL_SOCKET)
        .filter(|message| matches!(message.kind, libc::SCM_RIGHTS | SCM_PIDFD))
        .flat_map(|message| message.data.as_chunks().0)
        .map(|number| RawFd::from_ne_bytes(*number))
        // Instead of a pidfd there may be an error.
        .filter(|fd| *fd >= 0)
        // SAFETY: the contract of this function.
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
        .collect()
}

impl<B> fmt::Debug for SendMsg<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendMsg").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for RecvMsg<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvMsg").field("handle", &self.handle).finish_non_exhaustive()
    }
}
