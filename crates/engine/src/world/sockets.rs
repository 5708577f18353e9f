//! Sockets: making, naming and joining them, and what is sent and received.
//!
//! Transfers never wait here: sockets can be watched, so who has to wait does so for readiness.

use std::os::fd::RawFd;

use rustix::io::Errno;

use super::{Mode, Span};

/// The longest address that a socket may have, in bytes (`struct sockaddr_storage`).
pub(crate) const LONGEST_ADDRESS: usize = 128;

/// An address of a socket, as its family lays it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketAddress {
    bytes: [u8; LONGEST_ADDRESS],
    len: usize,
}

impl SocketAddress {
    /// The address in `bytes`, of which there are at most [`LONGEST_ADDRESS`].
    #[must_use]
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut address = Self { bytes: [0; LONGEST_ADDRESS], len: bytes.len() };
        address.bytes[..bytes.len()].copy_from_slice(bytes);
        address
    }

    /// Its bytes.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What a socket carries (`SO_TYPE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketKind {
    /// Bytes without boundaries: what a short read leaves is nothing.
    Stream,
    /// A sequence of messages.
    SeqPacket,
    /// Datagrams, or something else with boundaries.
    Datagram,
}

/// Where a received message goes. An empty span is no place at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    /// The sender's address.
    pub(crate) name: Span,
    /// The payload.
    pub(crate) buffers: &'a [Span],
    /// Control data.
    pub(crate) control: Span,
}

/// What was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Bytes of payload.
    pub(crate) count: usize,
    /// The whole length of the sender's address, which may have been cut.
    pub(crate) name_len: u32,
    /// Bytes of control data.
    pub(crate) control_len: usize,
    /// `MSG_TRUNC`, `MSG_CTRUNC`, ...
    pub(crate) flags: u32,
}

/// A message to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    /// To whom, if the socket does not know.
    pub(crate) address: Option<&'a SocketAddress>,
    /// The payload.
    pub(crate) buffers: &'a [Span],
    /// Control data; an empty span is none.
    pub(crate) control: Span,
}

/// Where an accepted peer's address goes: as accept(2) takes it, both null or both valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerAddress {
    /// The address; as long as `len` says.
    pub(crate) address: Span,
    /// Its length: read, and written.
    pub(crate) len: Span,
}

/// A time at which the network took something that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendStamp {
    /// Which datagram, or how many bytes (`SOF_TIMESTAMPING_OPT_ID`).
    pub(crate) key: u32,
    /// `SCM_TSTAMP_SND`, `_SCHED`, `_ACK`, ...
    pub(crate) kind: u32,
    /// Taken by hardware.
    pub(crate) hardware: bool,
    /// Seconds and nanoseconds.
    pub(crate) time: [u64; 2],
}

/// What a socket can be asked for as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketFact {
    /// `SO_DOMAIN`: its family.
    Domain,
    /// `SO_PROTOCOL`.
    Protocol,
    /// `SO_ERROR`: what went wrong since it was last asked, 0 if nothing did.
    Error,
}

/// Sockets. Descriptors that are none answer `ENOTSOCK`; the other errors are those of the system calls.
pub(crate) trait Sockets {
    /// Sends, to an address if there is one: send(2), without waiting and without `SIGPIPE`.
    ///
    /// # Errors
    ///
    /// `EAGAIN` rather than wait; those of send(2).
    fn send(&self, fd: RawFd, from: Span, flags: u32) -> Result<usize, Errno>;

    /// Receives: recv(2), without waiting. With `MSG_TRUNC` the count may be more than there is room.
    ///
    /// # Errors
    ///
    /// `EAGAIN` rather than wait; those of recv(2).
    fn receive(&self, fd: RawFd, into: Span, flags: u32) -> Result<usize, Errno>;

    /// sendmsg(2), without waiting and without `SIGPIPE`.
    ///
    /// # Errors
    ///
    /// `EAGAIN` rather than wait; those of sendmsg(2).
    fn send_message(&self, fd: RawFd, message: &Outgoing<'_>, flags: u32) -> Result<usize, Errno>;

    /// recvmsg(2), without waiting.
    ///
    /// # Errors
    ///
    /// `EAGAIN` rather than wait; those of recvmsg(2).
    fn receive_message(&self, fd: RawFd, into: &Incoming<'_>, flags: u32) -> Result<Received, Errno>;

    /// Bytes that wait to be received from a stream.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a listening socket; `ENOTTY`.
    fn receivable(&self, fd: RawFd) -> Result<u32, Errno>;

    /// Bytes that were sent and not yet taken by the network, or by the peer.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a listening socket; `ENOTTY`.
    fn unsent(&self, fd: RawFd) -> Result<u32, Errno>;

    /// What it carries.
    ///
    /// # Errors
    ///
    /// `EBADF`, `ENOTSOCK`.
    fn socket_kind(&self, fd: RawFd) -> Result<SocketKind, Errno>;

    /// A fact about it.
    ///
    /// # Errors
    ///
    /// `EBADF`, `ENOTSOCK`.
    fn socket_fact(&self, fd: RawFd, fact: SocketFact) -> Result<i32, Errno>;

    /// Takes a connection that waits: accept4(2). Never waits, whatever the socket's `O_NONBLOCK` says.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if none waits; those of accept4(2).
    fn accept(&self, fd: RawFd, peer: PeerAddress, flags: u32) -> Result<RawFd, Errno>;

    /// connect(2). [`Mode::Blocking`] is how the socket itself is.
    ///
    /// # Errors
    ///
    /// `EINPROGRESS`, `EALREADY` while it is under way; those of connect(2).
    fn connect(&self, fd: RawFd, address: &SocketAddress, mode: Mode) -> Result<(), Errno>;

    /// socket(2).
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<RawFd, Errno>;

    /// bind(2).
    ///
    /// # Errors
    ///
    /// Those of bind(2).
    fn bind(&self, fd: RawFd, address: &SocketAddress) -> Result<(), Errno>;

    /// listen(2).
    ///
    /// # Errors
    ///
    /// Those of listen(2).
    fn listen(&self, fd: RawFd, backlog: i32) -> Result<(), Errno>;

    /// shutdown(2).
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    fn shutdown(&self, fd: RawFd, how: i32) -> Result<(), Errno>;

    /// getsockopt(2). Says how long the value is.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    fn socket_option(&self, fd: RawFd, level: i32, name: i32, into: Span) -> Result<u32, Errno>;

    /// setsockopt(2).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    fn set_socket_option(&self, fd: RawFd, level: i32, name: i32, from: Span) -> Result<(), Errno>;

    /// Takes the oldest time stamp of something sent off the error queue; what else is there is passed over.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there is none.
    fn take_send_stamp(&self, fd: RawFd) -> Result<SendStamp, Errno>;
}
