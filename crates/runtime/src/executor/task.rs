//! Tasks: futures that the executor runs, their wakers, and the handles that wait for them.
//!
//! A task stays on its executor's thread; only its waker may leave. A panic ends the task that it
//! happened in and is given to its handle.

use std::any::Any;
use std::cell::RefCell;
use std::fmt::{self, Debug, Display, Formatter};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::Context as Executor;
use super::inbox::Inbox;

/// Why a task has no output.
pub enum JoinError {
    /// The task panicked; the panic's payload.
    Panicked(Box<dyn Any + Send>),
    /// [`JoinHandle::abort`] ended it, or the runtime ended first.
    Aborted,
    /// The executor had as many tasks as it may have ([`Builder::tasks`](crate::Builder::tasks)).
    Refused,
}

impl JoinError {
    /// What the panic said, if it was one and said it in words.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        let Self::Panicked(payload) = self else { return None };
        let text = payload.downcast_ref::<&str>().copied();
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }
}

impl Debug for JoinError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(_) => f.debug_tuple("Panicked").field(&self.panic_message()).finish(),
            Self::Aborted => f.write_str("Aborted"),
            Self::Refused => f.write_str("Refused"),
        }
    }
}

impl Display for JoinError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(_) => match self.panic_message() {
                Some(message) => write!(f, "the task panicked: {message}"),
                None => f.write_str("the task panicked"),
            },
            Self::Aborted => f.write_str("the task was aborted"),
            Self::Refused => {
                f.write_str("the executor has as many tasks as it may have: raise Builder::tasks, or wait")
            }
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        Self::other(error.to_string())
    }
}

/// Waits for a task; dropping it lets the task go on alone.
///
/// As a future it yields the task's output.
pub struct JoinHandle<T> {
    join: Rc<Join<T>>,
    waker: Option<Arc<TaskWaker>>,
}

impl<T> JoinHandle<T> {
    /// Ends the task where it is, by dropping its future; operations in flight are cancelled. Does
    /// nothing if it has ended. A task that aborts itself ends at its next `.await` that is not ready.
    pub fn abort(&self) {
        if let (Some(waker), Some(executor)) = (&self.waker, Executor::try_current()) {
            executor.abort(waker);
        }
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.join.0.borrow().ended
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// If it is polled after it has yielded.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut join = self.join.0.borrow_mut();
        if let Some(output) = join.output.take() {
            return Poll::Ready(output);
        }
        assert!(!join.ended, "a join handle was polled after it had yielded");
        join.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("is_finished", &self.is_finished()).finish()
    }
}

/// A task's future, which has put its output in its place when it is ready.
pub(super) type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Where a task's output waits for its handle.
struct Join<T>(RefCell<JoinState<T>>);

struct JoinState<T> {
    output: Option<Result<T, JoinError>>,
    waker: Option<Waker>,
    ended: bool,
}

