//! `Op`: one operation as a future that owns it. The operations stand beside it, by topic.
//!
//! Nothing is submitted before the first poll. Dropping it after that cancels the operation, and leaves
//! what it owns to the driver until the last completion.
#![allow(unsafe_code, reason = "submits what it owns")]

pub(crate) mod control;
pub(crate) mod datagrams;
pub(crate) mod file;
pub(crate) mod fixed;
pub(crate) mod message;
pub(crate) mod msg;
pub(crate) mod name;
pub(crate) mod parts;
pub(crate) mod path;
pub(crate) mod process;
pub(crate) mod round;
pub(crate) mod rw;
pub(crate) mod socket;
pub(crate) mod space;
pub(crate) mod splice;
pub(crate) mod stream;
pub(crate) mod vectored;
pub(crate) mod xattr;
pub(crate) mod zero_copy;

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::Driver;
use super::leftover::{Late, Operation};
use super::table::{Completion, Key};
use crate::buf::{BufResult, IoBufMut};
use crate::net::inbound::Inbound;
use round::Round;

/// An operation as a future.
#[must_use = "an operation is submitted when it is awaited"]
pub(crate) struct Op<T: Operation> {
    /// Until it has completed. It stays in its place meanwhile: it may be large.
    op: Option<T>,
    /// Where it is in flight.
    flight: Option<(Rc<Driver>, Key)>,
}

/// What the kernel writes to lies behind pointers that moving the operation does not change
/// (`Operation`'s contract), so the future may be moved.
impl<T: Operation> Unpin for Op<T> {}

impl<T: Operation> Op<T> {
    #[inline]
    pub(crate) const fn new(op: T) -> Self {
        Self { op: Some(op), flight: None }
    }

    /// Starts what the ring refused once more, where it may be done.
    #[cold]
    fn again(driver: &Driver, op: &mut T, cx: &Context<'_>) -> Option<Key> {
        // SAFETY: as in `start`: the operation owns what the entry names, and stays where it is.
        unsafe { driver.submit_again(op.entry(), Some(cx.waker().clone()), 0) }
    }
}

impl<T: Operation> Future for Op<T> {
    type Output = T::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        let this = self.get_mut();
        let Some(op) = &mut this.op else { panic!("an operation was polled after it had completed") };
        // In flight, the operation leaves its place only with its last completion: polling runs the destructor of
        // an older waker, and if that panics, what the kernel works on must still be here, for `drop` to hand over.
        let completion = match &mut this.flight {
            Some((driver, key)) => match driver.poll_single(*key, cx) {
                Poll::Ready(completion) => {
                    if completion.refused
                        && let Some(again) = Self::again(driver, op, cx)
                    {
                        *key = again;
                        return Poll::Pending;
                    }
                    completion
                }
                Poll::Pending => return Poll::Pending,
            },
            None => {
                let driver = Driver::current();
                let entry = op.entry();
                // SAFETY: the operation owns what the entry names (its contract); this value owns the operation until
                // the last completion, and gives it to the driver if it is dropped before.
                match unsafe { driver.submit(entry, Some(cx.waker().clone()), 0) } {
                    Ok(key) => {
                        this.flight = Some((driver, key));
                        return Poll::Pending;
                    }
                    Err(errno) => Completion::failed(errno),
                }
            }
        };
        this.flight = None;
        match this.op.take() {
            Some(op) => Poll::Ready(op.complete(completion)),
            None => unreachable!("it was there just now"),
        }
    }
}

impl<T: Operation> Drop for Op<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some((driver, key)) = self.flight.take()
            && let Some(mut op) = self.op.take()
        {
            op.abandoned();
            driver.abandon(key, Box::new(Late(op)));
        }
    }
}

/// The result of an operation that yields a number.
pub(crate) fn number(completion: Completion) -> io::Result<usize> {
    usize::try_from(completion.result).map_err(|_| io::Error::from_raw_os_error(-completion.result))
}

/// The result of an operation that yields nothing.
pub(crate) fn nothing(completion: Completion) -> io::Result<()> {
    number(completion).map(drop)
}

/// The most that one call moves (`MAX_RW_COUNT` of the kernel with pages of 4 KiB).
const MOST: usize = 0x7fff_f000;

/// The length of a buffer as an entry takes it; what is longer is moved in parts, as by read(2).
fn length(len: usize) -> u32 {
    u32::try_from(len.min(MOST)).unwrap_or(u32::MAX)
}

/// Marks what was received as the buffer's contents.
fn filled<B: IoBufMut>(completion: Completion, buf: B) -> BufResult<usize, B> {
    filled_from(0, completion, buf)
}

/// Marks what was received as the buffer's contents, behind the first `at` bytes, which are contents already.
fn filled_from<B: IoBufMut>(at: usize, completion: Completion, mut buf: B) -> BufResult<usize, B> {
    let result = number(completion);
    if let Ok(n) = result {
        // SAFETY: the kernel has written `n` bytes behind the first `at`, as the entry said, and those were contents.
        unsafe { buf.set_filled(at + n) };
    }
    (result, buf)
}

/// What a dropped receive of a stream had taken goes to the next: the bytes of a round that ended, or its error.
fn keep_late<B: IoBufMut>(inbound: &Inbound, round: Round, completion: Completion, buf: &mut B) {
    if let Ok(n) = number(completion) {
        let at = round.at();
        // SAFETY: the kernel has written `n` bytes behind the first `at`, as the entry said, and those were contents.
        unsafe { buf.set_filled(at + n) };
        inbound.keep(&buf.as_bytes()[at..at + n]);
    } else {
        inbound.keep_error(-completion.result);
    }
}
