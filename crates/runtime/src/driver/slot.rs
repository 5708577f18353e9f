//! One slot of the table: what is known of one operation, and what has come of it that nobody has read yet.
//!
//! It does not know its own place, and counts nothing: that is the table's. What it keeps true: its generation changes
//! whenever it becomes vacant, so that a key names one operation for ever.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::task::{Context, Waker};

use super::table::{Completion, Leftover, Place};

/// Who is to learn of the completions.
pub(super) enum Owner {
    /// The slot is vacant.
    Vacant,
    /// A future, with the waker of its last poll.
    Future(Option<Waker>),
    /// Nobody any more.
    Leftover(Box<dyn Leftover>),
    /// A leftover that is being told at this moment.
    Told,
    /// The close of a descriptor that nobody waits for.
    Close(RawFd),
    /// Nobody, and nothing is to be done: a cancellation that was asked for and not awaited.
    Nobody,
}

/// A slot. What is in it means nothing while it is vacant.
pub(super) struct Slot {
    pub(super) generation: u32,
    /// Completions that may wait before the operation is cancelled to keep it from piling up; 0: all.
    pub(super) bound: u32,
    pub(super) owner: Owner,
    /// The completion that is to be read next.
    pub(super) first: Option<Completion>,
    /// What kind of operation it is.
    pub(super) opcode: u8,
    pub(super) place: Place,
    /// No completion follows.
    pub(super) finished: bool,
    /// Too many completions waited, and it was cancelled.
    pub(super) throttled: bool,
    /// Its cancellation was asked for.
    pub(super) cancelled: bool,
    /// How often it was cancelled again.
    pub(super) tries: u8,
    /// The completions behind the first, once there were any.
    #[expect(clippy::box_collection, reason = "hardly ever there, it is to take no room in the slot")]
    rest: Option<Box<VecDeque<Completion>>>,
    /// The run of a canceller that it was last polled in; 0: none.
    pub(super) run: u64,
    /// The task that started it (0: none), for those who look at what is in flight.
    pub(super) task: u64,
}

impl Default for Slot {
    /// A vacant one.
    fn default() -> Self {
        Self {
            generation: 0,
            bound: 0,
            owner: Owner::Vacant,
            first: None,
            opcode: 0,
            place: Place::Main,
            finished: false,
            throttled: false,
            cancelled: false,
            tries: 0,
            rest: None,
            run: 0,
            task: 0,
        }
    }
}

impl Slot {
    /// Makes a vacant one that of an operation.
    #[inline]
    pub(super) fn occupy(&mut self, owner: Owner, opcode: u8, place: Place, bound: u32) {
        // Vacant, it has nothing to drop; so no code for that stands on the path of every operation.
        std::mem::forget(std::mem::replace(&mut self.owner, owner));
        self.bound = bound;
        self.first = None;
        self.opcode = opcode;
        self.place = place;
        self.finished = false;
        self.throttled = false;
        self.cancelled = false;
        self.tries = 0;
        self.run = 0;
        self.task = 0;
    }

    /// Ends that.
    #[inline]
    pub(super) fn vacate(&mut self) {
        if self.rest.is_some() || matches!(self.owner, Owner::Future(Some(_)) | Owner::Leftover(_)) {
            self.clear();
        }
        std::mem::forget(std::mem::replace(&mut self.owner, Owner::Vacant));
        self.generation = self.generation.wrapping_add(1);
    }

    /// Drops what there is to drop, as hardly ever.
    #[cold]
    fn clear(&mut self) {
        self.rest = None;
        self.owner = Owner::Nobody;
    }

    pub(super) const fn is_vacant(&self) -> bool {
        matches!(self.owner, Owner::Vacant)
    }

    /// Keeps a completion until it is read. Returns whether too many wait now.
    pub(super) fn keep(&mut self, completion: Completion) -> bool {
        let waiting = if self.first.is_none() {
            self.first = Some(completion);
            1
        } else {
            let rest = self.rest.get_or_insert_default();
            rest.push_back(completion);
            1 + rest.len()
        };
        self.bound > 0 && waiting >= self.bound as usize
    }

    /// Takes the oldest completion out.
    #[inline]
    pub(super) fn read(&mut self) -> Option<Completion> {
        let next = self.first.take();
        if let Some(rest) = &mut self.rest {
            self.first = rest.pop_front();
        }
        next
    }

    /// Notes whom to wake. Returns who was to be woken before.
    ///
    /// # Panics
    ///
    /// If no future owns the operation.
    #[inline]
    pub(super) fn set_waker(&mut self, cx: &Context<'_>) -> Option<Waker> {
        let Owner::Future(waker) = &mut self.owner else { unreachable!("only a future polls") };
        if waker.is_some() {
            return replace(waker, cx);
        }
        // There was none to drop.
        std::mem::forget(waker.replace(cx.waker().clone()));
        None
    }
}

/// Replaces a waker by another one, unless both wake the same; returns the old one. For a future that is polled again before it was woken.
#[cold]
fn replace(waker: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    if waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        return None;
    }
    waker.replace(cx.waker().clone())
}
