//! The executor: which task runs next, and when the one call of a turn is made.
//!
//! A turn: run what is ready, a bounded number of polls; hand over everything that was queued and, if
//! nothing is ready any more, wait in the same call; hand out completions; fire timers. It knows nothing of
//! operations, and everything in it stays on its thread but the inbox.

pub(crate) mod cell;
mod count;
pub(crate) mod current;
pub(crate) mod inbox;
mod list;
mod look;
mod task;
mod turn;

use std::cell::{Cell, OnceCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::blocking::Pool;
use crate::builder::Builder;
use crate::driver::Driver;
use crate::shard::Handle;
use crate::shard::peers::Peers;
use crate::stats::PollClock;
use crate::task::{Id, JoinError, JoinHandle, Origin};
use crate::time::timers::Timers;
use crate::{Error, buf};
use cell::{Stage, TaskRef};
use inbox::{Inbox, Letter};
use list::{Living, Ready};

pub(crate) use turn::run;

/// An executor, as the functions of this crate find it.
pub(crate) struct Context {
    pub(crate) driver: Rc<Driver>,
    pub(crate) timers: Timers,
    pub(crate) blocking: Arc<Pool>,
    /// The receive buffers, once they are wanted.
    pub(crate) pool: OnceCell<Rc<buf::Pool>>,
    buffers: (u16, u32),
    /// The registered buffers, once they are wanted.
    registered: OnceCell<Rc<buf::Slots>>,
    registered_buffers: (u16, u32),
    /// No other executor of this process has or had this number.
    id: u64,
    living: Living,
    /// How many slots the ring's table of files gets, if it is wanted.
    pub(crate) direct: u32,
    most_tasks: usize,
    budget: usize,
    ready: Ready,
    inbox: Arc<Inbox>,
    /// What was taken out of the inbox last, empty: the two take turns.
    emptied: Cell<Vec<TaskRef>>,
    /// As `emptied`, for work.
    letters: Cell<VecDeque<Letter>>,
    /// The shards of the run, if it has several.
    place: OnceCell<Place>,
    /// What the inbox rings, until the run listens to it.
    bell: Cell<Option<OwnedFd>>,
    /// The task that listens to it is among the living.
    heard: Cell<bool>,
    /// The runtime is ending: nothing is spawned any more.
    ending: Cell<bool>,
    counted: Counted,
    poll_clock: Option<Box<PollClock>>,
}

/// What an executor counts.
#[derive(Default)]
struct Counted {
    turns: Cell<u64>,
    polls: Cell<u64>,
    spawned: Cell<u64>,
    longest_ready: Cell<usize>,
}

impl Context {
    pub(crate) fn new(builder: &Builder, blocking: Arc<Pool>) -> Result<Rc<Self>, Error> {
        /// Numbers of executors. Relaxed: they only have to differ.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let ring = builder.ring()?;
        let (inbox, bell) =
            Inbox::new(builder.inbox).map_err(|errno| Error::System { doing: "making an eventfd", errno })?;
        Ok(Rc::new(Self {
            driver: Rc::new(Driver::new(ring, builder.operations)),
            timers: Timers::default(),
            blocking,
            pool: OnceCell::new(),
            buffers: (builder.buffers, builder.buffer_size),
            registered: OnceCell::new(),
            registered_buffers: (builder.registered_buffers, builder.registered_size),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            living: Living::default(),
            direct: builder.direct,
            most_tasks: builder.tasks,
            budget: builder.turn_budget.max(1),
            ready: Ready::default(),
            inbox: Arc::new(inbox),
            emptied: Cell::default(),
            letters: Cell::default(),
            place: OnceCell::new(),
            bell: Cell::new(Some(bell)),
            heard: Cell::new(false),
            ending: Cell::new(false),
            counted: Counted::default(),
            poll_clock: builder.poll_times.then(Box::default),
        }))
    }

    /// The executor of this thread, if it is in one.
    pub(crate) fn try_current() -> Option<Rc<Self>> {
        current::get()
    }

    /// The executor of this thread.
    ///
    /// # Panics
    ///
    /// Outside of `run`.
    pub(crate) fn current() -> Rc<Self> {
        Self::try_current().expect(OUTSIDE)
    }

    /// Runs `f` with the executor of this thread; cheaper than [`Context::current`].
    ///
    /// # Panics
    ///
    /// Outside of `run`.
    pub(crate) fn with<T>(f: impl FnOnce(&Self) -> T) -> T {
        current::with(f).expect(OUTSIDE)
    }

    const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn spawn<F>(&self, future: F, origin: Origin) -> Result<JoinHandle<F::Output>, F>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        if !self.has_room() {
            return Err(future);
        }
        let id = Id::next();
        let task = TaskRef::new(future, id, origin.spanned(id), self.id, self.inbox.clone());
        self.counted.spawned.set(self.counted.spawned.get() + 1);
        self.living.push(&task);
        self.ready.push(task.clone());
        Ok(JoinHandle::of_task(task))
    }

    /// Whether one more task may be spawned.
    pub(crate) const fn has_room(&self) -> bool {
        self.living.len() < self.most_tasks && !self.ending.get()
    }

    fn schedule(&self, task: TaskRef) {
        self.ready.push(task);
    }

    /// Ends a task of this executor: at once, or after the poll that it is in.
    fn abort(&self, task: &TaskRef) {
        match task.own().stage.get() {
            Stage::Idle => {
                task.discard(JoinError::Aborted);
                self.finish(task);
            }
            Stage::Busy => task.own().doomed.set(true),
            Stage::Ended => {}
        }
    }

    /// A task has an output: it is told to whoever waits.
    fn finish(&self, task: &TaskRef) {
        self.living.remove(task);
        if let Some(waiter) = task.end() {
            waiter.wake();
        }
    }

    /// The pool of receive buffers.
    pub(crate) fn pool(&self) -> io::Result<Rc<buf::Pool>> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool.clone());
        }
        let (count, size) = self.buffers;
        let pool = buf::Pool::new(&self.driver, count, size)?;
        Ok(self.pool.get_or_init(|| pool).clone())
    }

    /// The pool of registered buffers.
    pub(crate) fn registered(&self) -> Rc<buf::Slots> {
        let (count, size) = self.registered_buffers;
        self.registered.get_or_init(|| buf::Slots::new(count, size)).clone()
    }

    /// Whether these are the registered buffers of this executor's ring.
    pub(crate) fn has_registered(&self, slots: &Rc<buf::Slots>) -> bool {
        self.registered.get().is_some_and(|own| Rc::ptr_eq(own, slots))
    }

    /// Whether the end of the run has begun: no timer fires any more.
    pub(crate) const fn is_ending(&self) -> bool {
        self.ending.get()
    }
}

