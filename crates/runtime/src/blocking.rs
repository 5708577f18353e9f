//! A small pool of threads for calls that block and that io_uring does not have (reading a directory,
//! resolving a name), and for work that would hold up the executor.
//!
//! Threads start when they are needed, up to a bound, and end when they were idle for a while. Work waits in
//! a bounded queue; one that is full refuses.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::executor::Context as Executor;
use crate::{JoinError, JoinHandle};

/// How long an idle thread stays.
const IDLE: Duration = Duration::from_secs(10);

/// Runs a closure on another thread, of a small pool, and waits for what it returns. For calls that block
/// for long and that the ring cannot do, and for work that would hold up the executor.
///
/// The handle yields [`JoinError::Panicked`] if the closure panicked, [`JoinError::Refused`] if too much waits already
/// ([`Builder::blocking`](crate::Builder::blocking)) or no thread can be started, [`JoinError::Aborted`] if the runtime
/// ended before it began. Dropping the handle changes nothing; [`JoinHandle::abort`] keeps a closure that has not begun from
/// being run.
///
/// # Examples
///
/// ```
/// annulus_rt::run(async {
///     let sum = annulus_rt::spawn_blocking(|| (1..=1_000_u64).sum::<u64>()).await;
///     assert_eq!(sum.unwrap(), 500_500);
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
///
/// # Panics
///
/// Outside of a runtime.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let shared = Arc::new(Shared(Mutex::new(State::Waiting { begun: false, waker: None })));
    let promise = Promise(shared.clone());
    let job: Job = Box::new(move || {
        if !promise.begin() {
            return;
        }
        let outcome = catch_unwind(AssertUnwindSafe(work)).map_err(JoinError::Panicked);
        promise.keep(outcome);
    });
    if let Err(job) = Executor::with(|executor| executor.blocking.push(job)) {
        shared.finish(Err(JoinError::Refused));
        drop(job);
    }
    JoinHandle::of_blocking(shared)
}

/// Work on another thread, as the handles that abort it see it.
pub(crate) trait Abort {
    /// Keeps it from being run, if it has not begun.
    fn abort(&self);

    /// Whether its outcome is there, or was.
    fn is_finished(&self) -> bool;
}

/// Work on another thread, as the handle that waits for it sees it.
pub(crate) trait Outcome<T>: Abort {
    /// What came of it, once.
    fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, JoinError>>;
}

/// Where an outcome waits for its handle.
struct Shared<T>(Mutex<State<T>>);

enum State<T> {
    Waiting { begun: bool, waker: Option<Waker> },
    Done(Result<T, JoinError>),
    Taken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What runs under these locks does not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Shared<T> {
    /// Settles what the handle waits for, once.
    fn finish(&self, outcome: Result<T, JoinError>) {
        let before = {
            let mut state = lock(&self.0);
            if !matches!(*state, State::Waiting { .. }) {
                // Without the lock: dropping the outcome may do anything.
                drop(state);
                return drop(outcome);
            }
            std::mem::replace(&mut *state, State::Done(outcome))
        };
        if let State::Waiting { waker: Some(waker), .. } = before {
            waker.wake();
        }
    }
}

impl<T> Abort for Shared<T> {
    fn abort(&self) {
        let waits = matches!(*lock(&self.0), State::Waiting { begun: false, .. });
        if waits {
            // Should it begin between the two, its outcome finds its place taken.
            self.finish(Err(JoinError::Aborted));
        }
    }

    fn is_finished(&self) -> bool {
        !matches!(*lock(&self.0), State::Waiting { .. })
    }
}

impl<T> Outcome<T> for Shared<T> {
    fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, JoinError>> {
        let mut state = lock(&self.0);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Done(outcome) => Poll::Ready(outcome),
            State::Waiting { begun, waker: before } => {
                *state = State::Waiting { begun, waker: Some(cx.waker().clone()) };
                // Without the lock: a waker's destructor may do anything.
                drop(state);
                drop(before);
                Poll::Pending
            }
            State::Taken => {
                drop(state);
                panic!("a join handle was polled after it had yielded")
            }
        }
    }
}

/// A job's end of the result: if it is dropped without having run, the handle is told.
struct Promise<T>(Arc<Shared<T>>);

impl<T> Promise<T> {
    /// Whether it is to be run; from here on it cannot be aborted.
    fn begin(&self) -> bool {
        match &mut *lock(&self.0.0) {
            State::Waiting { begun, .. } => {
                *begun = true;
                true
            }
            _ => false,
        }
    }

    fn keep(self, outcome: Result<T, JoinError>) {
        self.0.finish(outcome);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.0.finish(Err(JoinError::Aborted));
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The pool, shared by the executors of one run.
pub(crate) struct Pool {
    queue: Mutex<Queue>,
    arrived: Condvar,
    most_threads: usize,
    most_waiting: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(most_threads: usize, most_waiting: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            most_threads: most_threads.max(1),
            most_waiting,
        })
    }

    /// Leaves a job, and starts a thread for it if none is idle. Gives it back if there are too many.
    fn push(self: &Arc<Self>, job: Job) -> Result<(), Job> {
        let mut queue = lock(&self.queue);
        if queue.closed || queue.jobs.len() >= self.most_waiting {
            return Err(job);
        }
        queue.jobs.push_back(job);
        if queue.idle >= queue.jobs.len() || queue.threads >= self.most_threads {
            self.arrived.notify_one();
            return Ok(());
        }
        queue.threads += 1;
        match self.start() {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "no thread for blocking work");
                queue.threads -= 1;
                // Another thread will come to it; without any, nobody would.
                if queue.threads > 0 { Ok(()) } else { queue.jobs.pop_back().map_or(Ok(()), Err) }
            }
        }
    }

    fn start(self: &Arc<Self>) -> io::Result<()> {
        let pool = self.clone();
        thread::Builder::new().name("annulus-blocking".to_owned()).spawn(move || pool.work()).map(drop)
    }

    /// What a thread of the pool does.
    fn work(&self) {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // A panic of the closure went to its future; what is left are those of destructors and wakers.
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::warn!("a destructor or a waker panicked on a thread for blocking work");
                }
                queue = lock(&self.queue);
                continue;
            }
            if queue.closed {
                break;
            }
            queue.idle += 1;
            let waited = self.arrived.wait_timeout(queue, IDLE);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = guard;
            queue.idle -= 1;
            if timeout.timed_out() && queue.jobs.is_empty() {
                break;
            }
        }
        queue.threads -= 1;
    }

    /// Ends the pool: what waits is not run, threads end after the job that they have.
    pub(crate) fn close(&self) {
        let jobs = {
            let mut queue = lock(&self.queue);
            queue.closed = true;
            std::mem::take(&mut queue.jobs)
        };
        self.arrived.notify_all();
        drop(jobs);
    }
}
