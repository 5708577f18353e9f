//! The polling thread of `IORING_SETUP_SQPOLL`: takes entries without a call.
//!
//! It spins as long as there is work, and for the idle time after that; then it sets `NEED_WAKEUP` and sleeps until an enter
//! wakes it ([`doze`]).

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use annulus_abi::{Params, SetupFlags, SqRingFlags};
use rustix::io::Errno;
use rustix::thread::CpuSet;

use super::doze::{self, Doze, SqPoll};
use super::turnstile::Leader;
use super::{Ring, State};
use crate::pool::SignalMask;
use crate::world::{ClockId, Vouched};

/// The idle time of a ring that names none, in milliseconds.
const DEFAULT_IDLE_MS: u32 = 1000;

/// Starts the thread.
///
/// # Errors
///
/// `EAGAIN`: the system has no thread for it.
pub(crate) fn start(ring: &Arc<Ring>, params: &Params, vouched: Vouched) -> Result<JoinHandle<()>, Errno> {
    let idle_ms = if params.sq_thread_idle == 0 { DEFAULT_IDLE_MS } else { params.sq_thread_idle };
    let cpu = params.setup_flags().contains(SetupFlags::SQ_AFF).then_some(params.sq_thread_cpu);
    let ring = Arc::clone(ring);
    // No signal of the program is handled there: one that it waits for must not end somebody else's call.
    let _mask = SignalMask::block();
    thread::Builder::new()
        .name("annulus-sq".into())
        .spawn(move || {
            if let Some(cpu) = cpu {
                let mut cpus = CpuSet::new();
                cpus.set(usize::try_from(cpu).unwrap_or(0));
                // Set-up has tried it.
                let _ = rustix::thread::sched_setaffinity(None, &cpus);
            }
            poll(&ring, u64::from(idle_ms) * 1_000_000, vouched);
        })
        .map_err(|error| error.raw_os_error().map_or(Errno::AGAIN, Errno::from_raw_os_error))
}

fn poll(ring: &Ring, idle_ns: u64, vouched: Vouched) {
    let mut active_at = ring.world.now(ClockId::Monotonic);
    loop {
        let (leaving, busy) = ring.with(|state| {
            if state.sqpoll.is_leaving() {
                return (true, false);
            }
            let available = if state.disabled { 0 } else { state.rings.sq.available() };
            let submitted = if available > 0 { state.submit(available, vouched) } else { 0 };
            let completions = state.notices.count();
            if state.turnstile.leader == Leader::Nobody {
                state.look();
                state.catch_up(ring);
            }
            (false, submitted > 0 || state.notices.count() != completions)
        });
        if leaving {
            return;
        }
        let now = ring.world.now(ClockId::Monotonic);
        if busy {
            active_at = now;
        } else if now.saturating_sub(active_at) >= idle_ns {
            doze::sleep(ring);
            active_at = ring.world.now(ClockId::Monotonic);
        } else {
            thread::yield_now();
        }
    }
}

impl Doze for Ring {
    fn sqpoll(state: &mut State) -> &mut SqPoll {
        &mut state.sqpoll
    }

    fn announce(state: &mut State, sleeps: bool) {
        if sleeps {
            state.rings.sq.set_flags(SqRingFlags::NEED_WAKEUP);
        } else {
            state.rings.sq.clear_flags(SqRingFlags::NEED_WAKEUP);
        }
    }

    fn has_entries(state: &mut State) -> bool {
        state.rings.sq.fence_and_available() > 0 && !state.disabled
    }

    fn hand_over(&self, state: &mut State) {
        state.see_to_background(self);
    }
}

impl State {
    /// Wakes the polling thread, if it sleeps.
    pub(crate) fn wake_sqpoll(&mut self, ring: &Ring) {
        doze::wake(ring, self);
    }
}

impl Ring {
    /// Waits until the submission queue has room (`IORING_ENTER_SQ_WAIT`).
    pub(crate) fn wait_for_room(&self, entries: u32) {
        while self.lock().rings.sq.available() >= entries {
            self.lock().wake_sqpoll(self);
            thread::yield_now();
        }
    }

    /// Asks the polling thread to end; it is to be joined without the lock.
    pub(crate) fn dismiss_sqpoll(&self) {
        doze::dismiss(self, &mut self.lock());
    }
}
