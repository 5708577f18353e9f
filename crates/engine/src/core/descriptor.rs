//! The ring's own descriptor: readable while completions wait.
//!
//! It is an epoll(7) set. An eventfd in it says that completions were posted; it is cleared by the next enter that finds
//! the queue empty, or by the program's own side of the ring when it has emptied the queue. On a ring that defers its completions the set holds what the
//! ring itself waits for too, as there is something to enter for when that is ready.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;

use crate::world::World;

/// The descriptor, and what makes it readable.
#[derive(Debug)]
pub(crate) struct Descriptor {
    set: OwnedFd,
    news: OwnedFd,
    /// Somebody may be looking at it: until then nothing is to be told.
    is_exposed: AtomicBool,
    /// The eventfd holds news.
    is_told: AtomicBool,
}

impl Descriptor {
    /// A descriptor; with `task_work` it is readable also when the world has events.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub(crate) fn new(world: &dyn World, task_work: bool) -> Result<Self, Errno> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let news = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&set, &news, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        if task_work {
            world.watch_from(set.as_fd())?;
        }
        Ok(Self { set, news, is_exposed: AtomicBool::new(false), is_told: AtomicBool::new(false) })
    }

    /// The descriptor, for somebody who will look at it; `waiting` completions are there now.
    pub(crate) fn expose(&self, waiting: u32) -> BorrowedFd<'_> {
        // Release and Acquire are not needed: the ring's lock orders both sides.
        if !self.is_exposed.swap(true, Ordering::Relaxed) {
            self.completions(waiting);
        }
        self.set.as_fd()
    }

    /// The descriptor by itself, for the directory of rings.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }

    /// Whether somebody may be looking at it.
    pub(crate) fn is_exposed(&self) -> bool {
        // Relaxed: the ring's lock orders it.
        self.is_exposed.load(Ordering::Relaxed)
    }

    /// Whether it is readable because completions wait.
    pub(crate) fn is_told(&self) -> bool {
        // Relaxed: whoever sees it set looks again with the ring's lock.
        self.is_told.load(Ordering::Relaxed)
    }

    /// So many completions wait now, or may after an enter.
    pub(crate) fn completions(&self, waiting: u32) {
        if !self.is_exposed() {
            return;
        }
        let is_told = waiting > 0;
        if self.is_told.swap(is_told, Ordering::Relaxed) == is_told {
            return;
        }
        // An eventfd of the engine's own: neither can fail but by being in that state already.
        if is_told {
            let _ = rustix::io::write(&self.news, &1_u64.to_ne_bytes());
        } else {
            let _ = rustix::io::read(&self.news, &mut [0; 8]);
        }
    }
}
