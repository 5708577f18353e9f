//! Futexes of the machine: a thread for each wait, and no wait without one.
//!
//! futex(2) knows no wait but that of a thread. So each wait has a [`Waiter`]: a thread that is parked when it has nothing to do
//! and ends after a while; there are at most [`MOST`] of them for a ring.
//!
//! **When a wait has begun, it waits.** A wake between the look at the value and the thread's system call would be lost. So the
//! thread first waits for a word of its own, and whoever begins the wait moves it from there to the program's futex
//! (`FUTEX_CMP_REQUEUE`) without waking it: that it was moved proves that it is queued. Only then the value is
//! compared. If it has changed, the wait is taken back; should somebody have woken it by then, that counts.
//!
//! **A stop is exact.** The thread is interrupted; if a wake was faster, the system call says so, and the request ends with it.

mod calls;
mod waiter;

use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use self::calls::Target;
use self::waiter::Waiter;
use super::Host;
use crate::world::Memory;
use crate::world::futexes::{Futex, FutexWait, FutexWaiting, Futexes};

/// How many waits a ring may have at a time: each is a thread.
const MOST: usize = 256;

impl Futexes for Host {
    fn wake_futex(&self, futex: Futex, count: i32, mask: u32) -> Result<u32, Errno> {
        calls::wake(&target(futex, 0), count, mask)
    }

    fn wait_futexes(&self, waits: &[FutexWait], mask: u32) -> Result<Box<dyn FutexWaiting>, Errno> {
        self.hold_values(waits)?;
        let targets = waits.iter().map(|wait| target(wait.futex, wait.value)).collect();
        let mut waiting = Waiting { waiter: self.waiters.take()?, waiters: self.waiters.clone() };
        waiting.waiter.begin(targets, mask)?;
        match self.hold_values(waits) {
            Ok(()) => Ok(Box::new(waiting)),
            Err(errno) => match waiting.stop() {
                Some(_) => Ok(Box::new(waiting)),
                None => Err(errno),
            },
        }
    }
}

impl Host {
    /// Whether all of them hold what they have to.
    fn hold_values(&self, waits: &[FutexWait]) -> Result<(), Errno> {
        for FutexWait { futex, value } in waits {
            if futex.word.addr() % futex.word.len() as u64 != 0 {
                return Err(Errno::INVAL);
            }
            let mut word = [0; 4];
            self.load(futex.word, &mut word)?;
            if u32::from_ne_bytes(word) != *value {
                return Err(Errno::AGAIN);
            }
        }
        Ok(())
    }
}

/// The threads of a ring that wait, or could.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiters(Arc<Mutex<Threads>>);

#[derive(Debug, Default)]
struct Threads {
    /// Those that have nothing to do.
    idle: Vec<Arc<Waiter>>,
    /// How many there are.
    count: usize,
    /// Nobody will ask for another.
    is_closed: bool,
}

impl Waiters {
    fn take(&self) -> Result<Arc<Waiter>, Errno> {
        let mut threads = self.lock();
        if let Some(waiter) = threads.idle.pop() {
            return Ok(waiter);
        }
        if threads.count >= MOST {
            return Err(Errno::NOMEM);
        }
        let waiter = Waiter::start(self.clone())?;
        threads.count += 1;
        Ok(waiter)
    }

    /// A waiter has nothing to do any more.
    fn give_back(&self, waiter: Arc<Waiter>) {
        let mut threads = self.lock();
        if threads.is_closed {
            threads.count -= 1;
            drop(threads);
            waiter.dismiss();
        } else {
            threads.idle.push(waiter);
        }
    }

    /// A waiter that has had nothing to do for long may end, unless somebody has just taken it.
    fn let_go(&self, waiter: &Arc<Waiter>) -> bool {
        let mut threads = self.lock();
        let place = threads.idle.iter().position(|idle| Arc::ptr_eq(idle, waiter));
        if let Some(place) = place {
            threads.idle.swap_remove(place);
            threads.count -= 1;
        }
        place.is_some()
    }

    /// Nobody will wait any more: idle threads end now, others when they have nothing to do.
    pub(super) fn close(&self) {
        let mut threads = self.lock();
        threads.is_closed = true;
        let idle = std::mem::take(&mut threads.idle);
        threads.count -= idle.len();
        drop(threads);
        idle.iter().for_each(|waiter| waiter.dismiss());
    }

    fn lock(&self) -> MutexGuard<'_, Threads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait that has begun.
#[derive(Debug)]
struct Waiting {
    waiter: Arc<Waiter>,
    waiters: Waiters,
}

impl FutexWaiting for Waiting {
    fn descriptor(&self) -> RawFd {
        self.waiter.told.as_raw_fd()
    }

    fn woken(&self) -> Option<Result<u32, Errno>> {
        self.waiter.outcome()
    }

    fn stop(&mut self) -> Option<Result<u32, Errno>> {
        self.waiter.stop();
        self.waiter.outcome().filter(|outcome| *outcome != Err(Errno::INTR))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.waiter.stop() {
            self.waiter.clear();
            self.waiters.give_back(self.waiter.clone());
        }
    }
}

fn target(futex: Futex, value: u32) -> Target {
    Target { addr: futex.word.addr(), flags: futex.flags, value }
}

#[cfg(test)]
mod tests;
