//! What an operation touches, so that no two requests race that nothing orders.
//!
//! Within one window (what is submitted between two settlings) a thing belongs to one chain. A request that may wait
//! keeps its direction of a stream until it has ended for sure.

use std::collections::BTreeSet;

use crate::programs::program::{Key, Memory, Op, Place, SLOT_FILES, Target};

/// What can be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    File(u8),
    Pipe(u8),
    Pair(u8),
    Datagrams,
    Tcp,
    Listener,
    Event,
    /// The directory and every name in it, and what requests made.
    Names,
    Slots,
    Fixed(u16),
    Group(u16),
    /// One direction of a stream, by the end that waits for it.
    Waiting(Target),
}

/// What one operation touches.
#[derive(Clone, Debug, Default)]
pub(super) struct Touch {
    pub(super) things: BTreeSet<Thing>,
    /// It looks at, or counts, everything: it must be alone in its window.
    pub(super) alone: bool,
}

impl Touch {
    pub(super) fn of(op: &Op) -> Self {
        let mut touch = Self::default();
        match *op {
            Op::Read { at, memory, .. } | Op::Recv { at, memory, .. } => {
                touch.at(at).memory(memory).waits(at, op)
            }
            Op::Write { at, memory, .. } => touch.at(at).memory(memory).waits(at, op),
            Op::ReadMany { at, group }
            | Op::RecvMany { at, group, .. }
            | Op::RecvBundle { at, group, .. } => touch.at(at).memory(Memory::Select(group)).waits(at, op),
            Op::SendBundle { at, group, .. } => touch.at(at).memory(Memory::Select(group)),
            Op::RecvMsg { at, .. } | Op::PollAdd { at, .. } => touch.at(at).waits(at, op),
            Op::Send { at, .. }
            | Op::SendMsg { at, .. }
            | Op::SendZc { at, .. }
            | Op::Fsync { at, .. }
            | Op::Fallocate { at, .. }
            | Op::Truncate { at, .. }
            | Op::Advise { at, .. }
            | Op::Shutdown { at, .. } => touch.at(at),
            Op::Connect { at } => touch.at(at).thing(Thing::Listener),
            Op::Accept { place, .. } => touch.thing(Thing::Listener).place(place).waits(Target::Listener, op),
            Op::Open { place, flags, .. } => {
                touch.thing(Thing::Names).place(place);
                if flags & libc::O_TRUNC != 0 { touch.files() } else { &mut touch }
            }
            Op::Socket { place } => touch.place(place),
            Op::Close { at } => touch.at(at),
            Op::Statx { .. }
            | Op::Mkdir { .. }
            | Op::Unlink { .. }
            | Op::Rename { .. }
            | Op::Symlink { .. }
            | Op::HardLink { .. } => touch.thing(Thing::Names).files(),
            Op::Splice { from, to, .. } | Op::Tee { from, to, .. } => touch.at(from).at(to).waits(from, op),
            Op::Provide { group, .. } | Op::Withdraw { group, .. } => touch.memory(Memory::Select(group)),
            Op::UpdateFile { to, .. } => touch.at(to).thing(Thing::Slots),
            Op::Install { .. } => touch.thing(Thing::Slots),
            Op::Cancel { key: Key::Name(_), .. }
            | Op::PollRemove { .. }
            | Op::PollUpdate { .. }
            | Op::TimeoutRemove { .. }
            | Op::TimeoutUpdate { .. }
            | Op::Cancel { .. } => touch.alone(),
            Op::Timeout { count, .. } if count > 0 => touch.alone(),
            Op::Nop { .. }
            | Op::Timeout { .. }
            | Op::LinkTimeout { .. }
            | Op::Message { .. }
            | Op::Raw { .. } => &mut touch,
        };
        touch
    }

    fn at(&mut self, target: Target) -> &mut Self {
        if let Target::Slot(_) = target {
            // Updates put other things into slots than those that were registered.
            let others = [Thing::File(0), Thing::File(1), Thing::Pair(0), Thing::Event, Thing::Slots];
            self.things.extend(others);
        }
        match behind(target) {
            Target::File(n) => self.thing(Thing::File(n)),
            Target::Reader(n) | Target::Writer(n) => self.thing(Thing::Pipe(n)),
            Target::Near(n) | Target::Far(n) => self.thing(Thing::Pair(n)),
            Target::Sender | Target::Mailbox => self.thing(Thing::Datagrams),
            Target::Client | Target::Server => self.thing(Thing::Tcp),
            Target::Listener => self.thing(Thing::Listener),
            Target::Event => self.thing(Thing::Event),
            Target::Slot(_) | Target::Made(_) => self.thing(Thing::Names).thing(Thing::Listener),
            Target::Bad => self,
        }
    }

    fn thing(&mut self, thing: Thing) -> &mut Self {
        self.things.insert(thing);
        self
    }

    /// Any of the files, by its name.
    fn files(&mut self) -> &mut Self {
        (0..3).fold(self, |touch, n| touch.thing(Thing::File(n)))
    }

    fn memory(&mut self, memory: Memory) -> &mut Self {
        match memory {
            Memory::Fixed(index) => self.thing(Thing::Fixed(index)),
            Memory::Select(group) => self.thing(Thing::Group(group)),
            Memory::Own | Memory::Parts => self,
        }
    }

    fn place(&mut self, place: Place) -> &mut Self {
        if place == Place::Process { self } else { self.thing(Thing::Slots) }
    }

    fn waits(&mut self, target: Target, op: &Op) -> &mut Self {
        if op.may_wait() && target != Target::Bad { self.thing(Thing::Waiting(behind(target))) } else { self }
    }

    fn alone(&mut self) -> &mut Self {
        self.alone = true;
        self
    }

    /// The directions that it may go on waiting for.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Thing> {
        self.things.iter().copied().filter(|thing| matches!(thing, Thing::Waiting(_)))
    }
}

/// What a slot holds after the registration.
pub(super) fn behind(target: Target) -> Target {
    match target {
        Target::Slot(slot) => SLOT_FILES.get(usize::from(slot)).copied().unwrap_or(target),
        other => other,
    }
}

/// The other end of a stream.
pub(super) const fn other_end(target: Target) -> Target {
    match target {
        Target::Reader(n) => Target::Writer(n),
        Target::Writer(n) => Target::Reader(n),
        Target::Near(n) => Target::Far(n),
        Target::Far(n) => Target::Near(n),
        Target::Sender => Target::Mailbox,
        Target::Mailbox => Target::Sender,
        Target::Client => Target::Server,
        Target::Server => Target::Client,
        other => other,
    }
}
