//! The functions of the crate's root: run, spawn, yield, and a look at the executor.

use std::task::Poll;

use annulus::Chosen;

use crate::executor::Context;
use crate::stats::Counters;
use crate::task::Origin;
use crate::{Builder, Error, JoinHandle};

/// Runs a future to its end on this thread, on a ring of its own. [`Builder::run`] with every default.
///
/// # Errors
///
/// Those of [`Builder::run`].
///
/// # Examples
///
/// ```
/// let text = annulus_rt::run(async {
///     let file = annulus_rt::fs::open("Cargo.toml").await?;
///     let (read, buf) = file.read_at(Vec::with_capacity(64), 0).await;
///     read.map(|_| buf)
/// })?;
/// assert!(text?.starts_with(b"[package]"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn run<F: Future>(future: F) -> Result<F::Output, Error> {
    Builder::new().run(future)
}

/// Whether this thread is inside of a run: whether tasks can be spawned and operations awaited here.
///
/// ```
/// assert!(!annulus_rt::is_running());
/// assert!(annulus_rt::run(async { annulus_rt::is_running() })?);
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[must_use]
pub fn is_running() -> bool {
    Context::try_current().is_some()
}

/// Starts a task on this executor. It runs whether or not the handle is awaited, until it is done, aborted,
/// or the runtime ends. A panic in it goes to the handle and concerns nobody else.
///
/// # Examples
///
/// ```
/// annulus_rt::run(async {
///     let good = annulus_rt::spawn(async { 1 });
///     let bad = annulus_rt::spawn(async { panic!("not again") });
///     assert_eq!(bad.await.unwrap_err().panic_message(), Some("not again"));
///     assert_eq!(good.await.unwrap(), 1);
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
///
/// # Panics
///
/// Outside of a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    try_spawn(future).unwrap_or_else(|_refused| JoinHandle::refused())
}

/// As [`spawn`], but gives the future back if the executor has as many tasks as it may have.
///
/// # Errors
///
/// The future, if there are [`Builder::tasks`] tasks, or the runtime is ending.
///
/// # Panics
///
/// Outside of a runtime.
#[track_caller]
pub fn try_spawn<F>(future: F) -> Result<JoinHandle<F::Output>, F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let origin = Origin::here();
    Context::with(|executor| executor.spawn(future, origin))
}

/// Lets every other task that is ready run first.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What carries out the operations of this thread's executor, the kernel or the engine, and why: see
/// [`Builder::backend`].
///
/// ```
/// let kind = annulus_rt::run(async { annulus_rt::chosen().kind() })?;
/// println!("on the {kind}");
/// # Ok::<(), annulus_rt::Error>(())
/// ```
///
/// # Panics
///
/// Outside of a runtime, and in one that has ended.
#[must_use]
pub fn chosen() -> Chosen {
    let chosen = Context::with(|executor| executor.driver.with_ring(|ring| ring.chosen().clone()));
    chosen.expect("the ring lives as long as the futures that may ask")
}

/// The counters of this thread's executor.
///
/// # Panics
///
/// Outside of a runtime.
#[must_use]
pub fn counters() -> Counters {
    Context::with(Context::counters)
}
