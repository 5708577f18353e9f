//! What a program registers, and the buffers that belong to it.

use std::collections::{BTreeMap, VecDeque};

use annulus::abi::{
    Buf, BufReg, FileIndexRange, FilesUpdate, KernelTimespec, PbufRingFlags, RegisterOp, SyncCancelReg,
};
use rustix::io::Errno;

use super::Run;
use crate::harness::{Buffer, Kept};
use crate::programs::encode::pattern;
use crate::programs::program::{
    FIXED_BUFFERS, FIXED_LEN, GROUP_LEN, RING_BUFFERS, Registration, SLOT_FILES, SLOTS, Target,
};

/// Where the tail of a buffer ring lies.
const TAIL_OFFSET: usize = 14;

/// Buffers that are registered, and rings of them.
#[derive(Debug, Default)]
pub(super) struct Registered {
    pub(super) buffers: Vec<Buffer>,
    /// The memory of each buffer ring, and how many buffers it was given.
    rings: BTreeMap<u16, (Buffer, u16)>,
    /// The buffers that each ring has to give, in its order, as far as completions tell.
    given: BTreeMap<u16, VecDeque<(u16, Buffer)>>,
    /// How much of a buffer is used up, in rings whose buffers are filled piece by piece.
    used: BTreeMap<(u16, u16), usize>,
    /// An eventfd was registered at some time.
    pub(super) eventfd: bool,
}

impl Registered {
    /// Where in its buffer the data of a completion begins.
    pub(super) fn advance(&mut self, group: u16, id: u16, len: usize, more: bool) -> usize {
        let used = self.used.entry((group, id)).or_default();
        let from = *used;
        *used = if more { from + len } else { 0 };
        if !more {
            self.pass(group, id);
        }
        from
    }

    /// The data of a bundle, which begins in this buffer and goes on in those that the ring gives behind it.
    pub(super) fn bundle(&mut self, group: u16, id: u16, len: usize) -> Vec<u8> {
        let (mut bytes, mut next) = (Vec::new(), Some(id));
        while let Some(id) = next.filter(|_| bytes.len() < len) {
            let Some(buffer) = self.pass(group, id) else { break };
            bytes.extend(buffer.bytes());
            next = self.given.get(&group).and_then(|given| given.front()).map(|(id, _)| *id);
        }
        bytes.truncate(len);
        bytes
    }

    /// The first buffer of this number that the ring has to give: it is used up, and so are those before it.
    fn pass(&mut self, group: u16, id: u16) -> Option<Buffer> {
        let given = self.given.get_mut(&group)?;
        let place = given.iter().position(|(other, _)| *other == id)?;
        given.drain(..=place).next_back().map(|(_, buffer)| buffer)
    }
}

