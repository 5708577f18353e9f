//! The two lists of an executor, which run through the tasks themselves: those that are to be polled next, and all that have
//! not ended. Neither allocates, and neither can be left borrowed.
//!
//! They belong to the executor's thread. What they keep true: a task in the queue is referred to by it, so it is there until
//! it is taken out; a task among the living has not ended, and those are not freed (`cell.rs`).
#![allow(unsafe_code, reason = "follows the links that tasks carry")]

use std::cell::Cell;

use super::cell::{Link, TaskRef};

/// The tasks that are to be polled, first in, first out.
#[derive(Default)]
pub(super) struct Ready {
    first: Cell<Option<Link>>,
    last: Cell<Option<Link>>,
    len: Cell<usize>,
}

impl Ready {
    /// Puts a task at the end, unless it is in the queue already.
    ///
    /// # Panics
    ///
    /// On another thread than the task's.
    pub(super) fn push(&self, task: TaskRef) {
        let own = task.own();
        if own.queued.replace(true) {
            return;
        }
        own.next_ready.set(None);
        let link = task.into_link();
        match self.last.replace(Some(link)) {
            // SAFETY: it is in the queue, which refers to it; this is the thread of both.
            Some(last) => unsafe { last.own() }.next_ready.set(Some(link)),
            None => self.first.set(Some(link)),
        }
        self.len.set(self.len.get() + 1);
    }

    /// Takes the first out.
    pub(super) fn pop(&self) -> Option<TaskRef> {
        let first = self.first.get()?;
        // SAFETY: `push` gave the reference away, and nobody else takes it back, as the link is in no other place.
        let task = unsafe { first.into_ref() };
        let own = task.own();
        own.queued.set(false);
        let next = own.next_ready.take();
        self.first.set(next);
        if next.is_none() {
            self.last.set(None);
        }
        self.len.set(self.len.get() - 1);
        Some(task)
    }

    pub(super) const fn len(&self) -> usize {
        self.len.get()
    }
}

/// The tasks that have not ended, in the order in which they were spawned.
#[derive(Default)]
pub(super) struct Living {
    first: Cell<Option<Link>>,
    last: Cell<Option<Link>>,
    len: Cell<usize>,
}

impl Living {
    /// Puts a task that has not ended at the end. It stays until [`Living::remove`], which comes before its end.
    pub(super) fn push(&self, task: &TaskRef) {
        let own = task.own();
        let before = self.last.replace(Some(task.link()));
        own.previous.set(before);
        match before {
            // SAFETY: it is among the living; this is the thread of both.
            Some(before) => unsafe { before.own() }.next.set(Some(task.link())),
            None => self.first.set(Some(task.link())),
        }
        self.len.set(self.len.get() + 1);
    }

    /// Takes a task out, which is among these.
    pub(super) fn remove(&self, task: &TaskRef) {
        let own = task.own();
        let (previous, next) = (own.previous.take(), own.next.take());
        match previous {
            // SAFETY: it is among the living; this is the thread of both.
            Some(previous) => unsafe { previous.own() }.next.set(next),
            None => self.first.set(next),
        }
        match next {
            // SAFETY: as above.
            Some(next) => unsafe { next.own() }.previous.set(previous),
            None => self.last.set(previous),
        }
        self.len.set(self.len.get() - 1);
    }

    /// The first of them.
    pub(super) fn first(&self) -> Option<TaskRef> {
        // SAFETY: it is among the living; this is its thread.
        self.first.get().map(|first| unsafe { first.to_ref() })
    }

    /// All of them. Nothing may be spawned, ended or polled as long as this is being used, which is why it gives
    /// a list and no iterator.
    pub(super) fn all(&self) -> Vec<TaskRef> {
        let mut all = Vec::with_capacity(self.len.get());
        let mut next = self.first.get();
        while let Some(link) = next {
            // SAFETY: it is among the living, and nothing changes the list in this loop; this is its thread.
            all.push(unsafe { link.to_ref() });
            // SAFETY: as above.
            next = unsafe { link.own() }.next.get();
        }
        all
    }

    pub(super) const fn len(&self) -> usize {
        self.len.get()
    }
}
