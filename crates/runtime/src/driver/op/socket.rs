//! Operations on sockets that move no bytes: accept, connect, shutdown, names and options, asking what waits to be
//! sent.
#![allow(unsafe_code, reason = "names addresses and values that the operations own")]

use std::io;
use std::ptr;
use std::rc::Rc;

use annulus::{opcode, squeue, types};
use rustix::net::SocketAddrAny;

use super::path::made;
use super::{nothing, number};
use crate::driver::{Completion, Driver, Operation, Slot};
use crate::fd::SharedFd;
use crate::net::arrivals::Arrivals;

/// accept4(2), again and again.
pub(crate) struct AcceptMulti {
    pub(crate) fd: SharedFd,
    pub(crate) arrivals: Rc<Arrivals>,
    /// Whose table of files the connections go to, if not to that of the process.
    pub(crate) direct: Option<Rc<Driver>>,
    failed: bool,
}

impl AcceptMulti {
    pub(crate) const fn new(fd: SharedFd, arrivals: Rc<Arrivals>, direct: Option<Rc<Driver>>) -> Self {
        Self { fd, arrivals, direct, failed: false }
    }
}

/// Another accept takes what a dropped one had accepted. Whether that failed, and not for being cancelled.
fn keep(arrivals: &Arrivals, completion: Completion) -> bool {
    if let Ok(connection) = accepted(completion) {
        arrivals.keep(connection);
    }
    has_failed(completion)
}

/// Whether the next accept would fail as well.
fn has_failed(completion: Completion) -> bool {
    completion.result < 0 && ![libc::ECANCELED, libc::EINTR].contains(&-completion.result)
}

/// The descriptor that a completion of an accept stands for.
pub(crate) fn accepted(completion: Completion) -> io::Result<SharedFd> {
    made(completion).map(SharedFd::new)
}

// SAFETY: the share keeps the descriptor open.
unsafe impl Operation for AcceptMulti {
    type Output = ();

    fn entry(&mut self) -> squeue::Entry {
        let accept = opcode::AcceptMulti::new(self.fd.target());
        if self.direct.is_some() {
            return accept.allocate_file_index(true).build();
        }
        accept.flags(libc::SOCK_CLOEXEC).build()
    }

    fn complete(self, _completion: Completion) {}

    fn abandoned(&mut self) {
        self.arrivals.doubt();
    }

    /// A connection in a slot is closed: only who asks for that could take it.
    fn late(&mut self, completion: Completion) {
        self.failed = match &self.direct {
            Some(driver) => {
                drop(Slot::filled(driver, completion));
                has_failed(completion)
            }
            None => keep(&self.arrivals, completion),
        };
    }

    fn over(&mut self) {
        self.arrivals.settle(&self.fd, self.failed);
    }
}

/// accept4(2), once.
pub(crate) struct Accept {
    fd: SharedFd,
    arrivals: Rc<Arrivals>,
    failed: bool,
}

impl Accept {
    pub(crate) const fn new(fd: SharedFd, arrivals: Rc<Arrivals>) -> Self {
        Self { fd, arrivals, failed: false }
    }
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

    fn abandoned(&mut self) {
        self.arrivals.doubt();
    }

    fn late(&mut self, completion: Completion) {
        self.failed = keep(&self.arrivals, completion);
    }

    fn over(&mut self) {
        self.arrivals.settle(&self.fd, self.failed);
    }
}

/// Room for an address that the kernel writes, and for its length.
struct Place {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl Place {
    fn new() -> Box<Self> {
        // SAFETY: an address of zeros is one of no family.
        let storage = unsafe { std::mem::zeroed() };
        Box::new(Self { storage, len: 0 })
    }

    /// Where the address goes, and where its length; there is room for all of it.
    fn raw(&mut self) -> (*mut libc::sockaddr, *mut libc::socklen_t) {
        self.len = SOCKADDR_STORAGE_LEN;
        ((&raw mut self.storage).cast(), &raw mut self.len)
    }

