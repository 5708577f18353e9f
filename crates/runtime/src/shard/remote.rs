//! A task on another executor, and the handle on it that may be anywhere.
//!
//! The task is an ordinary one of its executor, inside of which the closure is called and its future polled. What
//! ends it goes through a oneshot: the output, a panic, an abort; and if the promise is dropped without a word, because
//! its executor ended or took no task any more, the handle says so.

use std::fmt::{self, Debug, Formatter};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::sync::{Notify, oneshot};

use crate::JoinError;
use crate::executor::inbox::Letter;
use crate::select::{Either, select};
use crate::task::Origin;

/// Waits for a task on another executor; dropping it lets the task go on alone. `Send`: it may be awaited on any thread.
///
/// As a future it yields the task's output, or why there is none: a panic comes back with its payload.
#[must_use = "the task's output, or that it was refused, is lost unless this is awaited"]
pub struct RemoteHandle<T> {
    output: oneshot::Receiver<Result<T, JoinError>>,
    shared: Arc<Shared>,
}

/// What the handle and the task have in common beside the output.
#[derive(Default)]
struct Shared {
    abort: Notify,
    /// Written by the task at its end, read by the handle; says nothing about other memory.
    ended: AtomicBool,
}

impl<T> RemoteHandle<T> {
    /// Ends the task where it is, by dropping its future on its executor; operations in flight are cancelled. Does
    /// nothing if it has ended. The handle yields [`JoinError::Aborted`] then.
    pub fn abort(&self) {
        self.shared.abort.notify_one();
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.shared.ended.load(Ordering::Relaxed)
    }

    /// That of a task that was not started.
    pub(super) fn failed(error: JoinError) -> Self {
        let (handle, promise) = pair();
        promise.keep(Err(error));
        handle
    }
}

impl<T> Future for RemoteHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// If it is polled after it has yielded.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.output).poll(cx).map(|output| output.unwrap_or(Err(JoinError::Aborted)))
    }
}

impl<T> Debug for RemoteHandle<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteHandle").field("is_finished", &self.is_finished()).finish()
    }
}

/// The task's end of a handle.
pub(super) struct Promise<T> {
    output: Option<oneshot::Sender<Result<T, JoinError>>>,
    shared: Arc<Shared>,
}

impl<T> Promise<T> {
    fn keep(mut self, outcome: Result<T, JoinError>) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(output) = self.output.take() {
            // Nobody may wait for it; then it is dropped here, on the task's thread.
            let _ = output.send(outcome);
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

pub(super) fn pair<T>() -> (RemoteHandle<T>, Promise<T>) {
    let (sender, output) = oneshot::channel();
    let shared = Arc::<Shared>::default();
    (RemoteHandle { output, shared: shared.clone() }, Promise { output: Some(sender), shared })
}

/// What starts the task on its executor.
pub(super) fn letter<F, Fut>(work: F, promise: Promise<Fut::Output>, origin: Origin) -> Letter
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: Send + 'static,
{
    Box::new(move |context| {
        if context.has_room() {
            let started = context.spawn(run(work, promise), origin);
            debug_assert!(started.is_ok(), "there is room");
        } else {
            promise.keep(Err(JoinError::Refused));
        }
    })
}

/// The task.
async fn run<F, Fut>(work: F, promise: Promise<Fut::Output>)
where
    F: FnOnce() -> Fut,
    Fut: Future,
{
    let outcome = {
        // In this order: what was aborted before it began does not begin.
        let aborted = promise.shared.abort.notified();
        match select(aborted, caught(work)).await {
            Either::Left(()) => Err(JoinError::Aborted),
            Either::Right(outcome) => outcome,
        }
    };
    promise.keep(outcome);
}

/// Calls, polls and drops; whatever panics of these ends as an error.
async fn caught<F, Fut>(work: F) -> Result<Fut::Output, JoinError>
where
    F: FnOnce() -> Fut,
    Fut: Future,
{
    let future = catch_unwind(AssertUnwindSafe(|| Box::pin(work()))).map_err(JoinError::Panicked)?;
    let mut future = Some(future);
    std::future::poll_fn(|cx| {
        let Some(running) = &mut future else { unreachable!("polled after it was ready") };
        let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)));
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(JoinError::Panicked(payload)),
        };
        let over = future.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(over)));
        // The first panic counts; of two, the second says less.
        Poll::Ready(outcome.and_then(|output| dropped.map(|()| output).map_err(JoinError::Panicked)))
    })
    .await
}
