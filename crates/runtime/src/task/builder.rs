//! `Builder`: starting a task that has a name.

use std::borrow::Cow;

use super::{JoinHandle, Origin};
use crate::executor::Context;

/// Starts tasks with a name, which a [`dump`](super::dump) and the task's `tracing` span show.
///
/// # Examples
///
/// ```
/// use annulus_rt::task;
///
/// annulus_rt::run(async {
///     let _task = task::Builder::new().name("clock").spawn(std::future::pending::<()>());
///     let dump = task::dump();
///     let clock = dump.tasks.iter().find(|task| task.name.as_deref() == Some("clock"));
///     assert_eq!(clock.unwrap().spawned_at.file(), file!());
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: Option<Cow<'static, str>>,
}

impl Builder {
    /// A task without a name.
    #[must_use]
    pub const fn new() -> Self {
        Self { name: None }
    }

    /// Names it.
    #[must_use]
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// As [`spawn`](crate::spawn).
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.try_spawn(future).unwrap_or_else(|_refused| JoinHandle::refused())
    }

    /// As [`try_spawn`](crate::try_spawn).
    ///
    /// # Errors
    ///
    /// The future, if there are as many tasks as there may be, or the runtime is ending.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[track_caller]
    pub fn try_spawn<F>(self, future: F) -> Result<JoinHandle<F::Output>, F>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let origin = Origin::here();
        let origin = match self.name {
            Some(name) => origin.named(name),
            None => origin,
        };
        Context::with(|executor| executor.spawn(future, origin))
    }
}
