//! The loop: turns until the root future is ready, then the end.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use super::cell::{TaskRef, swallow};
use super::current::{self, Installed};
use super::{Context, inbox};
use crate::driver::Wait;
use crate::task::{Id, JoinError, Origin};
use crate::{Error, coop};

/// Runs a future to its end on this thread, and everything that it spawns; then ends what is left.
pub(crate) fn run<F: Future>(
    context: &Rc<Context>,
    deadline: Duration,
    future: F,
) -> Result<F::Output, Error> {
    let installed = Installed::new(context)?;
    context.listen();
    // The root future lies on this stack. What stands for it among the tasks has a future that is never polled.
    let root = TaskRef::new(
        std::future::pending::<()>(),
        Id::next(),
        Origin::here(),
        context.id(),
        context.inbox.clone(),
    );
    // A panic of the root, also one of its destructor, passes through `run`, but only after an orderly end.
    let outcome = catch_unwind(AssertUnwindSafe(|| context.turns(&root, pin!(future))));
    drop(root.end());
    context.end(deadline);
    drop(root);
    drop(installed);
    outcome.unwrap_or_else(|payload| resume_unwind(payload))
}

impl Context {
    fn turns<F: Future>(&self, root_task: &TaskRef, mut root: Pin<&mut F>) -> Result<F::Output, Error> {
        let root_waker = root_task.waker();
        self.schedule(root_task.clone());
        loop {
            self.collect();
            for _ in 0..self.budget {
                let Some(task) = self.ready.pop() else { break };
                if task.link() != root_task.link() {
                    self.poll_task(&task);
                } else if let Poll::Ready(output) =
                    self.poll(&task, || root.as_mut().poll(&mut TaskContext::from_waker(&root_waker)))
                {
                    return Ok(output);
                }
            }
            current::begin(0, current::UNLIMITED);
            self.enter()?;
        }
    }

    /// What other threads have left is seen to.
    fn collect(&self) {
        let (mut arrived, mut letters) = (self.emptied.take(), self.letters.take());
        self.inbox.collect(&mut arrived, &mut letters);
        for task in arrived.drain(..) {
            task.arrive();
        }
        self.emptied.set(arrived);
        for letter in letters.drain(..) {
            // It spawns a task, in which the user's code runs; what may panic here is the destructor of work that is refused.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| letter(self))) {
                tracing::warn!("the destructor of work that was refused panicked");
                swallow(payload);
            }
        }
        self.letters.set(letters);
        let ready = self.ready.len();
        if ready > self.counted.longest_ready.get() {
            self.counted.longest_ready.set(ready);
        }
    }

    /// The end of a turn: the one call, and what came of it.
    fn enter(&self) -> Result<(), Error> {
        self.counted.turns.set(self.counted.turns.get() + 1);
        let asleep = self.ready.len() == 0 && self.inbox.fall_asleep();
        let wait = if asleep { self.timers.wait() } else { Wait::No };
        let entered = self.driver.enter(wait);
        if asleep {
            self.inbox.awake();
        }
        self.driver.reap();
        if let Some(place) = self.place.get() {
            place.peers.after_enter(&self.driver);
        }
        self.timers.fire();
        entered.map_err(|errno| Error::System { doing: "entering the ring", errno })
    }

    fn poll_task(&self, task: &TaskRef) {
        // Aborted since it was woken.
        if task.has_ended() {
            return;
        }
        let has_output = {
            let _entered = task.own().origin.enter();
            self.poll(task, || task.poll())
        };
        if has_output {
            self.finish(task);
        } else if task.own().doomed.get() {
            task.discard(JoinError::Aborted);
            self.finish(task);
        }
    }

    /// Counts a poll, and gives it its budget.
    fn poll<T>(&self, task: &TaskRef, poll: impl FnOnce() -> T) -> T {
        self.counted.polls.set(self.counted.polls.get() + 1);
        current::begin(task.id().get(), coop::BUDGET);
        match &self.poll_clock {
            None => poll(),
            Some(clock) => clock.measure(poll),
        }
    }

    /// Reads the eventfd of the inbox as a task like any other: its completion is what ends a wait.
    fn listen(&self) {
        let Some(bell) = self.bell.take() else { unreachable!("an executor runs once") };
        let origin = Origin::here().named("wake-ups of other threads");
        let listening = self.spawn(inbox::listen(bell), origin);
        debug_assert!(listening.is_ok(), "there is room for the first task");
        self.heard.set(true);
    }

    /// Whether the task of [`Context::listen`] is among the living.
    pub(super) const fn bell_is_heard(&self) -> bool {
        self.heard.get()
    }

    /// Drops every task, then ends the driver.
    fn end(&self, deadline: Duration) {
        self.ending.set(true);
        self.close_inbox();
        // Destructors cannot spawn any more, so this comes to an end.
        while let Some(task) = self.living.first() {
            // What wakers do that were not ours to make must not keep the ring from its teardown.
            let aborted = catch_unwind(AssertUnwindSafe(|| self.abort(&task)));
            aborted.unwrap_or_else(swallow);
            assert!(task.has_ended(), "no task is polled while a run ends");
        }
        while let Some(task) = self.ready.pop() {
            drop(task);
        }
        self.driver.tear_down(deadline);
        if let Some(place) = self.place.get() {
            place.peers.end();
        }
    }
}
