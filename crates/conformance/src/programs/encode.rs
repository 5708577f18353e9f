//! From an operation to the entry that asks for it, and to where its data will lie.
//!
//! Entries are written field by field, without the builders of `annulus`: here the interface itself is tested.
//! Every address in an entry lies in the arena or is a string that is never freed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{IntoRawFd, RawFd};

use annulus::abi::*;

use super::arena::Arena;
use super::program::{FIXED_LEN, Key, Memory, Op, PATHS, Place, Request, Target, Tweak, Wait};
use super::world::World;
use crate::harness::{Buffer, path};

/// The parts that [`Memory::Parts`] has.
const PARTS: usize = 3;

/// Nanoseconds of a short wait.
const SHORT_NS: u64 = 1_500_000;

/// Seconds of a long wait.
const LONG_S: u64 = 10_000;

/// Where the data of a request lies once it has completed.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// It brings none.
    None,
    /// Here.
    At(Buffer),
    /// In one part after the other.
    Parts(Vec<Buffer>),
    /// In the buffer of this group that the completion names.
    Group(u16),
    /// A `struct statx`.
    Stat(Buffer),
}

/// Buffers of groups by group and number.
pub(super) type Groups = BTreeMap<(u16, u16), Buffer>;

/// What entries are made with.
#[derive(Debug)]
pub(super) struct Encoder<'a> {
    /// Where memory comes from.
    pub arena: &'a mut Arena,
    /// Where descriptors come from.
    pub world: &'a mut World,
    /// The registered buffers.
    pub fixed: &'a [Buffer],
    /// The buffers of groups.
    pub groups: &'a mut Groups,
    /// The ring itself.
    pub ring: RawFd,
    /// Paths as operations take them.
    pub paths: &'a [u64; PATHS.len()],
}

/// The paths, never freed: one list for the whole process.
#[must_use]
pub fn path_addresses() -> [u64; PATHS.len()] {
    PATHS.map(|name| crate::harness::address(path(name)))
}

