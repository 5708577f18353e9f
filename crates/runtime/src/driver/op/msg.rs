//! Operations on messages: sendmsg(2) and recvmsg(2), with several buffers, an address, control data.
//!
//! The buffers are those of a [`Source`] or a [`Sink`] (`parts.rs`). What a dropped receive had taken is kept, by a
//! [`Keeper`], for the next.
#![allow(unsafe_code, reason = "names headers, addresses and buffers that the operations own")]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::OwnedFd;

use annulus::{opcode, squeue};
use rustix::net::SocketAddrAny;

use super::control::{self, Control};
use super::number;
use super::parts::{Iovecs, Sink, Source};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;

/// What a header points to beside the buffers. On the heap, so that moving the operation changes nothing.
struct Header {
    header: libc::msghdr,
    name: MaybeUninit<libc::sockaddr_storage>,
    iovecs: Iovecs,
    control: Control,
}

impl Header {
    fn new(iovecs: Iovecs, control: Control) -> Box<Self> {
        // SAFETY: a header of zeros has no name, no buffers, no control data.
        let header = unsafe { zeroed() };
        Box::new(Self { header, name: MaybeUninit::uninit(), iovecs, control })
    }

    /// Points the header at the rest; `name` bytes of the name count.
    fn point(&mut self, name: u32) -> *mut libc::msghdr {
        let (iovecs, count) = self.iovecs.raw();
        let (control, len) = self.control.raw();
        self.header.msg_name = if name == 0 { std::ptr::null_mut() } else { self.name.as_mut_ptr().cast() };
        self.header.msg_namelen = name;
        self.header.msg_iov = iovecs;
        self.header.msg_iovlen = count as _;
        self.header.msg_control = control.cast();
        self.header.msg_controllen = len as _;
        &raw mut self.header
    }
}

/// sendmsg(2).
pub(crate) struct SendMsg<S> {
    fd: SharedFd,
    source: S,
    to: Option<SocketAddrAny>,
    flags: i32,
    zero_copy: Option<u16>,
    /// Where all the buffers are registered, until an entry has named it: a second one is for another ring.
    slot: Option<u16>,
    header: Box<Header>,
}

impl<S: Source> SendMsg<S> {
    /// Sends what is in the source, without the first `skip` bytes.
    pub(crate) fn new(fd: SharedFd, source: S, skip: usize, flags: i32) -> Self {
        let header = Header::new(source.iovecs(skip), Control::none());
        Self { fd, source, to: None, flags, zero_copy: None, slot: None, header }
    }

    /// To this address, for a socket that is not connected, or to the peer.
    pub(crate) fn to(mut self, address: Option<SocketAddrAny>) -> Self {
        self.to = address;
        self
    }

    /// With control data.
    pub(crate) fn control(mut self, control: Control) -> Self {
        self.header.control = control;
        self
    }

    /// Without a copy, with these flags of the entry: two completions, of which the second gives the memory back.
    pub(crate) const fn zero_copy(mut self, flags: u16) -> Self {
        self.zero_copy = Some(flags);
        self
    }

    /// [Without a copy](Self::zero_copy), out of the registered buffer with this number, in which all the buffers lie.
    pub(crate) const fn registered(mut self, slot: Option<u16>) -> Self {
        self.slot = slot;
        self
    }

    /// What it was made with.
    pub(crate) fn into_source(self) -> S {
        self.source
    }
}

// SAFETY: the buffers keep their addresses (`Source`); the header and what it points to are on the heap, and the
// address, which an entry does not name itself, is copied there.
unsafe impl<S: Source> Operation for SendMsg<S> {
    type Output = (io::Result<usize>, S);

    fn entry(&mut self) -> squeue::Entry {
        let mut name = 0;
        if let Some(to) = &self.to {
            name = to.addr_len();
            // SAFETY: an address of that length is there, and no address is longer than the storage.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    to.as_ptr().cast::<u8>(),
                    self.header.name.as_mut_ptr().cast::<u8>(),
                    name as usize,
                );
            }
        }
        let header = self.header.point(name);
        let (fd, flags) = (self.fd.target(), self.flags.cast_unsigned());
        match self.zero_copy {
            None => opcode::SendMsg::new(fd, header).flags(flags).build(),
            Some(ioprio) => {
                let send = opcode::SendMsgZc::new(fd, header).flags(flags).ioprio(ioprio);
                send.buf_index(self.slot.take()).build()
            }
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (number(completion), self.source)
    }
}