    /// What the kernel wrote.
    fn address(&self) -> SocketAddrAny {
        let len = self.len.min(SOCKADDR_STORAGE_LEN);
        // SAFETY: an address of that length is there, or zeros.
        unsafe { SocketAddrAny::read((&raw const self.storage).cast(), len) }
    }
}

/// The size of any address.
const SOCKADDR_STORAGE_LEN: libc::socklen_t = 128;

const _: () = assert!(size_of::<libc::sockaddr_storage>() == SOCKADDR_STORAGE_LEN as usize);

/// accept4(2), once, with the peer's address.
pub(crate) struct AcceptNamed {
    fd: SharedFd,
    arrivals: Rc<Arrivals>,
    place: Box<Place>,
    failed: bool,
}

impl AcceptNamed {
    pub(crate) fn new(fd: SharedFd, arrivals: Rc<Arrivals>) -> Self {
        Self { fd, arrivals, place: Place::new(), failed: false }
    }
}

// SAFETY: the place of the address is on the heap, the share keeps the descriptor open.
unsafe impl Operation for AcceptNamed {
    type Output = io::Result<(SharedFd, SocketAddrAny)>;

    fn entry(&mut self) -> squeue::Entry {
        let (address, len) = self.place.raw();
        opcode::Accept::new(self.fd.target(), address, len).flags(libc::SOCK_CLOEXEC).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        Ok((accepted(completion)?, self.place.address()))
    }

    fn abandoned(&mut self) {
        self.arrivals.doubt();
    }

    fn late(&mut self, completion: Completion) {
        self.failed = keep(&self.arrivals, completion);
    }

    fn over(&mut self) {
        self.arrivals.settle(&self.fd, self.failed);
    }
}

/// getsockname(2) or getpeername(2).
pub(crate) struct Name {
    fd: SharedFd,
    peer: bool,
    place: Box<Place>,
}

impl Name {
    pub(crate) fn new(fd: SharedFd, peer: bool) -> Self {
        Self { fd, peer, place: Place::new() }
    }
}

// SAFETY: as for `AcceptNamed`.
unsafe impl Operation for Name {
    type Output = io::Result<SocketAddrAny>;

    fn entry(&mut self) -> squeue::Entry {
        let (address, len) = self.place.raw();
        opcode::GetSockName::new(self.fd.target(), address, len).peer(self.peer).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        nothing(completion)?;
        Ok(self.place.address())
    }
}

/// setsockopt(2) of an option that is a number.
pub(crate) struct SetOption {
    fd: SharedFd,
    level: u32,
    name: u32,
    value: Box<i32>,
}

impl SetOption {
    pub(crate) fn new(fd: SharedFd, level: i32, name: i32, value: i32) -> Self {
        Self { fd, level: level.cast_unsigned(), name: name.cast_unsigned(), value: Box::new(value) }
    }
}

// SAFETY: the value is on the heap, the share keeps the descriptor open.
unsafe impl Operation for SetOption {
    type Output = io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        let value = (&raw const *self.value).cast();
        opcode::SetSockOpt::new(self.fd.target(), self.level, self.name, value, 4).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        nothing(completion)
    }
}

/// Makes a descriptor of the process for a file of the ring's table.
pub(crate) struct Install {
    fd: SharedFd,
}

impl Install {
    pub(crate) const fn new(fd: SharedFd) -> Self {
        Self { fd }
    }
}

// SAFETY: names no memory; the share keeps the slot filled.
unsafe impl Operation for Install {
    type Output = io::Result<SharedFd>;

    fn entry(&mut self) -> squeue::Entry {
        // What is no slot is asked for as one that no table has, and refused (`EBADF`).
        let slot = match self.fd.target() {
            types::Target::Fixed(slot) => slot,
            types::Target::Fd(_) => u32::MAX,
        };
        opcode::FixedFdInstall::new(types::Fixed(slot), 0).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        accepted(completion)
    }

    /// Nobody wants the descriptor any more.
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
    pub(crate) fn new(fd: SharedFd, address: SocketAddrAny) -> Self {
        Self { fd, address: Box::new(address) }
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
