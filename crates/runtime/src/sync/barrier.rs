//! Tasks that wait for each other.

use std::fmt::{self, Debug, Formatter};

use super::budgeted;

/// Lets a number of tasks go on when all of them have come.
///
/// # Examples
///
/// ```
/// use annulus_rt::{Shards, sync::Barrier};
///
/// let barrier = Barrier::new(2);
/// let last = Shards::new(2).run(|_| barrier.wait())?;
/// assert_eq!(last.iter().filter(|last| **last).count(), 1);
/// # Ok::<(), annulus_rt::Error>(())
/// ```
pub struct Barrier {
    inner: tokio::sync::Barrier,
    tasks: usize,
}

impl Barrier {
    /// For so many tasks; for one if it is 0.
    #[must_use]
    pub fn new(tasks: usize) -> Self {
        Self { inner: tokio::sync::Barrier::new(tasks), tasks: tasks.max(1) }
    }

    /// Comes, and waits for the others. `true` for one of them, which may do what is to be done once. It can be
    /// used again afterwards.
    ///
    /// A future that is dropped after its first poll counts as come.
    pub async fn wait(&self) -> bool {
        budgeted(self.inner.wait()).await.is_leader()
    }
}

impl Debug for Barrier {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("tasks", &self.tasks).finish_non_exhaustive()
    }
}