impl<T> Join<T> {
    fn end(&self, output: Result<T, JoinError>) {
        let waker = {
            let mut state = self.0.borrow_mut();
            if state.ended {
                return;
            }
            state.ended = true;
            state.output = Some(output);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Where a task's failure goes, whatever its output would have been.
trait Fail {
    fn fail(&self, error: JoinError);
}

impl<T> Fail for Join<T> {
    fn fail(&self, error: JoinError) {
        self.end(Err(error));
    }
}

/// What the executor holds of a task.
pub(super) struct Task {
    /// Out of its place while it is polled.
    future: Option<LocalFuture>,
    join: Rc<dyn Fail>,
    pub(super) waker: Arc<TaskWaker>,
    /// To be dropped when its poll returns.
    doomed: bool,
}

/// What became of a poll.
pub(super) enum Polled {
    Pending(LocalFuture),
    Ended,
}

impl Task {
    /// A task, and the handle on it.
    pub(super) fn new<F>(future: F, index: usize, inbox: &Arc<Inbox>) -> (Self, JoinHandle<F::Output>)
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let state = JoinState { output: None, waker: None, ended: false };
        let join = Rc::new(Join(RefCell::new(state)));
        let result = join.clone();
        let waker = Arc::new(TaskWaker { inbox: inbox.clone(), index, scheduled: AtomicBool::new(true) });
        let future = Box::pin(async move { result.end(Ok(future.await)) });
        let handle = JoinHandle { join: join.clone(), waker: Some(waker.clone()) };
        (Self { future: Some(future), join, waker, doomed: false }, handle)
    }

    /// Takes the future out to poll it.
    pub(super) fn take(&mut self) -> Option<(LocalFuture, Failing)> {
        Some((self.future.take()?, Failing(self.join.clone())))
    }

    /// Puts the future back after a poll; gives it back if the task was doomed meanwhile.
    pub(super) fn put(&mut self, future: LocalFuture) -> Option<LocalFuture> {
        if self.doomed {
            return Some(future);
        }
        self.future = Some(future);
        None
    }

    /// Whether it is being polled; if so, it ends afterwards.
    pub(super) fn doom(&mut self) -> bool {
        self.doomed = true;
        self.future.is_none()
    }

    /// Ends it without an output. Runs the future's destructor.
    pub(super) fn discard(mut self) {
        if let Some((future, failing)) = self.take() {
            failing.drop_future(future);
            failing.0.fail(JoinError::Aborted);
        }
    }
}

/// The end of a task's handle while its future is out of its place.
pub(super) struct Failing(Rc<dyn Fail>);

impl Failing {
    /// Polls; a panic goes to the handle.
    pub(super) fn poll(&self, mut future: LocalFuture, waker: &Waker) -> Polled {
        let mut cx = Context::from_waker(waker);
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx))) {
            Ok(Poll::Pending) => return Polled::Pending(future),
            Ok(Poll::Ready(())) => {}
            Err(payload) => {
                self.drop_future(future);
                self.0.fail(JoinError::Panicked(payload));
                return Polled::Ended;
            }
        }
        self.drop_future(future);
        Polled::Ended
    }

    /// Ends the task as aborted.
    pub(super) fn abort(&self, future: LocalFuture) {
        self.drop_future(future);
        self.0.fail(JoinError::Aborted);
    }

    /// Gives up the executor's share of a task that has ended. If its handle is gone, that drops the output, whose
    /// destructor may panic; nobody is left to be told.
    pub(super) fn forget_with(self, task: Task) {
        if catch_unwind(AssertUnwindSafe(|| drop((task, self)))).is_err() {
            tracing::warn!("the destructor of an output that nobody waited for panicked");
        }
    }

    /// Drops; a panic of the destructor goes to the handle.
    fn drop_future(&self, future: LocalFuture) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
            self.0.fail(JoinError::Panicked(payload));
        }
    }
}

/// The handle of a task that was refused.
pub(crate) fn refused<T>() -> JoinHandle<T> {
    let state = JoinState { output: Some(Err(JoinError::Refused)), waker: None, ended: true };
    JoinHandle { join: Rc::new(Join(RefCell::new(state))), waker: None }
}

/// What a waker of a task points to: the one part of a task that other threads hold.
pub(crate) struct TaskWaker {
    pub(super) inbox: Arc<Inbox>,
    pub(super) index: usize,
    /// In a queue already. A swap with acquire and release: what happened before a wake is seen by the
    /// poll that it leads to, even if another wake put the task into the queue.
    pub(super) scheduled: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            schedule(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            schedule(self.clone());
        }
    }
}

/// Into the executor's own queue on its thread, into its inbox from elsewhere.
fn schedule(task: Arc<TaskWaker>) {
    match Executor::try_current() {
        Some(executor) if executor.owns(&task.inbox) => executor.schedule(task),
        _ => {
            let inbox = task.inbox.clone();
            inbox.leave(task);
        }
    }
}