impl Run<'_> {
    /// Registers. What comes back, or `-errno`.
    pub(super) fn register(&mut self, registration: Registration) -> i64 {
        let outcome = match registration {
            Registration::Files => self.register_files(),
            Registration::NoFiles => self.rig.register_nothing(RegisterOp::UNREGISTER_FILES, 0),
            Registration::Update { slot, to } => {
                let fds = self.arena.put(&self.world.fd(to).to_ne_bytes());
                let update = FilesUpdate { offset: slot.into(), resv: 0, fds: fds.addr() };
                self.rig.register(RegisterOp::REGISTER_FILES_UPDATE, Kept::new(update), 1)
            }
            Registration::AllocRange { from, len } => {
                let range = FileIndexRange { off: from, len, resv: 0 };
                self.rig.register(RegisterOp::REGISTER_FILE_ALLOC_RANGE, Kept::new(range), 0)
            }
            Registration::Buffers => self.register_buffers(),
            Registration::NoBuffers => self.rig.register_nothing(RegisterOp::UNREGISTER_BUFFERS, 0),
            Registration::BufferRing { group, incremental } => self.register_ring(group, incremental),
            Registration::NoBufferRing { group } => {
                let key = BufReg { bgid: group, ..BufReg::default() };
                self.rig.register(RegisterOp::UNREGISTER_PBUF_RING, Kept::new(key), 1)
            }
            Registration::Give { group, id } => {
                self.give(group, id);
                Ok(0)
            }
            Registration::Eventfd { only_async } => {
                self.registered.eventfd = true;
                let fd = Kept::new(self.world.fd(Target::Event));
                let asynchronous = RegisterOp::REGISTER_EVENTFD_ASYNC;
                let op = if only_async { asynchronous } else { RegisterOp::REGISTER_EVENTFD };
                self.rig.register(op, fd, 1)
            }
            Registration::NoEventfd => self.rig.register_nothing(RegisterOp::UNREGISTER_EVENTFD, 0),
            Registration::SyncCancel { of } => {
                let timeout = KernelTimespec { tv_sec: 1, tv_nsec: 0 };
                let key = SyncCancelReg { addr: of.into(), fd: -1, timeout, ..SyncCancelReg::default() };
                self.rig.register(RegisterOp::REGISTER_SYNC_CANCEL, Kept::new(key), 1)
            }
            Registration::MaxWorkers { bounded, unbounded } => {
                let limits = Kept::slice(&[bounded, unbounded]);
                self.rig.register(RegisterOp::REGISTER_IOWQ_MAX_WORKERS, limits, 2)
            }
            Registration::RawRegister { op } => self.rig.register_nothing(RegisterOp::from_raw(op), 0),
        };
        match outcome {
            Ok(value) => value.into(),
            Err(errno) => -i64::from(errno.raw_os_error()),
        }
    }

    fn register_files(&mut self) -> Result<u32, Errno> {
        let filled = SLOT_FILES.map(|target| self.world.fd(target));
        let empty = std::iter::repeat_n(-1, usize::from(SLOTS) - filled.len());
        let fds: Vec<i32> = filled.into_iter().chain(empty).collect();
        self.rig.register(RegisterOp::REGISTER_FILES, Kept::slice(&fds), SLOTS.into())
    }

    fn register_buffers(&mut self) -> Result<u32, Errno> {
        let buffers: Vec<Buffer> = (0..FIXED_BUFFERS).map(|_| self.arena.take(FIXED_LEN.into(), 8)).collect();
        let iovecs: Vec<libc::iovec> = buffers.iter().map(Buffer::iovec).collect();
        let outcome =
            self.rig.register(RegisterOp::REGISTER_BUFFERS, Kept::slice(&iovecs), FIXED_BUFFERS.into());
        if outcome.is_ok() {
            self.registered.buffers = buffers;
        }
        outcome
    }

    fn register_ring(&mut self, group: u16, incremental: bool) -> Result<u32, Errno> {
        let memory = self.arena.take(usize::from(RING_BUFFERS) * size_of::<Buf>(), 4096);
        memory.write(&vec![0; memory.len() as usize]);
        let flags = if incremental { PbufRingFlags::INC.bits() } else { 0 };
        let key = BufReg {
            ring_addr: memory.addr(),
            ring_entries: RING_BUFFERS.into(),
            bgid: group,
            flags,
            ..BufReg::default()
        };
        let outcome = self.rig.register(RegisterOp::REGISTER_PBUF_RING, Kept::new(key), 1);
        if outcome.is_ok() {
            self.registered.rings.insert(group, (memory, 0));
            self.registered.used.retain(|(used, _), _| *used != group);
            self.registered.given.remove(&group);
            for id in 0..RING_BUFFERS {
                self.give(group, id);
            }
        }
        outcome
    }

    /// Adds a buffer of this number, with memory of its own, to a ring.
    fn give(&mut self, group: u16, id: u16) {
        let Some((memory, tail)) = self.registered.rings.get_mut(&group) else { return };
        let buffer = self.arena.take(GROUP_LEN.into(), 8);
        buffer.write(&pattern(id | 0x2000, buffer.len() as usize));
        self.groups.insert((group, id), buffer);
        self.registered.given.entry(group).or_default().push_back((id, buffer));
        let place = usize::from(*tail % RING_BUFFERS) * size_of::<Buf>();
        // All but the last two bytes, which in the first entry are the tail.
        let entry = memory.part(place, TAIL_OFFSET);
        entry.write(&buffer.addr().to_ne_bytes());
        entry.part(8, 4).write(&buffer.len().to_ne_bytes());
        entry.part(12, 2).write(&id.to_ne_bytes());
        *tail = tail.wrapping_add(1);
        memory.publish(TAIL_OFFSET, *tail);
    }
}
