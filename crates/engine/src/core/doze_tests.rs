//! The sleep of the polling thread under loom: no entry is left behind, whenever the thread falls asleep.
//!
//! The tail and the flag are the queue's two words, with the orderings that `annulus_abi` gives them on both sides.

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use loom::sync::{Condvar, Mutex, MutexGuard};

use super::{Doze, Monitor, SqPoll, dismiss, sleep, wake};

/// A ring whose thread only counts what it takes.
struct Model {
    state: Mutex<State>,
    turn: Condvar,
    queue: Arc<Queue>,
}

/// What the lock guards.
struct State {
    sqpoll: SqPoll,
    head: u32,
    queue: Arc<Queue>,
}

/// What the program shares with the thread.
struct Queue {
    tail: AtomicU32,
    need_wakeup: AtomicBool,
}

impl Model {
    fn new() -> Arc<Self> {
        let queue = Arc::new(Queue { tail: AtomicU32::new(0), need_wakeup: AtomicBool::new(false) });
        let state = State { sqpoll: SqPoll::default(), head: 0, queue: queue.clone() };
        Arc::new(Self { state: Mutex::new(state), turn: Condvar::new(), queue })
    }

    /// The polling thread: takes what is there, and sleeps when there is nothing.
    fn poll(&self) {
        loop {
            {
                let mut state = self.lock();
                // Acquire: as the device reads the tail.
                state.head = state.queue.tail.load(Ordering::Acquire);
                self.turn.notify_all();
                if state.sqpoll.is_leaving() {
                    return;
                }
            }
            sleep(self);
        }
    }

    /// As a program that pushes an entry and enters only if it has to.
    fn push(&self, tail: u32) {
        self.queue.tail.store(tail, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.queue.need_wakeup.load(Ordering::Relaxed) {
            wake(self, &mut self.lock());
        }
    }

    /// Waits until the thread has taken so many.
    fn until_taken(&self, tail: u32) {
        let mut state = self.lock();
        while state.head < tail {
            state = self.rest(state, None);
        }
    }
}

impl Monitor for Model {
    type State = State;
    type Guard<'a> = MutexGuard<'a, State>;

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn rest<'a>(&'a self, state: MutexGuard<'a, State>, _: Option<Duration>) -> MutexGuard<'a, State> {
        self.turn.wait(state).unwrap()
    }

    fn notify_all(&self) {
        self.turn.notify_all();
    }
}

impl Doze for Model {
    fn sqpoll(state: &mut State) -> &mut SqPoll {
        &mut state.sqpoll
    }

    fn announce(state: &mut State, sleeps: bool) {
        state.queue.need_wakeup.store(sleeps, Ordering::Relaxed);
    }

    fn has_entries(state: &mut State) -> bool {
        fence(Ordering::SeqCst);
        state.queue.tail.load(Ordering::Acquire) != state.head
    }

    fn hand_over(&self, _: &mut State) {}
}

#[test]
fn entries_are_taken_whenever_the_thread_falls_asleep() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let model = Model::new();
        let polled = model.clone();
        let thread = loom::thread::spawn(move || polled.poll());
        for tail in [1, 2] {
            model.push(tail);
            model.until_taken(tail);
        }
        dismiss(&*model, &mut model.lock());
        thread.join().unwrap();
    });
}

#[test]
fn entries_that_come_in_a_row_are_all_taken() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let model = Model::new();
        let polled = model.clone();
        let thread = loom::thread::spawn(move || polled.poll());
        model.push(1);
        model.push(2);
        model.until_taken(2);
        dismiss(&*model, &mut model.lock());
        thread.join().unwrap();
    });
}