impl Encoder<'_> {
    /// The entry of a request, where its data will lie, and a descriptor that it is to close.
    #[must_use]
    pub(super) fn encode(&mut self, request: &Request) -> (Sqe, Data, Option<RawFd>) {
        let mut sqe = Sqe::new(request.op.opcode());
        let mut closes = None;
        let data = if let Op::Close { at } = request.op {
            closes = self.close(&mut sqe, at);
            Data::None
        } else {
            self.operation(&mut sqe, &request.op, request.name)
        };
        sqe.flags |= request.flags;
        sqe.user_data = request.name.into();
        match request.tweak {
            Tweak::Nothing => {}
            Tweak::Ioprio(value) => sqe.ioprio = value,
            Tweak::BufIndex(value) => sqe.buf_index = value,
            Tweak::FileIndex(value) => sqe.file_index = value,
            Tweak::OpFlags(value) => sqe.op_flags = value,
            Tweak::Addr3(value) => sqe.addr3 = value,
            // Of a message that would be the name that it goes by.
            Tweak::Off(_) if matches!(request.op, Op::Message { .. }) => {}
            Tweak::Off(value) => sqe.off = value,
            Tweak::Personality(value) => sqe.personality = value,
            Tweak::ExtraFlags(value) => sqe.flags |= value,
        }
        (sqe, data, closes)
    }

    fn operation(&mut self, sqe: &mut Sqe, op: &Op, name: u16) -> Data {
        match *op {
            Op::Read { at, len, offset, memory } => {
                self.at(sqe, at);
                sqe.off = offset.cast_unsigned();
                self.memory(sqe, memory, len, None)
            }
            Op::Write { at, len, offset, memory } => {
                self.at(sqe, at);
                sqe.off = offset.cast_unsigned();
                self.memory(sqe, memory, len, Some(name));
                Data::None
            }
            Op::ReadMany { at, group } => {
                self.at(sqe, at);
                sqe.off = u64::MAX;
                self.memory(sqe, Memory::Select(group), 0, None)
            }
            Op::Recv { .. } | Op::RecvMany { .. } | Op::RecvBundle { .. } | Op::RecvMsg { .. } => {
                self.receive(sqe, op)
            }
            Op::Send { .. } | Op::SendBundle { .. } | Op::SendMsg { .. } | Op::SendZc { .. } => {
                self.send(sqe, op, name)
            }
            Op::Accept { .. } | Op::Connect { .. } | Op::Socket { .. } | Op::Shutdown { .. } => {
                self.socket(sqe, op)
            }
            Op::Timeout { .. }
            | Op::TimeoutRemove { .. }
            | Op::TimeoutUpdate { .. }
            | Op::LinkTimeout { .. } => self.timeout(sqe, op),
            Op::PollAdd { .. } | Op::PollRemove { .. } | Op::PollUpdate { .. } | Op::Cancel { .. } => {
                self.poll_or_cancel(sqe, op)
            }
            Op::Fsync { .. }
            | Op::Fallocate { .. }
            | Op::Truncate { .. }
            | Op::Advise { .. }
            | Op::Splice { .. }
            | Op::Tee { .. } => self.file(sqe, op),
            Op::Open { .. }
            | Op::Statx { .. }
            | Op::Mkdir { .. }
            | Op::Unlink { .. }
            | Op::Rename { .. }
            | Op::Symlink { .. }
            | Op::HardLink { .. } => self.path(sqe, op),
            _ => self.ring_itself(sqe, op),
        }
    }

    /// Names what an operation is done to.
    fn at(&mut self, sqe: &mut Sqe, target: Target) {
        if let Target::Slot(slot) = target {
            sqe.fd = slot.into();
            sqe.flags |= IOSQE_FIXED_FILE;
        } else {
            sqe.fd = self.world.fd(target);
        }
    }

    /// Names the memory of a transfer; with what it writes, if it is `written_by` a request.
    fn memory(&mut self, sqe: &mut Sqe, memory: Memory, len: u16, written_by: Option<u16>) -> Data {
        let contents = written_by.map(|name| pattern(name, len.into()));
        let mut place = |len: usize, from: usize| {
            let part = self.arena.take(len, 8);
            if let Some(contents) = contents.as_ref().filter(|_| len > 0) {
                part.write(&contents[from..from + len]);
            }
            part
        };
        sqe.len = len.into();
        match memory {
            Memory::Own => {
                let own = place(len.into(), 0);
                sqe.addr = own.addr();
                Data::At(own)
            }
            Memory::Parts => {
                let parts = split(len.into()).map(|(from, len)| place(len, from));
                let words: Vec<u64> = parts
                    .iter()
                    .zip(split(len.into()))
                    .flat_map(|(part, (_, len))| [part.addr(), len as u64])
                    .collect();
                sqe.addr = self.arena.put_words(&words).addr();
                sqe.len = 3;
                Data::Parts(parts.to_vec())
            }
            Memory::Fixed(index) => {
                // A buffer that is not registered is asked for with an address that is not looked at.
                let fixed = self.fixed.get(usize::from(index)).copied();
                let fixed = fixed.unwrap_or_else(|| self.arena.take(FIXED_LEN.into(), 8));
                if let Some(contents) = contents {
                    fixed.write(&contents[..contents.len().min(FIXED_LEN.into())]);
                }
                sqe.addr = fixed.addr();
                sqe.buf_index = index;
                Data::At(fixed)
            }
            Memory::Select(group) => {
                sqe.buf_index = group;
                sqe.flags |= IOSQE_BUFFER_SELECT;
                Data::Group(group)
            }
        }
    }

    fn receive(&mut self, sqe: &mut Sqe, op: &Op) -> Data {
        match *op {
            Op::Recv { at, len, msg_flags, memory } => {
                self.at(sqe, at);
                sqe.op_flags = msg_flags;
                self.memory(sqe, memory, len, None)
            }
            Op::RecvMany { at, group, bundle } => {
                self.at(sqe, at);
                sqe.ioprio = IORING_RECV_MULTISHOT | if bundle { IORING_RECVSEND_BUNDLE } else { 0 };
                self.memory(sqe, Memory::Select(group), 0, None)
            }
            Op::RecvBundle { at, group, len } => {
                self.at(sqe, at);
                sqe.ioprio = IORING_RECVSEND_BUNDLE;
                self.memory(sqe, Memory::Select(group), len, None)
            }
            Op::RecvMsg { at, len, msg_flags } => {
                self.at(sqe, at);
                self.message(sqe, len, msg_flags, None)
            }
            _ => Data::None,
        }
    }

    fn send(&mut self, sqe: &mut Sqe, op: &Op, name: u16) -> Data {
        match *op {
            Op::Send { at, len, msg_flags } => {
                self.at(sqe, at);
                sqe.op_flags = msg_flags;
                self.memory(sqe, Memory::Own, len, Some(name));
            }
            Op::SendBundle { at, group, len } => {
                self.at(sqe, at);
                sqe.ioprio = IORING_RECVSEND_BUNDLE;
                return self.memory(sqe, Memory::Select(group), len, None);
            }
            Op::SendMsg { at, len, msg_flags } => {
                self.at(sqe, at);
                self.message(sqe, len, msg_flags, Some(name));
            }
            Op::SendZc { at, len } => {
                self.at(sqe, at);
                self.memory(sqe, Memory::Own, len, Some(name));
            }
            _ => {}
        }
        Data::None
    }

    /// A `struct msghdr` over three parts.
    fn message(&mut self, sqe: &mut Sqe, len: u16, msg_flags: u32, written_by: Option<u16>) -> Data {
        let data = self.memory(sqe, Memory::Parts, len, written_by);
        // msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags.
        sqe.addr = self.arena.put_words(&[0, 0, sqe.addr, PARTS as u64, 0, 0, 0]).addr();
        sqe.len = 1;
        sqe.op_flags = msg_flags;
        data
    }

    fn socket(&mut self, sqe: &mut Sqe, op: &Op) -> Data {
        match *op {
            Op::Accept { multishot, place } => {
                self.at(sqe, Target::Listener);
                sqe.ioprio = if multishot { IORING_ACCEPT_MULTISHOT } else { 0 };
                sqe.op_flags = cloexec(place);
                sqe.file_index = file_index(place);
            }
            Op::Connect { at } => {
                self.at(sqe, at);
                let address = socket_address(self.world.address());
                sqe.addr = self.arena.put(&address).addr();
                sqe.off = address.len() as u64;
            }
            Op::Socket { place } => {
                sqe.fd = libc::AF_INET;
                let kind = libc::SOCK_STREAM.cast_unsigned() | cloexec(place);
                sqe.off = kind.into();
                sqe.file_index = file_index(place);
            }
            Op::Shutdown { at, how } => {
                self.at(sqe, at);
                sqe.len = how.into();
            }
            _ => {}
        }
        Data::None
    }

    fn timeout(&mut self, sqe: &mut Sqe, op: &Op) -> Data {
        match *op {
            Op::Timeout { wait, count, flags } => {
                sqe.fd = -1;
                sqe.addr = self.time(wait);
                sqe.len = 1;
                sqe.off = count.into();
                sqe.op_flags = flags;
            }
            Op::TimeoutRemove { of } => {
                sqe.fd = -1;
                sqe.addr = of.into();
            }
            Op::TimeoutUpdate { of, wait } => {
                sqe.fd = -1;
                sqe.addr = of.into();
                sqe.off = self.time(wait);
                sqe.op_flags = IORING_TIMEOUT_UPDATE;
            }
            Op::LinkTimeout { wait } => {
                sqe.fd = -1;
                sqe.addr = self.time(wait);
                sqe.len = 1;
            }
            _ => {}
        }
        Data::None
    }

    fn time(&mut self, wait: Wait) -> u64 {
        let (seconds, nanoseconds) = match wait {
            Wait::Zero => (0, 0),
            Wait::Short => (0, SHORT_NS),
            Wait::Long => (LONG_S, 0),
            Wait::Negative => (u64::MAX, 0),
        };
        self.arena.put_words(&[seconds, nanoseconds]).addr()
    }

    fn poll_or_cancel(&mut self, sqe: &mut Sqe, op: &Op) -> Data {
        match *op {
            Op::PollAdd { at, events, multishot } => {
                self.at(sqe, at);
                sqe.op_flags = events;
                sqe.len = if multishot { IORING_POLL_ADD_MULTI } else { 0 };
            }
            Op::PollRemove { of } => {
                sqe.fd = -1;
                sqe.addr = of.into();
            }
            Op::PollUpdate { of, events } => {
                sqe.fd = -1;
                sqe.addr = of.into();
                sqe.len = IORING_POLL_UPDATE_EVENTS;
                sqe.op_flags = events;
            }
            Op::Cancel { key, all } => {
                sqe.fd = -1;
                sqe.op_flags = if all { IORING_ASYNC_CANCEL_ALL } else { 0 };
                match key {
                    Key::Name(name) => sqe.addr = name.into(),
                    Key::At(Target::Slot(slot)) => {
                        sqe.fd = slot.into();
                        sqe.op_flags |= IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_FD_FIXED;
                    }
                    Key::At(target) => {
                        sqe.fd = self.world.fd(target);
                        sqe.op_flags |= IORING_ASYNC_CANCEL_FD;
                    }
                    Key::Opcode(opcode) => {
                        sqe.len = opcode.into();
                        sqe.op_flags |= IORING_ASYNC_CANCEL_OP;
                    }
                    Key::Any => sqe.op_flags |= IORING_ASYNC_CANCEL_ANY,
                }
            }
            _ => {}
        }
        Data::None
    }

    fn file(&mut self, sqe: &mut Sqe, op: &Op) -> Data {
        match *op {
            Op::Fsync { at, datasync } => {
                self.at(sqe, at);
                sqe.op_flags = if datasync { IORING_FSYNC_DATASYNC } else { 0 };
            }
            Op::Fallocate { at, mode, offset, len } => {
                self.at(sqe, at);
                sqe.off = offset.into();
                sqe.addr = len.into();
                sqe.len = mode;
            }
            Op::Truncate { at, len } => {
                self.at(sqe, at);
                sqe.off = len.into();
            }
            Op::Advise { at, advice } => {
                self.at(sqe, at);
                sqe.op_flags = advice;
            }
            Op::Splice { from, offset, to, len } => {
                self.at(sqe, to);
                sqe.off = u64::MAX;
                sqe.addr = offset.cast_unsigned();
                sqe.len = len.into();
                self.source(sqe, from);
            }
            Op::Tee { from, to, len } => {
                self.at(sqe, to);
                sqe.len = len.into();
                self.source(sqe, from);
            }
            _ => {}
        }
        Data::None
    }

    /// Names where a splice comes from.
    fn source(&mut self, sqe: &mut Sqe, from: Target) {
        if let Target::Slot(slot) = from {
            sqe.file_index = slot.into();
            sqe.op_flags |= SPLICE_F_FD_IN_FIXED;
        } else {
            sqe.file_index = self.world.fd(from).cast_unsigned();
        }
    }

    fn path(&mut self, sqe: &mut Sqe, op: &Op) -> Data {
        sqe.fd = self.world.directory();
        let (directory, paths) = (sqe.fd, *self.paths);
        let address = |number: u8| paths[usize::from(number) % PATHS.len()];
        match *op {
            Op::Open { path, flags, place } => {
                sqe.addr = address(path);
                let cloexec = if place == Place::Process { libc::O_CLOEXEC } else { 0 };
                sqe.op_flags = (flags | cloexec).cast_unsigned();
                sqe.len = 0o600;
                sqe.file_index = file_index(place);
            }
            Op::Statx { path } => {
                let stat = self.arena.take(size_of::<libc::statx>(), 8);
                sqe.addr = address(path);
                sqe.off = stat.addr();
                sqe.len = libc::STATX_BASIC_STATS;
                return Data::Stat(stat);
            }
            Op::Mkdir { path } => {
                sqe.addr = address(path);
                sqe.len = 0o700;
            }
            Op::Unlink { path, directory } => {
                sqe.addr = address(path);
                sqe.op_flags = if directory { libc::AT_REMOVEDIR.cast_unsigned() } else { 0 };
            }
            Op::Rename { from, to, flags } => {
                sqe.addr = address(from);
                sqe.len = directory.cast_unsigned();
                sqe.off = address(to);
                sqe.op_flags = flags;
            }
            Op::Symlink { to, path } => {
                sqe.addr = address(to);
                sqe.off = address(path);
            }
            Op::HardLink { from, path } => {
                sqe.addr = address(from);
                sqe.len = directory.cast_unsigned();
                sqe.off = address(path);
            }
            _ => {}
        }
        Data::None
    }

    /// Operations on the ring and what belongs to it.
    fn ring_itself(&mut self, sqe: &mut Sqe, op: &Op) -> Data {
        match *op {
            Op::Nop { result } if result != 0 => {
                sqe.op_flags = IORING_NOP_INJECT_RESULT;
                sqe.len = result.cast_unsigned();
            }
            Op::Provide { group, first, count, len } => {
                let memory = self.arena.take(usize::from(len) * usize::from(count), 8);
                for n in 0..count {
                    let part = memory.part(usize::from(n) * usize::from(len), len.into());
                    self.groups.insert((group, first.wrapping_add(n)), part);
                }
                sqe.fd = count.into();
                sqe.addr = memory.addr();
                sqe.len = len.into();
                sqe.off = first.into();
                sqe.buf_index = group;
            }
            Op::Withdraw { group, count } => {
                sqe.fd = count.into();
                sqe.buf_index = group;
            }
            Op::Message { len, flags } => {
                sqe.fd = self.ring;
                sqe.len = len.into();
                sqe.off = MESSAGE;
                sqe.op_flags = flags;
            }
            Op::UpdateFile { slot, to } => {
                let fd = self.world.fd(to).to_ne_bytes();
                sqe.fd = -1;
                sqe.addr = self.arena.put(&fd).addr();
                sqe.len = 1;
                sqe.off = slot.into();
            }
            Op::Install { slot } => {
                sqe.fd = slot.into();
                sqe.flags |= IOSQE_FIXED_FILE;
            }
            Op::Raw { .. } => sqe.fd = -1,
            _ => {}
        }
        Data::None
    }

    /// Names what is to be closed. The descriptor, which from now on is the request's.
    fn close(&mut self, sqe: &mut Sqe, at: Target) -> Option<RawFd> {
        let fd = match at {
            Target::Slot(slot) => {
                sqe.file_index = u32::from(slot) + 1;
                return None;
            }
            Target::Made(name) => self.world.give_away(name),
            // What the program goes on to use is never closed behind its back: a number might come again.
            own => self.world.duplicate(own).map(IntoRawFd::into_raw_fd),
        };
        sqe.fd = fd.unwrap_or(-1);
        fd
    }
}

