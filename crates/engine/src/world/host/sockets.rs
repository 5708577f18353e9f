//! Sockets of the machine.
//!
//! accept(2) and connect(2) have no flag that keeps them from waiting: a socket without `O_NONBLOCK` gets the flag for the
//! length of the call. All who do so in this process take turns, so that nobody takes the other's flag for the program's. A thread of
//! the program that calls the same socket at that moment may see `EAGAIN`, and only if nothing was there for it.
#![allow(unsafe_code, reason = "system calls with addresses that submissions vouched for")]

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Host;
use super::files::borrow;
use super::stamps;
use crate::world::sockets::{
    Incoming, Outgoing, PeerAddress, Received, SendStamp, SocketAddress, SocketFact, SocketKind, Sockets,
};
use crate::world::{Mode, Span};

/// As many buffers of a message are listed on the stack.
const FEW: usize = 8;
/// Whoever changes a socket's `O_NONBLOCK` for a call has this.
static TURNS: Mutex<()> = Mutex::new(());

impl Sockets for Host {
    #[inline]
    fn send(&self, fd: RawFd, from: Span, flags: u32) -> Result<usize, Errno> {
        let flags = flags.cast_signed() | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the kernel checks the address; the submission vouched for what it reads there.
        bytes(unsafe { libc::send(fd, pointer(from), from.len(), flags) })
    }

    #[inline]
    fn receive(&self, fd: RawFd, into: Span, flags: u32) -> Result<usize, Errno> {
        let flags = flags.cast_signed() | libc::MSG_DONTWAIT;
        // SAFETY: the kernel checks the address; the submission vouched for what it writes there.
        bytes(unsafe { libc::recv(fd, pointer(into), into.len(), flags) })
    }

    fn send_message(&self, fd: RawFd, message: &Outgoing<'_>, flags: u32) -> Result<usize, Errno> {
        with_vectors(message.buffers, |vectors| {
            let mut header = header(vectors, message.control);
            if let Some(address) = message.address {
                header.msg_name = address.bytes().as_ptr().cast_mut().cast();
                header.msg_namelen = length(address);
            }
            let flags = flags.cast_signed() | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: header, list and address live for the call; the kernel checks the addresses of the
            // payload and control data, for which the submission vouched.
            bytes(unsafe { libc::sendmsg(fd, &raw const header, flags) })
        })
    }

    fn receive_message(&self, fd: RawFd, into: &Incoming<'_>, flags: u32) -> Result<Received, Errno> {
        with_vectors(into.buffers, |vectors| {
            let mut header = header(vectors, into.control);
            header.msg_name = pointer(into.name);
            header.msg_namelen = into.name.len().try_into().unwrap_or(libc::socklen_t::MAX);
            let flags = flags.cast_signed() | libc::MSG_DONTWAIT;
            // SAFETY: header and list live for the call; the kernel checks the addresses of name, payload
            // and control data, for which the submission vouched.
            let count = bytes(unsafe { libc::recvmsg(fd, &raw mut header, flags) })?;
            Ok(Received {
                count,
                name_len: header.msg_namelen,
                control_len: header.msg_controllen as _,
                flags: header.msg_flags.cast_unsigned(),
            })
        })
    }

    fn receivable(&self, fd: RawFd) -> Result<u32, Errno> {
        ask(fd, libc::FIONREAD)
    }

    fn unsent(&self, fd: RawFd) -> Result<u32, Errno> {
        ask(fd, libc::TIOCOUTQ)
    }

    fn socket_kind(&self, fd: RawFd) -> Result<SocketKind, Errno> {
        Ok(match number(fd, libc::SO_TYPE)? {
            libc::SOCK_STREAM => SocketKind::Stream,
            libc::SOCK_SEQPACKET => SocketKind::SeqPacket,
            _ => SocketKind::Datagram,
        })
    }

    fn socket_fact(&self, fd: RawFd, fact: SocketFact) -> Result<i32, Errno> {
        number(
            fd,
            match fact {
                SocketFact::Domain => libc::SO_DOMAIN,
                SocketFact::Protocol => libc::SO_PROTOCOL,
                SocketFact::Error => libc::SO_ERROR,
            },
        )
    }

    fn accept(&self, fd: RawFd, peer: PeerAddress, flags: u32) -> Result<RawFd, Errno> {
        let _turn = Nonblocking::set(fd)?;
        // SAFETY: the kernel checks both addresses, for which the submission vouched.
        result(unsafe { libc::accept4(fd, pointer(peer.address), pointer(peer.len), flags.cast_signed()) })
    }

    fn connect(&self, fd: RawFd, address: &SocketAddress, mode: Mode) -> Result<(), Errno> {
        let _turn = match mode {
            Mode::Nonblocking => Some(Nonblocking::set(fd)?),
            Mode::Blocking => None,
        };
        // SAFETY: the address lives for the call.
        result(unsafe { libc::connect(fd, address.bytes().as_ptr().cast(), length(address)) }).map(drop)
    }

    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<RawFd, Errno> {
        // SAFETY: takes numbers alone.
        result(unsafe { libc::socket(domain, kind, protocol) })
    }

