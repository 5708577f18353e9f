//! What happened outside: descriptors became ready, times came, workers came back.

use std::time::Duration;

use super::{Ring, State};
use crate::op::Turn;
use crate::request::Stage;
use crate::world::Event;

impl State {
    /// Carries on what the events concern.
    pub(super) fn take_events(&mut self, events: &[Event]) {
        let mut concerned = Vec::new();
        for event in events {
            match *event {
                Event::Ready { token, ready } => self.watches.concerned(token, ready, &mut concerned),
                Event::Done { token, result } => {
                    self.take_transferred(token, result);
                    continue;
                }
            }
            for (key, ready) in concerned.drain(..) {
                // An earlier one of the same event may have ended it, or taken its place.
                let Some(request) = self.requests.get_mut(key.0 as usize) else { continue };
                if !matches!(request.stage, Stage::Armed(_)) {
                    continue;
                }
                let step = request.attempt(&self.env.world, &mut self.tables, Turn::Ready(ready));
                self.carry_on(key, step);
            }
        }
    }

    /// Takes what is ready at this moment, without waiting.
    pub(super) fn look(&mut self) {
        if self.watches.is_empty() && self.transfers == 0 {
            return;
        }
        let mut events = std::mem::take(&mut self.events);
        // Without waiting nothing can interrupt it.
        let is_woken = self.env.world.wait(Some(Duration::ZERO), None, &mut events);
        if is_woken == Ok(true) && self.turnstile.wants_wakes() {
            self.env.world.wake();
        }
        self.take_events(&events);
        events.clear();
        self.events = events;
    }

    /// Does what has become due: times, turns that were put off, what workers brought.
    pub(super) fn catch_up(&mut self, ring: &Ring) {
        self.take_late(ring);
        if self.clocks.has_deadline() {
            self.expire();
        }
        if !self.again.is_empty() {
            self.go_on_with_others();
        }
    }
}
