//! Shards: one executor and one ring per core, each with its own tasks.
//!
//! Nothing is shared between them but what the program shares, and their inboxes ([`crate::shard`]). Each shard is a
//! thread; either all start or none does.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use annulus::BackendKind;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::blocking::Pool;
use crate::shard::Handle;
use crate::{Builder, Error, executor};

/// A number of executors, each on a thread of its own with a ring of its own. From inside: [`shard`](crate::shard).
///
/// # Examples
///
/// ```
/// use annulus_rt::Shards;
///
/// let squares = Shards::new(2).run(|shard| async move { shard * shard })?;
/// assert_eq!(squares, [0, 1]);
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shards {
    count: usize,
    builder: Builder,
    pinned: bool,
}

impl Shards {
    /// That many shards (at least one), pinned one by one to the CPUs that this process may use.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { count: count.max(1), builder: Builder::new(), pinned: true }
    }

    /// One shard for each CPU that this process may use.
    #[must_use]
    pub fn per_core() -> Self {
        Self::new(thread::available_parallelism().map_or(1, NonZeroUsize::get))
    }

    /// How each shard is set up. [`Builder::pin`] names the CPU of the first; the others follow it.
    #[must_use]
    pub fn builder(mut self, builder: Builder) -> Self {
        self.builder = builder;
        self
    }

    /// Whether each shard stays on a CPU of its own. Default `true`; with more shards than CPUs they share.
    #[must_use]
    pub const fn pinned(mut self, pinned: bool) -> Self {
        self.pinned = pinned;
        self
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Runs the future that `factory` makes for each shard (it is called on the shard's thread, inside of its
    /// runtime), and returns their outputs in order when all have ended.
    ///
    /// To stop them together, give each a [`Shutdown`](crate::sync::Shutdown).
    ///
    /// # Errors
    ///
    /// Those of [`Builder::run`]; [`Error::System`] if no thread can be started. If one shard cannot start, none
    /// runs its future. [`Error::ShardPanicked`] if a future panicked, once all have ended.
    pub fn run<F, Fut>(self, factory: F) -> Result<Vec<Fut::Output>, Error>
    where
        F: Fn(usize) -> Fut + Sync,
        Fut: Future,
        Fut::Output: Send,
    {
        let cpus = self.cpus()?;
        let pool = self.builder.pool();
        let outcome = thread::scope(|scope| {
            let (ready, readiness) = mpsc::channel();
            let several = self.count > 1;
            let mut shards = Vec::new();
            for index in 0..self.count {
                let (go, gone) = mpsc::channel();
                let start = Start { ready: ready.clone(), gone, pool: pool.clone(), several };
                let builder = self.builder.clone();
                let builder = if cpus.is_empty() { builder } else { builder.pin(cpus[index % cpus.len()]) };
                let factory = &factory;
                let named = thread::Builder::new().name(format!("annulus-{index}"));
                let thread = named.spawn_scoped(scope, move || start.shard(&builder, index, factory));
                let thread = thread.map_err(|error| Error::System {
                    doing: "starting the thread of a shard",
                    errno: rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::AGAIN),
                })?;
                shards.push((thread, go));
            }
            drop(ready);
            // All of them are set up before one of them runs; returning drops `go`, which ends those that wait.
            let set_up = readiness.iter().take(self.count).collect::<Result<Vec<Handle>, Error>>();
            let mut handles = set_up?;
            handles.sort_by_key(Handle::shard);
            let handles: Arc<[Handle]> = handles.into();
            let (threads, go): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
            for go in go {
                let _ = go.send(handles.clone());
            }
            // Every one is waited for before the first error is returned.
            let ended: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
            ended.into_iter().enumerate().map(|(shard, ended)| outcome(shard, ended)).collect()
        });
        pool.close();
        outcome
    }

    /// The CPUs to pin to, in order; none if nothing is to be pinned.
    fn cpus(&self) -> Result<Vec<usize>, Error> {
        if !self.pinned {
            return Ok(self.builder.cpu.into_iter().collect());
        }
        let allowed = sched_getaffinity(None)
            .map_err(|errno| Error::System { doing: "asking which CPUs may be used", errno })?;
        let mut cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
        if let Some(first) = self.builder.cpu
            && let Some(at) = cpus.iter().position(|cpu| *cpu == first)
        {
            cpus.rotate_left(at);
        }
        Ok(cpus)
    }
}

/// What a shard's thread gets.
struct Start {
    ready: mpsc::Sender<Result<Handle, Error>>,
    gone: mpsc::Receiver<Arc<[Handle]>>,
    pool: Arc<Pool>,
    /// It is not the only one.
    several: bool,
}

impl Start {
    /// The thread of a shard. `None` if it was told not to run.
    fn shard<F, Fut>(self, builder: &Builder, index: usize, factory: &F) -> Option<Result<Fut::Output, Error>>
    where
        F: Fn(usize) -> Fut,
        Fut: Future,
    {
        let pinned = builder.cpu.map(pin).transpose();
        let (_pinned, context) = match pinned.and_then(|pinned| Ok((pinned, builder.context(&self.pool)?))) {
            Ok(both) => both,
            Err(error) => {
                let _ = self.ready.send(Err(error));
                return None;
            }
        };
        let is_kernel = context.driver.with_ring(|ring| ring.chosen().kind() == BackendKind::Kernel);
        let messages = self.several && builder.ring_messages.or(is_kernel) == Some(true);
        if messages {
            context.publish();
        }
        let _ = self.ready.send(Ok(context.handle_as(index)));
        context.join(index, self.gone.recv().ok()?, messages);
        Some(executor::run(&context, builder.deadline(), async { factory(index).await }))
    }
}

/// What became of a shard's thread.
fn outcome<T>(shard: usize, ended: thread::Result<Option<Result<T, Error>>>) -> Result<T, Error> {
    match ended {
        Ok(Some(result)) => result,
        Ok(None) => unreachable!("a shard that was told to run has run"),
        Err(payload) => Err(Error::ShardPanicked { shard, message: message(&*payload) }),
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "(no words)".to_owned())
}

/// Where a thread was allowed to run before it was pinned; it is again when this is dropped.
pub(crate) struct Pinned(CpuSet);

/// Keeps this thread on a CPU.
pub(crate) fn pin(cpu: usize) -> Result<Pinned, Error> {
    let failed = |errno| Error::System { doing: "pinning a thread to its CPU", errno };
    if cpu >= CpuSet::MAX_CPU {
        return Err(failed(rustix::io::Errno::INVAL));
    }
    let before = sched_getaffinity(None).map_err(failed)?;
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(failed)?;
    Ok(Pinned(before))
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What was allowed before is allowed unless the administrator changed it meanwhile.
        let _ = sched_setaffinity(None, &self.0);
    }
}
