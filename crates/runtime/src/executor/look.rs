//! An executor seen from outside: its counters, and its tasks one by one. It changes nothing.

use super::Context;
use super::cell::{Stage, TaskRef};
use crate::stats::Counters;
use crate::task::{Dump, TaskDump, TaskState};

impl Context {
    /// What was counted so far.
    pub(crate) fn counters(&self) -> Counters {
        let driver = self.driver.counted();
        // Without the task and the read by which other threads wake this one.
        let own = usize::from(self.bell_is_heard());
        Counters {
            enters: driver.enters,
            submitted: driver.submitted,
            completions: driver.completions,
            stale: driver.stale,
            messages: driver.messages,
            aside: driver.aside,
            in_flight: self.driver.in_flight().saturating_sub(own),
            parked: self.driver.parked(),
            backlog: self.driver.backlog(),
            turns: self.counted.turns.get(),
            polls: self.counted.polls.get(),
            spawned: self.counted.spawned.get().saturating_sub(own as u64),
            tasks: self.living.len().saturating_sub(own),
            ready: self.ready.len(),
            longest_ready: self.counted.longest_ready.get().max(self.ready.len()),
            timers: self.timers.len(),
            poll_times: self.poll_clock.as_ref().map(|clock| clock.times()),
        }
    }

    /// Every task that has not ended, in the order in which they were spawned.
    pub(crate) fn dump(&self) -> Dump {
        let mut in_flight = self.driver.in_flight_by_task();
        let mut tasks: Vec<TaskDump> = self.living.all().iter().map(describe).collect();
        for task in &mut tasks {
            task.operations = in_flight.remove(&task.id.get()).unwrap_or_default();
        }
        Dump { tasks }
    }
}

fn describe(task: &TaskRef) -> TaskDump {
    let own = task.own();
    let state = match own.stage.get() {
        Stage::Busy => TaskState::Running,
        _ if own.queued.get() || task.shared().left.is_set() => TaskState::Ready,
        _ => TaskState::Waiting,
    };
    TaskDump {
        id: task.id(),
        name: own.origin.name().map(str::to_owned),
        spawned_at: own.origin.location(),
        state,
        polls: own.polls.get(),
        operations: Vec::new(),
    }
}
