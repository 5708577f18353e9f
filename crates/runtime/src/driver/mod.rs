//! The driver: one ring, a second one beside it where the first cannot do everything, and the table of what is in
//! flight on them.
//!
//! It submits, reaps and tears down, and never decides what runs next: that is the executor's. It keeps
//! invariants 4 to 6 of the house: memory belongs to its operation until the last completion (`Op` owns it,
//! or a leftover in the table), `user_data` is an index with a generation (mixed with a secret), and everything is
//! bounded by the size of the table, the backlog too, as an operation has at most one entry and one
//! cancellation in it.
#![allow(unsafe_code, reason = "declares what those promise who submit; closes what it was given")]

mod cancels;
mod flow;
mod lane;
mod leftover;
mod message;
pub(crate) mod op;
mod side;
mod slot;
mod slots;
mod table;
mod teardown;
pub(crate) mod under;
mod witness;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::squeue::Flags;
use annulus::{IoUring, cqueue, opcode, squeue, types};
use rustix::io::Errno;

use cancels::Cancels;
pub(crate) use flow::Flow;
use lane::Lane;
pub(crate) use leftover::Operation;
pub(crate) use op::Op;
use side::{Limits, Side};
pub(crate) use slots::{Slot, Slots};
pub(crate) use table::{Completion, Key, Leftover};
use table::{Delivered, Place, Table};
use under::Current;

use crate::executor::current;

/// How many completions are taken out of the ring at once.
const BATCH: usize = 64;

/// Whether an enter waits for a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Submit only.
    No,
    /// Until a completion comes.
    Forever,
    /// Until a completion comes or this time is over.
    AtMost(Duration),
}

/// What the driver has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) enters: u64,
    pub(crate) submitted: u64,
    pub(crate) completions: u64,
    pub(crate) stale: u64,
    /// Messages to other executors.
    pub(crate) messages: u64,
    /// Operations that went to the side ring.
    pub(crate) aside: u64,
}

pub(crate) struct Driver {
    inner: RefCell<Inner>,
    /// The canceller that is being run, if any.
    pub(crate) under: Current,
    /// The ring's table of files, once it was asked for; `None` in it where there can be none.
    slots: OnceCell<Option<Slots>>,
}

/// Completions that were taken out of the ring and are delivered one by one. Should delivering one panic, the others
/// are delivered all the same: memory may wait for them, or a descriptor to be closed.
struct Taken<'d> {
    driver: &'d Driver,
    entries: std::slice::Iter<'d, cqueue::Entry>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        for entry in self.entries.by_ref() {
            let completion = Completion::new(entry.result(), entry.cqe_flags());
            let deliver = || self.driver.deliver(entry.user_data(), completion);
            let delivered = catch_unwind(AssertUnwindSafe(deliver));
            // One panic is on its way already, and what another one carries may panic when it is dropped.
            delivered.unwrap_or_else(std::mem::forget);
        }
    }
}

struct Inner {
    /// Gone after teardown.
    main: Option<Lane>,
    /// There once it was needed, until teardown.
    side: Option<Side>,
    table: Table,
    /// Nothing new is accepted: teardown has begun.
    closing: bool,
    /// Teardown gave up waiting: memory that is still named may be written, so it is never freed.
    leaked: bool,
    counted: Counted,
    /// Messages to other executors that did not arrive.
    undelivered: Vec<(u32, Errno)>,
    cancels: Cancels,
    /// Those of entries of which nobody wants to know that they succeeded.
    quiet: Flags,
}

impl Driver {
    pub(crate) fn new(ring: IoUring, operations: usize) -> Self {
        let skips = ring.params().is_feature_skip_cqe_on_success();
        let limits = Limits::of(&ring);
        let inner = Inner {
            cancels: Cancels::within(limits),
            table: Table::new(operations, limits),
            main: Some(Lane::new(ring)),
            side: None,
            closing: false,
            leaked: false,
            counted: Counted::default(),
            undelivered: Vec::new(),
            quiet: if skips { Flags::SKIP_SUCCESS } else { Flags::empty() },
        };
        Self { inner: RefCell::new(inner), under: Current::default(), slots: OnceCell::new() }
    }

