//! Operations at random, by topic, weighted to the corners.

use annulus::abi::{
    IORING_MSG_RING_CQE_SKIP, IORING_OP_LAST, IORING_OP_RECV_ZC, IORING_OP_URING_CMD, IORING_OP_URING_CMD128,
    IORING_TIMEOUT_ABS, IORING_TIMEOUT_BOOTTIME, IORING_TIMEOUT_ETIME_SUCCESS, IORING_TIMEOUT_MULTISHOT,
    IORING_TIMEOUT_REALTIME,
};

use crate::programs::program::{GROUP_LEN, Key, Memory, Op, PATHS, Place, Target, Wait};
use crate::programs::random::Random;

/// What a program is mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Nops,
    Files,
    Pipes,
    Sockets,
    Connections,
    Timers,
    Polls,
    Names,
    Buffers,
    Slots,
    Oddities,
}

impl Topic {
    pub(super) const ALL: [Self; 11] = [
        Self::Nops,
        Self::Files,
        Self::Pipes,
        Self::Sockets,
        Self::Connections,
        Self::Timers,
        Self::Polls,
        Self::Names,
        Self::Buffers,
        Self::Slots,
        Self::Oddities,
    ];
}

/// Results that a NOP is told to have.
const RESULTS: [i32; 5] = [0, 0, 7, -libc::EXDEV, -libc::ECANCELED];

/// Lengths in which corners lie: nothing, a byte, a page, more than a pipe, more than a file.
const LENGTHS: [u16; 10] = [0, 1, 3, 8, 64, 100, 101, 512, 4096, 4097];

/// The groups of provided buffers: two lists, two rings.
pub(super) const GROUPS: [u16; 4] = [1, 2, 3, 4];

/// Whether it picks a buffer from a ring of them.
pub(super) const fn picks_from_ring(op: &Op) -> bool {
    matches!(
        op,
        Op::RecvBundle { .. }
            | Op::SendBundle { .. }
            | Op::Recv { memory: Memory::Select(3 | 4), .. }
            | Op::Read { memory: Memory::Select(3 | 4), .. }
    )
}

/// Whether a back end may have a worker do it, unasked.
pub(super) const fn may_take_worker(op: &Op) -> bool {
    !matches!(
        op,
        Op::Nop { .. }
            | Op::Recv { .. }
            | Op::RecvMany { .. }
            | Op::RecvBundle { .. }
            | Op::RecvMsg { .. }
            | Op::Send { .. }
            | Op::SendBundle { .. }
            | Op::SendMsg { .. }
            | Op::SendZc { .. }
            | Op::Accept { .. }
            | Op::PollAdd { .. }
            | Op::PollRemove { .. }
            | Op::PollUpdate { .. }
            | Op::Timeout { .. }
            | Op::TimeoutRemove { .. }
            | Op::TimeoutUpdate { .. }
            | Op::LinkTimeout { .. }
            | Op::Cancel { .. }
            | Op::Provide { .. }
            | Op::Withdraw { .. }
            | Op::Message { .. }
    )
}

/// Makes operations of the topics of a program.
#[derive(Debug)]
pub(super) struct Operations<'a> {
    pub(super) random: &'a mut Random,
    /// Names of earlier requests.
    pub(super) named: u16,
    /// Those of them that make descriptors.
    pub(super) makers: &'a [u16],
    /// Whether slots, fixed buffers are registered.
    pub(super) has_files: bool,
    pub(super) has_buffers: bool,
}

