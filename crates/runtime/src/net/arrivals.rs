//! The connections of a listener that nobody has taken yet, and the accepts that wait for some.
//!
//! A dropped accept may have accepted a connection all the same. It is kept here, for an accept that waits already or for the next
//! one, which waits until nothing is in doubt.
//!
//! The kernel tells one of the accepts that wait of a connection, the oldest (`EPOLLEXCLUSIVE`; no other operation waits that way), and counts it
//! as told although it is being cancelled: `io_poll_wake` says so of every entry of the wait queue, and a cancelled request leaves the
//! queue only when its completion work is run. Whatever arrives between the two, and what had arrived before and was not accepted
//! yet, nobody accepts: the others go on waiting beside a backlog that is not empty, until the next connection comes and one
//! of them is told. So when a cancelled accept is over while others are armed, and the backlog is not empty, one more is made here that takes
//! what is there. Threads and processes that share one listening socket with others are not helped by this: each is to have a
//! socket of its own (`SO_REUSEPORT`).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::inbound::Inbound;
use crate::driver::op::socket::Accept;
use crate::driver::{Op, Operation};
use crate::executor::Context as Executor;
use crate::fd::SharedFd;

/// What a listener has beside its socket.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    kept: Inbound<SharedFd>,
    /// Accepts in flight that were not dropped.
    armed: Cell<usize>,
    /// Those who wait for one of them, or for what another one leaves: each with its number.
    waiting: RefCell<VecDeque<(u64, Waker)>>,
    numbers: Cell<u64>,
}

/// Where a connection comes from.
pub(crate) enum Arrival<T> {
    /// Another accept had accepted it.
    Kept(SharedFd),
    /// The accept itself has come to an end.
    Own(T),
}

impl Arrivals {
    /// An accept was dropped in flight.
    pub(crate) fn doubt(&self) {
        self.kept.doubt();
    }

    /// Its last completion has come. Unless it failed for reasons that the next would meet too, it may have been
    /// told of connections that it did not take.
    pub(crate) fn settle(self: &Rc<Self>, fd: &SharedFd, failed: bool) {
        self.kept.settle();
        if !failed {
            self.look(fd);
        }
    }

    /// A dropped accept had accepted this.
    pub(crate) fn keep(&self, connection: SharedFd) {
        self.kept.push(connection);
        self.wake_first();
    }

    /// The connection that was kept first, once nothing is in doubt. `None` if none was.
    pub(crate) async fn next_kept(self: &Rc<Self>, fd: &SharedFd) -> Option<SharedFd> {
        if self.kept.is_clear() {
            return None;
        }
        self.kept.settled().await;
        let kept = self.kept.pop()?;
        self.look(fd);
        Some(kept)
    }

    /// Accepts one connection by an operation of its own.
    pub(crate) async fn accept<T, O>(self: &Rc<Self>, fd: &SharedFd, op: O) -> io::Result<Arrival<T>>
    where
        O: Operation<Output = io::Result<T>>,
    {
        let mut single = Single::new(self, Op::new(op));
        let came = single.next(self).await;
        drop(single);
        if let Err(error) = &came
            && error.raw_os_error() == Some(libc::ECANCELED)
        {
            self.look(fd);
        }
        came
    }

    /// Takes one connection of the backlog if accepts wait that may not have been told of it. To be called after a cancelled accept,
    /// and after something that was kept was taken by one that goes on.
    pub(crate) fn look(self: &Rc<Self>, fd: &SharedFd) {
        // What is kept wakes one that waits, and whoever takes it looks again.
        if self.armed.get() == 0 || self.kept.has_some() || !is_readable(fd) {
            return;
        }
        let Some(executor) = Executor::try_current() else { return };
        executor.driver.under.outside(|| {
            let mut accept = Op::new(Accept::new(fd.clone(), self.clone()));
            // Its cancellation stands behind it in the queue: it accepts at once, or is over. What it brings comes to
            // `keep`, and its end to `settle`, which looks again. Where there is no room for it, the next connection helps.
            let _ = Pin::new(&mut accept).poll(&mut Context::from_waker(Waker::noop()));
        });
    }

    /// Has the one who waits longest look at what was kept.
    fn wake_first(&self) {
        let first = self.waiting.borrow().front().map(|(_, waker)| waker.clone());
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

/// Whether connections wait in the backlog: a poll(2) that does not wait.
fn is_readable(fd: &SharedFd) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready > 0)
}

/// An accept is in flight, for as long as this lives.
pub(crate) struct Armed(Rc<Arrivals>);

impl Armed {
    pub(crate) fn new(arrivals: &Rc<Arrivals>) -> Self {
        arrivals.armed.set(arrivals.armed.get() + 1);
        Self(arrivals.clone())
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.0.armed.set(self.0.armed.get() - 1);
    }
}

/// An accept of one connection, which may be waited for more than once.
pub(crate) struct Single<O: Operation> {
    /// Gone before the operation, whose end is not to count it.
    _armed: Armed,
    op: Op<O>,
}

impl<O: Operation> Single<O> {
    pub(crate) fn new(arrivals: &Rc<Arrivals>, op: Op<O>) -> Self {
        Self { _armed: Armed::new(arrivals), op }
    }

    /// Waits for it, or for what another one leaves.
    pub(crate) async fn next<T>(&mut self, arrivals: &Arrivals) -> io::Result<Arrival<T>>
    where
        O: Operation<Output = io::Result<T>>,
    {
        let mut waiting = Waiting::new(arrivals);
        poll_fn(|cx| match Pin::new(&mut self.op).poll(cx) {
            Poll::Ready(came) => Poll::Ready(came.map(Arrival::Own)),
            Poll::Pending => waiting.poll_kept(cx).map(|kept| Ok(Arrival::Kept(kept))),
        })
        .await
    }
}

/// Somebody who has an accept in flight and would take what another one leaves.
pub(crate) struct Waiting<'a> {
    arrivals: &'a Arrivals,
    number: Option<u64>,
}

impl<'a> Waiting<'a> {
    pub(crate) const fn new(arrivals: &'a Arrivals) -> Self {
        Self { arrivals, number: None }
    }

    /// What was kept first, as soon as something is.
    pub(crate) fn poll_kept(&mut self, cx: &Context<'_>) -> Poll<SharedFd> {
        if let Some(kept) = self.arrivals.kept.pop() {
            return Poll::Ready(kept);
        }
        let mut waiting = self.arrivals.waiting.borrow_mut();
        let own = self.number.and_then(|own| waiting.iter_mut().find(|(number, _)| *number == own));
        match own {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => {
                let number = self.arrivals.numbers.get();
                self.arrivals.numbers.set(number.wrapping_add(1));
                waiting.push_back((number, cx.waker().clone()));
                self.number = Some(number);
            }
        }
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(own) = self.number else { return };
        let mut waiting = self.arrivals.waiting.borrow_mut();
        let place = waiting.iter().position(|(number, _)| *number == own);
        let gone = place.and_then(|place| waiting.remove(place));
        drop(waiting);
        // Not borrowed any more: a waker's destructor may come back.
        drop(gone);
        // It may have been woken for something that it has not taken.
        if self.arrivals.kept.has_some() {
            self.arrivals.wake_first();
        }
    }
}