    /// Queues an operation. `waiting` bounds how many of its completions may pile up (0: any number).
    ///
    /// # Errors
    ///
    /// `EBUSY` if the table is full, those of io_uring_setup(2) if there is no side ring to be had for it, `ECANCELED` if the runtime is being torn down, or under a canceller that was used. The
    /// entry is not queued then.
    ///
    /// # Safety
    ///
    /// What the entry names stays valid, and is not used otherwise where the operation writes it, until
    /// the last completion: the caller owns it, and passes it to [`Driver::abandon`] if it goes away earlier.
    pub(crate) unsafe fn submit(
        &self,
        mut entry: squeue::Entry,
        waker: Option<Waker>,
        waiting: usize,
    ) -> Result<Key, Errno> {
        let opcode = entry.sqe().opcode;
        let mut inner = self.inner.borrow_mut();
        let place = inner.table.place_for(opcode);
        if place == Place::Main && self.under.run() == under::NONE && !inner.closing {
            // As almost always.
            let key = inner.table.insert(opcode, place, waker, waiting).ok_or(Errno::BUSY)?;
            inner.hand_over(key, place, &mut entry);
            return Ok(key);
        }
        drop(inner);
        let place = if place == Place::Main || side::may_go(&entry) { place } else { Place::Main };
        self.submit_to(place, entry, waker, waiting)
    }

    /// Queues once more, on the side ring, what the main ring [refused](Completion::refused). `None` if it would not
    /// be right there either.
    ///
    /// # Safety
    ///
    /// That of [`submit`](Self::submit).
    pub(crate) unsafe fn submit_again(
        &self,
        entry: squeue::Entry,
        waker: Option<Waker>,
        waiting: usize,
    ) -> Option<Key> {
        if !side::may_go(&entry) {
            return None;
        }
        self.submit_to(Place::Again, entry, waker, waiting).ok()
    }

    #[cold]
    fn submit_to(
        &self,
        place: Place,
        mut entry: squeue::Entry,
        waker: Option<Waker>,
        waiting: usize,
    ) -> Result<Key, Errno> {
        let opcode = entry.sqe().opcode;
        // Under a canceller too what is closed is closed.
        let run = if opcode == opcode::Close::CODE { under::NONE } else { self.under.run() };
        if run != under::NONE && self.under.is_cancelled() {
            return Err(Errno::CANCELED);
        }
        let mut inner = self.inner.borrow_mut();
        if inner.closing {
            return Err(Errno::CANCELED);
        }
        if place != Place::Main {
            inner.set_up_side()?;
        }
        let key = inner.table.insert(opcode, place, waker, waiting).ok_or(Errno::BUSY)?;
        inner.counted.aside += u64::from(place != Place::Main);
        inner.hand_over(key, place, &mut entry);
        if run != under::NONE {
            inner.table.join(key, run);
            drop(inner);
            self.under.note(self, key);
        }
        Ok(key)
    }

    /// The result of a single operation, when its last completion is there.
    pub(crate) fn poll_single(&self, key: Key, cx: &Context<'_>) -> Poll<Completion> {
        let mut replaced = None;
        let polled = self.inner.borrow_mut().table.poll_single(key, cx, &mut replaced);
        // Only now, not borrowed: a waker's destructor may come back to the driver.
        drop(replaced);
        if polled.is_pending() {
            self.join(key);
        }
        polled
    }

    /// The next completion of a multishot operation; `None` after the last.
    pub(crate) fn poll_next(&self, key: Key, cx: &Context<'_>) -> Poll<Option<Completion>> {
        let mut replaced = None;
        let polled = self.inner.borrow_mut().table.poll_next(key, cx, &mut replaced);
        drop(replaced);
        if polled.is_pending() {
            self.join(key);
        }
        polled
    }

    /// Takes over what a dropped future leaves: tells it of what was unread, cancels the operation, and keeps
    /// the leftover until the last completion.
    pub(crate) fn abandon(&self, key: Key, leftover: Box<dyn Leftover>) {
        // Should anything in here panic, the kernel may still work on the memory: it is lost then, not freed.
        let mut leftover = ManuallyDrop::new(leftover);
        let (unread, waker, finished) = {
            let mut inner = self.inner.borrow_mut();
            if inner.leaked {
                return;
            }
            let abandoned = inner.table.abandon(key);
            if !abandoned.2 && !inner.closing {
                inner.cancel(key);
            }
            abandoned
        };
        // Not borrowed any more: leftovers and wakers may come back to the driver.
        for completion in unread {
            leftover.late(completion);
        }
        let mut leftover = ManuallyDrop::into_inner(leftover);
        if finished {
            leftover.over();
        } else {
            let over = self.inner.borrow_mut().table.put_back(key, leftover);
            debug_assert!(over.is_none(), "no completion is delivered while one is abandoned");
        }
        drop(waker);
    }

