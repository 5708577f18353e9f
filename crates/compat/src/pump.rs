//! `Pump`: a future that does one thing after the other for somebody who polls.
//!
//! The futures of a stream's operations have no names, so that a struct can hold one only in a box. This is one box for all
//! operations of a stream in one direction, instead of one for each.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// What goes in and comes out.
struct Slot<C, A> {
    command: Cell<Option<C>>,
    answer: Cell<Option<A>>,
}

/// Carries out commands, one at a time.
pub(crate) struct Pump<C, A> {
    slot: Rc<Slot<C, A>>,
    /// Never ready.
    future: Pin<Box<dyn Future<Output = ()>>>,
    is_busy: bool,
}

impl<C: 'static, A: 'static> Pump<C, A> {
    /// Carries commands out by `work`.
    pub(crate) fn new<F: Future<Output = A>>(mut work: impl FnMut(C) -> F + 'static) -> Self {
        let slot = Rc::new(Slot { command: Cell::new(None), answer: Cell::new(None) });
        let inner = slot.clone();
        let future = Box::pin(async move {
            loop {
                // Whoever leaves a command polls afterwards: no waker is needed.
                let next = poll_fn(|_| inner.command.take().map_or(Poll::Pending, Poll::Ready));
                let answer = work(next.await).await;
                inner.answer.set(Some(answer));
            }
        });
        Self { slot, future, is_busy: false }
    }

    /// Whether a command was begun and its answer not taken.
    pub(crate) const fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Begins a command, which is carried out by polling.
    ///
    /// # Panics
    ///
    /// While another one is carried out.
    pub(crate) fn begin(&mut self, command: C) {
        assert!(!self.is_busy, "a pump does one thing at a time");
        self.is_busy = true;
        self.slot.command.set(Some(command));
    }

    /// The answer to the command that was begun.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<A> {
        let _never_ready = self.future.as_mut().poll(cx);
        match self.slot.answer.take() {
            Some(answer) => {
                self.is_busy = false;
                Poll::Ready(answer)
            }
            None => Poll::Pending,
        }
    }
}
