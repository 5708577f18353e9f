//! The ring's own descriptor: readable while completions wait.
//!
//! It is an epoll(7) set. An eventfd in it says that completions were posted; it is cleared by the next enter that finds
//! the queue empty, or by the program's own side of the ring when it has emptied the queue. On a ring that defers its completions the set holds what the
//! ring itself waits for too, as there is something to enter for when that is ready; but not before somebody asks for the descriptor, as
//! whatever happens to a set within a set costs the kernel twice.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;

use super::State;
use super::sign::Sign;

/// The descriptor, and what makes it readable.
#[derive(Debug)]
pub(crate) struct Descriptor {
    set: OwnedFd,
    news: OwnedFd,
    /// It is readable also when the world has events.
    task_work: bool,
    /// Up while the eventfd holds news. Until somebody may be looking nothing is to be told.
    sign: Sign,
}

impl Descriptor {
    /// A descriptor; with `task_work` it is readable also when the world has events.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub(crate) fn new(task_work: bool) -> Result<Self, Errno> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let news = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&set, &news, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        Ok(Self { set, news, task_work, sign: Sign::default() })
    }

    /// The descriptor, for somebody who will look at it. The state is that of its ring: what is posted comes before this or
    /// after it.
    pub(crate) fn expose(&self, state: &State) -> BorrowedFd<'_> {
        if !self.sign.is_exposed() {
            if self.task_work
                && let Err(errno) = state.env.world.watch_from(self.set.as_fd())
            {
                // The background thread tells of it, a millisecond later.
                tracing::warn!(%errno, "the descriptor of a ring does not show at once that there is something to enter for");
            }
            self.sign.expose(|| state.to_take(), |up| self.show(up));
        }
        self.set.as_fd()
    }

    /// The descriptor by itself, for the directory of rings.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }

    /// Whether somebody may be looking at it.
    pub(crate) fn is_exposed(&self) -> bool {
        self.sign.is_exposed()
    }

    /// Whether it says that completions wait, for somebody who has taken some out and has not got the lock.
    pub(crate) fn is_left_readable(&self) -> bool {
        self.sign.is_left_up()
    }

    /// Is readable, from here on, if completions wait.
    pub(crate) fn update(&self, state: &State) {
        self.sign.update(|| state.to_take(), |up| self.show(up));
    }

    /// Is readable, as there may be completions after an enter.
    pub(crate) fn tell_of_task_work(&self) {
        self.sign.update(|| 1, |up| self.show(up));
    }

    fn show(&self, up: bool) {
        // An eventfd of the engine's own: neither can fail but by being in that state already.
        if up {
            let _ = rustix::io::write(&self.news, &1_u64.to_ne_bytes());
        } else {
            let _ = rustix::io::read(&self.news, &mut [0; 8]);
        }
    }
}