    /// Asks the kernel to cancel an operation, whose completion comes all the same.
    pub(crate) fn cancel(&self, key: Key) {
        self.inner.borrow_mut().cancel(key);
    }

    /// Closes a descriptor: through the ring if there is room, by close(2) if not.
    pub(crate) fn close(&self, fd: OwnedFd) {
        let mut inner = self.inner.borrow_mut();
        let place = inner.table.place_for(opcode::Close::CODE);
        if inner.closing || inner.is_full(place) {
            drop(inner);
            drop(fd);
            return;
        }
        let raw = std::os::fd::IntoRawFd::into_raw_fd(fd);
        let Some(key) = inner.table.insert_close(raw) else {
            drop(inner);
            close_now(raw);
            return;
        };
        inner.counted.aside += u64::from(place != Place::Main);
        let user_data = inner.table.user_data(key);
        inner.queue(place, &opcode::Close::new(types::Fd(raw)).build().user_data(user_data));
    }

    /// Makes the one call of a turn: hands over what is queued, and waits if told to. What the call says
    /// about completions is left to [`Driver::reap`].
    ///
    /// # Errors
    ///
    /// Those of io_uring_enter(2) that do not pass: `EBADR` (a completion was lost for want of memory) above all.
    pub(crate) fn enter(&self, wait: Wait) -> Result<(), Errno> {
        let mut inner = self.inner.borrow_mut();
        if inner.cancels.has_calls() {
            drop(inner);
            return self.enter_and_call(wait);
        }
        inner.enter(wait)
    }

    /// Hands every completion that is there to its operation. Returns how many there were.
    pub(crate) fn reap(&self) -> usize {
        let reaped = self.reap_lane(Inner::main);
        if self.inner.borrow().side.is_none() { reaped } else { reaped + self.reap_lane(Inner::side) }
    }

    fn reap_lane(&self, lane: fn(&mut Inner) -> Option<&mut Lane>) -> usize {
        let mut places = [MaybeUninit::<cqueue::Entry>::uninit(); BATCH];
        let mut reaped = 0;
        loop {
            let batch = {
                let mut inner = self.inner.borrow_mut();
                let Some(lane) = lane(&mut inner) else { return reaped };
                let batch = lane.take(&mut places);
                inner.counted.completions += batch.len() as u64;
                batch
            };
            reaped += batch.len();
            let count = batch.len();
            let mut taken = Taken { driver: self, entries: batch.iter() };
            for entry in taken.entries.by_ref() {
                self.deliver(entry.user_data(), Completion::new(entry.result(), entry.cqe_flags()));
            }
            if count < BATCH {
                return reaped;
            }
        }
    }

    #[inline]
    fn deliver(&self, user_data: u64, completion: Completion) {
        let first = self.inner.borrow_mut().table.deliver_first(user_data, completion);
        match first {
            Some(Some(waker)) => waker.wake(),
            Some(None) => {}
            None => self.deliver_otherwise(user_data, completion),
        }
    }

    #[cold]
    fn deliver_otherwise(&self, user_data: u64, completion: Completion) {
        let delivered = self.inner.borrow_mut().table.deliver(user_data, completion);
        match delivered {
            Delivered::Wake(waker) => waker.wake(),
            Delivered::Throttle(waker, key) => {
                self.cancel(key);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Delivered::Late(leftover, key) => {
                // As in `abandon`: lost rather than freed, if this panics.
                let mut leftover = ManuallyDrop::new(leftover);
                leftover.late(completion);
                let leftover = ManuallyDrop::into_inner(leftover);
                let over = self.inner.borrow_mut().table.put_back(key, leftover);
                if let Some(mut leftover) = over {
                    leftover.over();
                }
            }
            Delivered::CloseAgain(fd) => close_now(fd),
            Delivered::Undelivered(number, errno) => {
                self.inner.borrow_mut().undelivered.push((number, errno));
            }
            Delivered::CancelAgain(key) => self.inner.borrow_mut().cancel_again(key, completion.result),
            Delivered::NotTogether => self.inner.borrow_mut().refused_together(completion.result),
            Delivered::Side => {
                if let Some(side) = &mut self.inner.borrow_mut().side {
                    side.polled(completion.result);
                }
            }
            Delivered::Nothing => {}
            Delivered::Stale => self.inner.borrow_mut().counted.stale += 1,
        }
    }

    /// What was counted so far.
    pub(crate) fn counted(&self) -> Counted {
        self.inner.borrow().counted
    }

    /// How many operations are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.inner.borrow().table.in_flight()
    }

