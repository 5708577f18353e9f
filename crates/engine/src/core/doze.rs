//! How the polling thread goes to sleep, and is woken: the protocol alone.
//!
//! The thread announces its sleep (`NEED_WAKEUP`), then looks at the queue once more, with a fence in between. The program publishes
//! its entries, then looks at the announcement, with a fence in between. One of them sees what the other wrote: either the
//! thread finds the entries and stays awake, or the program finds the announcement and enters to wake it.

use super::turnstile::Monitor;

/// What the polling thread and those who enter tell each other.
#[derive(Debug, Default)]
pub(crate) struct SqPoll {
    /// The thread is to look again.
    wake: bool,
    /// The thread is to end.
    leaving: bool,
}

impl SqPoll {
    /// Whether the thread is to end.
    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving
    }
}

/// Where a thread polls a queue.
pub(super) trait Doze: Monitor {
    /// The protocol's own part of the state.
    fn sqpoll(state: &mut Self::State) -> &mut SqPoll;

    /// Announces the sleep, or takes that back.
    fn announce(state: &mut Self::State, sleeps: bool);

    /// Whether there are entries to take, looked at after a fence that pairs with the program's.
    fn has_entries(state: &mut Self::State) -> bool;

    /// The thread sleeps from here on: somebody else sees to what is expected.
    fn hand_over(&self, state: &mut Self::State);
}

/// Sleeps until somebody wakes the thread, unless there is something to do after all.
pub(super) fn sleep<H: Doze>(house: &H) {
    let mut state = house.lock();
    H::announce(&mut state, true);
    if !H::has_entries(&mut state) {
        house.hand_over(&mut state);
        while !H::sqpoll(&mut state).wake && !H::sqpoll(&mut state).leaving {
            state = house.rest(state, None);
        }
    }
    H::sqpoll(&mut state).wake = false;
    H::announce(&mut state, false);
}

/// Wakes the thread, or keeps it from its next sleep.
pub(super) fn wake<H: Doze>(house: &H, state: &mut H::State) {
    H::sqpoll(state).wake = true;
    house.notify_all();
}

/// Asks the thread to end.
pub(super) fn dismiss<H: Doze>(house: &H, state: &mut H::State) {
    H::sqpoll(state).leaving = true;
    house.notify_all();
}

#[cfg(test)]
#[path = "doze_tests.rs"]
mod tests;
