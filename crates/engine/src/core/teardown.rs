//! The end of a ring: nothing may write into the program's memory after it.
//!
//! What waits is dropped, what a worker has is interrupted and waited for. A call that cannot be interrupted (a disk that
//! does not answer) is waited for as long as it takes to be sure that it is stuck; then the ring's own memory is leaked,
//! and what the program lent remains in use, as it would be with the kernel's ring.

use std::sync::Arc;
use std::time::Duration;

use super::time::Clocks;
use super::{Ring, State};
use crate::pool::Pool;
use crate::request::Stage;
use crate::scheduler::Key;

/// How long calls that were interrupted may take to return before they count as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Ends everything. Says whether all calls have returned: if not, nothing of the ring may be freed.
pub(crate) fn tear_down(ring: &Arc<Ring>) -> bool {
    let (background, pools) = {
        let mut state = ring.lock();
        state.drop_everything();
        (state.dismiss_background(ring), state.pools())
    };
    let is_worker_or_background =
        |thread: &std::thread::JoinHandle<()>| thread.thread().id() == std::thread::current().id();
    if let Some(thread) = background
        && !is_worker_or_background(&thread)
    {
        // It does nothing that could panic unnoticed; its end is all that counts.
        let _ = thread.join();
    }
    // From here on no device writes into the program's memory.
    ring.world.finish();
    let ended = pools.iter().all(|pool| pool.wait_owner(ring.id, STUCK_AFTER));
    if ended {
        ring.lock().drop_rest(ring);
    } else {
        tracing::error!("a system call of a worker does not return; the ring that it belongs to is leaked");
    }
    ended
}

impl State {
    /// All workers that may have a request of the ring: its own, those of personalities, and those of personalities that were
    /// given up while they had one.
    fn pools(&self) -> Vec<Pool> {
        let given_up = self.requests.iter().filter_map(|(_, request)| request.workers.as_ref());
        let known = self.settings.personality_pools();
        std::iter::once(&self.env.pool).chain(known).chain(given_up).cloned().collect()
    }

    /// Drops what waits, and interrupts what runs.
    fn drop_everything(&mut self) {
        let keys: Vec<Key> =
            self.requests.iter().map(|(index, _)| Key(u32::try_from(index).unwrap_or(u32::MAX))).collect();
        for key in keys {
            let Self { requests, tables, env, .. } = self;
            let request = &mut requests[key.0 as usize];
            match &request.stage {
                Stage::Working(ticket) => {
                    request.workers(&env.pool).cancel(*ticket);
                    request.cancelled = true;
                }
                _ => {
                    request.abandon(&env.world, tables);
                    self.disarm(key);
                    self.requests.remove(key.0 as usize);
                }
            }
        }
        self.again.clear();
        self.clocks = Clocks::default();
        self.closing = true;
    }

    /// Drops what workers had when everything else was dropped, and what they brought that nobody took. No worker has
    /// anything any more.
    fn drop_rest(&mut self, ring: &Ring) {
        for late in ring.late.take() {
            self.throw_late_away(late);
        }
        let Self { requests, tables, env, .. } = self;
        for mut request in requests.drain() {
            request.abandon(&env.world, tables);
        }
    }
}