    /// How many operations nobody waits for any more are kept until their last completion.
    pub(crate) fn parked(&self) -> usize {
        self.inner.borrow().table.parked()
    }

    /// How many entries wait for room in the submission queue.
    pub(crate) fn backlog(&self) -> usize {
        self.inner.borrow().waiting()
    }

    /// What each task has in flight: opcodes, and how many of each.
    pub(crate) fn in_flight_by_task(&self) -> HashMap<u64, Vec<(u8, usize)>> {
        self.inner.borrow().table.by_task()
    }

    /// Runs `f` with the ring, for registrations. `None` after teardown.
    pub(crate) fn with_ring<T>(&self, f: impl FnOnce(&mut IoUring) -> T) -> Option<T> {
        self.inner.borrow_mut().main().map(|lane| f(lane.ring()))
    }

    /// The driver of the runtime that this thread is in.
    pub(crate) fn current() -> Rc<Self> {
        crate::executor::Context::with(|executor| executor.driver.clone())
    }
}

impl Inner {
    const fn main(&mut self) -> Option<&mut Lane> {
        self.main.as_mut()
    }

    fn side(&mut self) -> Option<&mut Lane> {
        self.side.as_mut().map(|side| &mut side.lane)
    }

    fn lane(&mut self, place: Place) -> Option<&mut Lane> {
        if place == Place::Main { self.main() } else { self.side() }
    }

    fn set_up_side(&mut self) -> Result<(), Errno> {
        if self.side.is_none()
            && let Some(main) = &mut self.main
        {
            self.side = Some(Side::beside(main.ring())?);
        }
        Ok(())
    }

    fn queue(&mut self, place: Place, entry: &squeue::Entry) {
        if let Some(lane) = self.lane(place) {
            lane.queue(entry);
        }
    }

    /// Queues the entry of an operation that has its place in the table.
    #[inline]
    fn hand_over(&mut self, key: Key, place: Place, entry: &mut squeue::Entry) {
        self.table.tag(key, current::task());
        entry.set_user_data(self.table.user_data(key));
        self.queue(place, entry);
    }

    /// As [`queue`](Self::queue), for a request whose completion means nothing.
    fn queue_ignored(&mut self, place: Place, entry: squeue::Entry) {
        let user_data = self.table.user_data(Key::IGNORED);
        self.queue(place, &entry.user_data(user_data));
    }

    /// How many entries wait for room in a submission queue.
    fn waiting(&self) -> usize {
        let side = self.side.as_ref().map_or(0, |side| side.lane.waiting());
        self.main.as_ref().map_or(0, Lane::waiting) + side
    }

    fn is_full(&mut self, place: Place) -> bool {
        self.lane(place).is_none_or(Lane::is_full)
    }

    fn enter(&mut self, mut wait: Wait) -> Result<(), Errno> {
        let ignored = self.table.user_data(Key::IGNORED);
        let Some(main) = &mut self.main else { return Ok(()) };
        if let Some(side) = &mut self.side {
            let poll;
            (wait, poll) = side.turn(wait, ignored)?;
            if let Some(poll) = poll {
                main.queue(&poll.user_data(self.table.user_data(Key::SIDE)));
            }
        }
        if !main.fill() {
            // With more to submit than fits, the next call follows at once.
            wait = Wait::No;
        }
        main.enter(wait, &mut self.counted, ignored)
    }
}

/// Closes a descriptor by close(2).
fn close_now(fd: RawFd) {
    // SAFETY: the descriptor was given to the driver to close, and its close through the ring did not run.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}