    fn bind(&self, fd: RawFd, address: &SocketAddress) -> Result<(), Errno> {
        // SAFETY: the address lives for the call.
        result(unsafe { libc::bind(fd, address.bytes().as_ptr().cast(), length(address)) }).map(drop)
    }

    fn listen(&self, fd: RawFd, backlog: i32) -> Result<(), Errno> {
        // SAFETY: takes numbers alone.
        result(unsafe { libc::listen(fd, backlog) }).map(drop)
    }

    fn shutdown(&self, fd: RawFd, how: i32) -> Result<(), Errno> {
        // SAFETY: takes numbers alone.
        result(unsafe { libc::shutdown(fd, how) }).map(drop)
    }

    fn socket_option(&self, fd: RawFd, level: i32, name: i32, into: Span) -> Result<u32, Errno> {
        let mut len: libc::socklen_t = into.len().try_into().map_err(|_| Errno::INVAL)?;
        // SAFETY: the length lives for the call; the kernel checks the value's address, for which the
        // submission vouched.
        result(unsafe { libc::getsockopt(fd, level, name, pointer(into), &raw mut len) })?;
        Ok(len)
    }

    fn set_socket_option(&self, fd: RawFd, level: i32, name: i32, from: Span) -> Result<(), Errno> {
        let len: libc::socklen_t = from.len().try_into().map_err(|_| Errno::INVAL)?;
        // SAFETY: the kernel checks the value's address, for which the submission vouched.
        result(unsafe { libc::setsockopt(fd, level, name, pointer(from), len) }).map(drop)
    }

    fn take_send_stamp(&self, fd: RawFd) -> Result<SendStamp, Errno> {
        stamps::take(borrow(fd)?)
    }
}

/// A socket has `O_NONBLOCK` while this lives.
pub(super) struct Nonblocking<'a> {
    /// What to set again; nothing if the flag is the program's.
    before: Option<(BorrowedFd<'a>, OFlags)>,
    _turn: MutexGuard<'static, ()>,
}

impl Nonblocking<'_> {
    pub(super) fn set(fd: RawFd) -> Result<Self, Errno> {
        let (fd, turn) = (borrow(fd)?, TURNS.lock().unwrap_or_else(PoisonError::into_inner));
        let flags = rustix::fs::fcntl_getfl(fd)?;
        if flags.contains(OFlags::NONBLOCK) {
            return Ok(Self { before: None, _turn: turn });
        }
        rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
        Ok(Self { before: Some((fd, flags)), _turn: turn })
    }
}

impl Drop for Nonblocking<'_> {
    fn drop(&mut self) {
        if let Some((fd, flags)) = self.before {
            // Fails only if the program closed the number meanwhile.
            let _ = rustix::fs::fcntl_setfl(fd, flags);
        }
    }
}

/// A span as a pointer for a system call.
pub(super) fn pointer<T>(span: Span) -> *mut T {
    // An address that this machine cannot have becomes one that no memory has.
    std::ptr::with_exposed_provenance_mut(usize::try_from(span.addr()).unwrap_or(usize::MAX))
}

fn length(address: &SocketAddress) -> libc::socklen_t {
    address.bytes().len().try_into().unwrap_or(libc::socklen_t::MAX)
}

/// The header of a message over these buffers.
fn header(vectors: &[libc::iovec], control: Span) -> libc::msghdr {
    // SAFETY: all zero is an empty header.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = vectors.as_ptr().cast_mut();
    header.msg_iovlen = vectors.len() as _;
    if control.len() > 0 {
        header.msg_control = pointer(control);
        header.msg_controllen = control.len() as _;
    }
    header
}

/// Lists buffers as system calls take them.
pub(super) fn with_vectors<T>(buffers: &[Span], call: impl FnOnce(&[libc::iovec]) -> T) -> T {
    let vector = |span: &Span| libc::iovec { iov_base: pointer(*span), iov_len: span.len() };
    if buffers.len() > FEW {
        return call(&buffers.iter().map(vector).collect::<Vec<_>>());
    }
    let mut few = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; FEW];
    for (place, buffer) in few.iter_mut().zip(buffers) {
        *place = vector(buffer);
    }
    call(&few[..buffers.len()])
}

fn ask(fd: RawFd, request: libc::c_ulong) -> Result<u32, Errno> {
    let mut answer: libc::c_int = 0;
    // SAFETY: both requests write one integer, which lives for the call.
    result(unsafe { libc::ioctl(fd, request, &raw mut answer) })?;
    Ok(u32::try_from(answer).unwrap_or(0))
}

fn number(fd: RawFd, name: i32) -> Result<i32, Errno> {
    let (mut value, mut len): (libc::c_int, libc::socklen_t) = (0, 4);
    let place = (&raw mut value).cast();
    // SAFETY: value and length live for the call; these options are integers.
    result(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, place, &raw mut len) })?;
    Ok(value)
}

pub(super) fn bytes(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| last_errno())
}

pub(super) fn result(result: libc::c_int) -> Result<libc::c_int, Errno> {
    if result < 0 { Err(last_errno()) } else { Ok(result) }
}

pub(super) fn last_errno() -> Errno {
    std::io::Error::last_os_error().raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}
