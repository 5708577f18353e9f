//! The executor: which task runs next, and when the one call of a turn is made.
//!
//! A turn: run what is ready, a bounded number of polls; hand over everything that was queued and, if
//! nothing is ready any more, wait in the same call; hand out completions; fire timers. It knows nothing of
//! operations, and everything in it stays on its thread but the inbox.

pub(crate) mod inbox;
pub(crate) mod task;
mod turn;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use slab::Slab;

use crate::blocking::Pool;
use crate::builder::Builder;
use crate::driver::Driver;
use crate::time::timers::Timers;
use crate::{Error, buf};
use inbox::Inbox;
use task::{JoinHandle, Task, TaskWaker};

pub(crate) use turn::run;

thread_local! {
    /// The executor that this thread is in.
    static CURRENT: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
}

/// The index of the root future, which is no task of the table.
const ROOT: usize = usize::MAX;

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
    tasks: RefCell<Slab<Task>>,
    most_tasks: usize,
    budget: usize,
    ready: RefCell<VecDeque<Arc<TaskWaker>>>,
    inbox: Arc<Inbox>,
    /// What the inbox rings, until the run listens to it.
    bell: Cell<Option<OwnedFd>>,
    /// The runtime is ending: nothing is spawned any more.
    ending: Cell<bool>,
    polls: Cell<u64>,
}

impl Context {
    pub(crate) fn new(builder: &Builder, blocking: Arc<Pool>) -> Result<Rc<Self>, Error> {
        let ring = builder.ring()?;
        let (inbox, bell) =
            Inbox::new().map_err(|errno| Error::System { doing: "making an eventfd", errno })?;
        Ok(Rc::new(Self {
            driver: Rc::new(Driver::new(ring, builder.operations)),
            timers: Timers::default(),
            blocking,
            pool: OnceCell::new(),
            buffers: (builder.buffers, builder.buffer_size),
            registered: OnceCell::new(),
            registered_buffers: (builder.registered_buffers, builder.registered_size),
            tasks: RefCell::default(),
            most_tasks: builder.tasks,
            budget: builder.turn_budget.max(1),
            ready: RefCell::default(),
            inbox: Arc::new(inbox),
            bell: Cell::new(Some(bell)),
            ending: Cell::new(false),
            polls: Cell::new(0),
        }))
    }

    /// The executor of this thread, if it is in one.
    pub(crate) fn try_current() -> Option<Rc<Self>> {
        // `try_with`: a waker may be called while the thread's own storage is going away.
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// The executor of this thread.
    ///
    /// # Panics
    ///
    /// Outside of `run`.
    pub(crate) fn current() -> Rc<Self> {
        Self::try_current().expect("this needs a runtime: call it from inside annulus_rt::run")
    }

    /// Makes this the executor of the thread until the guard is dropped.
    fn install(self: &Rc<Self>) -> Result<Installed, Error> {
        CURRENT.with(|current| {
            let mut current = current.borrow_mut();
            if current.is_some() {
                return Err(Error::Nested);
            }
            *current = Some(self.clone());
            Ok(Installed)
        })
    }

    pub(crate) fn spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, F>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let mut tasks = self.tasks.borrow_mut();
        if tasks.len() >= self.most_tasks || self.ending.get() {
            return Err(future);
        }
        let place = tasks.vacant_entry();
        let (task, handle) = Task::new(future, place.key(), &self.inbox);
        self.ready.borrow_mut().push_back(task.waker.clone());
        place.insert(task);
        Ok(handle)
    }

    /// Whether this is the executor behind the inbox.
    fn owns(&self, inbox: &Arc<Inbox>) -> bool {
        Arc::ptr_eq(&self.inbox, inbox)
    }

    fn schedule(&self, task: Arc<TaskWaker>) {
        self.ready.borrow_mut().push_back(task);
    }

    /// Ends a task: at once, or after the poll that it is in.
    fn abort(&self, waker: &Arc<TaskWaker>) {
        let task = {
            let mut tasks = self.tasks.borrow_mut();
            let own = tasks.get_mut(waker.index).filter(|task| Arc::ptr_eq(&task.waker, waker));
            let Some(task) = own else { return };
            if task.doom() {
                return;
            }
            tasks.remove(waker.index)
        };
        task.discard();
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

    fn root_waker(&self) -> Arc<TaskWaker> {
        let scheduled = AtomicBool::new(true);
        Arc::new(TaskWaker { inbox: self.inbox.clone(), index: ROOT, scheduled })
    }

    /// Whether the end of the run has begun: no timer fires any more.
    pub(crate) const fn is_ending(&self) -> bool {
        self.ending.get()
    }

    pub(crate) fn polls(&self) -> u64 {
        self.polls.get()
    }

    pub(crate) fn task_count(&self) -> usize {
        self.tasks.borrow().len()
    }
}

/// Takes the executor out of the thread when it is dropped.
struct Installed;

impl Drop for Installed {
    fn drop(&mut self) {
        let context = CURRENT.with(|current| current.borrow_mut().take());
        drop(context);
    }
}
