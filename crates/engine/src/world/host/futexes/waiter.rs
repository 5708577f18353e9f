//! One thread that waits for others: how it gets an order, is moved to where it is to wait, and is stopped.
//!
//! **How it is moved.** Any sleep may end for no reason: by a signal, by a wake that was meant for an earlier sleep and came late,
//! by a stop of the process. The system then begins the call again with what it was called with, the word of ours, wherever
//! the thread was moved meanwhile. So whoever moves it does three things for each futex: *transfer* while the word says [`HERE`],
//! until one is found there; *mark*, the word says [`MOVED`]; *transfer* once more, what the mark came too late for.
//! Of the thread, which knows nothing of all this, the word alone decides where it waits:
//!
//! - Before the mark it may come back to the word as often as it likes: the second transfer finds it there. To compare
//!   the word and to queue is one step for the system, under the lock that a transfer takes, too.
//! - If it is in no queue during the second transfer, it has yet to compare, behind that lock, and finds the mark: the call ends with
//!   `EAGAIN`, and the thread goes to the futex itself, by comparing its value.
//! - A word never goes back from [`MOVED`] during an order, and nobody wakes a word of ours. So a call that ends with success was
//!   woken by the program's futex; and `EAGAIN` between two looks that found the same marks was a futex whose value has changed.
//!
//! What remains is in the nature of futex(2): a thread on its way back is in no queue. A wake that finds nobody then is not
//! lost if the value was changed before it, as it is compared again. We do not cause it: a transfer that catches a thread
//! between its queueing and its sleep ends the wait (for a moment the thread is in no list, which it takes for a wake), so it is
//! seen to be there first, one system call earlier; and a new thread gets its first order when it is parked, as wakes may
//! come late that belong to what a beginning thread locks.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use annulus_abi::{FUTEX_WAITV_MAX, FutexWaitv};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::thread::{Pid, gettid};

use super::Waiters;
use super::calls::{self, Target};
use crate::pool::{SignalMask, interrupt, let_interrupts_in};

/// How long a thread without an order stays.
const IDLE: Duration = Duration::from_secs(5);
/// How long an interrupted thread may take to notice before it is interrupted again.
const PATIENCE: Duration = Duration::from_millis(1);

/// A word of ours, while who waits for it is to stay there.
const HERE: u32 = 0;
/// A word of ours, when who waited for it has been moved away.
const MOVED: u32 = 1;

/// A thread that waits for others.
#[derive(Debug)]
pub(super) struct Waiter {
    state: Mutex<State>,
    /// There is an order, or an outcome.
    changed: Condvar,
    /// Where the thread waits until it is moved, one word for each futex of the order.
    own: Box<[AtomicU32]>,
    /// Readable while there is an outcome.
    pub(super) told: OwnedFd,
}

#[derive(Debug, Default)]
struct State {
    thread: Option<Pid>,
    /// What to wait for next.
    order: Option<Arc<Order>>,
    /// What became of the last one.
    outcome: Option<Result<u32, Errno>>,
    /// The wait is to end.
    stop: bool,
    /// Nobody wants the outcome, and nobody could end the wait.
    is_orphan: bool,
    /// The thread is to end.
    leaving: bool,
}

#[derive(Debug)]
struct Order {
    targets: Vec<Target>,
    mask: u32,
}

