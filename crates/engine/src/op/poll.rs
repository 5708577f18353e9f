//! `POLL_ADD`: one event of a file, or all of them.
//!
//! What is told is what holds when the file is looked at: all of the events that were asked for. The kernel, which sees each
//! wake by itself, may tell fewer of them.

use annulus_abi::{PollFlags as AddFlags, Sqe, SqeFlags};
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::{Context, Interest, Outcome, Step, Turn};
use crate::pool::Interrupt;
use crate::world::{ReadySet, World};

/// Told without being asked for: the kernel adds `POLLRDHUP` to what poll(2) tells always.
const ALWAYS: ReadySet =
    (PollFlags::ERR.bits() | PollFlags::HUP.bits() | PollFlags::NVAL.bits() | PollFlags::RDHUP.bits())
        as ReadySet;

/// `EPOLLONESHOT`.
const ONE_SHOT: u32 = 1 << 30;

/// A poll request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Poll {
    events: ReadySet,
    multishot: bool,
}

impl Poll {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` for flags without meaning.
    pub(crate) fn prepare(sqe: &Sqe) -> Result<Self, Errno> {
        let flags = AddFlags::from_bits_retain(sqe.len);
        let multishot = flags.contains(AddFlags::ADD_MULTI);
        let skips = SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::CQE_SKIP_SUCCESS);
        if !AddFlags::ADD_MULTI.contains(flags) || (multishot && skips) {
            return Err(Errno::INVAL);
        }
        // Asked to tell once, it does, whatever else it is asked.
        let multishot = multishot && sqe.op_flags & ONE_SHOT == 0;
        Ok(Self { events: poll_bits(sqe.op_flags), multishot })
    }

    /// Asks for other events from now on. How often it tells stays as it is.
    pub(crate) fn change(&mut self, events: ReadySet) {
        self.events = poll_bits(events);
    }

    /// Whether nobody else may watch with it: what is ready is told again to all who share a watch when it changes, and this
    /// request tells of it.
    pub(crate) const fn tells_all(&self) -> bool {
        self.multishot
    }

    /// Looks whether the file is ready.
    pub(crate) fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        // A completion for each event of a ring would be the next event: the kernel tells of one, too.
        self.multishot &= matches!(cx.turn, Turn::Ready(_)) || !cx.tables.rings.is_ring(cx.fd);
        let ready = match cx.turn {
            Turn::Ready(ready) => ready & self.events,
            // Arming tells what is ready already, and tells it once: looking here too would report it twice.
            Turn::Inline | Turn::Worker if self.multishot => 0,
            Turn::Inline | Turn::Worker => match cx.world.ready(cx.fd, self.events) {
                Ok(ready) => ready,
                Err(errno) => return Step::Done(Outcome::failure(errno)),
            },
        };
        match (ready, self.multishot) {
            (0, _) => Step::Wait(Interest::file(self.events)),
            (_, true) => Step::More(Outcome::success(ready.cast_signed())),
            (_, false) => Step::Done(Outcome::success(ready.cast_signed())),
        }
    }

    /// What a file that cannot be watched is ready for: the same for ever, so the request ends with it.
    pub(crate) fn settle_unwatched(self, world: &dyn World, fd: i32) -> Outcome {
        match world.ready(fd, self.events) {
            Ok(0) => Outcome::failure(Errno::INVAL),
            ready => Outcome::from(ready),
        }
    }

    /// Waits for a file that the ring cannot watch: its own descriptor, if that contains what the ring watches.
    ///
    /// # Errors
    ///
    /// `EINTR`, `EBADF`.
    pub(crate) fn block(self, world: &dyn World, fd: i32, interrupt: &Interrupt) -> Result<u32, Errno> {
        await_ready(world, fd, self.events, interrupt)
    }
}

/// Waits on a worker until a descriptor is ready.
///
/// # Errors
///
/// `EINTR` when that was requested; `EBADF`.
pub(super) fn await_ready(
    world: &dyn World,
    fd: i32,
    events: ReadySet,
    interrupt: &Interrupt,
) -> Result<ReadySet, Errno> {
    loop {
        if interrupt.requested() {
            return Err(Errno::INTR);
        }
        match world.await_ready(fd, events) {
            Ok(0) | Err(Errno::INTR) => {}
            ready => return ready,
        }
    }
}

/// Without the bits that say how epoll(7) is to tell them, and with those that are told in any case.
const fn poll_bits(events: u32) -> ReadySet {
    (events & 0xffff) | ALWAYS
}
