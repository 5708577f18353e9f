//! Who waits in the world, who waits for their news, and who takes over when nobody waits.
//!
//! Of the threads that wait one leads: it alone waits in the world, with the lock given back, and carries out what it hears of.
//! The others follow: they wait for a notification. A background thread leads while nobody waits, and is sent away by whoever comes.
//!
//! This is the protocol alone, over a [`House`] that has a lock, a notification and a world to wait in: the ring's, or loom's. It
//! knows nothing of requests.
//!
//! What it keeps true:
//! - whoever posts completions under the lock calls [`Turnstile::news`] before giving it back, and then a leader who has
//!   enough, or a follower, looks again;
//! - nobody but the leader takes a wake out of the world without passing it on ([`Turnstile::wants_wakes`]);
//! - while something is expected, nobody waits and the background thread is wanted, it leads, or is about to.

use std::ops::DerefMut;
use std::time::Duration;

use rustix::io::Errno;

/// How long nobody may have come before the background thread takes over.
const PATIENCE: Duration = Duration::from_millis(1);

/// A lock and a notification.
pub(super) trait Monitor {
    /// What the lock guards.
    type State;
    /// The lock, held.
    type Guard<'a>: DerefMut<Target = Self::State>
    where
        Self: 'a;

    /// Takes the lock.
    fn lock(&self) -> Self::Guard<'_>;

    /// Gives the lock back until somebody notifies, at most for `timeout`, or for no reason.
    fn rest<'a>(&'a self, state: Self::Guard<'a>, timeout: Option<Duration>) -> Self::Guard<'a>;

    /// Notifies all who rest.
    fn notify_all(&self);
}

/// What the protocol is about: a monitor, and a world to wait in.
pub(super) trait House: Monitor {
    /// What was heard in the world.
    type Heard;

    /// Ends one present or the next future wait in the world.
    fn wake(&self);

    /// Gives the lock back and waits in the world, at most for `timeout`.
    fn listen<'a>(
        &'a self,
        state: Self::Guard<'a>,
        timeout: Option<Duration>,
        sigmask: Option<u64>,
    ) -> (Self::Guard<'a>, Self::Heard, Result<(), Errno>);

    /// Carries out what was heard.
    fn hear(state: &mut Self::State, heard: Self::Heard);

    /// The protocol's own part of the state.
    fn turnstile(state: &mut Self::State) -> &mut Turnstile;

    /// Whether something may happen that somebody has to see to.
    fn is_expecting(state: &Self::State) -> bool;

    /// For how long the background thread may wait, and when that is over.
    fn time_left(&self, state: &Self::State) -> (Option<Duration>, Option<u64>);

    /// Does what has become due, and tells whom completions concern.
    fn catch_up(&self, state: &mut Self::State);

    /// The background thread only tells of what there is to enter for, if this is so.
    fn defers(&self) -> bool;

    /// Gives the lock back until there is something to enter for, or somebody wakes, at most for `timeout`.
    fn await_task_work<'a>(&'a self, state: Self::Guard<'a>, timeout: Option<Duration>) -> Self::Guard<'a>;

    /// Tells that there is something to enter for.
    fn tell_of_task_work(&self, state: &mut Self::State);
}

/// Who leads, and who waits for its news.
#[derive(Debug, Default)]
pub(super) struct Turnstile {
    pub(super) leader: Leader,
    /// How many completions the leader waits for.
    wanted: u32,
    /// When the leader will look at the clock by itself: nanoseconds from when it began, none for never.
    wakes_at: Option<u64>,
    /// Threads that wait for the leader's news, or for its place.
    followers: u32,
    /// Waits that have begun, so that the background thread sees whether anybody came.
    waits: u64,
    /// The background thread sleeps without a timeout and must be woken.
    asleep: bool,
    /// Nobody has waited since the background thread last took over: the program waits elsewhere, so there is no reason to
    /// hesitate.
    settled: bool,
    /// Somebody came to wait and wants the background thread's place.
    sent_away: bool,
    /// The background thread is to end.
    leaving: bool,
}

/// Who waits in the world for events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Leader {
    /// Nobody.
    #[default]
    Nobody,
    /// A thread that entered.
    Waiter,
    /// The background thread.
    Background,
}

/// How a thread waits once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    /// So many completions are enough.
    pub(super) want: u32,
    /// For how long at the most.
    pub(super) timeout: Option<Duration>,
    /// When that is over, on the monotonic clock.
    pub(super) wakes_at: Option<u64>,
    /// The signal mask meanwhile.
    pub(super) sigmask: Option<u64>,
}

impl Turnstile {
    /// A wait begins.
    pub(super) fn come(&mut self) {
        self.waits = self.waits.wrapping_add(1);
    }

    /// Completions were posted; so many wait in the queue now.
    pub(super) fn news<H: House>(&self, house: &H, waiting: u32) {
        if self.leader == Leader::Waiter && waiting >= self.wanted {
            house.wake();
        }
        if self.followers > 0 {
            house.notify_all();
        }
    }

    /// There is something to do for whoever leads.
    pub(super) fn more_to_do<H: House>(&self, house: &H) {
        if self.leader != Leader::Nobody {
            house.wake();
        }
    }