impl Waiter {
    /// Starts a thread.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: there is no thread to be had. `EMFILE`, `ENFILE`.
    pub(super) fn start(waiters: Waiters) -> Result<Arc<Self>, Errno> {
        let told = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let own = (0..FUTEX_WAITV_MAX).map(|_| AtomicU32::new(HERE)).collect();
        let waiter = Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), own, told });
        let this = waiter.clone();
        // No signal of the program is ever handled on it.
        let mask = SignalMask::block();
        thread::Builder::new()
            .name("annulus-futex".to_owned())
            .spawn(move || this.attend(&waiters))
            .map_err(|_| Errno::NOMEM)?;
        drop(mask);
        let mut state = waiter.lock();
        while state.thread.is_none() {
            state = waiter.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        Ok(waiter)
    }

    /// Has the thread wait. When this returns it does, or has been woken.
    ///
    /// # Errors
    ///
    /// Those of the system's calls. The waiter is to be stopped then, too.
    pub(super) fn begin(&self, targets: Vec<Target>, mask: u32) -> Result<(), Errno> {
        self.begin_and(targets, mask, |_| {})
    }

    /// As `begin`, and does something with each word between the first transfer from it and the mark.
    pub(super) fn begin_and(
        &self,
        targets: Vec<Target>,
        mask: u32,
        before_the_mark: impl Fn(&AtomicU32),
    ) -> Result<(), Errno> {
        for word in &self.own[..targets.len()] {
            // Relaxed: the lock orders it before the thread's look.
            word.store(HERE, Ordering::Relaxed);
        }
        let order = Arc::new(Order { targets, mask });
        let mut state = self.lock();
        state.order = Some(order.clone());
        state.stop = false;
        drop(state);
        self.changed.notify_all();
        for (word, target) in self.own.iter().zip(&order.targets) {
            while !(calls::is_awaited(word, HERE, target)? && calls::transfer(word, HERE, target)?) {
                // On its way to the word, or it was woken already by one of the futexes before this one.
                match self.outcome() {
                    None => thread::yield_now(),
                    Some(Ok(_)) => return Ok(()),
                    Some(Err(errno)) => return Err(errno),
                }
            }
            before_the_mark(word);
            // Release: pairs with the thread's Acquire. The system orders it before the transfer.
            word.store(MOVED, Ordering::Release);
            // Rarely is anybody there.
            calls::transfer(word, MOVED, target)?;
        }
        Ok(())
    }

    /// What became of the wait, if it is over.
    pub(super) fn outcome(&self) -> Option<Result<u32, Errno>> {
        self.lock().outcome
    }

    /// Ends the wait. False if nothing can end it: then the thread goes on, and passes on what wakes it.
    pub(super) fn stop(&self) -> bool {
        let mut state = self.lock();
        if state.order.is_none() && state.outcome.is_none() {
            return true;
        }
        state.stop = true;
        while state.outcome.is_none() {
            // Sent with the lock held that the thread takes before its next order, with a system call after it: no
            // later wait is hit.
            if state.thread.is_some_and(|thread| !interrupt(thread)) {
                state.is_orphan = true;
                return false;
            }
            state = self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Forgets the last order, for the next one.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        (state.order, state.outcome, state.stop) = (None, None, false);
        // Empty if the thread never had the order.
        let _ = rustix::io::read(&self.told, &mut [0; 8]);
    }

    /// The thread has nothing to do and is to end.
    pub(super) fn dismiss(&self) {
        self.lock().leaving = true;
        self.changed.notify_all();
    }

    /// Interrupts the thread for no reason.
    #[cfg(test)]
    pub(super) fn nudge(&self) {
        if let Some(thread) = self.lock().thread {
            interrupt(thread);
        }
    }

    /// What the thread does.
    fn attend(self: &Arc<Self>, waiters: &Waiters) {
        let_interrupts_in();
        let mut places = Vec::with_capacity(self.own.len());
        let mut list = Vec::with_capacity(self.own.len());
        let mut state = self.lock();
        state.thread = Some(gettid());
        self.changed.notify_all();
        while let Some(order) = self.next_order(state, waiters) {
            let outcome = self.carry_out(&order, &mut places, &mut list);
            state = self.lock();
            state.outcome = Some(outcome);
            let is_orphan = std::mem::take(&mut state.is_orphan);
            // With the lock held: who sees the outcome finds the descriptor readable.
            let _ = rustix::io::write(&self.told, &1_u64.to_ne_bytes());
            drop(state);
            self.changed.notify_all();
            if is_orphan {
                if let Ok(index) = outcome
                    && let Some(target) =
                        usize::try_from(index).ok().and_then(|index| order.targets.get(index))
                {
                    // Whoever woke it meant somebody who waits.
                    let _ = calls::wake(target, 1, order.mask);
                }
                self.clear();
                waiters.give_back(self.clone());
            }
            state = self.lock();
        }
    }

    fn next_order<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        waiters: &Waiters,
    ) -> Option<Arc<Order>> {
        loop {
            if let Some(order) = &state.order
                && state.outcome.is_none()
            {
                return Some(order.clone());
            }
            if state.leaving {
                return None;
            }
            let waited = self.changed.wait_timeout(state, IDLE);
            let (still, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = still;
            if timeout.timed_out() && state.order.is_none() {
                drop(state);
                if waiters.let_go(self) {
                    return None;
                }
                state = self.lock();
            }
        }
    }

    /// Waits until it is woken or stopped. It is in no queue from the end of one call to the next: what is between them
    /// does not allocate, and takes no lock unless it was interrupted or is over.
    fn carry_out(
        &self,
        order: &Order,
        places: &mut Vec<Target>,
        list: &mut Vec<FutexWaitv>,
    ) -> Result<u32, Errno> {
        let mut moved = 0;
        loop {
            places.clear();
            places.extend_from_slice(&order.targets[..moved]);
            places.extend(
                std::iter::zip(&self.own, &order.targets).skip(moved).map(|(own, to)| Target::own(own, to)),
            );
            let waited = calls::wait(places, order.mask, list);
            let before = std::mem::replace(&mut moved, self.moved(order.targets.len()));
            match waited {
                Err(Errno::INTR) if self.lock().stop => return Err(Errno::INTR),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if before != moved => {}
                Err(Errno::AGAIN) if self.lock().stop => return Err(Errno::INTR),
                // One of the futexes has changed while the thread was not in its queue: what woke others may
                // have been meant for it too.
                Err(Errno::AGAIN) => return Ok(0),
                over => return over,
            }
        }
    }

    /// From how many of the first words the thread has been moved away. They are marked one after the other.
    fn moved(&self, count: usize) -> usize {
        // Acquire: pairs with the Release of whoever moves this thread.
        self.own.iter().take(count).take_while(|word| word.load(Ordering::Acquire) == MOVED).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
