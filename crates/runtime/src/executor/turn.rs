//! The loop: turns until the root future is ready, then the end.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use super::task::{Failing, LocalFuture, Polled, TaskWaker};
use super::{Context, ROOT};
use crate::Error;
use crate::driver::Wait;

/// Runs a future to its end on this thread, and everything that it spawns; then ends what is left.
pub(crate) fn run<F: Future>(
    context: &Rc<Context>,
    deadline: Duration,
    future: F,
) -> Result<F::Output, Error> {
    let installed = context.install()?;
    context.listen();
    // A panic of the root, also one of its destructor, passes through `run`, but only after an orderly end.
    let outcome = catch_unwind(AssertUnwindSafe(|| context.turns(pin!(future))));
    context.end(deadline);
    drop(installed);
    outcome.unwrap_or_else(|payload| resume_unwind(payload))
}

impl Context {
    fn turns<F: Future>(&self, mut root: Pin<&mut F>) -> Result<F::Output, Error> {
        let root_task = self.root_waker();
        let root_waker = Waker::from(root_task.clone());
        self.schedule(root_task);
        loop {
            self.inbox.collect(&mut *self.ready.borrow_mut());
            for _ in 0..self.budget {
                let Some(task) = self.next_ready() else { break };
                task.scheduled.store(false, Ordering::Release);
                self.polls.set(self.polls.get() + 1);
                if task.index != ROOT {
                    self.poll_task(&task);
                } else if let Poll::Ready(output) =
                    root.as_mut().poll(&mut TaskContext::from_waker(&root_waker))
                {
                    return Ok(output);
                }
            }
            self.enter()?;
        }
    }

    /// The end of a turn: the one call, and what came of it.
    fn enter(&self) -> Result<(), Error> {
        let ready = !self.ready.borrow().is_empty();
        let asleep = !ready && self.inbox.fall_asleep();
        let wait = if asleep { self.timers.wait() } else { Wait::No };
        let entered = self.driver.enter(wait);
        if asleep {
            self.inbox.awake();
        }
        self.driver.reap();
        self.timers.fire();
        entered.map_err(|errno| Error::System { doing: "entering the ring", errno })
    }

    fn next_ready(&self) -> Option<Arc<TaskWaker>> {
        self.ready.borrow_mut().pop_front()
    }

    fn poll_task(&self, woken: &Arc<TaskWaker>) {
        let Some((future, failing)) = self.take_out(woken) else { return };
        let waker = Waker::from(woken.clone());
        let doomed = match failing.poll(future, &waker) {
            Polled::Pending(future) => {
                let doomed = self.tasks.borrow_mut()[woken.index].put(future);
                let Some(doomed) = doomed else { return };
                Some(doomed)
            }
            Polled::Ended => None,
        };
        let task = self.tasks.borrow_mut().remove(woken.index);
        if let Some(future) = doomed {
            failing.abort(future);
        }
        failing.forget_with(task);
    }

    /// The future of a task that was woken, unless the task is over or its place has another one.
    fn take_out(&self, woken: &Arc<TaskWaker>) -> Option<(LocalFuture, Failing)> {
        let mut tasks = self.tasks.borrow_mut();
        let task = tasks.get_mut(woken.index).filter(|task| Arc::ptr_eq(&task.waker, woken))?;
        task.take()
    }

    /// Reads the eventfd of the inbox as a task like any other: its completion is what ends a wait.
    fn listen(&self) {
        let Some(bell) = self.bell.take() else { unreachable!("an executor runs once") };
        let listening = self.spawn(super::inbox::listen(bell));
        debug_assert!(listening.is_ok(), "there is room for the first task");
    }

    /// Drops every task, then ends the driver.
    fn end(&self, deadline: Duration) {
        self.ending.set(true);
        drop(self.inbox.close());
        // All at once: destructors cannot spawn any more, and to abort one of these does nothing.
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        for (_, task) in tasks {
            task.discard();
        }
        let ready = std::mem::take(&mut *self.ready.borrow_mut());
        drop(ready);
        self.driver.tear_down(deadline);
    }
}
