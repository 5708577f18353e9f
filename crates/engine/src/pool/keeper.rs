//! The keeper: a thread that keeps the credentials of whoever made it, for workers that are to have them.
//!
//! A thread begins with the credentials of the thread that starts it. So the keeper starts all workers of its pool. It does nothing
//! else, and ends with the pool.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, getpid};

use super::interrupt::SignalMask;
use super::worker::{Shared, spawn};

/// The name of the thread, as `ps` and debuggers show it.
const NAME: &str = "annulus-cred";

/// A keeper, seen from the pool.
pub(super) struct Keeper {
    asks: Sender<Ask>,
    /// A forked child has the keeper's memory, but not its thread.
    process: Pid,
}

/// Somebody wants the thread of a worker started.
struct Ask {
    shared: Arc<Shared>,
    worker: usize,
    answer: Sender<Result<(), Errno>>,
}

impl Keeper {
    /// A keeper with the credentials that the calling thread has now.
    ///
    /// # Errors
    ///
    /// `EAGAIN` or `ENOMEM`: the system has no thread to give.
    pub(super) fn new() -> Result<Self, Errno> {
        let (asks, inbox) = channel::<Ask>();
        let keep = move || {
            for Ask { shared, worker, answer } in inbox {
                // Whoever asked waits for it.
                let _ = answer.send(spawn(&shared, worker));
            }
        };
        // No signal of the program is handled there.
        let _mask = SignalMask::block();
        let started = thread::Builder::new().name(NAME.to_owned()).spawn(keep);
        started.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
        Ok(Self { asks, process: getpid() })
    }

    /// Has the thread of a worker started.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`]; `EAGAIN` in a forked child, where there is no keeper.
    pub(super) fn start(&self, shared: &Arc<Shared>, worker: usize) -> Result<(), Errno> {
        if getpid() != self.process {
            return Err(Errno::AGAIN);
        }
        let (answer, answered) = channel();
        let ask = Ask { shared: Arc::clone(shared), worker, answer };
        self.asks.send(ask).map_err(|_| Errno::AGAIN)?;
        answered.recv().unwrap_or(Err(Errno::AGAIN))
    }
}