/// Where an executor stands among the shards of its run.
struct Place {
    index: usize,
    handles: Arc<[Handle]>,
    peers: Peers,
}

/// What other executors have to do with this one.
impl Context {
    /// Says, before anybody has a handle, where other rings of the run send their messages to.
    pub(crate) fn publish(&self) {
        if let Some(address) = self.driver.address() {
            self.inbox.publish(address);
        }
    }

    /// Takes a place among the shards of a run; `messages`: whether they are called through the ring.
    pub(crate) fn join(&self, index: usize, handles: Arc<[Handle]>, messages: bool) {
        let peers = Peers::new(&self.driver, messages);
        let placed = self.place.set(Place { index, handles, peers });
        debug_assert!(placed.is_ok(), "an executor joins a run once");
    }

    pub(crate) fn shard(&self) -> usize {
        self.place.get().map_or(0, |place| place.index)
    }

    pub(crate) fn shards(&self) -> usize {
        self.place.get().map_or(1, |place| place.handles.len())
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle_as(self.shard())
    }

    /// The handle of this executor, as the shard of that number.
    pub(crate) fn handle_as(&self, index: usize) -> Handle {
        Handle::new(self.inbox.clone(), index)
    }

    /// # Panics
    ///
    /// If there is no such shard.
    pub(crate) fn handle_of(&self, index: usize) -> Handle {
        let count = self.shards();
        assert!(index < count, "there is no shard {index}: this run has {count}");
        self.place.get().map_or_else(|| self.handle(), |place| place.handles[index].clone())
    }

    #[cfg(test)]
    pub(crate) const fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Queues a message to another executor, if that can be called so. Whether it will be handed over.
    fn message(&self, inbox: &Arc<Inbox>) -> bool {
        self.place.get().is_some_and(|place| place.peers.call(&self.driver, inbox))
    }

    /// Takes nothing any more, and drops what was left.
    pub(crate) fn close_inbox(&self) {
        let left = self.inbox.close();
        // The destructors of closures that were not called.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(left))) {
            tracing::warn!("the destructor of work that came too late panicked");
            std::mem::forget(payload);
        }
    }
}

const OUTSIDE: &str = "this needs a runtime: call it from inside annulus_rt::run";
