//! One thread that waits for others: how it gets an order, is moved to where it is to wait, and is stopped.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use annulus_abi::FUTEX_WAITV_MAX;
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
    order: Option<Order>,
    /// What became of the last one.
    outcome: Option<Result<u32, Errno>>,
    /// The wait is to end.
    stop: bool,
    /// Nobody wants the outcome, and nobody could end the wait.
    is_orphan: bool,
    /// The thread is to end.
    leaving: bool,
}

#[derive(Clone, Debug)]
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
        let _mask = SignalMask::block();
        thread::Builder::new()
            .name("annulus-futex".to_owned())
            .spawn(move || this.attend(&waiters))
            .map(|_detached| waiter)
            .map_err(|_| Errno::NOMEM)
    }

    /// Has the thread wait. When this returns it does, or has been woken.
    ///
    /// # Errors
    ///
    /// Those of the system's calls. The waiter is to be stopped then, too.
    pub(super) fn begin(&self, targets: Vec<Target>, mask: u32) -> Result<(), Errno> {
        for word in &self.own[..targets.len()] {
            // Relaxed: the lock orders it before the thread's look.
            word.store(HERE, Ordering::Relaxed);
        }
        let mut state = self.lock();
        state.order = Some(Order { targets: targets.clone(), mask });
        state.stop = false;
        drop(state);
        self.changed.notify_all();
        for (word, target) in self.own.iter().zip(&targets) {
            while !calls::transfer(word, target)? {
                // On its way to the word, or it was woken already by one of the futexes before this one.
                match self.outcome() {
                    None => thread::yield_now(),
                    Some(Ok(_)) => return Ok(()),
                    Some(Err(errno)) => return Err(errno),
                }
            }
            // Release: pairs with the thread's Acquire. A system call that starts again (after SIGCONT) would wait
            // here once more; it finds another value instead.
            word.store(MOVED, Ordering::Release);
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
        self.lock().thread = Some(gettid());
        while let Some(order) = self.next_order(waiters) {
            let outcome = self.carry_out(&order);
            let mut state = self.lock();
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
        }
    }

    fn next_order(self: &Arc<Self>, waiters: &Waiters) -> Option<Order> {
        let mut state = self.lock();
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

    /// Waits until it is woken or stopped.
    fn carry_out(&self, order: &Order) -> Result<u32, Errno> {
        let mut before = None;
        loop {
            // Acquire: pairs with the Release of whoever moves this thread.
            let moved: Vec<bool> = self
                .own
                .iter()
                .take(order.targets.len())
                .map(|word| word.load(Ordering::Acquire) == MOVED)
                .collect();
            let places: Vec<Target> = std::iter::zip(&order.targets, &self.own)
                .zip(&moved)
                .map(|((target, own), moved)| if *moved { *target } else { Target::own(own, target) })
                .collect();
            match calls::wait(&places, order.mask) {
                Ok(index) => return Ok(index),
                Err(Errno::INTR | Errno::AGAIN) if self.lock().stop => return Err(Errno::INTR),
                // Stopped and continued, or moved between the look and the call.
                Err(Errno::INTR) => before = None,
                // One of the futexes has changed while the thread was not in its queue: what woke others may
                // have been meant for it too.
                Err(Errno::AGAIN) if before.as_ref() == Some(&moved) => return Ok(0),
                Err(Errno::AGAIN) => before = Some(moved),
                Err(errno) => return Err(errno),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
