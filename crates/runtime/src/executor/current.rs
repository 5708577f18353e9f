//! Which executor this thread is in, which task it polls, and what that may still do: one place of the thread's own, without
//! a destructor, so that it can be looked at from wakers and destructors whenever they run.
//!
//! What it keeps true: the pointer in it is that of an executor which [`Installed`] keeps alive, or null.
#![allow(unsafe_code, reason = "the executor is found by a pointer that a guard keeps good")]

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;

use super::Context;
use crate::Error;

/// What stands for a budget without an end.
pub(crate) const UNLIMITED: u32 = u32::MAX;

/// What a thread knows of its executor.
struct Current {
    context: Cell<*const Context>,
    /// The number of that executor, which no other one ever has; 0 without one.
    executor: Cell<u64>,
    /// The number of the task that is polled; 0 for none.
    task: Cell<u64>,
    /// How many more ready results the task that is polled may take.
    budget: Cell<u32>,
}

thread_local! {
    static CURRENT: Current = const {
        Current {
            context: Cell::new(ptr::null()),
            executor: Cell::new(0),
            task: Cell::new(0),
            budget: Cell::new(UNLIMITED),
        }
    };
}

/// Whether this thread is in that executor.
#[inline]
pub(super) fn is(executor: u64) -> bool {
    CURRENT.with(|current| current.executor.get() == executor)
}

/// Runs `f` with the executor of this thread, if it is in one.
#[inline]
pub(crate) fn with<T>(f: impl FnOnce(&Context) -> T) -> Option<T> {
    let context = CURRENT.with(|current| current.context.get());
    // SAFETY: not null, it is that of an executor whose guard lies further up on this thread's stack (`Installed`): it stays for
    // as long as `f` runs.
    let context = unsafe { context.as_ref() };
    context.map(f)
}

/// The executor of this thread, if it is in one.
pub(super) fn get() -> Option<Rc<Context>> {
    let context = CURRENT.with(|current| current.context.get());
    if context.is_null() {
        return None;
    }
    // SAFETY: the pointer came from `Rc::into_raw` and its reference is still there (`Installed`).
    unsafe { Rc::increment_strong_count(context) };
    // SAFETY: as above; the reference is the one that was counted just now.
    Some(unsafe { Rc::from_raw(context) })
}

/// The number of the task that this thread polls; 0 for none.
#[inline]
pub(crate) fn task() -> u64 {
    CURRENT.with(|current| current.task.get())
}

/// Notes which task is polled from here on, and what it may do.
#[inline]
pub(super) fn begin(task: u64, budget: u32) {
    CURRENT.with(|current| {
        current.task.set(task);
        current.budget.set(budget);
    });
}

/// What the task that is polled may still do.
#[inline]
pub(crate) fn budget() -> u32 {
    CURRENT.with(|current| current.budget.get())
}

/// Changes what the task that is polled may still do; returns what it was.
#[inline]
pub(crate) fn set_budget(budget: u32) -> u32 {
    CURRENT.with(|current| current.budget.replace(budget))
}

/// Keeps an executor that of this thread, and takes it out when it is dropped. It stays on the thread that made it.
pub(super) struct Installed(*const Context);

impl Installed {
    /// Makes it the executor of this thread.
    ///
    /// # Errors
    ///
    /// [`Error::Nested`] if the thread is in one already.
    pub(super) fn new(context: &Rc<Context>) -> Result<Self, Error> {
        CURRENT.with(|current| {
            if !current.context.get().is_null() {
                return Err(Error::Nested);
            }
            let pointer = Rc::into_raw(context.clone());
            current.context.set(pointer);
            current.executor.set(context.id());
            Ok(Self(pointer))
        })
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        CURRENT.with(|current| {
            current.context.set(ptr::null());
            current.executor.set(0);
        });
        begin(0, UNLIMITED);
        // SAFETY: `new` made it of a reference that has not been given back; nothing finds the pointer any more.
        drop(unsafe { Rc::from_raw(self.0) });
    }
}
