//! Commands of sockets: options, queue lengths, addresses, time stamps.

use annulus_abi::{
    SOCKET_URING_OP_GETSOCKNAME, SOCKET_URING_OP_GETSOCKOPT, SOCKET_URING_OP_SETSOCKOPT,
    SOCKET_URING_OP_SIOCINQ, SOCKET_URING_OP_SIOCOUTQ, SOCKET_URING_OP_TX_TIMESTAMP,
};

use super::{address, operation, set_target};
use crate::types::UseFixed;

operation! {
    /// Sets a socket option: setsockopt(2). Linux 6.7.
    pub struct SetSockOpt: IORING_OP_URING_CMD;

    /// Sets the option `optname` of `level` to the `optlen` bytes at `optval`.
    pub fn new(
        sqe,
        fd: impl UseFixed,
        level: u32,
        optname: u32,
        optval: *const libc::c_void,
        optlen: u32,
    ) {
        set_target(sqe, fd);
        sqe.set_cmd_op(SOCKET_URING_OP_SETSOCKOPT);
        sqe.set_sockopt(level, optname);
        sqe.file_index = optlen;
        sqe.addr3 = address(optval);
    }

    /// Sets the command's flags; none has a meaning here today.
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }
}

operation! {
    /// Reads a socket option of the level `SOL_SOCKET`: getsockopt(2). Linux 6.7.
    ///
    /// The result is the length of the value. `EOPNOTSUPP` for other levels.
    pub struct GetSockOpt: IORING_OP_URING_CMD;

    /// Reads the option `optname` of `level` into the `optlen` bytes at `optval`.
    pub fn new(
        sqe,
        fd: impl UseFixed,
        level: u32,
        optname: u32,
        optval: *mut libc::c_void,
        optlen: u32,
    ) {
        set_target(sqe, fd);
        sqe.set_cmd_op(SOCKET_URING_OP_GETSOCKOPT);
        sqe.set_sockopt(level, optname);
        sqe.file_index = optlen;
        sqe.addr3 = address(optval);
    }
}

operation! {
    /// Tells how many bytes wait to be received: the ioctl `SIOCINQ` (tcp(7), udp(7)). Linux 6.5.
    ///
    /// The result is their number. `EOPNOTSUPP` where the protocol does not know.
    pub struct SiocInq: IORING_OP_URING_CMD;

    /// Asks `fd`.
    pub fn new(sqe, fd: impl UseFixed) {
        set_target(sqe, fd);
        sqe.set_cmd_op(SOCKET_URING_OP_SIOCINQ);
    }
}

operation! {
    /// Tells how many bytes wait to be sent or acknowledged: the ioctl `SIOCOUTQ` (tcp(7), udp(7)).
    /// Linux 6.5.
    ///
    /// The result is their number. `EOPNOTSUPP` where the protocol does not know.
    pub struct SiocOutq: IORING_OP_URING_CMD;

    /// Asks `fd`.
    pub fn new(sqe, fd: impl UseFixed) {
        set_target(sqe, fd);
        sqe.set_cmd_op(SOCKET_URING_OP_SIOCOUTQ);
    }
}

operation! {
    /// Reports when sent data passed the stations of the network stack, again and again. Linux 6.17.
    ///
    /// The socket must ask for time stamps (`SO_TIMESTAMPING` with `SOF_TIMESTAMPING_OPT_TSONLY` and the
    /// stations wanted), and the ring have completions of 32 bytes (`EINVAL`);
    /// [`types::TxTimestamp`](crate::types::TxTimestamp) reads them. It ends with a completion without
    /// `IORING_CQE_F_MORE`, which carries no time stamp.
    pub struct TxTimestamp: IORING_OP_URING_CMD;

    /// Reports the time stamps of `fd`.
    pub fn new(sqe, fd: impl UseFixed) {
        set_target(sqe, fd);
        sqe.set_cmd_op(SOCKET_URING_OP_TX_TIMESTAMP);
    }
}

operation! {
    /// Tells a socket's own address, or its peer's: getsockname(2), getpeername(2). Linux 6.19.
    pub struct GetSockName: IORING_OP_URING_CMD;

    /// Writes the address to `addr`, which has room for `*addrlen` bytes, and its length to `addrlen`.
    pub fn new(
        sqe,
        fd: impl UseFixed,
        addr: *mut libc::sockaddr,
        addrlen: *mut libc::socklen_t,
    ) {
        set_target(sqe, fd);
        sqe.set_cmd_op(SOCKET_URING_OP_GETSOCKNAME);
        sqe.addr = address(addr);
        sqe.addr3 = address(addrlen);
    }

    /// Whether to tell the peer's address instead.
    pub const fn peer(sqe, peer: bool) {
        sqe.file_index = peer as u32;
    }
}
