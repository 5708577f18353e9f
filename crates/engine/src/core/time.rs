//! Timeouts: those that expire, those that count completions, those that limit the request they are linked to.

use annulus_abi::{IORING_OP_LINK_TIMEOUT, IORING_OP_TIMEOUT};
use rustix::io::Errno;

use super::State;
use crate::op::{Control, Op, Outcome, Timeout, TimeoutRemove};
use crate::request::Stage;
use crate::scheduler::Key;
use crate::timer::{Counted, Now, Timers, deadline_ns, next_tick_ns};
use crate::world::{ClockId, World};

/// What waits for a time or for completions.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    timers: Timers,
    counted: Counted,
    /// Completions of timeouts, which count for no other.
    uncounted: u64,
    /// Timeouts whose time or number came.
    came: u64,
    /// As it was when threads that wait were last told.
    told: u64,
}

impl Clocks {
    /// Whether a time will come.
    pub(super) fn has_deadline(&self) -> bool {
        !self.timers.is_empty()
    }

    /// Nanoseconds until the next time comes.
    pub(super) fn time_left(&self, world: &dyn World) -> Option<u64> {
        if self.timers.is_empty() { None } else { self.timers.until_next_ns(&now(world)) }
    }

    /// How many timeouts have come: each ends the waits of this moment, however many completions they are for.
    pub(super) const fn came(&self) -> u64 {
        self.came
    }

    /// Whether timeouts have come since this was last asked.
    pub(super) const fn is_news(&mut self) -> bool {
        let is_news = self.came != self.told;
        self.told = self.came;
        is_news
    }

    /// Waits for this request no longer.
    pub(super) fn remove(&mut self, key: Key) {
        self.timers.remove(key);
        self.counted.remove(key);
    }
}

impl State {
    /// Starts a `TIMEOUT`.
    pub(super) fn start_timeout(&mut self, key: Key, timeout: Timeout) {
        self.request(key).stage = Stage::Timing;
        if timeout.count > 0 && !timeout.multishot {
            let posted = self.countable();
            self.clocks.counted.add(key, posted + u64::from(timeout.count));
        }
        self.set_deadline(key, &timeout);
    }

    /// Starts the `LINK_TIMEOUT` of a request that is being issued.
    pub(super) fn start_link_timeout(&mut self, timer: Key) {
        if let Some(Control::Timeout(timeout)) = self.request(timer).control() {
            self.request(timer).stage = Stage::Timing;
            self.set_deadline(timer, &timeout);
        }
    }

    fn set_deadline(&mut self, key: Key, timeout: &Timeout) {
        let world = &*self.env.world;
        let at = deadline_ns(world.now(timeout.clock), timeout.ns, timeout.absolute);
        self.clocks.timers.insert(key, timeout.clock, at);
        self.tell_leader_of_deadline();
    }

    /// Has whoever waits look at the clock again if a deadline lies before the one that they know.
    fn tell_leader_of_deadline(&self) {
        let world = &*self.env.world;
        if let Some(left) = self.clocks.time_left(world)
            && self.turnstile.is_too_late(world.now(ClockId::Monotonic).saturating_add(left))
        {
            world.wake();
        }
    }

    /// Completes what has expired.
    pub(super) fn expire(&mut self) {
        let now = now(&*self.env.world);
        while let Some((key, deadline)) = self.clocks.timers.pop_expired(&now) {
            if self.request(key).opcode == IORING_OP_LINK_TIMEOUT {
                self.fire_link_timeout(key);
                continue;
            }
            let Some(Control::Timeout(mut timeout)) = self.request(key).control() else { continue };
            let outcome = Outcome { severs: !timeout.expiry_succeeds, ..Outcome::failure(Errno::TIME) };
            self.clocks.came += 1;
            if timeout.multishot && timeout.count != 1 && self.has_room() {
                timeout.count = timeout.count.saturating_sub(1);
                self.request(key).op = Op::Control(Control::Timeout(timeout));
                let user_data = self.request(key).user_data;
                self.clocks.uncounted += 1;
                self.post(user_data, &outcome.with_flags(annulus_abi::CqeFlags::MORE));
                let next = next_tick_ns(deadline.at_ns, timeout.ns, now.on(deadline.clock));
                self.clocks.timers.insert(key, deadline.clock, next);
                if next <= now.on(deadline.clock) {
                    // An interval of nothing: others have their turn in between.
                    break;
                }
                continue;
            }
            self.end_timeout(key, &outcome);
        }
    }

    /// Completes the timeouts whose number of completions was posted.
    pub(super) fn complete_counted(&mut self) {
        while !self.clocks.counted.is_empty() {
            let posted = self.countable();
            let Some(key) = self.clocks.counted.due(posted) else { return };
            self.clocks.came += 1;
            self.end_timeout(key, &Outcome::success(0));
        }
    }

    fn end_timeout(&mut self, key: Key, outcome: &Outcome) {
        self.clocks.remove(key);
        if self.request(key).posts(outcome) {
            self.clocks.uncounted += 1;
        }
        self.end(key, outcome);
    }

    fn fire_link_timeout(&mut self, timer: Key) {
        let outcome = match self.scheduler.fired(timer) {
            None => Outcome::failure(Errno::TIME),
            Some(target) => match self.cancel_one(target) {
                Ok(0) => Outcome::failure(Errno::TIME),
                // What the kernel's cancel counts stands where the reason should.
                Ok(count) => Outcome::from(Ok(count)),
                Err(errno) => Outcome::failure(errno),
            },
        };
        // A linked timeout that wants no completion gets none even if it fires, as in the kernel.
        self.end(timer, &Outcome { severs: false, ..outcome });
    }

    /// Removes a timeout, or gives it another time.
    ///
    /// # Errors
    ///
    /// `ENOENT`.
    pub(super) fn remove_timeout(&mut self, remove: &TimeoutRemove) -> Result<u32, Errno> {
        let opcode = if remove.linked { IORING_OP_LINK_TIMEOUT } else { IORING_OP_TIMEOUT };
        let found = self
            .requests
            .named(remove.user_data)
            .filter(|(_, request)| request.opcode == opcode && matches!(request.stage, Stage::Timing));
        let first = found.map(|(index, _)| index).min();
        let key = Key(first.map(|index| u32::try_from(index).unwrap_or(u32::MAX)).ok_or(Errno::NOENT)?);
        let Some(update) = remove.update else {
            self.end_cancelled(key);
            return Ok(0);
        };
        self.clocks.remove(key);
        if let Some(Control::Timeout(timeout)) = self.request(key).control() {
            // What it counts is forgotten, as in the kernel; its clock stays, and so does whether its end is a success.
            let changed = Timeout { ns: update.ns, absolute: update.absolute, ..timeout };
            self.request(key).op = Op::Control(Control::Timeout(changed));
            self.set_deadline(key, &changed);
        }
        Ok(0)
    }

    /// Completions that timeouts count.
    fn countable(&self) -> u64 {
        self.notices.count() - self.clocks.uncounted
    }
}

fn now(world: &dyn World) -> Now {
    Now {
        monotonic_ns: world.now(ClockId::Monotonic),
        boottime_ns: world.now(ClockId::Boottime),
        realtime_ns: world.now(ClockId::Realtime),
    }
}
