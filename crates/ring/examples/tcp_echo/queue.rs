//! A ring, and the entries that its submission queue had no room for.

use std::collections::VecDeque;
use std::io;

use annulus::{IoUring, cqueue, squeue};
use rustix::io::Errno;

/// What an operation was for, and which connection's it was: the user data of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Purpose {
    Accept,
    Signal,
    Grace,
    Greeting,
    PolledGreeting,
    Recv,
    Send,
    Shutdown,
    Close,
    Cancel,
}

impl Purpose {
    const ALL: [Self; 10] = [
        Self::Accept,
        Self::Signal,
        Self::Grace,
        Self::Greeting,
        Self::PolledGreeting,
        Self::Recv,
        Self::Send,
        Self::Shutdown,
        Self::Close,
        Self::Cancel,
    ];

    /// The purpose in the highest byte, the connection's number below it.
    pub(crate) const fn of(self, connection: usize) -> u64 {
        (self as u64) << 56 | connection as u64
    }

    fn read(user_data: u64) -> (Self, usize) {
        let [high, low @ ..] = user_data.to_be_bytes();
        let connection = low.into_iter().fold(0, |number, byte| number << 8 | usize::from(byte));
        (Self::ALL[usize::from(high)], connection)
    }
}

/// A completion, taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) purpose: Purpose,
    pub(crate) connection: usize,
    pub(crate) result: Result<u32, Errno>,
    pub(crate) has_more: bool,
}

/// A ring that takes any number of entries: what does not fit waits in a backlog.
pub(crate) struct Queue {
    ring: IoUring,
    backlog: VecDeque<squeue::Entry>,
    /// Entries whose last completion has not come.
    in_flight: usize,
}

impl Queue {
    pub(crate) const fn new(ring: IoUring) -> Self {
        Self { ring, backlog: VecDeque::new(), in_flight: 0 }
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// # Safety
    ///
    /// What the entry names stays as it must until its last completion, whenever it is submitted.
    pub(crate) unsafe fn push(&mut self, entry: squeue::Entry) {
        self.in_flight += 1;
        self.backlog.push_back(entry);
    }

    /// Submits everything, waits for `want` completions, and takes out all that are there.
    pub(crate) fn turn(&mut self, want: usize, events: &mut Vec<Event>) -> io::Result<()> {
        let (submitter, mut submission, mut completion) = self.ring.split();
        while let Some(entry) = self.backlog.pop_front() {
            // SAFETY: the contract of `push`.
            if unsafe { submission.push(&entry) }.is_err() {
                self.backlog.push_front(entry);
                submission.sync();
                passing(submitter.submit())?;
                // With a polling thread there is room when that has come by; without, there is now.
                passing(submitter.squeue_wait())?;
                submission.sync();
                completion.sync();
                if completion.is_full() {
                    break; // Take these out before more is submitted.
                }
            }
        }
        submission.sync();
        let want = if self.backlog.is_empty() { want } else { 0 };
        passing(submitter.submit_and_wait(want))?;
        completion.sync();
        let known = events.len();
        events.extend(completion.map(|cqe| event(&cqe)));
        self.in_flight -= events[known..].iter().filter(|event| !event.has_more).count();
        Ok(())
    }
}

fn event(cqe: &cqueue::Entry) -> Event {
    let (purpose, connection) = Purpose::read(cqe.user_data());
    Event { purpose, connection, result: cqe.to_result(), has_more: cqe.has_more() }
}

/// A signal, and completions that must be taken out first, are no errors: the next turn goes on.
fn passing(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::INTR | Errno::BUSY | Errno::AGAIN) => Ok(()),
            _ => Err(error),
        },
        Ok(_) => Ok(()),
    }
}
