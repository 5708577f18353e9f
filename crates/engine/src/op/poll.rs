//! `POLL_ADD`: one event of a file, or all of them.

use annulus_abi::{PollFlags as AddFlags, Sqe, SqeFlags};
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::{Context, Interest, Outcome, Step, Turn};
use crate::world::{ReadySet, World};

/// Told without being asked for.
const ALWAYS: ReadySet = (PollFlags::ERR.bits() | PollFlags::HUP.bits() | PollFlags::NVAL.bits()) as ReadySet;

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
        Ok(Self { events: poll_bits(sqe.op_flags), multishot })
    }

    /// Asks for something else from now on.
    pub(crate) fn change(&mut self, events: ReadySet, multishot: bool) {
        *self = Self { events: poll_bits(events), multishot };
    }

    /// Looks whether the file is ready.
    pub(crate) fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        let ready = match cx.turn {
            Turn::Ready(ready) => ready & (self.events | ALWAYS),
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

    /// Looks at a file that cannot be watched: it is always as ready as now.
    ///
    /// # Errors
    ///
    /// `EBADF`.
    pub(crate) fn block(self, world: &dyn World, fd: i32) -> Result<u32, Errno> {
        world.ready(fd, self.events)
    }
}

/// Without the bits that say how epoll(7) is to tell them.
const fn poll_bits(events: u32) -> ReadySet {
    events & 0xffff
}
