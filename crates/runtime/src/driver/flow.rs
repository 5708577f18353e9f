//! `Flow`: a multishot operation, which completes again and again until it ends.
//!
//! It does not arm itself again: whoever reads it knows whether that makes sense. At most `waiting`
//! completions pile up unread; then the operation is cancelled, ends, and can be armed again once read.
#![allow(unsafe_code, reason = "submits what it owns")]

use std::rc::Rc;
use std::task::{Context, Poll};

use rustix::io::Errno;

use super::Driver;
use super::leftover::{Late, Operation};
use super::table::{Completion, Key};
use crate::coop;

/// A multishot operation in flight. Dropping it cancels.
pub(crate) struct Flow<T: Operation> {
    driver: Rc<Driver>,
    /// `None` when it has ended.
    state: Option<(Key, T)>,
    waiting: usize,
    /// The operation, when it has ended.
    ended: Option<T>,
}

impl<T: Operation> Flow<T> {
    /// Submits.
    ///
    /// # Errors
    ///
    /// Those of [`Driver::submit`].
    pub(crate) fn start(op: T, waiting: usize) -> Result<Self, Errno> {
        Self::try_start(op, waiting).map_err(|(errno, _)| errno)
    }

    /// Submits, or gives the operation back.
    ///
    /// # Errors
    ///
    /// Those of [`Driver::submit`].
    pub(crate) fn try_start(mut op: T, waiting: usize) -> Result<Self, (Errno, T)> {
        let driver = Driver::current();
        let entry = op.entry();
        // SAFETY: the operation owns what the entry names (its contract); this value owns the operation until
        // the last completion, and gives it to the driver if it is dropped before.
        match unsafe { driver.submit(entry, None, waiting) } {
            Ok(key) => Ok(Self { driver, state: Some((key, op)), waiting, ended: None }),
            Err(errno) => Err((errno, op)),
        }
    }

    /// The next completion, or `None` when the operation has ended.
    #[inline]
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Completion>> {
        let Some((key, _)) = &self.state else { return Poll::Ready(None) };
        let next = coop::limited(cx, || self.driver.poll_next(*key, cx));
        match next {
            Poll::Ready(Some(Completion { refused: false, .. })) | Poll::Pending => next,
            Poll::Ready(next) => self.stopped(next, cx),
        }
    }

    /// It was refused, or has ended.
    #[cold]
    fn stopped(&mut self, next: Option<Completion>, cx: &Context<'_>) -> Poll<Option<Completion>> {
        let mut next = Poll::Ready(next);
        if let (Poll::Ready(Some(_)), Some((key, op))) = (&next, &mut self.state) {
            // SAFETY: as in `start`.
            let again = unsafe { self.driver.submit_again(op.entry(), None, self.waiting) };
            if let Some(again) = again {
                // The end of the one that was refused, which nothing is left of.
                let _ended = self.driver.poll_next(*key, cx);
                *key = again;
                next = self.driver.poll_next(again, cx);
            }
        }
        if let Poll::Ready(None) = next {
            self.ended = self.state.take().map(|(_, op)| op);
        }
        next
    }

    /// The operation, as long as it is in flight.
    pub(crate) const fn op(&self) -> Option<&T> {
        match &self.state {
            Some((_, op)) => Some(op),
            None => None,
        }
    }

    /// Asks for its end, which comes after what it has done by then.
    pub(crate) fn stop(&self) {
        if let Some((key, _)) = &self.state {
            self.driver.cancel(*key);
        }
    }

    /// The operation, once it has ended.
    pub(crate) const fn take_ended(&mut self) -> Option<T> {
        self.ended.take()
    }
}

impl<T: Operation> Drop for Flow<T> {
    fn drop(&mut self) {
        if let Some((key, mut op)) = self.state.take() {
            op.abandoned();
            self.driver.abandon(key, Box::new(Late(op)));
        }
    }
}
