//! Making sockets, and getting connections out of them.

use annulus_abi::IORING_FILE_INDEX_ALLOC;

use super::{address, file_index, operation, set_target};
use crate::types::{AcceptFlags, DestinationSlot, UseFixed};

operation! {
    /// Makes a socket: socket(2). Linux 5.19.
    ///
    /// The result is the descriptor, or with a [slot](Self::file_index) 0 (the slot's number if the kernel
    /// picked it).
    pub struct Socket: IORING_OP_SOCKET;

    /// Makes a socket of `domain` (`AF_*`), `socket_type` (`SOCK_*`, with `SOCK_CLOEXEC` and
    /// `SOCK_NONBLOCK`) and `protocol`.
    pub fn new(sqe, domain: i32, socket_type: i32, protocol: i32) {
        sqe.fd = domain;
        sqe.off = i64::from(socket_type).cast_unsigned();
        sqe.len = protocol.cast_unsigned();
    }

    /// Puts the socket into the ring's table instead of making a descriptor of the process.
    pub const fn file_index(sqe, slot: Option<DestinationSlot>) {
        sqe.file_index = file_index(slot);
    }

    /// Sets the flag word; no flag is known today and others than 0 are refused (`EINVAL`).
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }
}

operation! {
    /// Gives a socket its address: bind(2). Linux 6.11.
    pub struct Bind: IORING_OP_BIND;

    /// Binds to the `addrlen` bytes of address at `addr`.
    pub fn new(sqe, fd: impl UseFixed, addr: *const libc::sockaddr, addrlen: libc::socklen_t) {
        set_target(sqe, fd);
        sqe.addr = address(addr);
        sqe.off = u64::from(addrlen);
    }
}

operation! {
    /// Makes a socket accept connections: listen(2). Linux 6.11.
    pub struct Listen: IORING_OP_LISTEN;

    /// Lets `backlog` connections wait to be accepted.
    pub fn new(sqe, fd: impl UseFixed, backlog: i32) {
        set_target(sqe, fd);
        sqe.len = backlog.cast_unsigned();
    }
}

operation! {
    /// Accepts a connection: accept4(2). Linux 5.5.
    ///
    /// The result is the descriptor, or with a [slot](Self::file_index) 0 (the slot's number if the kernel
    /// picked it). `ECONNABORTED` and the like concern one connection, `EMFILE` the process: neither ends
    /// the listening.
    pub struct Accept: IORING_OP_ACCEPT;

    /// Writes the peer's address to `addr`, which has room for `*addrlen` bytes, and its length to
    /// `addrlen`; both may be null.
    pub fn new(
        sqe,
        fd: impl UseFixed,
        addr: *mut libc::sockaddr,
        addrlen: *mut libc::socklen_t,
    ) {
        set_target(sqe, fd);
        sqe.addr = address(addr);
        sqe.off = address(addrlen);
    }

    /// Puts the connection into the ring's table instead of making a descriptor of the process. Linux 5.15.
    pub const fn file_index(sqe, slot: Option<DestinationSlot>) {
        sqe.file_index = file_index(slot);
    }

    /// Sets `SOCK_CLOEXEC` and `SOCK_NONBLOCK` of the new descriptor. The former has no meaning with a slot
    /// (`EINVAL`).
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }

    /// Sets [`AcceptFlags::DONTWAIT`] or [`AcceptFlags::POLL_FIRST`]. Linux 6.10.
    pub const fn ioprio(sqe, flags: u16) {
        sqe.ioprio = flags;
    }
}

operation! {
    /// Accepts one connection after the other. Linux 5.19.
    ///
    /// Each result is as that of [`Accept`]. It has ended when a completion comes without
    /// `IORING_CQE_F_MORE`, whatever its result. Ask getpeername(2) for the peers' addresses.
    pub struct AcceptMulti: IORING_OP_ACCEPT;

    /// Accepts whatever comes to `fd`.
    pub fn new(sqe, fd: impl UseFixed) {
        set_target(sqe, fd);
        sqe.ioprio = AcceptFlags::MULTISHOT.bits();
    }

    /// Puts the connections into the ring's table, wherever there is room (`ENFILE` if there is none).
    pub const fn allocate_file_index(sqe, allocate: bool) {
        sqe.file_index = if allocate { IORING_FILE_INDEX_ALLOC } else { 0 };
    }

    /// Sets `SOCK_CLOEXEC` and `SOCK_NONBLOCK` of the new descriptors.
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }

    /// Sets [`AcceptFlags::POLL_FIRST`] beside the multishot flag. Linux 6.10.
    pub const fn ioprio(sqe, flags: u16) {
        sqe.ioprio = flags | AcceptFlags::MULTISHOT.bits();
    }
}

operation! {
    /// Connects a socket: connect(2). Linux 5.5.
    ///
    /// Completes when the connection stands or has failed; never `EINPROGRESS`.
    pub struct Connect: IORING_OP_CONNECT;

    /// Connects to the `addrlen` bytes of address at `addr`.
    pub fn new(sqe, fd: impl UseFixed, addr: *const libc::sockaddr, addrlen: libc::socklen_t) {
        set_target(sqe, fd);
        sqe.addr = address(addr);
        sqe.off = u64::from(addrlen);
    }
}

operation! {
    /// Shuts a connection down, one way or both: shutdown(2). Linux 5.11.
    pub struct Shutdown: IORING_OP_SHUTDOWN;

    /// Shuts down `how`: `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`.
    pub fn new(sqe, fd: impl UseFixed, how: i32) {
        set_target(sqe, fd);
        sqe.len = how.cast_unsigned();
    }
}
