//! Operations on sockets that move no bytes: accept, connect, shutdown, asking what waits to be sent.
#![allow(unsafe_code, reason = "names an address that the operation owns")]

use std::io;
use std::net::SocketAddr;
use std::ptr;

use annulus::{opcode, squeue};
use rustix::net::SocketAddrAny;
use rustix::net::addr::SocketAddrArg;

use super::path::made;
use super::{nothing, number};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;

/// accept4(2), again and again.
pub(crate) struct AcceptMulti {
    pub(crate) fd: SharedFd,
}

/// The descriptor that a completion of an accept stands for.
pub(crate) fn accepted(completion: Completion) -> io::Result<SharedFd> {
    made(completion).map(SharedFd::new)
}

// SAFETY: the share keeps the descriptor open.
unsafe impl Operation for AcceptMulti {
    type Output = ();

    fn entry(&mut self) -> squeue::Entry {
        opcode::AcceptMulti::new(self.fd.target()).flags(libc::SOCK_CLOEXEC).build()
    }

    fn complete(self, _completion: Completion) {}

    /// Nobody is there to serve the connection.
    fn late(&mut self, completion: Completion) {
        drop(accepted(completion));
    }
}

/// accept4(2), once.
pub(crate) struct Accept {
    pub(crate) fd: SharedFd,
}

// SAFETY: the share keeps the descriptor open; no address is asked for.
unsafe impl Operation for Accept {
    type Output = io::Result<SharedFd>;

    fn entry(&mut self) -> squeue::Entry {
        let accept = opcode::Accept::new(self.fd.target(), ptr::null_mut(), ptr::null_mut());
        accept.flags(libc::SOCK_CLOEXEC).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        accepted(completion)
    }

    /// Nobody is there to serve the connection.
    fn late(&mut self, completion: Completion) {
        drop(accepted(completion));
    }
}

/// connect(2).
pub(crate) struct Connect {
    fd: SharedFd,
    address: Box<SocketAddrAny>,
}

impl Connect {
    pub(crate) fn new(fd: SharedFd, address: SocketAddr) -> Self {
        Self { fd, address: Box::new(address.as_any()) }
    }
}

// SAFETY: the address is on the heap, the share keeps the descriptor open.
unsafe impl Operation for Connect {
    type Output = io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.address.as_ptr().cast(), self.address.addr_len());
        opcode::Connect::new(self.fd.target(), start, len).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        nothing(completion)
    }
}

/// shutdown(2).
pub(crate) struct Shutdown {
    pub(crate) fd: SharedFd,
    pub(crate) how: i32,
}

// SAFETY: the share keeps the descriptor open.
unsafe impl Operation for Shutdown {
    type Output = io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Shutdown::new(self.fd.target(), self.how).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        nothing(completion)
    }
}

/// The ioctl `SIOCOUTQ`.
pub(crate) struct Unsent {
    pub(crate) fd: SharedFd,
}

// SAFETY: names no memory; the share keeps the descriptor open.
unsafe impl Operation for Unsent {
    type Output = io::Result<usize>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::SiocOutq::new(self.fd.target()).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        number(completion)
    }
}
