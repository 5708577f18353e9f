//! The inbox: how other threads wake tasks of an executor.
//!
//! A thread leaves the task and, if the executor sleeps, writes its eventfd, on which a read is in
//! flight in the ring. The lock is held for a push or a swap; the executor takes it only when the hint
//! says that something is there, or before it sleeps.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::cell::TaskRef;
use crate::driver::Op;
use crate::driver::op::rw::Read;
use crate::fd::SharedFd;

/// The part of an executor that other threads reach.
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Something lies in the inbox. Set under the lock, read without: a hint that may come late, and is
    /// looked at again under the lock before the executor sleeps. Release and acquire, so that whoever
    /// sees it finds at least that much.
    hint: AtomicBool,
    wake: OwnedFd,
}

#[derive(Default)]
struct State {
    woken: Vec<TaskRef>,
    asleep: bool,
    closed: bool,
}

impl Inbox {
    /// The inbox, and the executor's own descriptor of its eventfd, for [`listen`]. Both are made here, where a failure is
    /// still reported: an executor that could not listen would sleep through what other threads leave.
    ///
    /// # Errors
    ///
    /// Those of eventfd(2) and of duplicating it: `EMFILE`, `ENFILE`, `ENOMEM`.
    pub(super) fn new() -> Result<(Self, OwnedFd), Errno> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC)?;
        let bell = fcntl_dupfd_cloexec(&wake, 0)?;
        Ok((Self { state: Mutex::default(), hint: AtomicBool::new(false), wake }, bell))
    }

    /// Leaves a task that is to run. Called by other threads.
    pub(super) fn leave(&self, task: TaskRef) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.woken.push(task);
        self.hint.store(true, Ordering::Release);
        if std::mem::take(&mut state.asleep) {
            drop(state);
            // Only fails if the counter is full, and then it is not zero, which is all that counts.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Takes out what was left, in exchange for an empty list.
    pub(super) fn collect(&self, into: &mut Vec<TaskRef>) {
        if self.hint.load(Ordering::Acquire) {
            let mut state = self.lock();
            self.hint.store(false, Ordering::Release);
            std::mem::swap(&mut state.woken, into);
        }
    }

    /// Announces that the executor will wait, if nothing was left meanwhile. From here on a waker writes
    /// the eventfd.
    pub(super) fn fall_asleep(&self) -> bool {
        let mut state = self.lock();
        state.asleep = state.woken.is_empty();
        state.asleep
    }

    /// The executor is back.
    pub(super) fn awake(&self) {
        self.lock().asleep = false;
    }

    /// Nothing is taken any more. Returns what was left, to be dropped without the lock.
    pub(super) fn close(&self) -> Vec<TaskRef> {
        let mut state = self.lock();
        state.closed = true;
        std::mem::take(&mut state.woken)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing in here panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the eventfd again and again, so that a write to it ends the executor's wait. What was left in the
/// inbox is collected by the executor itself, each turn.
pub(super) async fn listen(bell: OwnedFd) {
    let fd = SharedFd::new(bell);
    let mut counter = Box::new([0; 8]);
    loop {
        let (result, back) = Op::new(Read::new(fd.clone(), counter, u64::MAX)).await;
        counter = back;
        if let Err(error) = result {
            tracing::warn!(%error, "the eventfd for wake-ups of other threads could not be read");
            crate::yield_now().await;
        }
    }
}
