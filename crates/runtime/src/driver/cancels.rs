//! How operations are asked to end: by an entry for each (`ASYNC_CANCEL`); on a ring that denies such entries by a call for
//! each (`IORING_REGISTER_SYNC_CANCEL`, Linux 6.0); not at all where that is denied too.
//!
//! A call cancels what the ring has already, so it is made after the ring was given what was queued; it is not to wait for
//! anything, and tells what an entry would have told. The side ring denies nothing.

use std::time::Duration;

use annulus::opcode;
use annulus::squeue::Flags;
use annulus::types::{CancelBuilder, Timespec};
use rustix::io::Errno;

use super::lane::Lane;
use super::side::Limits;
use super::table::{Completion, Place};
use super::{Driver, Inner, Key, Wait};

/// How long a wait may be while calls wait for the ring to take what they speak of.
const SHORTLY: Duration = Duration::from_millis(1);

/// By what the main ring is asked to end an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    Entries,
    /// Entries are denied.
    Calls,
    /// Calls are denied too, or there are none.
    Nothing,
}

/// A call to be made.
struct Call {
    /// What is to end; `None`: everything.
    target: Option<Key>,
    /// Whose completion it is to look like.
    answer: Key,
}

/// What is known of the means, and the calls that are to be made: one at most for each operation, and each request for one.
pub(super) struct Cancels {
    means: Means,
    /// What is left where entries are denied. Before Linux 5.18 a call that the kernel does not know is refused only when
    /// nothing is in flight any more, and waits for that.
    otherwise: Means,
    calls: Vec<Call>,
}

impl Cancels {
    /// For a ring of these limits.
    pub(super) const fn within(limits: Limits) -> Self {
        let otherwise = if limits.no_cancel_call { Means::Nothing } else { Means::Calls };
        let lacking = limits.lacking.contains(opcode::AsyncCancel::CODE);
        Self { means: if lacking { otherwise } else { Means::Entries }, otherwise, calls: Vec::new() }
    }

    pub(super) const fn means(&self) -> Means {
        self.means
    }

    pub(super) const fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Notes what an entry that was to cancel something says about such entries.
    fn learn(&mut self, result: i32) {
        if self.means == Means::Entries && is_denial(result) {
            tracing::debug!(errno = -result, otherwise = ?self.otherwise, "the ring denies ASYNC_CANCEL");
            self.means = self.otherwise;
        }
    }
}

/// Whether this result of a request to cancel one operation speaks of the request: none of these is said of an operation.
const fn is_denial(result: i32) -> bool {
    matches!(-result, libc::EACCES | libc::EPERM | libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS)
}

impl Driver {
    /// Whether a request to cancel an operation had this result because it was denied, and another one may not be.
    pub(crate) fn has_other_means(&self, result: i32) -> bool {
        let cancels = &mut self.inner.borrow_mut().cancels;
        cancels.learn(result);
        is_denial(result) && cancels.means == Means::Calls
    }

    /// Hands over what is queued, makes the calls, and delivers what they say. Does not wait, as that may wake tasks.
    ///
    /// # Errors
    ///
    /// Those of [`Driver::enter`].
    #[cold]
    pub(super) fn enter_and_call(&self, wait: Wait) -> Result<(), Errno> {
        let mut inner = self.inner.borrow_mut();
        inner.enter(Wait::No)?;
        if !inner.main().is_none_or(Lane::is_handed_over) {
            let shortest = match wait {
                Wait::No => return Ok(()),
                Wait::AtMost(time) => time.min(SHORTLY),
                Wait::Forever => SHORTLY,
            };
            return inner.enter(Wait::AtMost(shortest));
        }
        let answers = inner.call();
        drop(inner);
        for (user_data, result) in answers {
            self.deliver(user_data, Completion::new(result, annulus::abi::CqeFlags::empty()));
        }
        Ok(())
    }
}

impl Inner {
    /// Asks for the end of an operation. What comes of it is nobody's business unless it is to be done again.
    pub(super) fn cancel(&mut self, key: Key) {
        self.ask(key, key.cancellation(), self.quiet);
    }

    /// Asks for the end of an operation, and has the answer come as the completion of another.
    pub(super) fn ask(&mut self, target: Key, answer: Key, flags: Flags) {
        let place = self.table.place_of(target);
        if place == Place::Main && self.cancels.means != Means::Entries {
            self.cancels.calls.push(Call { target: Some(target), answer });
            return;
        }
        let cancel = opcode::AsyncCancel::new(self.table.user_data(target)).build().flags(flags);
        self.queue(place, &cancel.user_data(self.table.user_data(answer)));
    }

    /// Asks for the end of everything, by one request for each ring.
    pub(super) fn ask_all(&mut self) {
        let any = opcode::AsyncCancel2::new(CancelBuilder::any().all()).build();
        // What is waited for are the completions of the others.
        let any = any.flags(self.quiet).user_data(self.table.user_data(Key::EVERYTHING));
        if self.cancels.means == Means::Entries {
            self.queue(Place::Main, &any);
        } else {
            self.cancels.calls.push(Call { target: None, answer: Key::EVERYTHING });
        }
        self.queue(Place::Side, &any);
    }

    /// The request to end this operation had this result, and did not reach it.
    pub(super) fn cancel_again(&mut self, key: Key, result: i32) {
        self.cancels.learn(result);
        if self.cancels.means != Means::Nothing || self.table.place_of(key) != Place::Main {
            self.cancel(key);
        }
    }

    /// The request to end everything had this result.
    pub(super) fn refused_together(&mut self, result: i32) {
        // Before Linux 5.19 there are such entries for one operation only.
        if result != -libc::EINVAL {
            self.cancels.learn(result);
        }
    }

    /// Makes the calls. Returns what each says as a result, with the user data of its answer.
    fn call(&mut self) -> Vec<(u64, i32)> {
        let calls = std::mem::take(&mut self.cancels.calls);
        let answers = calls.into_iter().map(|call| {
            let result = self.call_for(call.target).map_or_else(|errno| -errno.raw_os_error(), |()| 0);
            (self.table.user_data(call.answer), result)
        });
        answers.collect()
    }

    /// Makes one call.
    ///
    /// # Errors
    ///
    /// As the result of an entry: `ENOENT`, `EALREADY`, and others if it was denied.
    fn call_for(&mut self, target: Option<Key>) -> Result<(), Errno> {
        let which = target.map_or_else(
            || CancelBuilder::any().all(),
            |key| CancelBuilder::user_data(self.table.user_data(key)),
        );
        let means = self.cancels.means;
        let Some(main) = self.main().filter(|_| means == Means::Calls) else { return Err(Errno::OPNOTSUPP) };
        let Err(error) = main.ring().submitter().register_sync_cancel(Some(Timespec::new()), which) else {
            return Ok(());
        };
        match Errno::from_io_error(&error).unwrap_or(Errno::IO) {
            Errno::NOENT => Err(Errno::NOENT),
            // It was found, and has not ended at once.
            Errno::TIME | Errno::ALREADY | Errno::INTR | Errno::AGAIN | Errno::NOMEM => Err(Errno::ALREADY),
            errno => {
                tracing::warn!(%error, "nothing in flight can be cancelled: neither by ASYNC_CANCEL nor by SYNC_CANCEL");
                self.cancels.means = Means::Nothing;
                Err(errno)
            }
        }
    }
}
