//! Making connections, with addresses that are kept.
#![allow(unsafe_code, reason = "names addresses that the operation owns, and takes descriptors over")]

use std::collections::VecDeque;
use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::SocketAddrAny;
use rustix::net::addr::SocketAddrStorage;

use super::{Handle, Multishot, Operation, plain_operation};
use crate::{cqueue, opcode, squeue};

/// Makes a socket: socket(2). A descriptor that comes when nobody wants it any more is closed. Linux 5.19.
#[derive(Debug)]
pub struct Socket {
    domain: i32,
    kind: i32,
    protocol: i32,
}

impl Socket {
    /// Makes a socket of `domain` (`AF_*`) and `kind` (`SOCK_*`), with `SOCK_CLOEXEC`.
    #[must_use]
    pub const fn new(domain: i32, kind: i32, protocol: i32) -> Self {
        Self { domain, kind: kind | libc::SOCK_CLOEXEC, protocol }
    }
}

// SAFETY: the entry names no memory.
unsafe impl Operation for Socket {
    type Output = Result<OwnedFd, Errno>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Socket::new(self.domain, self.kind, self.protocol).build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        // SAFETY: the contract of this function.
        unsafe { new_descriptor(cqe) }
    }
}

/// Defines an operation that gives the kernel an address to read.
macro_rules! address_operation {
    ($(#[$doc:meta])* pub struct $Op:ident; $(#[$new_doc:meta])* new;) => {
        $(#[$doc])*
        pub struct $Op {
            handle: Handle,
            address: SocketAddrAny,
        }

        impl $Op {
            $(#[$new_doc])*
            pub fn new(handle: impl Into<Handle>, address: impl Into<SocketAddrAny>) -> Self {
                Self { handle: handle.into(), address: address.into() }
            }
        }

        // SAFETY: the entry names the address, a field of the value.
        unsafe impl Operation for $Op {
            type Output = Result<(), Errno>;

            fn entry(&mut self) -> squeue::Entry {
                let address = self.address.as_ptr().cast();
                opcode::$Op::new(self.handle.target(), address, self.address.addr_len()).build()
            }

            unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
                cqe.to_result().map(drop)
            }
        }

        impl fmt::Debug for $Op {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Op))
                    .field("handle", &self.handle)
                    .field("address", &self.address)
                    .finish()
            }
        }
    };
}

address_operation! {
    /// Connects a socket: connect(2). Ends when the connection stands or has failed.
    pub struct Connect;
    /// Connects to `address`, such as a [`std::net::SocketAddr`].
    new;
}

address_operation! {
    /// Gives a socket its address: bind(2). Linux 6.11.
    pub struct Bind;
    /// Binds to `address`, such as a [`std::net::SocketAddr`].
    new;
}

plain_operation! {
    /// Makes a socket accept connections: listen(2). Linux 6.11.
    pub struct Listen { handle: Handle, backlog: i32 }
    entry(self) { opcode::Listen::new(self.handle.target(), self.backlog).build() }
}

impl Listen {
    /// Lets `backlog` connections wait to be accepted.
    pub fn new(handle: impl Into<Handle>, backlog: i32) -> Self {
        Self { handle: handle.into(), backlog }
    }
}

/// Accepts a connection: accept4(2). One that comes when nobody wants it any more is closed.
pub struct Accept {
    handle: Handle,
    address: AddressSpace,
}

impl Accept {
    /// Accepts a connection, with `SOCK_CLOEXEC`, and asks for the peer's address.
    pub fn new(handle: impl Into<Handle>) -> Self {
        Self { handle: handle.into(), address: AddressSpace::new() }
    }
}

// SAFETY: the entry names the room for the address and its length, which the value owns and leaves alone.
unsafe impl Operation for Accept {
    /// The connection, and the peer's address if it has one.
    type Output = Result<(OwnedFd, Option<SocketAddrAny>), Errno>;

    fn entry(&mut self) -> squeue::Entry {
        let (storage, len) = (self.address.storage(), &raw mut self.address.len);
        opcode::Accept::new(self.handle.target(), storage.cast(), len).flags(libc::SOCK_CLOEXEC).build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        // SAFETY: the contract of this function.
        let connection = unsafe { new_descriptor(cqe) }?;
        Ok((connection, self.address.read()))
    }
}

/// Accepts one connection after the other. Linux 5.19.
///
/// Each item is a connection. It ends when it is cancelled, or by an error; its output is the connections not
/// taken yet and why it ended. Connections that nobody takes are closed.
#[derive(Debug)]
pub struct AcceptMulti {
    handle: Handle,
    accepted: VecDeque<OwnedFd>,
}

impl AcceptMulti {
    /// Accepts whatever comes, with `SOCK_CLOEXEC`.
    pub fn new(handle: impl Into<Handle>) -> Self {
        Self { handle: handle.into(), accepted: VecDeque::new() }
    }
}

// SAFETY: the entry names no memory, only a file, which the value holds.
unsafe impl Operation for AcceptMulti {
    type Output = (Result<(), Errno>, VecDeque<OwnedFd>);

    fn entry(&mut self) -> squeue::Entry {
        opcode::AcceptMulti::new(self.handle.target()).flags(libc::SOCK_CLOEXEC).build()
    }

    unsafe fn more(&mut self, cqe: &cqueue::Entry) {
        // SAFETY: the contract of this function.
        self.accepted.extend(unsafe { new_descriptor(cqe) }.ok());
    }

    fn items(&self) -> usize {
        self.accepted.len()
    }

    fn drop_items(&mut self) {
        self.accepted.clear();
    }

    unsafe fn complete(mut self, cqe: &cqueue::Entry) -> Self::Output {
        // SAFETY: the contract of this function.
        let last = unsafe { new_descriptor(cqe) };
        let end = last.map(|connection| self.accepted.push_back(connection));
        (end, self.accepted)
    }
}

impl Multishot for AcceptMulti {
    type Item = OwnedFd;

    fn take_item(&mut self) -> Option<OwnedFd> {
        self.accepted.pop_front()
    }
}

/// Room for an address that the kernel writes.
pub(super) struct AddressSpace {
    storage: MaybeUninit<SocketAddrStorage>,
    pub(super) len: libc::socklen_t,
}

impl AddressSpace {
    const SIZE: u32 = 128;

    pub(super) const fn new() -> Self {
        const { assert!(size_of::<SocketAddrStorage>() == Self::SIZE as usize) };
        Self { storage: MaybeUninit::zeroed(), len: Self::SIZE }
    }

    pub(super) const fn storage(&mut self) -> *mut SocketAddrStorage {
        self.storage.as_mut_ptr()
    }

    /// The address that was written, if there was one.
    pub(super) fn read(self) -> Option<SocketAddrAny> {
        let family = 2;
        // SAFETY: zeroed at first and written by the kernel since, so all bytes are initialised; what the kernel
        // writes there is a socket address of that length.
        (family..=Self::SIZE)
            .contains(&self.len)
            .then(|| unsafe { SocketAddrAny::new(self.storage, self.len) })
    }
}

/// The descriptor that an operation made.
///
/// # Safety
///
/// `cqe` is a completion whose result, if it is no error, is a new descriptor that nobody else takes.
unsafe fn new_descriptor(cqe: &cqueue::Entry) -> Result<OwnedFd, Errno> {
    // SAFETY: the contract of this function.
    cqe.to_result().map(|fd| unsafe { OwnedFd::from_raw_fd(fd.cast_signed()) })
}

impl fmt::Debug for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept").field("handle", &self.handle).finish_non_exhaustive()
    }
}
