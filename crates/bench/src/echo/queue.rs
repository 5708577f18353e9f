//! The ring of a server: entries go in, what completed comes out, one call in between.
#![allow(unsafe_code, reason = "pushes entries that its caller vouches for")]

use std::io;

use annulus::{IoUring, Submitter, cqueue, squeue};
use rustix::io::Errno;

use crate::backend::{Back, entries_for};
use crate::pin::keep_workers;
use crate::report::Fault;

/// What an entry was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Purpose {
    Accept,
    Recv,
    Send,
    Close,
}

impl Purpose {
    /// The user data of an entry for this descriptor: the purpose above it.
    pub(super) fn of(self, fd: i32) -> u64 {
        u64::from(self as u8) << 32 | u64::from(fd.cast_unsigned())
    }

    /// Purpose and descriptor out of user data that [`of`](Self::of) made.
    pub(super) fn read(user_data: u64) -> (Self, i32) {
        let purpose = match user_data >> 32 {
            0 => Self::Accept,
            1 => Self::Recv,
            2 => Self::Send,
            _ => Self::Close,
        };
        let [a, b, c, d, ..] = user_data.to_le_bytes();
        (purpose, i32::from_le_bytes([a, b, c, d]))
    }
}

/// A ring, with completions taken out of it that are still to be handled.
pub(super) struct Queue {
    ring: IoUring,
    completed: Vec<cqueue::Entry>,
}

impl Queue {
    /// A ring for this many connections: a turn submits one entry for each, and may see some completions more.
    ///
    /// # Errors
    ///
    /// [`Fault::Refused`] if the back end is not to be had.
    pub(super) fn new(back: Back, core: usize, connections: u32) -> Result<Self, Fault> {
        let entries = entries_for(connections);
        let ring = back.ring(entries, 4 * entries)?;
        keep_workers(&ring, core);
        Ok(Self { ring, completed: Vec::new() })
    }

    pub(super) fn submitter(&self) -> Submitter<'_> {
        self.ring.submitter()
    }

    /// Adds an entry. If there is no room, what is there is submitted first.
    ///
    /// # Safety
    ///
    /// What the entry names stays as it must until its last completion.
    ///
    /// # Errors
    ///
    /// Those of io_uring_enter(2), but for the passing ones.
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: the contract of this function.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            passing(self.ring.submit())?;
            // Completions that nobody takes out could be why nothing is taken in.
            self.completed.extend(self.ring.completion());
        }
    }

    /// Submits everything, waits for one completion at least, and hands out all that are there. They come back by
    /// [`recycle`](Self::recycle), so that their memory is used again.
    ///
    /// # Errors
    ///
    /// Those of io_uring_enter(2), but for the passing ones.
    pub(super) fn turn(&mut self) -> io::Result<Vec<cqueue::Entry>> {
        passing(self.ring.submit_and_wait(usize::from(self.completed.is_empty())))?;
        self.completed.extend(self.ring.completion());
        Ok(std::mem::take(&mut self.completed))
    }

    pub(super) fn recycle(&mut self, mut handled: Vec<cqueue::Entry>) {
        if self.completed.is_empty() {
            handled.clear();
            self.completed = handled;
        }
    }
}

/// A signal, and completions that must be taken out first, are no errors: the next turn goes on.
fn passing(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Err(error)
            if matches!(Errno::from_io_error(&error), Some(Errno::INTR | Errno::BUSY | Errno::AGAIN)) =>
        {
            Ok(())
        }
        result => result.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_tells_purpose_and_descriptor() {
        for purpose in [Purpose::Accept, Purpose::Recv, Purpose::Send, Purpose::Close] {
            for fd in [0, 7, i32::MAX] {
                assert_eq!(Purpose::read(purpose.of(fd)), (purpose, fd));
            }
        }
    }

    #[test]
    fn more_entries_than_room_all_complete() {
        let core = crate::pin::allowed().unwrap()[0];
        for back in Back::ALL {
            let mut queue = Queue::new(back, core, 1).unwrap();
            for number in 0..1000 {
                let nop = annulus::opcode::Nop::new().build().user_data(number);
                // SAFETY: a NOP names no memory.
                unsafe { queue.push(&nop) }.unwrap();
            }
            let mut seen = 0;
            while seen < 1000 {
                let completed = queue.turn().unwrap();
                seen += completed.len();
                queue.recycle(completed);
            }
            assert_eq!(seen, 1000, "{back:?}");
        }
    }
}
