//! The driver: one ring, the table of what is in flight on it, and the backlog of what did not fit.
//!
//! It submits, reaps and tears down, and never decides what runs next: that is the executor's. It keeps
//! invariants 4 to 6 of the house: memory belongs to its operation until the last completion (`Op` owns it,
//! or a leftover in the table), `user_data` is an index with a generation (mixed with a secret), and everything is
//! bounded by the size of the table, the backlog too, as an operation has at most one entry and one
//! cancellation in it.
#![allow(unsafe_code, reason = "pushes entries, whose operations own what they name")]

mod flow;
mod leftover;
mod message;
pub(crate) mod op;
mod slots;
mod table;
mod teardown;
pub(crate) mod under;

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::squeue::Flags;
use annulus::{IoUring, cqueue, opcode, squeue, types};
use rustix::io::Errno;

pub(crate) use flow::Flow;
pub(crate) use leftover::Operation;
pub(crate) use op::Op;
pub(crate) use slots::{Slot, Slots};
pub(crate) use table::{Completion, Key, Leftover};
use table::{Delivered, Table};
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
}

pub(crate) struct Driver {
    inner: RefCell<Inner>,
    /// The canceller that is being run, if any.
    under: Current,
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
            let delivered = catch_unwind(AssertUnwindSafe(|| self.driver.deliver(entry)));
            // One panic is on its way already, and what another one carries may panic when it is dropped.
            delivered.unwrap_or_else(std::mem::forget);
        }
    }
}

struct Inner {
    /// Gone after teardown.
    ring: Option<IoUring>,
    table: Table,
    /// Entries that found the submission queue full, oldest first.
    backlog: VecDeque<squeue::Entry>,
    /// Nothing new is accepted: teardown has begun.
    closing: bool,
    /// Teardown gave up waiting: memory that is still named may be written, so it is never freed.
    leaked: bool,
    counted: Counted,
    /// Messages to other executors that did not arrive.
    undelivered: Vec<(u32, Errno)>,
    cancel_flags: Flags,
}

impl Driver {
    pub(crate) fn new(ring: IoUring, operations: usize) -> Self {
        let skips = ring.params().is_feature_skip_cqe_on_success();
        let inner = Inner {
            ring: Some(ring),
            table: Table::new(operations),
            backlog: VecDeque::new(),
            closing: false,
            leaked: false,
            counted: Counted::default(),
            undelivered: Vec::new(),
            cancel_flags: if skips { Flags::SKIP_SUCCESS } else { Flags::empty() },
        };
        Self { inner: RefCell::new(inner), under: Current::default(), slots: OnceCell::new() }
    }

    /// Queues an operation. `waiting` bounds how many of its completions may pile up (0: any number).
    ///
    /// # Errors
    ///
    /// `EBUSY` if the table is full, `ECANCELED` if the runtime is being torn down, or under a canceller that was used. The
    /// entry is not queued then.
    ///
    /// # Safety
    ///
    /// What the entry names stays valid, and is not used otherwise where the operation writes it, until
    /// the last completion: the caller owns it, and passes it to [`Driver::abandon`] if it goes away earlier.
    pub(crate) unsafe fn submit(
        &self,
        entry: squeue::Entry,
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
        let key = inner.table.insert(opcode, waker, waiting).ok_or(Errno::BUSY)?;
        inner.table.tag(key, current::task());
        let user_data = inner.table.user_data(key);
        inner.queue(entry.user_data(user_data));
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
        if inner.closing || inner.ring.is_none() || inner.is_full() {
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
        let user_data = inner.table.user_data(key);
        inner.queue(opcode::Close::new(types::Fd(raw)).build().user_data(user_data));
    }

    /// Makes the one call of a turn: hands over what is queued, and waits if told to. What the call says
    /// about completions is left to [`Driver::reap`].
    ///
    /// # Errors
    ///
    /// Those of io_uring_enter(2) that do not pass: `EBADR` (a completion was lost for want of memory) above all.
    pub(crate) fn enter(&self, wait: Wait) -> Result<(), Errno> {
        let mut inner = self.inner.borrow_mut();
        inner.fill();
        // With more to submit than fits, the next call follows at once.
        let wait = if inner.backlog.is_empty() { wait } else { Wait::No };
        inner.enter(wait)?;
        inner.wait_for_room()
    }

    /// Hands every completion that is there to its operation. Returns how many there were.
    pub(crate) fn reap(&self) -> usize {
        let mut places = [MaybeUninit::<cqueue::Entry>::uninit(); BATCH];
        let mut reaped = 0;
        loop {
            let batch = {
                let mut inner = self.inner.borrow_mut();
                let Some(ring) = inner.ring.as_mut() else { return reaped };
                let batch = ring.completion().fill(&mut places);
                inner.counted.completions += batch.len() as u64;
                batch
            };
            reaped += batch.len();
            let count = batch.len();
            let mut taken = Taken { driver: self, entries: batch.iter() };
            for entry in taken.entries.by_ref() {
                self.deliver(entry);
            }
            if count < BATCH {
                return reaped;
            }
        }
    }

    fn deliver(&self, entry: &cqueue::Entry) {
        let completion = Completion { result: entry.result(), flags: entry.cqe_flags() };
        let delivered = self.inner.borrow_mut().table.deliver(entry.user_data(), completion);
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
        self.inner.borrow().backlog.len()
    }

    /// What each task has in flight: opcodes, and how many of each.
    pub(crate) fn in_flight_by_task(&self) -> HashMap<u64, Vec<(u8, usize)>> {
        self.inner.borrow().table.by_task()
    }

    /// Runs `f` with the ring, for registrations. `None` after teardown.
    pub(crate) fn with_ring<T>(&self, f: impl FnOnce(&mut IoUring) -> T) -> Option<T> {
        self.inner.borrow_mut().ring.as_mut().map(f)
    }

    /// The driver of the runtime that this thread is in.
    pub(crate) fn current() -> Rc<Self> {
        crate::executor::Context::with(|executor| executor.driver.clone())
    }
}

impl Inner {
    /// Puts an entry into the submission queue, or behind those that wait for room.
    fn queue(&mut self, entry: squeue::Entry) {
        if !self.backlog.is_empty() || !self.push(&entry) {
            self.backlog.push_back(entry);
        }
    }

