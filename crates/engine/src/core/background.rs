//! The thread that sees to a ring while nobody waits for it.
//!
//! The kernel completes requests whether or not their program waits; so must we, for programs that look at the queue, or
//! wait for an eventfd or for the ring's descriptor. But a thread that enters to wait serves its requests itself, and must not
//! find them in other hands: so this thread takes over only when nobody has come to wait for a while, and
//! goes as soon as somebody does. It sleeps without a timeout while there is nothing to expect. What it does is
//! [`turnstile`](super::turnstile)'s; here is when it is wanted.
//!
//! On a ring that defers its completions until the owner enters it carries nothing out. It only says that there is something to enter for
//! (`IORING_SQ_TASKRUN`, the eventfd, the ring's descriptor), if the program can be told.

use std::sync::Weak;
use std::thread::{self, JoinHandle};

use annulus_abi::{SetupFlags, SqRingFlags};

use super::turnstile::{Leader, attend, dismiss, rouse};
use super::{Descriptor, Ring, State};
use crate::pool::SignalMask;

/// The background thread as the ring knows it.
#[derive(Debug, Default)]
pub(super) struct Background {
    thread: Option<JoinHandle<()>>,
}

impl State {
    /// Makes sure that somebody sees to what is expected when nobody waits.
    pub(crate) fn see_to_background(&mut self, ring: &Ring) {
        let is_idle = self.turnstile.leader != Leader::Nobody || !self.is_expecting();
        if is_idle || self.turnstile.is_leaving() || !self.wants_background(ring) {
            return;
        }
        if self.background.thread.is_none() {
            self.start_background();
        } else {
            rouse(ring, self);
        }
    }

    /// Whether the program could notice without entering.
    fn wants_background(&self, ring: &Ring) -> bool {
        !ring.defers()
            || self.env.setup.contains(SetupFlags::TASKRUN_FLAG)
            || self.notices.has_eventfd()
            || ring.descriptor.as_ref().is_some_and(Descriptor::is_exposed)
    }

    fn start_background(&mut self) {
        let ring = Weak::clone(&self.env.ring);
        // No signal of the program is handled there.
        let _mask = SignalMask::block();
        let started = thread::Builder::new().name("annulus-poll".into()).spawn(move || {
            if let Some(ring) = ring.upgrade() {
                attend(&*ring);
            }
        });
        match started {
            Ok(thread) => self.background.thread = Some(thread),
            // The program's next enter serves it instead.
            Err(error) => tracing::warn!(%error, "no thread to complete requests while nobody waits"),
        }
    }

    /// Says that there is something to enter for.
    pub(super) fn tell_of_task_work(&self, ring: &Ring) {
        if self.env.setup.contains(SetupFlags::TASKRUN_FLAG) {
            self.rings.sq.set_flags(SqRingFlags::TASKRUN);
        }
        if let Some(descriptor) = &ring.descriptor {
            descriptor.tell_of_task_work();
        }
        self.notices.signal(&*self.env.world, self.rings.cq.eventfd_disabled(), true);
    }

    /// Asks the thread to end; it is to be joined without the lock.
    pub(super) fn dismiss_background(&mut self, ring: &Ring) -> Option<JoinHandle<()>> {
        dismiss(ring, self);
        self.background.thread.take()
    }
}
