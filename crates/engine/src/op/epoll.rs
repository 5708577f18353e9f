//! `EPOLL_CTL` and `EPOLL_WAIT`: the program's own epoll sets.
//!
//! A set is itself a file that can be watched: a wait for its events is a wait until it is readable.

use annulus_abi::Sqe;
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::{Context, Interest, Operation, Outcome, Prepare, Step};
use crate::pool::Interrupt;
use crate::world::{RawEvent, ReadySet, Span, World};

/// A set is readable while events wait in it.
const READABLE: ReadySet = PollFlags::IN.bits() as ReadySet;

/// `EPOLL_CTL`.
#[derive(Debug)]
pub(super) struct EpollCtl {
    set: i32,
    how: i32,
    member: i32,
    event: RawEvent,
}

impl EpollCtl {
    /// Reads the entry, and the event that it names.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        // The kernel takes a descriptor from 64 bits.
        #[expect(clippy::cast_possible_truncation, reason = "so does the kernel")]
        let member = sqe.off as i32;
        let mut event = [0; size_of::<RawEvent>()];
        let how = sqe.len.cast_signed();
        if how != libc::EPOLL_CTL_DEL {
            cx.world.load(cx.vouched.span(sqe.addr, event.len()), &mut event)?;
        }
        Ok(Self { set: sqe.fd, how, member, event })
    }
}

impl Operation for EpollCtl {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        let changed = cx.world.change_set(self.set, self.how, self.member, self.event);
        Step::Done(Outcome::from(changed.map(|()| 0)))
    }
}

/// `EPOLL_WAIT`.
#[derive(Debug)]
pub(super) struct EpollWait {
    events: Span,
    most: i32,
}

impl EpollWait {
    /// Reads the entry.
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Self {
        let len = usize::try_from(sqe.len).unwrap_or(usize::MAX).saturating_mul(size_of::<RawEvent>());
        Self { events: cx.vouched.span(sqe.addr, len), most: sqe.len.cast_signed() }
    }
}

impl Operation for EpollWait {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        match cx.world.take_events(cx.fd, self.events, self.most) {
            Ok(0) => Step::Wait(Interest::file(READABLE)),
            taken => Step::Done(Outcome::from(taken)),
        }
    }

    /// For a set that contains this ring's descriptor, which makes watching it a circle (`ELOOP`).
    fn block(&mut self, world: &dyn World, fd: i32, interrupt: &Interrupt) -> Result<u32, Errno> {
        loop {
            match world.take_events(fd, self.events, self.most)? {
                0 => super::poll::await_ready(world, fd, READABLE, interrupt)?,
                taken => return Ok(taken),
            };
        }
    }
}