/// What came with a message beside its bytes.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// How many bytes are in the buffers.
    pub(crate) len: usize,
    /// How long the message was.
    pub(crate) whole: usize,
    /// Whether control data were lost, or would have been had they been asked for.
    pub(crate) control_lost: bool,
    /// Who sent it, where sockets are not connected.
    pub(crate) from: Option<SocketAddrAny>,
    /// Descriptors that came with it.
    pub(crate) fds: Vec<OwnedFd>,
    /// How long each datagram in it is, if the system has put several together (`UDP_GRO`).
    pub(crate) segment: Option<u16>,
}

/// Where bytes go that a dropped receive had taken.
pub(crate) trait Keeper: 'static {
    /// A receive was dropped in flight.
    fn doubt(&self);
    /// It had received this message, with these bytes.
    fn keep(&self, bytes: Vec<u8>, arrived: Arrived);
    /// It had failed.
    fn keep_error(&self, errno: i32);
    /// Its last completion has come.
    fn settle(&self);
}

/// recvmsg(2).
pub(crate) struct RecvMsg<S, K> {
    fd: SharedFd,
    sink: S,
    flags: i32,
    named: bool,
    header: Box<Header>,
    keeper: K,
}

impl<S: Sink, K: Keeper> RecvMsg<S, K> {
    pub(crate) fn new(fd: SharedFd, mut sink: S, flags: i32, keeper: K) -> Self {
        let header = Header::new(sink.iovecs(), Control::none());
        Self { fd, sink, flags, named: false, header, keeper }
    }

    /// And says from whom.
    pub(crate) const fn named(mut self) -> Self {
        self.named = true;
        self
    }

    /// And has room for control data.
    pub(crate) fn control(mut self, control: Control) -> Self {
        self.header.control = control;
        self
    }

    /// What the header says now. The sink is filled.
    fn arrived(&mut self, n: usize) -> Arrived {
        let len = n.min(self.sink.capacity());
        // SAFETY: the kernel has written as many bytes as fit from the start of the buffers on.
        unsafe { self.sink.fill(len) };
        let header = &self.header.header;
        let named = self.named && header.msg_namelen > 0;
        let from = named.then(|| {
            let from: *const libc::sockaddr_storage = self.header.name.as_ptr();
            // SAFETY: the kernel has written an address of that length there.
            unsafe { SocketAddrAny::read(from.cast(), header.msg_namelen) }
        });
        let control_len: usize = header.msg_controllen as _;
        let messages = self.header.control.messages(control_len);
        // SAFETY: they came with this message, whose completion is read once.
        let (fds, segment) = unsafe { control::read(messages) };
        Arrived { len, whole: n, control_lost: header.msg_flags & libc::MSG_CTRUNC != 0, from, fds, segment }
    }
}

// SAFETY: the buffers keep their addresses (`Sink`); the header and what it points to are on the heap.
unsafe impl<S: Sink, K: Keeper> Operation for RecvMsg<S, K> {
    type Output = (io::Result<Arrived>, S);

    fn entry(&mut self) -> squeue::Entry {
        let name = if self.named { size_of::<libc::sockaddr_storage>() } else { 0 };
        let header = self.header.point(u32::try_from(name).unwrap_or(0));
        opcode::RecvMsg::new(self.fd.target(), header).flags(self.flags.cast_unsigned()).build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let arrived = number(completion).map(|n| self.arrived(n));
        (arrived, self.sink)
    }

    fn abandoned(&mut self) {
        self.keeper.doubt();
    }

    /// Descriptors that came are given to the keeper with the bytes.
    fn late(&mut self, completion: Completion) {
        if self.flags & libc::MSG_PEEK != 0 {
            // What was only looked at is still there.
        } else if let Ok(n) = number(completion) {
            let arrived = self.arrived(n);
            self.keeper.keep(self.sink.gather(arrived.len), arrived);
        } else {
            self.keeper.keep_error(-completion.result);
        }
    }

    fn over(&mut self) {
        self.keeper.settle();
    }
}

impl Arrived {
    /// Of a stream: nothing but bytes.
    pub(crate) const fn bytes(len: usize) -> Self {
        Self { len, whole: len, control_lost: false, from: None, fds: Vec::new(), segment: None }
    }

    /// A copy for who only looks.
    pub(crate) fn without_fds(&self) -> Self {
        Self { fds: Vec::new(), from: self.from.clone(), ..*self }
    }
}
