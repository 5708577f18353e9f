//! Whose turn it is when all buffers of a pool are out: first come, first served.
//!
//! Each buffer that comes back is one turn, and wakes one. Who has a turn and finds no use for it, because its stream
//! has ended or its future was dropped, passes it on; so no buffer lies unused while somebody waits, and nobody
//! has to look again after a while.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Those who wait, the first first.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    waiting: RefCell<BTreeMap<u64, Waker>>,
    numbered: Cell<u64>,
}

impl Turns {
    /// Waits for a turn.
    pub(super) const fn wait(&self) -> Wait<'_> {
        Wait { turns: self, number: None }
    }

    /// Whether nobody waits, as almost always.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Gives the first of those who wait a turn.
    #[cold]
    pub(super) fn next(&self) {
        let first = self.waiting.borrow_mut().pop_first();
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }
}

/// A turn: to be [`used`](Self::used) when a buffer was taken, or found to be taken by somebody else. Dropped unused, it is
/// the next one's.
#[derive(Debug)]
#[must_use = "a turn that is dropped is the next one's"]
pub(crate) struct Turn<'a>(&'a Turns);

impl Turn<'_> {
    /// It has done its part, if there was one.
    pub(crate) const fn used(turn: Option<Self>) {
        std::mem::forget(turn);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.next();
    }
}

/// The wait for a turn.
#[derive(Debug)]
pub(super) struct Wait<'a> {
    turns: &'a Turns,
    /// Its place among those who wait, once it has one; it has a turn when it is gone from there.
    number: Option<u64>,
}

impl<'a> Future for Wait<'a> {
    type Output = Turn<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn<'a>> {
        let turns = self.turns;
        if let Some(number) = self.number {
            let mut waiting = turns.waiting.borrow_mut();
            let Some(waker) = waiting.get_mut(&number) else {
                drop(waiting);
                self.number = None;
                return Poll::Ready(Turn(turns));
            };
            let old = (!waker.will_wake(cx.waker())).then(|| std::mem::replace(waker, cx.waker().clone()));
            drop(waiting);
            // Not borrowed: a waker's destructor may come back.
            drop(old);
            return Poll::Pending;
        }
        let number = turns.numbered.get();
        turns.numbered.set(number + 1);
        turns.waiting.borrow_mut().insert(number, cx.waker().clone());
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let gone = self.turns.waiting.borrow_mut().remove(&number);
        if gone.is_none() {
            // It was woken and did not come to it.
            self.turns.next();
        }
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn is_ready(wait: Pin<&mut Wait<'_>>) -> Option<()> {
        match wait.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => {
                Turn::used(Some(turn));
                Some(())
            }
            Poll::Pending => None,
        }
    }

    #[test]
    fn turns_come_in_the_order_of_the_first_poll() {
        let turns = Turns::default();
        let (mut first, mut second) = (pin!(turns.wait()), pin!(turns.wait()));
        assert_eq!((is_ready(first.as_mut()), is_ready(second.as_mut())), (None, None));
        turns.next();
        assert_eq!((is_ready(second.as_mut()), is_ready(first.as_mut())), (None, Some(())));
        turns.next();
        assert_eq!(is_ready(second.as_mut()), Some(()));
        assert!(turns.is_empty());
    }

    #[test]
    fn a_turn_that_nobody_takes_is_the_next_one_s() {
        let turns = Turns::default();
        let mut last = pin!(turns.wait());
        {
            let (mut first, mut second) = (pin!(turns.wait()), pin!(turns.wait()));
            assert_eq!((is_ready(first.as_mut()), is_ready(second.as_mut())), (None, None));
            assert_eq!(is_ready(last.as_mut()), None);
            // The first has its turn and is dropped; the second waits and is dropped.
            turns.next();
        }
        assert_eq!(is_ready(last.as_mut()), Some(()));
        assert!(turns.is_empty());
    }
}
