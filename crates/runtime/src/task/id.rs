//! `Id`: the number of a task, which no other task of the process has.

use std::cell::Cell;
use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::executor::current;

/// How many numbers a thread takes at once.
const BLOCK: u64 = 1 << 12;

/// Names a task. No two tasks of a process have the same, on whichever executor they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

impl Id {
    /// A number that no task has yet. Threads take them by the block, so those of one thread grow.
    pub(crate) fn next() -> Self {
        /// The next block. Relaxed: blocks only have to differ.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        thread_local! {
            /// What is left of the thread's block.
            static LEFT: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
        }
        LEFT.with(|left| {
            let (mut next, mut end) = left.get();
            if next == end {
                next = NEXT.fetch_add(BLOCK, Ordering::Relaxed);
                end = next + BLOCK;
            }
            left.set((next + 1, end));
            Self(next)
        })
    }

    /// As a number; never 0.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Display for Id {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

/// The task that is being polled. The root future of a run counts as one.
///
/// ```
/// let (root, task) = annulus_rt::run(async {
///     let task = annulus_rt::spawn(async { annulus_rt::task::id() });
///     assert_eq!(task.id(), task.await.unwrap());
///     (annulus_rt::task::id(), annulus_rt::spawn(async {}).id())
/// })?;
/// assert_ne!(root, task);
/// # Ok::<(), annulus_rt::Error>(())
/// ```
///
/// # Panics
///
/// Outside of a task.
#[must_use]
pub fn id() -> Id {
    try_id().expect("this needs a task: call it from inside a future that annulus_rt runs")
}

/// The task that is being polled, if one is.
#[must_use]
pub fn try_id() -> Option<Id> {
    match current::task() {
        0 => None,
        id => Some(Id(id)),
    }
}
