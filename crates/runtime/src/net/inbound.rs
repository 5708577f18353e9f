//! What a socket has received and nobody has read: bytes or messages of receives that were dropped. (Connections of accepts
//! that were: `arrivals.rs`.)
//!
//! A receive that is dropped may have taken something from the socket already, or take it before its
//! cancellation arrives. That is kept here, and as long as it is in doubt the next receive waits, so that
//! nothing is lost or reordered. What a call of several receives had taken before the one in flight is put back at once,
//! in front.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::driver::op::msg::{Arrived, Keeper};

/// The receiving side of a socket: of a stream, which has bytes, of one that has messages, or of a listener.
#[derive(Debug)]
pub(crate) struct Inbound<T = u8> {
    kept: RefCell<VecDeque<T>>,
    /// An error that was reported to a receive that was dropped: a socket reports it once.
    error: Cell<Option<i32>>,
    /// Dropped receives whose last completion has not come.
    in_doubt: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

/// A message that a dropped receive had taken.
pub(crate) type Message = (Vec<u8>, Arrived);

impl<T> Inbound<T> {
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

    /// It had failed. That it was cancelled, or found nothing, is no failure of the socket's.
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

    /// Waits until nothing is in doubt.
    pub(crate) async fn settled(&self) {
        poll_fn(|cx| self.poll_settled(cx)).await;
    }

    /// Whether nothing was kept and nothing is in doubt, as almost always.
    pub(crate) fn is_clear(&self) -> bool {
        self.in_doubt.get() == 0 && self.kept.borrow().is_empty() && self.error.get().is_none()
    }

    /// A dropped one had taken this.
    pub(crate) fn push(&self, taken: T) {
        self.kept.borrow_mut().push_back(taken);
    }

    /// What was kept first.
    pub(crate) fn pop(&self) -> Option<T> {
        self.kept.borrow_mut().pop_front()
    }

    /// Whether something was kept.
    pub(crate) fn has_some(&self) -> bool {
        !self.kept.borrow().is_empty()
    }

    fn take_error(&self) -> Option<io::Error> {
        self.error.take().map(io::Error::from_raw_os_error)
    }
}

impl Inbound {
    /// A dropped receive had received these.
    pub(crate) fn keep(&self, bytes: &[u8]) {
        self.kept.borrow_mut().extend(bytes);
    }

    /// These are to be read before all others: a call that was dropped had taken them before.
    pub(crate) fn put_front(&self, bytes: &[u8]) {
        let mut kept = self.kept.borrow_mut();
        kept.extend(bytes);
        kept.rotate_right(bytes.len());
    }

    /// Puts these in front if it is dropped before it is [over](Back::over): for who waits between two receives of one call.
    pub(crate) const fn back<'a>(&'a self, bytes: &'a [u8]) -> Back<'a> {
        Back { inbound: self, bytes }
    }

    /// The first `count` of those that were kept are elsewhere now.
    pub(crate) fn consume(&self, count: usize) {
        let mut kept = self.kept.borrow_mut();
        let taken = count.min(kept.len());
        kept.drain(..taken);
    }

    /// What was kept, in order: at most `most` bytes of it. `None` if nothing was.
    pub(crate) fn read(&self, most: usize) -> Option<io::Result<Vec<u8>>> {
        let mut kept = self.kept.borrow_mut();
        if kept.is_empty() {
            return self.take_error().map(Err);
        }
        let taken = most.min(kept.len());
        Some(Ok(kept.drain(..taken).collect()))
    }

    /// As [`read`](Self::read), and leaves it there.
    pub(crate) fn peek(&self, most: usize) -> Option<Vec<u8>> {
        let kept = self.kept.borrow();
        (!kept.is_empty()).then(|| kept.iter().take(most).copied().collect())
    }
}

/// What earlier receives of a call had taken, while the call waits for something else than a receive.
#[must_use = "what it has goes back at once if it is dropped"]
pub(crate) struct Back<'a> {
    inbound: &'a Inbound,
    bytes: &'a [u8],
}

impl Back<'_> {
    /// The call goes on.
    pub(crate) const fn over(self) {
        std::mem::forget(self);
    }
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        self.inbound.put_front(self.bytes);
    }
}

impl Inbound<Message> {
    /// The message that was kept first. `None` if none was.
    pub(crate) fn read_message(&self) -> Option<io::Result<Message>> {
        self.pop().map(Ok).or_else(|| self.take_error().map(Err))
    }

    /// Puts a message back in front.
    pub(crate) fn put_back(&self, message: Message) {
        self.kept.borrow_mut().push_front(message);
    }
}

/// As long as it exists, receives wait: an operation is taking something by another way.
#[derive(Debug)]
pub(crate) struct Doubt(Rc<Inbound>);

impl Doubt {
    pub(crate) fn of(inbound: &Rc<Inbound>) -> Self {
        inbound.doubt();
        Self(inbound.clone())
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        self.0.settle();
    }
}

impl<T> Default for Inbound<T> {
    fn default() -> Self {
        Self {
            kept: RefCell::default(),
            error: Cell::default(),
            in_doubt: Cell::default(),
            waiting: RefCell::default(),
        }
    }
}

impl Keeper for Rc<Inbound> {
    fn doubt(&self) {
        Inbound::doubt(self);
    }

    /// Descriptors that came with them are closed: nobody asked for them.
    fn keep(&self, bytes: Vec<u8>, _arrived: Arrived) {
        Inbound::keep(self, &bytes);
    }

    fn keep_error(&self, errno: i32) {
        Inbound::keep_error(self, errno);
    }

    fn settle(&self) {
        Inbound::settle(self);
    }
}

impl Keeper for Rc<Inbound<Message>> {
    fn doubt(&self) {
        Inbound::doubt(self);
    }

    fn keep(&self, bytes: Vec<u8>, arrived: Arrived) {
        self.push((bytes, arrived));
    }

    fn keep_error(&self, errno: i32) {
        Inbound::keep_error(self, errno);
    }

    fn settle(&self) {
        Inbound::settle(self);
    }
}
