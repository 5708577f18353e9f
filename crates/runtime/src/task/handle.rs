//! The handles on a task: one waits for its output, others abort it from anywhere.
//!
//! Work on a thread of the blocking pool has the same handles as a task of the executor.
#![allow(unsafe_code, reason = "takes a task's output, as the one handle that may")]

use std::fmt::{self, Debug, Formatter};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Id, JoinError};
use crate::blocking::{Abort, Outcome};
use crate::executor::cell::TaskRef;

/// Waits for a task; dropping it lets the task go on alone.
///
/// As a future it yields the task's output. It stays on the thread of the task; what may leave it is an
/// [`AbortHandle`].
pub struct JoinHandle<T> {
    id: Id,
    waits_for: WaitsFor<T>,
    /// Outputs need not be `Send`, and tasks are counted on their thread.
    thread_bound: PhantomData<*const T>,
}

enum WaitsFor<T> {
    Task(TaskRef),
    Blocking(Arc<dyn Outcome<T> + Send + Sync>),
    /// It never began.
    Nothing(Option<JoinError>),
}

impl<T> JoinHandle<T> {
    /// The handle of a task that was made just now, and has no other. Its output is a `T`.
    pub(crate) fn of_task(task: TaskRef) -> Self {
        Self { id: task.id(), waits_for: WaitsFor::Task(task), thread_bound: PhantomData }
    }

    /// The handle of work on another thread.
    pub(crate) fn of_blocking(outcome: Arc<dyn Outcome<T> + Send + Sync>) -> Self {
        Self { id: Id::next(), waits_for: WaitsFor::Blocking(outcome), thread_bound: PhantomData }
    }

    /// The handle of a task that was refused.
    pub(crate) fn refused() -> Self {
        let nothing = WaitsFor::Nothing(Some(JoinError::Refused));
        Self { id: Id::next(), waits_for: nothing, thread_bound: PhantomData }
    }

    /// The task's number.
    #[must_use]
    pub const fn id(&self) -> Id {
        self.id
    }

    /// Ends the task where it is, by dropping its future; operations in flight are cancelled. Does
    /// nothing if it has ended. A task that aborts itself ends at its next `.await` that is not ready. Of
    /// [blocking work](crate::spawn_blocking) only what has not begun can be aborted.
    pub fn abort(&self) {
        match &self.waits_for {
            WaitsFor::Task(task) => task.abort(),
            WaitsFor::Blocking(outcome) => outcome.abort(),
            WaitsFor::Nothing(_) => {}
        }
    }

    /// A handle that aborts this task, also from another thread, and does not wait for it.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        let aborts = match &self.waits_for {
            WaitsFor::Task(task) => Aborts::Task(task.clone()),
            WaitsFor::Blocking(outcome) => Aborts::Blocking(outcome.clone()),
            WaitsFor::Nothing(_) => Aborts::Nothing,
        };
        AbortHandle { id: self.id, aborts }
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.waits_for {
            WaitsFor::Task(task) => task.has_ended(),
            WaitsFor::Blocking(outcome) => outcome.is_finished(),
            WaitsFor::Nothing(_) => true,
        }
    }
}

/// The future that it waits for is elsewhere.
impl<T> Unpin for JoinHandle<T> {}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// If it is polled after it has yielded.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let output = match &mut self.waits_for {
            WaitsFor::Task(task) => {
                if !task.has_ended() {
                    // SAFETY: this handle cannot leave the thread of its task (`thread_bound`).
                    unsafe { task.wait(cx.waker()) };
                    // Cloning a waker is somebody else's code, which may have aborted the task.
                    if !task.has_ended() {
                        return Poll::Pending;
                    }
                }
                // SAFETY: the output is a `T` (`of_task`), the task has ended, this handle is its only one and cannot
                // leave its thread.
                unsafe { task.take::<T>() }
            }
            WaitsFor::Blocking(outcome) => return outcome.poll(cx),
            WaitsFor::Nothing(error) => error.take().map(Err),
        };
        Poll::Ready(output.expect("a join handle was polled after it had yielded"))
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let WaitsFor::Task(task) = &self.waits_for {
            // SAFETY: this handle is the only one of its task, and cannot leave its thread.
            unsafe { task.give_up_handle() };
        }
    }
}

impl<T> Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id)
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

/// Aborts a task, from any thread; dropping it does nothing.
///
/// # Examples
///
/// ```
/// use annulus_rt::JoinError;
///
/// annulus_rt::run(async {
///     let task = annulus_rt::spawn(std::future::pending::<()>());
///     let abort = task.abort_handle();
///     let elsewhere = annulus_rt::spawn_blocking(move || abort.abort());
///     assert!(matches!(task.await, Err(JoinError::Aborted)));
///     elsewhere.await.unwrap();
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Clone)]
pub struct AbortHandle {
    id: Id,
    aborts: Aborts,
}

#[derive(Clone)]
enum Aborts {
    Task(TaskRef),
    Blocking(Arc<dyn Abort + Send + Sync>),
    Nothing,
}

impl AbortHandle {
    /// Ends the task as [`JoinHandle::abort`] does: at once if this is its thread, else as soon as its executor comes to it.
    pub fn abort(&self) {
        match &self.aborts {
            Aborts::Task(task) => task.abort(),
            Aborts::Blocking(work) => work.abort(),
            Aborts::Nothing => {}
        }
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.aborts {
            Aborts::Task(task) => task.has_ended(),
            Aborts::Blocking(work) => work.is_finished(),
            Aborts::Nothing => true,
        }
    }

    /// The task's number.
    #[must_use]
    pub const fn id(&self) -> Id {
        self.id
    }
}

impl Debug for AbortHandle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id)
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
