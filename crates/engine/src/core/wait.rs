//! Waiting for completions.
//!
//! Of the threads that wait, one leads: it waits in the world for events and carries them out itself, so that no completion
//! costs a hop between threads. Others wait for its news. While nobody waits, the background thread may lead; whoever comes
//! to wait sends it away.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use super::turnstile::{House, Monitor, Turn, Turnstile, go, take_turn};
use super::{Ring, State};
use crate::world::{ClockId, Event};

/// How long somebody who waits for news goes without looking: a request may end without any.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What a thread waits for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wait {
    /// So many completions in the queue.
    pub(crate) want: u32,
    /// When it gives up: nanoseconds on the ring's clock.
    pub(crate) deadline: Option<(ClockId, u64)>,
    /// From when on one completion is enough, on the monotonic clock.
    pub(crate) min_wait: Option<u64>,
    /// The kernel's 64-bit signal set that is in force meanwhile.
    pub(crate) sigmask: Option<u64>,
}

impl Ring {
    /// Waits until the queue holds what is wanted.
    ///
    /// # Errors
    ///
    /// `ETIME`, `EINTR`, each only if the queue is empty.
    pub(crate) fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>, wait: &Wait) -> Result<(), Errno> {
        state.turnstile.come();
        let timeouts = state.clocks.came();
        let mut outcome = Ok(());
        // What is ready is taken even if enough completions are there: else a program that always has some would
        // never see the others. If there are not, the wait itself looks.
        if state.rings.cq.waiting() >= wait.want {
            state.look();
        }
        loop {
            state.flush_backlog();
            state.catch_up(self);
            state.settle_up(self);
            let waiting = state.rings.cq.waiting();
            // As in the kernel, a timeout that completes ends every wait.
            if waiting >= wait.want || outcome.is_err() || state.clocks.came() != timeouts {
                break;
            }
            let (now, timeout) = match state.time_left(wait, waiting) {
                Ok(left) => left,
                Err(errno) => {
                    outcome = Err(errno);
                    break;
                }
            };
            (state, outcome) = self.wait_once(state, wait, now, timeout);
        }
        go(self, &mut state);
        state.see_to_background(self);
        // What came at the last moment counts more than the reason for giving up.
        if state.rings.cq.waiting() > 0 { Ok(()) } else { outcome }
    }

    /// Waits for a turn of whatever moves the ring's requests, for somebody who does not wait for completions.
    ///
    /// # Errors
    ///
    /// `ETIME` when the deadline, on the monotonic clock, has passed; `EINTR`.
    pub(crate) fn wait_for_news<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        deadline: Option<u64>,
    ) -> Result<MutexGuard<'a, State>, Errno> {
        let waiting = state.rings.cq.waiting();
        let deadline = deadline.map(|at| (ClockId::Monotonic, at));
        let wait = Wait { want: waiting.saturating_add(1), deadline, ..Wait::default() };
        let (_, timeout) = state.time_left(&wait, waiting)?;
        let timeout = timeout.map_or(LOOK_AGAIN, |timeout| timeout.min(LOOK_AGAIN));
        let now = self.world.now(ClockId::Monotonic);
        let (mut state, waited) = self.wait_once(state, &wait, now, Some(timeout));
        state.catch_up(self);
        // The caller may not come back, and somebody may follow.
        go(self, &mut state);
        waited.map(|()| state)
    }

    /// Leads for one turn, or follows for one.
    fn wait_once<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        wait: &Wait,
        now: u64,
        timeout: Option<Duration>,
    ) -> (MutexGuard<'a, State>, Result<(), Errno>) {
        let wakes_at =
            timeout.map(|timeout| now.saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)));
        take_turn(self, state, &Turn { want: wait.want, timeout, wakes_at, sigmask: wait.sigmask })
    }
}

impl Monitor for Ring {
    type State = State;
    type Guard<'a> = MutexGuard<'a, State>;

    fn lock(&self) -> MutexGuard<'_, State> {
        Self::lock(self)
    }

    fn rest<'a>(&'a self, state: MutexGuard<'a, State>, timeout: Option<Duration>) -> MutexGuard<'a, State> {
        match timeout {
            None => self.turn.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => self.turn.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    fn notify_all(&self) {
        self.turn.notify_all();
    }
}

impl House for Ring {
    type Heard = Vec<Event>;

    fn wake(&self) {
        self.world.wake();
    }

    fn listen<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        timeout: Option<Duration>,
        sigmask: Option<u64>,
    ) -> (MutexGuard<'a, State>, Vec<Event>, Result<(), Errno>) {
        let mut events = std::mem::take(&mut state.events);
        drop(state);
        let waited = self.world.wait(timeout, sigmask, &mut events);
        (self.lock(), events, waited.map(drop))
    }

    fn hear(state: &mut State, mut events: Vec<Event>) {
        state.take_events(&events);
        events.clear();
        state.events = events;
    }

    fn turnstile(state: &mut State) -> &mut Turnstile {
        &mut state.turnstile
    }

    fn is_expecting(state: &State) -> bool {
        state.is_expecting()
    }

    fn time_left(&self, state: &State) -> (Option<Duration>, Option<u64>) {
        let left = if state.again.is_empty() { state.clocks.time_left(&*self.world) } else { Some(0) };
        let wakes_at = left.map(|left| self.world.now(ClockId::Monotonic).saturating_add(left));
        (left.map(Duration::from_nanos), wakes_at)
    }

    fn catch_up(&self, state: &mut State) {
        state.catch_up(self);
        state.settle_up(self);
    }

    fn defers(&self) -> bool {
        Self::defers(self)
    }

    fn await_task_work<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        timeout: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        drop(state);
        self.world.await_readable(self.world.descriptor(), timeout);
        self.lock()
    }

    fn tell_of_task_work(&self, state: &mut State) {
        state.tell_of_task_work(self);
    }
}

impl State {
    /// The monotonic time, and how long a thread may wait: until its own deadline or the next of the ring's.
    fn time_left(&self, wait: &Wait, waiting: u32) -> Result<(u64, Option<Duration>), Errno> {
        let world = &*self.env.world;
        if !self.again.is_empty() {
            return Ok((0, Some(Duration::ZERO)));
        }
        if wait.deadline.is_none() && wait.min_wait.is_none() && !self.clocks.has_deadline() {
            return Ok((0, None));
        }
        let now = world.now(ClockId::Monotonic);
        let mut left = self.clocks.time_left(world);
        if let Some((clock, deadline)) = wait.deadline {
            let remaining = deadline.saturating_sub(world.now(clock));
            if remaining == 0 {
                return Err(Errno::TIME);
            }
            left = Some(left.map_or(remaining, |left| left.min(remaining)));
        }
        if let Some(min_wait) = wait.min_wait {
            let remaining = min_wait.saturating_sub(now);
            if remaining == 0 && waiting > 0 {
                return Err(Errno::TIME);
            }
            if remaining > 0 {
                left = Some(left.map_or(remaining, |left| left.min(remaining)));
            }
        }
        Ok((now, left.map(Duration::from_nanos)))
    }
}