    /// As [`queue`](Self::queue), for a request whose completion means nothing.
    fn queue_ignored(&mut self, entry: squeue::Entry) {
        let user_data = self.table.user_data(Key::IGNORED);
        self.queue(entry.user_data(user_data));
    }

    fn push(&mut self, entry: &squeue::Entry) -> bool {
        let Some(ring) = self.ring.as_mut() else { return false };
        // SAFETY: what it names is owned by the operation until its last completion (`Driver::submit`); a
        // close and a cancellation name no memory.
        let pushed = unsafe { ring.submission().push(entry) };
        pushed.is_ok()
    }

    fn is_full(&mut self) -> bool {
        !self.backlog.is_empty() || self.ring.as_mut().is_none_or(|ring| ring.submission().is_full())
    }

    /// Moves the backlog into the submission queue as far as there is room.
    fn fill(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.push(&entry) {
                self.backlog.push_front(entry);
                return;
            }
        }
    }

    fn cancel(&mut self, key: Key) {
        let cancel = opcode::AsyncCancel::new(self.table.user_data(key)).build().flags(self.cancel_flags);
        self.queue_ignored(cancel);
    }

    fn enter(&mut self, wait: Wait) -> Result<(), Errno> {
        let Some(ring) = self.ring.as_mut() else { return Ok(()) };
        // Otherwise the ring sees that there is nothing to be done, or next to nothing.
        let polled = ring.params().is_setup_sqpoll();
        let queue = ring.submission();
        let hands_over = if polled { queue.need_wakeup() } else { !queue.is_empty() };
        drop(queue);
        let calls = hands_over || (wait != Wait::No && ring.completion().is_empty());
        self.counted.enters += u64::from(calls);
        // Such a call does completion work, and is to have done all that there was.
        let had_work = wait == Wait::No && ring.submission().taskrun();
        let submitter = ring.submitter();
        let result = match wait {
            Wait::No => submitter.submit(),
            Wait::Forever => submitter.submit_and_wait(1),
            Wait::AtMost(time) => {
                let time = types::Timespec::from(time);
                submitter.submit_with_args(1, &types::SubmitArgs::new().timespec(&time))
            }
        };
        match result {
            Ok(taken) => {
                self.counted.submitted += taken as u64;
                let fell_behind = had_work && ring.submission().taskrun();
                if fell_behind { self.run_completion_work() } else { Ok(()) }
            }
            Err(error) => self.explain(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        }
    }

    /// Has the kernel do what it has left over before it posts completions. A call does twenty pieces of such work, unless it
    /// waits for more completions; a loop that never waits would fall ever further behind.
    fn run_completion_work(&mut self) -> Result<(), Errno> {
        let Some(ring) = self.ring.as_mut() else { return Ok(()) };
        if !ring.submission().taskrun() {
            return Ok(());
        }
        self.counted.enters += 1;
        let most = ring.completion().capacity();
        let time = types::Timespec::from(Duration::ZERO);
        match ring.submitter().wait_with_args(most, &types::SubmitArgs::new().timespec(&time)) {
            Ok(_) => Ok(()),
            Err(error) => self.explain(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        }
    }

    /// Where a thread of the kernel's takes the entries, a queue that is still full is waited for: nothing else can be done.
    fn wait_for_room(&mut self) -> Result<(), Errno> {
        let Some(ring) = self.ring.as_ref() else { return Ok(()) };
        if self.backlog.is_empty() || !ring.params().is_setup_sqpoll() {
            return Ok(());
        }
        self.counted.enters += 1;
        let waited = ring.submitter().squeue_wait();
        waited
            .map_or_else(|error| self.explain(Errno::from_io_error(&error).unwrap_or(Errno::IO)), |_| Ok(()))
    }

    /// Tells errors that pass from those that do not.
    fn explain(&mut self, errno: Errno) -> Result<(), Errno> {
        match errno {
            // The time is over, a signal came; or the completion queue is full (before Linux 5.19): the
            // caller reaps and comes back.
            Errno::TIME | Errno::INTR | Errno::BUSY => Ok(()),
            // No memory for a request at this moment. What completes meanwhile may give some back.
            Errno::AGAIN => {
                let time = types::Timespec::from(Duration::from_millis(1));
                if let Some(ring) = &self.ring {
                    let _ = ring.submitter().wait_with_args(1, &types::SubmitArgs::new().timespec(&time));
                }
                Ok(())
            }
            errno => Err(errno),
        }
    }
}

/// Closes a descriptor by close(2).
fn close_now(fd: RawFd) {
    // SAFETY: the descriptor was given to the driver to close, and its close through the ring did not run.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}