    /// Whether a wake that somebody took out of the world who does not lead may have been meant for the leader.
    pub(super) fn wants_wakes(&self) -> bool {
        self.leader != Leader::Nobody
    }

    /// Whether a deadline lies before the one that the leader knows.
    pub(super) fn is_too_late(&self, at: u64) -> bool {
        self.leader != Leader::Nobody && self.wakes_at.is_none_or(|wakes_at| at < wakes_at)
    }

    /// Whether the background thread has been asked to end.
    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving
    }

    fn lead(&mut self, leader: Leader, wakes_at: Option<u64>) {
        self.leader = leader;
        self.wakes_at = wakes_at;
    }
}

/// Leads for one turn, or follows for one.
pub(super) fn take_turn<'a, H: House>(
    house: &'a H,
    mut state: H::Guard<'a>,
    turn: &Turn,
) -> (H::Guard<'a>, Result<(), Errno>) {
    let turnstile = H::turnstile(&mut state);
    if turnstile.leader == Leader::Nobody {
        turnstile.lead(Leader::Waiter, turn.wakes_at);
        turnstile.wanted = turn.want;
        let (mut state, heard, waited) = house.listen(state, turn.timeout, turn.sigmask);
        H::turnstile(&mut state).leader = Leader::Nobody;
        H::hear(&mut state, heard);
        return (state, waited);
    }
    if turnstile.leader == Leader::Background {
        turnstile.sent_away = true;
        house.wake();
    }
    turnstile.followers += 1;
    let mut state = house.rest(state, turn.timeout);
    H::turnstile(&mut state).followers -= 1;
    (state, Ok(()))
}

/// A wait is over: somebody else may have to lead.
pub(super) fn go<H: House>(house: &H, state: &mut H::State) {
    if H::turnstile(state).followers > 0 {
        house.notify_all();
    }
}

/// Wakes the background thread, if it sleeps.
pub(super) fn rouse<H: House>(house: &H, state: &mut H::State) {
    if std::mem::take(&mut H::turnstile(state).asleep) {
        house.notify_all();
    }
}

/// Asks the background thread to end.
pub(super) fn dismiss<H: House>(house: &H, state: &mut H::State) {
    H::turnstile(state).leaving = true;
    house.notify_all();
    house.wake();
}

/// What the background thread does, until it is dismissed.
pub(super) fn attend<H: House>(house: &H) {
    let mut state = house.lock();
    while !H::turnstile(&mut state).leaving {
        if !H::is_expecting(&state) || H::turnstile(&mut state).leader != Leader::Nobody {
            let turnstile = H::turnstile(&mut state);
            turnstile.asleep = true;
            turnstile.settled &= turnstile.leader == Leader::Nobody;
            state = house.rest(state, None);
            continue;
        }
        let waits = H::turnstile(&mut state).waits;
        if !H::turnstile(&mut state).settled {
            state = house.rest(state, Some(PATIENCE));
            let turnstile = H::turnstile(&mut state);
            if turnstile.waits != waits || turnstile.leader != Leader::Nobody || turnstile.leaving {
                continue;
            }
            if !H::is_expecting(&state) {
                continue;
            }
            H::turnstile(&mut state).settled = true;
        }
        state = if house.defers() { tell(house, state) } else { serve(house, state) };
        let turnstile = H::turnstile(&mut state);
        // Who follows has not come anew, but wants the place all the same.
        turnstile.settled &= turnstile.waits == waits && turnstile.followers == 0;
    }
}

/// Leads for one turn.
fn serve<'a, H: House>(house: &'a H, mut state: H::Guard<'a>) -> H::Guard<'a> {
    let (timeout, wakes_at) = house.time_left(&state);
    H::turnstile(&mut state).lead(Leader::Background, wakes_at);
    let (mut state, heard, waited) = house.listen(state, timeout, None);
    let turnstile = H::turnstile(&mut state);
    // A world that cannot be waited in any more (the program has closed its descriptor) must not be asked without end.
    turnstile.leaving |= waited.is_err_and(|errno| errno != Errno::INTR);
    turnstile.leader = Leader::Nobody;
    turnstile.sent_away = false;
    H::hear(&mut state, heard);
    house.catch_up(&mut state);
    house.notify_all();
    state
}

/// Waits until there is something to enter for, and says so once.
fn tell<'a, H: House>(house: &'a H, mut state: H::Guard<'a>) -> H::Guard<'a> {
    let (timeout, wakes_at) = house.time_left(&state);
    H::turnstile(&mut state).lead(Leader::Background, wakes_at);
    let mut state = house.await_task_work(state, timeout);
    let turnstile = H::turnstile(&mut state);
    turnstile.leader = Leader::Nobody;
    house.notify_all();
    // Sent away: whoever came sees for themselves.
    if std::mem::take(&mut turnstile.sent_away) || turnstile.leaving {
        return state;
    }
    house.tell_of_task_work(&mut state);
    // Told once: the owner's next enter brings the next turn.
    H::turnstile(&mut state).asleep = true;
    while H::turnstile(&mut state).asleep && !H::turnstile(&mut state).leaving {
        state = house.rest(state, None);
    }
    state
}

#[cfg(test)]
#[path = "turnstile_tests.rs"]
mod tests;
