//! What becomes of children that nobody waits for any more: a thread takes their status when they end, so that no
//! zombie is left. It is there only while there are such children, one for the process, whatever their number.
//!
//! It touches none but the children that were left to it. Where it cannot be started, or cannot watch a child for want of
//! descriptors, children are looked at from time to time, and whenever another one is left.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::process::{PidfdFlags, pidfd_open};

use super::child::pid;

/// How often children are looked at that cannot be watched.
const LOOK: Duration = Duration::from_millis(100);
/// How many ends are heard of at once.
const BATCH: usize = 64;
/// What the set answers for the bell. No process has this number.
const BELL: u64 = 0;

static LEFT: LazyLock<Mutex<Left>> = LazyLock::new(Mutex::default);

/// The children that were left.
#[derive(Default)]
struct Left {
    children: HashMap<u32, Leftover>,
    watch: Option<Arc<Watch>>,
    /// Whether the thread is there.
    running: bool,
}

struct Leftover {
    child: Child,
    /// In the set as long as it is open. `None`: looked at from time to time.
    pidfd: Option<OwnedFd>,
}

/// What the thread waits with.
struct Watch {
    set: OwnedFd,
    /// Rung when a child was left that cannot be watched.
    bell: OwnedFd,
}

/// Leaves a child, killed or not, whose end nobody waits for.
pub(super) fn leave(mut child: Child, kill: bool) {
    if kill {
        // One that has ended, or that became another user's, is not killed.
        let _refused = child.kill();
    }
    // An error says that it is no child of ours any more.
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    let mut left = lock();
    if left.watch.is_none() {
        left.watch = Watch::new().ok().map(Arc::new);
    }
    let pidfd = left.watch.as_ref().and_then(|watch| watch.add(&child).ok());
    if pidfd.is_none() {
        left.look_at_all();
        if let Some(watch) = &left.watch {
            watch.ring();
        }
    }
    left.children.insert(child.id(), Leftover { child, pidfd });
    if !left.running {
        left.running = start();
    }
}

fn lock() -> MutexGuard<'static, Left> {
    // What runs under this lock does not panic.
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start() -> bool {
    match thread::Builder::new().name("annulus-reaper".to_owned()).spawn(reap) {
        Ok(_detached) => true,
        Err(error) => {
            tracing::warn!(%error, "no thread to wait for children that were dropped");
            false
        }
    }
}

/// What the thread does, until no child is left.
fn reap() {
    loop {
        let (watch, all_watched) = {
            let mut left = lock();
            if left.children.is_empty() {
                left.watch = None;
                left.running = false;
                return;
            }
            (left.watch.clone(), left.children.values().all(|leftover| leftover.pidfd.is_some()))
        };
        let ended = match &watch {
            Some(watch) => watch.wait((!all_watched).then_some(LOOK)),
            None => {
                thread::sleep(LOOK);
                Vec::new()
            }
        };
        let mut left = lock();
        for process in ended {
            left.look_at(process);
        }
        if !all_watched {
            left.look_at_all();
        }
    }
}

impl Left {
    /// Takes the status of one child, which has ended.
    fn look_at(&mut self, process: u32) {
        let Some(leftover) = self.children.get_mut(&process) else { return };
        if matches!(leftover.child.try_wait(), Ok(None)) {
            // It has ended and cannot be waited for, as long as somebody traces it: its descriptor would be ready again and
            // again.
            leftover.pidfd = None;
        } else {
            self.children.remove(&process);
        }
    }

    /// Takes the status of those that have ended.
    fn look_at_all(&mut self) {
        self.children.retain(|_, leftover| matches!(leftover.child.try_wait(), Ok(None)));
    }
}

impl Watch {
    fn new() -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&set, &bell, epoll::EventData::new_u64(BELL), epoll::EventFlags::IN)?;
        Ok(Self { set, bell })
    }

    /// Watches a child: opens a descriptor that is in the set as long as it is open.
    fn add(&self, child: &Child) -> io::Result<OwnedFd> {
        let pidfd = pidfd_open(pid(child), PidfdFlags::empty())?;
        let data = epoll::EventData::new_u64(u64::from(child.id()));
        epoll::add(&self.set, &pidfd, data, epoll::EventFlags::IN)?;
        Ok(pidfd)
    }

    fn ring(&self) {
        // It is full when it was rung already.
        let _full = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Waits, and says which processes have ended.
    fn wait(&self, at_most: Option<Duration>) -> Vec<u32> {
        let mut events = Vec::with_capacity(BATCH);
        let time = at_most.and_then(|time| Timespec::try_from(time).ok());
        // Interrupted, or refused: looked at again.
        let _count = epoll::wait(&self.set, spare_capacity(&mut events), time.as_ref());
        let mut number = [0; 8];
        let _was_silent = rustix::io::read(&self.bell, &mut number);
        events.into_iter().filter_map(|event| u32::try_from(event.data.u64()).ok()).collect()
    }
}
