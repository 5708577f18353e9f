//! `Handle`: an executor as other threads know it.

use std::fmt::{self, Debug, Display, Formatter};
use std::sync::Arc;

use super::remote::{self, RemoteHandle};
use crate::JoinError;
use crate::executor::Context;
use crate::executor::inbox::{Inbox, Refused};
use crate::task::Origin;

/// Starts tasks on an executor, from any thread. Cheap to clone; does not keep the executor running.
///
/// # Examples
///
/// ```
/// use annulus_rt::shard::Handle;
///
/// annulus_rt::run(async {
///     let handle = Handle::current();
///     // A thread that knows nothing of rings has something done here.
///     let asked = annulus_rt::spawn_blocking(move || {
///         handle.spawn(|| async { annulus_rt::fs::metadata("Cargo.toml").await.map(|it| it.len()) })
///     });
///     let length = asked.await.unwrap().await.unwrap()?;
///     assert!(length > 0);
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    inbox: Arc<Inbox>,
    shard: usize,
}

impl Handle {
    pub(crate) const fn new(inbox: Arc<Inbox>, shard: usize) -> Self {
        Self { inbox, shard }
    }

    /// That of the executor that this thread is in.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[must_use]
    pub fn current() -> Self {
        Context::current().handle()
    }

    /// That of the executor that this thread is in, if it is in one.
    #[must_use]
    pub fn try_current() -> Option<Self> {
        Context::try_current().map(|context| context.handle())
    }

    /// Which shard of its run it is; 0 in a run that has no others.
    #[must_use]
    pub const fn shard(&self) -> usize {
        self.shard
    }

    /// Whether the executor has ended: nothing can be started there any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Starts a task there: calls `work` on the executor's thread and runs the future that it makes. As
    /// [`shard::spawn_on`](super::spawn_on).
    #[track_caller]
    pub fn spawn<F, Fut>(&self, work: F) -> RemoteHandle<Fut::Output>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: Send + 'static,
    {
        match self.try_spawn(work) {
            Ok(handle) => handle,
            Err(SpawnError::Full(_)) => RemoteHandle::failed(JoinError::Refused),
            Err(SpawnError::Closed(_)) => RemoteHandle::failed(JoinError::Aborted),
        }
    }

    /// As [`spawn`](Self::spawn), but gives the closure back if the executor cannot take it now.
    ///
    /// # Errors
    ///
    /// The closure, if the executor's inbox is full ([`Builder::inbox`](crate::Builder::inbox)), or the executor has ended.
    #[track_caller]
    pub fn try_spawn<F, Fut>(&self, work: F) -> Result<RemoteHandle<Fut::Output>, SpawnError<F>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: Send + 'static,
    {
        let (handle, promise) = remote::pair();
        let origin = Origin::here();
        let left = self.inbox.leave((work, promise), |(work, promise)| remote::letter(work, promise, origin));
        left.map(|()| handle).map_err(|(refused, (work, _))| match refused {
            Refused::Full => SpawnError::Full(work),
            Refused::Closed => SpawnError::Closed(work),
        })
    }
}

impl Debug for Handle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("shard", &self.shard).field("closed", &self.is_closed()).finish()
    }
}

/// What could not be started on another executor, with the reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SpawnError<F> {
    /// Its inbox is full: try again when it has come to run.
    Full(F),
    /// It has ended.
    Closed(F),
}

impl<F> SpawnError<F> {
    /// What could not be started.
    #[must_use]
    pub fn into_inner(self) -> F {
        match self {
            Self::Full(work) | Self::Closed(work) => work,
        }
    }
}

impl<F> Debug for SpawnError<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<F> Display for SpawnError<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => {
                "not started: the other executor's inbox is full; raise Builder::inbox, or wait for answers"
            }
            Self::Closed(_) => "not started: the other executor has ended",
        })
    }
}

impl<F> std::error::Error for SpawnError<F> {}
