//! What other threads leave for an executor, and whether it sleeps. Written over [`sync`], and checked with loom.
//!
//! Nobody is lost: an executor falls asleep only if nothing lies here, and says so under the lock under which
//! things are left; whoever leaves something and is told that it sleeps must call it, by a message from ring to ring
//! or by [`Post::call`] and the eventfd. A call that comes when it is awake again only costs a look.

use std::collections::VecDeque;

use super::sync::{self, AtomicBool, Mutex, MutexGuard, Ordering};

/// Tasks to wake, `W`, and letters, `L`, in the order in which they came.
pub(super) struct Post<W, L> {
    state: Mutex<State<W, L>>,
    /// Something lies here. Set under the lock, read without: a hint that may come late, and is looked at again
    /// under the lock before the executor sleeps. Release and acquire, so that whoever sees it finds at least that
    /// much.
    hint: AtomicBool,
    /// How many letters may lie here. Tasks are bounded by their number: each is left once until it is polled.
    capacity: usize,
}

struct State<W, L> {
    woken: Vec<W>,
    letters: VecDeque<L>,
    asleep: bool,
    closed: bool,
}

/// Why a letter was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As many lie here as may.
    Full,
    /// The executor has ended.
    Closed,
}

/// What somebody who has left something must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an executor that sleeps would not find it"]
pub(super) enum Next {
    /// Call the executor, which sleeps.
    Call,
    /// Nothing: it is awake and looks before it sleeps, has been called already, or has ended.
    Nothing,
}

impl<W, L> Post<W, L> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { woken: Vec::new(), letters: VecDeque::new(), asleep: false, closed: false };
        Self { state: Mutex::new(state), hint: AtomicBool::new(false), capacity }
    }

    /// Leaves a task that is to run.
    pub(super) fn wake(&self, task: W) -> Next {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            drop(task);
            return Next::Nothing;
        }
        state.woken.push(task);
        self.left(&state)
    }

    /// Leaves a letter, which `seal` makes of `content` if there is room for it.
    pub(super) fn leave<C>(&self, content: C, seal: impl FnOnce(C) -> L) -> Result<Next, (Refused, C)> {
        let mut state = self.lock();
        if state.closed {
            return Err((Refused::Closed, content));
        }
        if state.letters.len() >= self.capacity {
            return Err((Refused::Full, content));
        }
        state.letters.push_back(seal(content));
        Ok(self.left(&state))
    }

    fn left(&self, state: &MutexGuard<'_, State<W, L>>) -> Next {
        self.hint.store(true, Ordering::Release);
        if state.asleep { Next::Call } else { Next::Nothing }
    }

    /// Whether the eventfd is to be written: once for each sleep.
    pub(super) fn call(&self) -> bool {
        std::mem::take(&mut self.lock().asleep)
    }

    /// Takes out what was left, in exchange for empty lists.
    pub(super) fn collect(&self, woken: &mut Vec<W>, letters: &mut VecDeque<L>) {
        if self.hint.load(Ordering::Acquire) {
            let mut state = self.lock();
            // Under the lock, so that what is left afterwards sets it again.
            self.hint.store(false, Ordering::Release);
            std::mem::swap(&mut state.woken, woken);
            std::mem::swap(&mut state.letters, letters);
        }
    }

    /// Announces that the executor will wait, if nothing was left meanwhile.
    pub(super) fn fall_asleep(&self) -> bool {
        let mut state = self.lock();
        state.asleep = state.woken.is_empty() && state.letters.is_empty();
        state.asleep
    }

    /// The executor is back.
    pub(super) fn awake(&self) {
        self.lock().asleep = false;
    }

    /// Nothing is taken any more. Returns what was left, to be dropped without the lock.
    pub(super) fn close(&self) -> (Vec<W>, VecDeque<L>) {
        let mut state = self.lock();
        state.closed = true;
        state.asleep = false;
        (std::mem::take(&mut state.woken), std::mem::take(&mut state.letters))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, State<W, L>> {
        sync::lock(&self.state)
    }
}
