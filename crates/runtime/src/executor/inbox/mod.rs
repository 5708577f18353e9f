//! The inbox: how other threads wake tasks of an executor, and hand it work.
//!
//! Whoever leaves something and finds that the executor sleeps has to call it. There are two ways, and the executor
//! hears both in the wait of its ring: a completion that another ring posts on its own, batched with the next call of that
//! ring ([`crate::shard::peers`]), or a write to its eventfd, on which a read is in flight. The protocol is [`Post`].

mod flag;
#[cfg(test)]
mod loom_tests;
mod post;
mod sync;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annulus::BackendKind;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::Context;
use super::cell::TaskRef;
use super::current;
use crate::driver::Op;
use crate::driver::op::rw::Read;
use crate::fd::SharedFd;

pub(super) use flag::Left;
pub(crate) use post::Refused;
use post::{Next, Post};

/// Work for the executor, done on its thread between two polls.
pub(crate) type Letter = Box<dyn FnOnce(&Context) + Send>;

/// The part of an executor that other threads reach.
pub(crate) struct Inbox {
    post: Post<TaskRef, Letter>,
    /// The eventfd.
    wake: OwnedFd,
    /// Where messages from other rings go, as long as the executor runs and if it is to be had that way.
    address: Mutex<Option<Address>>,
}

/// Where a message to an executor goes.
#[derive(Clone)]
pub(crate) struct Address {
    /// A duplicate of the ring's descriptor. Whoever has queued a message holds it, so that its number stands for no other
    /// file when the message is sent.
    pub(crate) ring: Arc<OwnedFd>,
    /// By which the executor's driver knows that a completion is a call.
    pub(crate) user_data: u64,
    /// What the ring is. Messages go only between rings of the same kind.
    pub(crate) kind: BackendKind,
}

impl Inbox {
    /// The inbox for so many letters, and the executor's own descriptor of its eventfd, for [`listen`]. Both are made here,
    /// where a failure is still reported: an executor that could not listen would sleep through what other threads leave.
    ///
    /// # Errors
    ///
    /// Those of eventfd(2) and of duplicating it: `EMFILE`, `ENFILE`, `ENOMEM`.
    pub(super) fn new(letters: usize) -> Result<(Self, OwnedFd), Errno> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC)?;
        let bell = fcntl_dupfd_cloexec(&wake, 0)?;
        Ok((Self { post: Post::new(letters), wake, address: Mutex::new(None) }, bell))
    }

    /// Says where messages from other rings go.
    pub(crate) fn publish(&self, address: Address) {
        *self.address() = Some(address);
    }

    /// Where messages go, if they can.
    pub(crate) fn message_address(&self) -> Option<Address> {
        self.address().clone()
    }

    /// Leaves a task that is to run. Called by other threads.
    pub(super) fn wake(self: &Arc<Self>, task: TaskRef) {
        if self.post.wake(task) == Next::Call {
            self.call();
        }
    }

    /// Leaves a letter, which `seal` makes of `content` if there is room for it.
    ///
    /// # Errors
    ///
    /// The content, if there are as many letters as may be, or the executor has ended.
    pub(crate) fn leave<C>(
        self: &Arc<Self>,
        content: C,
        seal: impl FnOnce(C) -> Letter,
    ) -> Result<(), (Refused, C)> {
        if self.post.leave(content, seal)? == Next::Call {
            self.call();
        }
        Ok(())
    }

    /// Calls the executor, which sleeps: through the ring of this thread's executor if there is one, else at once.
    fn call(self: &Arc<Self>) {
        if current::with(|context| context.message(self)) != Some(true) {
            self.ring();
        }
    }

    /// Calls the executor, if it sleeps, by its eventfd.
    pub(crate) fn ring(&self) {
        if self.post.call() {
            // Only fails if the counter is full, and then it is not zero, which is all that counts.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Takes out what was left, in exchange for empty lists.
    pub(super) fn collect(&self, woken: &mut Vec<TaskRef>, letters: &mut VecDeque<Letter>) {
        self.post.collect(woken, letters);
    }

    /// Announces that the executor will wait, if nothing was left meanwhile. From here on whoever leaves something calls.
    pub(super) fn fall_asleep(&self) -> bool {
        self.post.fall_asleep()
    }

    /// The executor is back.
    pub(super) fn awake(&self) {
        self.post.awake();
    }

    /// Nothing is taken any more. Returns what was left, to be dropped by the caller.
    pub(crate) fn close(&self) -> impl Sized {
        let address = self.address().take();
        (self.post.close(), address)
    }

    /// Whether the executor has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.post.is_closed()
    }

    fn address(&self) -> MutexGuard<'_, Option<Address>> {
        // Nothing panics under the lock.
        self.address.lock().unwrap_or_else(PoisonError::into_inner)
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
