//! `Runtime`: an executor that is set up and does not run yet, so that its handle can be given away before.

use std::fmt::{self, Debug, Formatter};
use std::rc::Rc;
use std::sync::Arc;

use super::Handle;
use crate::blocking::Pool;
use crate::executor::{self, Context};
use crate::shards::Pinned;
use crate::{Builder, Error};

/// An executor with its ring, set up on this thread, to be run here once. From [`Builder::build`].
///
/// # Examples
///
/// ```
/// use annulus_rt::Builder;
///
/// let runtime = Builder::new().build()?;
/// let handle = runtime.handle();
/// let outside = std::thread::scope(|scope| {
///     let thread = scope.spawn(move || handle.spawn(|| async { 42 }));
///     runtime.run(async { thread.join().unwrap().await.unwrap() })
/// })?;
/// assert_eq!(outside, 42);
/// # Ok::<(), annulus_rt::Error>(())
/// ```
pub struct Runtime {
    context: Rc<Context>,
    builder: Builder,
    pool: Arc<Pool>,
    _pinned: Option<Pinned>,
}

impl Runtime {
    pub(crate) fn new(builder: &Builder) -> Result<Self, Error> {
        let pinned = builder.cpu.map(crate::shards::pin).transpose()?;
        let pool = builder.pool();
        let context = builder.context(&pool)?;
        Ok(Self { context, builder: builder.clone(), pool, _pinned: pinned })
    }

    /// The handle by which other threads start tasks in it. What they start before it runs is run then.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.context.handle()
    }

    #[cfg(test)]
    pub(super) const fn context(&self) -> &Rc<Context> {
        &self.context
    }

    /// As [`Builder::run`].
    ///
    /// # Errors
    ///
    /// [`Error::Nested`] inside of another run; [`Error::System`] if the ring breaks.
    ///
    /// # Panics
    ///
    /// With the panic of the future, after everything was ended in order.
    pub fn run<F: Future>(self, future: F) -> Result<F::Output, Error> {
        executor::run(&self.context, self.builder.deadline(), future)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.context.close_inbox();
        self.pool.close();
    }
}

impl Debug for Runtime {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}
