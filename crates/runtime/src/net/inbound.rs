//! What a stream has received and nobody has read: the bytes of receives that were dropped.
//!
//! A receive that is dropped may have taken bytes from the socket already, or take them before its
//! cancellation arrives. They are kept here, and as long as that is in doubt the next receive waits, so that
//! bytes are neither lost nor reordered.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};

/// The receiving side of a stream.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    kept: RefCell<VecDeque<u8>>,
    /// An error that was reported to a receive that was dropped: a socket reports it once.
    error: Cell<Option<i32>>,
    /// Dropped receives whose last completion has not come.
    in_doubt: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

impl Inbound {
    /// A receive was dropped in flight.
    pub(crate) fn doubt(&self) {
        self.in_doubt.set(self.in_doubt.get() + 1);
    }

    /// Its last completion has come.
    pub(crate) fn settle(&self) {
        self.in_doubt.set(self.in_doubt.get() - 1);
        if self.in_doubt.get() == 0 {
            for waker in self.waiting.take() {
                waker.wake();
            }
        }
    }

    /// It had received these.
    pub(crate) fn keep(&self, bytes: &[u8]) {
        self.kept.borrow_mut().extend(bytes);
    }

    /// It had failed. That it was cancelled, or found nothing, is no failure of the stream's.
    pub(crate) fn keep_error(&self, errno: i32) {
        if ![libc::ECANCELED, libc::EINTR, libc::EAGAIN, libc::ENOBUFS, libc::EBUSY].contains(&errno) {
            self.error.set(Some(errno));
        }
    }

    /// Waits until nothing is in doubt.
    pub(crate) fn poll_settled(&self, cx: &Context<'_>) -> Poll<()> {
        if self.in_doubt.get() == 0 {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        // A future that is polled for another reason waits once all the same.
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Whether nothing was kept and nothing is in doubt, as almost always.
    pub(crate) fn is_clear(&self) -> bool {
        self.in_doubt.get() == 0 && self.kept.borrow().is_empty() && self.error.get().is_none()
    }

    /// What was kept, in order: at most `most` bytes of it. `None` if nothing was.
    pub(crate) fn read(&self, most: usize) -> Option<io::Result<Vec<u8>>> {
        let mut kept = self.kept.borrow_mut();
        if kept.is_empty() {
            return self.error.take().map(|errno| Err(io::Error::from_raw_os_error(errno)));
        }
        let taken = most.min(kept.len());
        Some(Ok(kept.drain(..taken).collect()))
    }
}
