//! The thread that sees to a ring while nobody waits for it.
//!
//! The kernel completes requests whether or not their program waits; so must we, for programs that look at the queue, or
//! wait for an eventfd or for the ring's descriptor. But a thread that enters to wait serves its requests itself, and must not
//! find them in other hands: so this thread takes over only when nobody has come to wait for a while ([`PATIENCE`]), and
//! goes as soon as somebody does. It sleeps without a timeout while there is nothing to expect.
//!
//! On a ring that defers its completions until the owner enters it carries nothing out. It only says that there is something to enter for
//! (`IORING_SQ_TASKRUN`, the eventfd, the ring's descriptor), if the program can be told.

use std::os::fd::RawFd;
use std::sync::{Arc, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use annulus_abi::{SetupFlags, SqRingFlags};

use super::wait::Leader;
use super::{Descriptor, Ring, State};

/// How long nobody may have come before the background thread takes over.
const PATIENCE: Duration = Duration::from_millis(1);

/// The background thread as the ring knows it.
#[derive(Debug, Default)]
pub(super) struct Background {
    thread: Option<JoinHandle<()>>,
    /// It sleeps without a timeout and must be woken.
    asleep: bool,
    /// Nobody has waited since it last took over: the program waits elsewhere, so there is no reason to hesitate.
    settled: bool,
    /// Somebody came to wait and wants its place.
    sent_away: bool,
    /// It is to end.
    leaving: bool,
}

impl State {
    /// Makes sure that somebody sees to what is expected when nobody waits.
    pub(crate) fn see_to_background(&mut self, ring: &Ring) {
        let is_idle = self.turnstile.leader != Leader::Nobody || !self.is_expecting();
        if is_idle || self.background.leaving || !self.wants_background(ring) {
            return;
        }
        if self.background.thread.is_none() {
            self.start_background();
        } else if self.background.asleep {
            self.background.asleep = false;
            ring.turn.notify_all();
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
        let started = thread::Builder::new().name("annulus-poll".into()).spawn(move || {
            if let Some(ring) = ring.upgrade() {
                attend(&ring);
            }
        });
        match started {
            Ok(thread) => self.background.thread = Some(thread),
            // The program's next enter serves it instead.
            Err(error) => tracing::warn!(%error, "no thread to complete requests while nobody waits"),
        }
    }

    /// Asks it to give its place to somebody who came to wait.
    pub(super) fn send_background_away(&mut self, ring: &Ring) {
        self.background.sent_away = true;
        ring.world.wake();
    }

    /// Says that there is something to enter for.
    pub(super) fn tell_of_task_work(&self, ring: &Ring) {
        if self.env.setup.contains(SetupFlags::TASKRUN_FLAG) {
            self.rings.sq.set_flags(SqRingFlags::TASKRUN);
        }
        if let Some(descriptor) = &ring.descriptor {
            descriptor.completions(1);
        }
        self.notices.signal(&*self.env.world, self.rings.cq.eventfd_disabled(), true);
    }

    /// Asks the thread to end; it is to be joined without the lock.
    pub(super) fn dismiss_background(&mut self, ring: &Ring) -> Option<JoinHandle<()>> {
        self.background.leaving = true;
        ring.turn.notify_all();
        ring.world.wake();
        self.background.thread.take()
    }
}

/// What the thread does.
fn attend(ring: &Arc<Ring>) {
    let mut state = ring.lock();
    loop {
        if state.background.leaving {
            return;
        }
        if !state.is_expecting() || state.turnstile.leader != Leader::Nobody {
            state.background.asleep = true;
            state.background.settled &= state.turnstile.leader == Leader::Nobody;
            state = ring.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let waits = state.turnstile.waits;
        if !state.background.settled {
            state = ring.turn.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
            if state.turnstile.waits != waits || state.turnstile.leader != Leader::Nobody {
                continue;
            }
            if state.background.leaving || !state.is_expecting() {
                continue;
            }
            state.background.settled = true;
        }
        state = if ring.defers() { tell(ring, state) } else { serve(ring, state) };
        if state.turnstile.waits != waits {
            state.background.settled = false;
        }
    }
}

type Locked<'a> = std::sync::MutexGuard<'a, State>;

/// Leads for one turn.
fn serve<'a>(ring: &'a Arc<Ring>, mut state: Locked<'a>) -> Locked<'a> {
    let timeout = state.lead_in_background(ring);
    let mut events = Vec::new();
    drop(state);
    // Nothing interrupts it but a wake.
    let _ = ring.world.wait(timeout, None, &mut events);
    let mut state = ring.lock();
    state.turnstile.leader = Leader::Nobody;
    state.background.sent_away = false;
    state.take_events(&events);
    state.catch_up(ring);
    state.settle_up(ring);
    ring.turn.notify_all();
    state
}

/// Waits until there is something to enter for, and says so once.
fn tell<'a>(ring: &'a Arc<Ring>, mut state: Locked<'a>) -> Locked<'a> {
    let timeout = state.lead_in_background(ring);
    let set: RawFd = ring.world.descriptor();
    drop(state);
    ring.world.await_readable(set, timeout);
    let mut state = ring.lock();
    state.turnstile.leader = Leader::Nobody;
    ring.turn.notify_all();
    // Sent away: whoever came sees for themselves.
    if std::mem::take(&mut state.background.sent_away) || state.background.leaving {
        return state;
    }
    state.tell_of_task_work(ring);
    // Told once: the owner's next enter brings the next turn.
    state.background.asleep = true;
    ring.turn.wait(state).unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Takes the leader's place. Says for how long at the most.
    fn lead_in_background(&mut self, ring: &Ring) -> Option<Duration> {
        self.turnstile.leader = Leader::Background;
        let left = if self.again.is_empty() { self.clocks.time_left(&*ring.world) } else { Some(0) };
        let now = ring.world.now(crate::world::ClockId::Monotonic);
        self.turnstile.wakes_at = left.map(|left| now.saturating_add(left));
        left.map(Duration::from_nanos)
    }
}