/// The `user_data` of completions that MSG_RING posts.
pub(super) const MESSAGE: u64 = 1 << 32;

/// What a request of this name writes: no two requests write the same.
#[must_use]
pub(super) fn pattern(name: u16, len: usize) -> Vec<u8> {
    let [low, high] = name.to_le_bytes();
    (0..len)
        .map(|n| {
            u8::try_from(n % 251).unwrap_or_default().wrapping_mul(7).wrapping_add(low).wrapping_add(high)
        })
        .collect()
}

/// Where the three parts of `len` bytes begin, and how long each is.
fn split(len: usize) -> [(usize, usize); PARTS] {
    let (first, second) = (len / 3, len / 2);
    [(0, first), (first, second - first), (second, len - second)]
}

const fn cloexec(place: Place) -> u32 {
    if matches!(place, Place::Process) { libc::SOCK_CLOEXEC.cast_unsigned() } else { 0 }
}

fn file_index(place: Place) -> u32 {
    match place {
        Place::Process => 0,
        Place::InSlot(slot) => u32::from(slot) + 1,
        Place::AnySlot => IORING_FILE_INDEX_ALLOC,
    }
}

/// A `struct sockaddr_in`.
fn socket_address(address: SocketAddr) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&u16::try_from(libc::AF_INET).unwrap_or_default().to_ne_bytes());
    bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
    bytes[4..8].copy_from_slice(&[127, 0, 0, 1]);
    bytes
}