impl Operations<'_> {
    /// An operation of this topic.
    pub(super) fn of(&mut self, topic: Topic) -> Op {
        match topic {
            Topic::Nops => Op::Nop { result: self.random.pick(&RESULTS) },
            Topic::Files => self.file(),
            Topic::Pipes => self.pipe(),
            Topic::Sockets => self.socket(),
            Topic::Connections => self.connection(),
            Topic::Timers => self.timer(),
            Topic::Polls => self.poll(),
            Topic::Names => self.name(),
            Topic::Buffers => self.buffer(),
            Topic::Slots => self.slot(),
            Topic::Oddities => self.oddity(),
        }
    }

    /// A cancel of something by some key.
    pub(super) fn cancel(&mut self) -> Op {
        let key = match self.random.below(8) {
            0 => Key::Any,
            1 => Key::At(self.stream()),
            2 => {
                let of = self.of_topic_at_random();
                Key::Opcode(of.opcode())
            }
            _ => Key::Name(self.earlier()),
        };
        // Which of several is the first is not promised.
        let may_be_several = matches!(key, Key::At(_) | Key::Opcode(_));
        Op::Cancel { key, all: self.random.one_in(3) || may_be_several }
    }

    /// The timeout of the request before it, if that may have little time.
    /// A short one fires only on what waits for readiness: it would race with another clock, and with a worker.
    pub(super) fn link_timeout(&mut self, behind: Option<&Op>) -> Op {
        let is_watched = matches!(
            behind,
            Some(Op::Recv { .. } | Op::RecvMsg { .. } | Op::PollAdd { .. } | Op::Accept { .. })
        );
        let short = if is_watched { Wait::Short } else { Wait::Long };
        Op::LinkTimeout { wait: self.random.pick(&[short, Wait::Long, Wait::Long]) }
    }

    /// A stream at random.
    pub(super) fn stream(&mut self) -> Target {
        let n = u8::try_from(self.random.below(2)).unwrap_or_default();
        self.random.pick(&[
            Target::Reader(n),
            Target::Writer(n),
            Target::Near(n),
            Target::Far(n),
            Target::Client,
            Target::Server,
            Target::Mailbox,
        ])
    }

    /// The name of an earlier request, or, rarely, of none.
    fn earlier(&mut self) -> u16 {
        self.random.between(0, self.named)
    }

    /// A descriptor that an earlier request may have made.
    fn made(&mut self) -> Target {
        let latest = &self.makers[self.makers.len().saturating_sub(3)..];
        Target::Made(if latest.is_empty() { self.named } else { self.random.pick(latest) })
    }

    fn of_topic_at_random(&mut self) -> Op {
        let topic = self.random.pick(&[
            Topic::Pipes,
            Topic::Sockets,
            Topic::Polls,
            Topic::Timers,
            Topic::Connections,
        ]);
        self.of(topic)
    }

    fn len(&mut self) -> u16 {
        if self.random.one_in(3) { self.random.pick(&LENGTHS) } else { self.random.between(1, 80) }
    }

    fn memory(&mut self) -> Memory {
        match self.random.below(6) {
            0 => Memory::Parts,
            1 if self.has_buffers => Memory::Fixed(self.random.pick(&[0, 1, 1, 2])),
            _ => Memory::Own,
        }
    }

    /// A target, or one of the corners: its slot, an empty slot, none at all.
    fn corner(&mut self, target: Target) -> Target {
        match self.random.below(24) {
            0 => Target::Bad,
            1 if self.has_files => Target::Slot(6),
            2..8 if self.has_files => match target {
                Target::File(1) => Target::Slot(0),
                Target::Reader(1) => Target::Slot(1),
                Target::Near(1) => Target::Slot(2),
                Target::Server => Target::Slot(3),
                other => other,
            },
            _ => target,
        }
    }

    fn place(&mut self) -> Place {
        match self.random.below(6) {
            0 | 1 if self.has_files => Place::AnySlot,
            2 if self.has_files => Place::InSlot(self.random.pick(&[0, 4, 5, 7, 8])),
            _ => Place::Process,
        }
    }

    fn file(&mut self) -> Op {
        let n = u8::try_from(self.random.below(3)).unwrap_or_default();
        let at = self.corner(Target::File(n));
        let offset = self.random.pick(&[-1, -1, 0, 0, 1, 60, 99, 100, 101, 8999, 20_000]);
        let (len, memory) = (self.len(), self.memory());
        match self.random.below(12) {
            0..4 => Op::Read { at, len, offset, memory },
            4..8 => Op::Write { at, len, offset, memory },
            8 => Op::Fsync { at, datasync: self.random.one_in(2) },
            9 => Op::Fallocate { at, mode: self.random.pick(&[0, 1, 3, 2]), offset: self.len(), len },
            10 => Op::Truncate { at, len },
            _ => Op::Advise { at, advice: self.random.pick(&[0, 1, 3, 4, 99]) },
        }
    }

    fn pipe(&mut self) -> Op {
        let n = u8::try_from(self.random.below(2)).unwrap_or_default();
        let (reader, writer) = (self.corner(Target::Reader(n)), Target::Writer(n));
        let (len, memory) = (self.len(), self.memory());
        let offset = if self.random.one_in(12) { 5 } else { self.random.pick(&[-1, -1, 0]) };
        match self.random.below(10) {
            0..4 => Op::Read { at: reader, len, offset, memory },
            4..7 => Op::Write { at: writer, len, offset, memory },
            7 => Op::Splice {
                from: reader,
                offset: self.random.pick(&[-1, -1, 0]),
                to: Target::Writer(1 - n),
                len,
            },
            8 => Op::Tee { from: reader, to: Target::Writer(1 - n), len },
            _ => {
                let file = self.random.pick(&[Target::File(0), Target::File(2), Target::Slot(0)]);
                let file = if self.has_files { file } else { Target::File(0) };
                if self.random.one_in(2) {
                    Op::Splice { from: file, offset: self.random.pick(&[-1, 0, 50]), to: writer, len }
                } else {
                    Op::Splice { from: reader, offset: -1, to: file, len }
                }
            }
        }
    }

    fn socket(&mut self) -> Op {
        let n = u8::try_from(self.random.below(2)).unwrap_or_default();
        let end = self.random.pick(&[
            Target::Near(n),
            Target::Near(n),
            Target::Far(n),
            Target::Client,
            Target::Server,
            Target::Mailbox,
            Target::Sender,
        ]);
        let (at, len) = (self.corner(end), self.len());
        let (all, peek, now) = (libc::MSG_WAITALL, libc::MSG_PEEK, libc::MSG_DONTWAIT);
        let receive_flags = self.random.pick(&[0, 0, 0, all, all, peek, now]).cast_unsigned();
        let send_flags = self.random.pick(&[0, 0, 0, all, now, libc::MSG_MORE]).cast_unsigned();
        match self.random.below(14) {
            0..4 => Op::Recv { at, len, msg_flags: receive_flags, memory: Memory::Own },
            4..6 => Op::RecvMsg { at, len, msg_flags: receive_flags },
            6..9 => Op::Send { at, len, msg_flags: send_flags & !libc::MSG_MORE.cast_unsigned() },
            9 => Op::SendMsg { at, len, msg_flags: send_flags & !libc::MSG_MORE.cast_unsigned() },
            10 => Op::SendZc { at: self.random.pick(&[Target::Client, Target::Server]), len },
            11 => Op::Read { at, len, offset: -1, memory: self.memory() },
            12 => Op::Write { at, len, offset: -1, memory: self.memory() },
            _ => Op::Shutdown { at, how: self.random.pick(&[0, 1, 2, 3]) },
        }
    }

    fn connection(&mut self) -> Op {
        let place = self.place();
        match self.random.below(8) {
            0..4 => {
                let multishot = self.random.one_in(2);
                // A multishot accept goes on filling free slots, or makes descriptors.
                let place =
                    if multishot && matches!(place, Place::InSlot(_)) { Place::AnySlot } else { place };
                Op::Accept { multishot, place }
            }
            4 | 5 => Op::Socket { place },
            6 => Op::Connect { at: self.made() },
            _ => Op::Send { at: self.made(), len: 5, msg_flags: 0 },
        }
    }

    fn timer(&mut self) -> Op {
        let wait =
            self.random.pick(&[Wait::Zero, Wait::Short, Wait::Short, Wait::Long, Wait::Long, Wait::Long]);
        let clock = self.random.pick(&[0, 0, 0, IORING_TIMEOUT_BOOTTIME, IORING_TIMEOUT_REALTIME]);
        let success = self.random.pick(&[0, 0, IORING_TIMEOUT_ETIME_SUCCESS]);
        match self.random.below(12) {
            0..5 => Op::Timeout { wait, count: 0, flags: clock | success },
            5 => Op::Timeout { wait: Wait::Long, count: self.random.pick(&[1, 2, 3]), flags: success },
            6 => Op::Timeout {
                wait: Wait::Short,
                count: self.random.pick(&[1, 2]),
                flags: IORING_TIMEOUT_MULTISHOT,
            },
            7 => Op::Timeout {
                wait: self.random.pick(&[Wait::Zero, Wait::Short]),
                count: 0,
                flags: IORING_TIMEOUT_ABS,
            },
            8 => Op::Timeout { wait: Wait::Negative, count: 0, flags: clock },
            9 => Op::Timeout {
                wait,
                count: 0,
                flags: self.random.pick(&[
                    IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME,
                    IORING_TIMEOUT_MULTISHOT | IORING_TIMEOUT_ABS,
                    1 << 12,
                ]),
            },
            10 => Op::TimeoutRemove { of: self.earlier() },
            _ => Op::TimeoutUpdate { of: self.earlier(), wait: self.random.pick(&[Wait::Short, Wait::Long]) },
        }
    }

    fn poll(&mut self) -> Op {
        const IN: u32 = 1;
        const OUT: u32 = 4;
        let target = if self.random.one_in(6) { Target::Event } else { self.stream() };
        let at = self.corner(target);
        let events = self.random.pick(&[IN, IN, IN, OUT, IN | OUT, 0x2000, 0]);
        match self.random.below(8) {
            0..4 => Op::PollAdd { at, events, multishot: false },
            4 | 5 => Op::PollAdd { at, events: IN, multishot: true },
            6 => Op::PollRemove { of: self.earlier() },
            _ => Op::PollUpdate { of: self.earlier(), events },
        }
    }

    fn name(&mut self) -> Op {
        let mut path = || u8::try_from(self.random.below(PATHS.len() as u64)).unwrap_or_default();
        let (one, other) = (path(), path());
        match self.random.below(14) {
            0..4 => {
                let create = libc::O_RDWR | libc::O_CREAT;
                let flags = self.random.pick(&[
                    libc::O_RDONLY,
                    libc::O_RDWR,
                    create,
                    create | libc::O_EXCL,
                    create | libc::O_TRUNC,
                    libc::O_RDONLY | libc::O_DIRECTORY,
                    libc::O_WRONLY | libc::O_APPEND,
                ]);
                Op::Open { path: one, flags, place: self.place() }
            }
            4 => Op::Statx { path: one },
            5 => Op::Mkdir { path: one },
            6 => Op::Unlink { path: one, directory: self.random.one_in(2) },
            7 => Op::Rename { from: one, to: other, flags: self.random.pick(&[0, 0, 1, 2, 99]) },
            8 => Op::Symlink { to: one, path: other },
            9 => Op::HardLink { from: one, path: other },
            10 => Op::Read { at: self.made(), len: 20, offset: -1, memory: Memory::Own },
            11 => Op::Write { at: self.made(), len: 20, offset: -1, memory: Memory::Own },
            _ => {
                Op::Close { at: self.random.pick(&[Target::Made(self.named), Target::File(0), Target::Bad]) }
            }
        }
    }

    fn buffer(&mut self) -> Op {
        let group = self.random.pick(&GROUPS);
        let n = u8::try_from(self.random.below(2)).unwrap_or_default();
        let memory = Memory::Select(if self.random.one_in(12) { 9 } else { group });
        let at = self.random.pick(&[Target::Near(n), Target::Near(n), Target::Server, Target::Mailbox]);
        let at = self.corner(at);
        let len = self.random.pick(&[0, 0, 10, 32, 100]);
        match self.random.below(15) {
            // Linux 6.18 takes more than was asked for if it has waited with room for just one buffer.
            12 => Op::RecvBundle { at, group, len: self.random.pick(&[40, 100, 200]) },
            13 => Op::SendBundle { at, group, len: self.random.pick(&[0, 0, 40, 64, 100]) },
            14 => Op::RecvMany { at, group, bundle: true },
            0 | 1 => Op::Provide {
                group: self.random.pick(&[1, 2]),
                first: self.random.pick(&[0, 0, 4, 65_534]),
                count: self.random.pick(&[1, 2, 4, 0]),
                len: self.random.pick(&[GROUP_LEN, GROUP_LEN, 8]),
            },
            2 => Op::Withdraw {
                group: self.random.pick(&[1, 1, 2, 3, 9]),
                count: self.random.pick(&[1, 2, 9, 0]),
            },
            3..6 => Op::Recv { at, len, msg_flags: 0, memory },
            6 => Op::Read { at: Target::Reader(n), len, offset: -1, memory },
            7 => Op::Read { at: Target::File(0), len, offset: 0, memory },
            8 => Op::ReadMany { at: Target::Reader(n), group },
            9 => Op::RecvMany { at, group, bundle: self.random.one_in(4) },
            _ => Op::RecvMany { at, group, bundle: false },
        }
    }

    fn slot(&mut self) -> Op {
        let slot = self.random.pick(&[0, 1, 4, 5, 6, 7, 8]);
        match self.random.below(8) {
            0 => Op::UpdateFile {
                slot,
                to: self.random.pick(&[Target::Bad, Target::File(0), Target::Near(0)]),
            },
            1 => Op::Install { slot },
            2 | 3 => Op::Close { at: Target::Slot(slot) },
            4 => Op::Read { at: Target::Slot(slot), len: 10, offset: 0, memory: Memory::Own },
            5 => Op::Open { path: 0, flags: libc::O_RDONLY, place: self.place() },
            6 => Op::Socket { place: self.place() },
            _ => Op::Nop { result: 0 },
        }
    }

    fn oddity(&mut self) -> Op {
        match self.random.below(5) {
            0 => match u8::try_from(self.random.below(IORING_OP_LAST.into())).unwrap_or_default() {
                // Which of its many errors comes first is of no interest without a device.
                IORING_OP_RECV_ZC | IORING_OP_URING_CMD | IORING_OP_URING_CMD128 => Op::Nop { result: 0 },
                opcode => Op::Raw { opcode },
            },
            1 => Op::Raw { opcode: self.random.pick(&[IORING_OP_LAST, 100, 255]) },
            2 | 3 => Op::Message {
                len: self.len(),
                flags: self.random.pick(&[0, 0, IORING_MSG_RING_CQE_SKIP, 64]),
            },
            _ => Op::LinkTimeout { wait: Wait::Long },
        }
    }
}
