//! recvmsg(2) again and again, into buffers of the pool's ring.
#![allow(
    unsafe_code,
    reason = "names a header that the operation owns, and reads an address that the kernel wrote"
)]

use std::mem::{MaybeUninit, zeroed};
use std::rc::Rc;

use annulus::types::RecvMsgOut;
use annulus::{BufRing, opcode, squeue};
use rustix::net::SocketAddrAny;

use super::control;
use super::msg::{Arrived, Keeper};
use crate::buf::{Pool, PooledBuf};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;

/// What the kernel sets aside in each buffer for the sender's address.
const NAME_ROOM: u32 = 128;

/// And for control data: the length of segments (`UDP_GRO`), in words.
const CONTROL_ROOM: usize = 24;

/// Where the bytes of the message begin.
const PAYLOAD: usize = 16 + NAME_ROOM as usize + CONTROL_ROOM;

/// The operation. What a dropped one still receives is kept for the next receive.
pub(crate) struct RecvMsgMulti<K> {
    fd: SharedFd,
    keeper: K,
    pool: Rc<Pool>,
    ring: Rc<BufRing>,
    /// Read on submission: which room to set aside.
    header: Box<libc::msghdr>,
}

/// A message in a buffer of the pool.
pub(crate) struct Pooled {
    pub(crate) buf: PooledBuf,
    /// Where in the buffer its bytes begin.
    pub(crate) start: usize,
    pub(crate) arrived: Arrived,
}

impl<K: Keeper> RecvMsgMulti<K> {
    pub(crate) fn new(fd: SharedFd, keeper: K, pool: Rc<Pool>, ring: Rc<BufRing>) -> Self {
        // SAFETY: a header of zeros has no name, no buffers, no control data.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { zeroed() });
        header.msg_namelen = NAME_ROOM;
        header.msg_controllen = CONTROL_ROOM as _;
        Self { fd, keeper, pool, ring, header }
    }
}

/// What a completion brought: nothing if it names no buffer, or one that is too small for what was to be set
/// aside.
pub(crate) fn pooled(pool: &Rc<Pool>, ring: &Rc<BufRing>, completion: Completion) -> Option<Pooled> {
    let buf = pool.filled(ring, completion)?;
    // SAFETY: a header of zeros has no name, no buffers, no control data.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_namelen = NAME_ROOM;
    header.msg_controllen = CONTROL_ROOM as _;
    let out = RecvMsgOut::parse(&buf, &header).ok()?;
    // SAFETY: they came with this message, whose completion is read once.
    let (fds, segment) = unsafe { control::read(out.control_messages()) };
    let arrived = Arrived {
        len: out.payload_data().len(),
        whole: out.incoming_payload_len() as usize,
        control_lost: out.is_control_data_truncated(),
        from: name(out.name_data()),
        fds,
        segment,
    };
    Some(Pooled { buf, start: PAYLOAD, arrived })
}

/// An address that the kernel wrote.
fn name(bytes: &[u8]) -> Option<SocketAddrAny> {
    if bytes.len() < size_of::<libc::sa_family_t>() {
        return None;
    }
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let len = bytes.len().min(NAME_ROOM as usize);
    // SAFETY: the storage is as long as `NAME_ROOM`, and elsewhere.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), storage.as_mut_ptr().cast(), len) };
    let len = u32::try_from(len).ok()?;
    // SAFETY: an address of that length is there now, in storage that is initialised.
    Some(unsafe { SocketAddrAny::read(storage.as_ptr().cast(), len) })
}

// SAFETY: the header is on the heap, the buffers stay with the ring, which this holds; the share keeps the
// descriptor open.
unsafe impl<K: Keeper> Operation for RecvMsgMulti<K> {
    type Output = ();

    fn entry(&mut self) -> squeue::Entry {
        // With it, the length that is told is that of the message, not of what fitted.
        let flags = (libc::MSG_TRUNC | libc::MSG_CMSG_CLOEXEC).cast_unsigned();
        opcode::RecvMsgMulti::new(self.fd.target(), &raw const *self.header, self.ring.group())
            .flags(flags)
            .build()
    }

    fn complete(self, _completion: Completion) {}

    fn abandoned(&mut self) {
        self.keeper.doubt();
    }

    fn late(&mut self, completion: Completion) {
        if let Some(Pooled { buf, start, arrived }) = pooled(&self.pool, &self.ring, completion) {
            self.keeper.keep(buf[start..start + arrived.len].to_vec(), arrived);
        }
        if completion.result < 0 {
            self.keeper.keep_error(-completion.result);
        }
    }

    fn over(&mut self) {
        self.keeper.settle();
    }
}

const _: () = assert!(size_of::<libc::sockaddr_storage>() == NAME_ROOM as usize);
