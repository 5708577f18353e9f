//! The counters of references under loom: in every order in which threads let go of a task that ends, one of them frees it,
//! and it sees what all others did.

#[allow(clippy::duplicate_mod, reason = "the same text over other primitives is what is tested")]
#[path = "references.rs"]
mod references;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};
}

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use references::{Elsewhere, Here};

/// What threads share of a task.
struct Task {
    elsewhere: Elsewhere,
    /// What each of them does with the task, and whoever frees it looks at: loom refuses what is not in order.
    done: [loom::cell::UnsafeCell<()>; 3],
    freed: AtomicUsize,
}

impl Task {
    fn new() -> Self {
        let done = std::array::from_fn(|_| loom::cell::UnsafeCell::new(()));
        Self { elsewhere: Elsewhere::new(), done, freed: AtomicUsize::new(0) }
    }

    /// Loom looks at the order of what is done; the value is of no matter.
    fn note(&self, thread: usize) {
        self.done[thread].with_mut(|_| ());
    }

    fn drop_elsewhere(&self) {
        if self.elsewhere.remove() {
            self.done.iter().for_each(|place| place.with(|_| ()));
            assert_eq!(self.freed.fetch_add(1, Ordering::Relaxed), 0, "it is freed once");
        }
    }
}

#[test]
fn the_last_of_three_threads_frees_a_task_that_ends() {
    loom::model(|| {
        let task = Arc::new(Task::new());
        let here = Here::new();
        // Two wakers are made on the thread of the task, and go to other threads.
        here.add();
        here.add();
        let others: Vec<_> = [1, 2]
            .into_iter()
            .map(|thread| {
                let task = task.clone();
                thread::spawn(move || {
                    if thread == 1 {
                        task.elsewhere.add();
                        task.drop_elsewhere();
                    }
                    task.note(thread);
                    task.drop_elsewhere();
                })
            })
            .collect();
        // One comes and goes here; the task ends; its thread lets go.
        here.add();
        here.remove();
        task.note(0);
        task.elsewhere.settle(&here);
        task.drop_elsewhere();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(task.freed.load(Ordering::Relaxed), 1, "somebody frees it");
    });
}

#[test]
fn a_reference_made_elsewhere_may_be_dropped_here_before_the_end() {
    loom::model(|| {
        let task = Arc::new(Task::new());
        let here = Here::new();
        here.add();
        let theirs = task.clone();
        let other = thread::spawn(move || {
            // A twin of the waker goes back to the thread of the task.
            theirs.elsewhere.add();
            theirs.note(1);
            theirs.drop_elsewhere();
        });
        other.join().unwrap();
        here.remove();
        task.note(0);
        task.note(2);
        task.elsewhere.settle(&here);
        task.drop_elsewhere();
        assert_eq!(task.freed.load(Ordering::Relaxed), 1);
    });
}
