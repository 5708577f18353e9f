//! A lane: one ring, and the entries that wait for room in it.
//!
//! It hands over and takes out; whose the entries are is not its business.
#![allow(unsafe_code, reason = "pushes entries, whose operations own what they name")]

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use annulus::abi::SetupFlags;
use annulus::{IoUring, cqueue, opcode, squeue, types};
use rustix::io::Errno;

use super::{Counted, Wait};

pub(super) struct Lane {
    ring: IoUring,
    /// Entries that found the submission queue full, oldest first.
    backlog: VecDeque<squeue::Entry>,
    /// What timeouts in the submission queue point to.
    time: Box<types::Timespec>,
    /// The ring posts nothing unless it is entered, and does not show that there is something to post.
    is_blind: bool,
}

impl Lane {
    pub(super) fn new(ring: IoUring) -> Self {
        let flags = ring.params().setup_flags();
        let is_blind = flags.contains(SetupFlags::DEFER_TASKRUN) && !flags.contains(SetupFlags::TASKRUN_FLAG);
        Self { ring, backlog: VecDeque::new(), time: Box::default(), is_blind }
    }

    pub(super) const fn ring(&mut self) -> &mut IoUring {
        &mut self.ring
    }

    /// Puts an entry into the submission queue, or behind those that wait for room.
    #[inline]
    pub(super) fn queue(&mut self, entry: &squeue::Entry) {
        if !self.backlog.is_empty() || !self.push(entry) {
            self.put_off(entry);
        }
    }

    #[cold]
    fn put_off(&mut self, entry: &squeue::Entry) {
        self.backlog.push_back(*entry);
    }

    #[inline]
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: what it names is owned by the operation until its last completion (`Driver::submit`), or by the lane
        // until the kernel has read it (the time of a timeout); a close, a poll and a cancellation name no memory.
        let pushed = unsafe { self.ring.submission().push(entry) };
        pushed.is_ok()
    }

    pub(super) const fn shared(&self) -> &IoUring {
        &self.ring
    }

    /// Whether the ring has taken everything that was queued.
    pub(super) fn is_handed_over(&mut self) -> bool {
        self.backlog.is_empty() && self.ring.submission().is_empty()
    }

    /// How many entries wait for room.
    pub(super) fn waiting(&self) -> usize {
        self.backlog.len()
    }

    pub(super) fn is_full(&mut self) -> bool {
        !self.backlog.is_empty() || self.ring.submission().is_full()
    }

    /// Moves the backlog into the submission queue as far as there is room. Whether all of it had.
    pub(super) fn fill(&mut self) -> bool {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.push(&entry) {
                self.backlog.push_front(entry);
                return false;
            }
        }
        true
    }

    /// Whether completions are there.
    pub(super) fn has_completions(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// Takes completions out, as many as are there and fit.
    pub(super) fn take<'p>(
        &mut self,
        places: &'p mut [MaybeUninit<cqueue::Entry>],
    ) -> &'p mut [cqueue::Entry] {
        self.ring.completion().fill(places)
    }

    /// Hands over what is in the submission queue, and waits if told to. `ignored` is the user data of a request whose
    /// completion means nothing.
    ///
    /// # Errors
    ///
    /// Those that do not pass: see [`Driver::enter`](super::Driver::enter).
    pub(super) fn enter(&mut self, wait: Wait, counted: &mut Counted, ignored: u64) -> Result<(), Errno> {
        // Otherwise the ring sees that there is nothing to be done, or next to nothing.
        let polled = self.ring.params().is_setup_sqpoll();
        let queue = self.ring.submission();
        let hands_over = if polled { queue.need_wakeup() } else { !queue.is_empty() };
        drop(queue);
        let calls = hands_over || (wait != Wait::No && self.ring.completion().is_empty());
        counted.enters += u64::from(calls);
        // Such a call does completion work, and is to have done all that there was.
        let had_work = wait == Wait::No && self.ring.submission().taskrun();
        let result = match wait {
            Wait::No if self.is_blind => self.ring.submitter().submit_and_get_events(),
            Wait::No => self.ring.submitter().submit(),
            Wait::Forever => self.ring.submitter().submit_and_wait(1),
            Wait::AtMost(time) if self.ring.params().is_feature_ext_arg() => {
                let time = types::Timespec::from(time);
                self.ring.submitter().submit_with_args(1, &types::SubmitArgs::new().timespec(&time))
            }
            Wait::AtMost(time) => self.submit_with_timeout(time, ignored),
        };
        match result {
            Ok(taken) => counted.submitted += taken as u64,
            Err(error) => self.explain(&error)?,
        }
        if had_work && self.ring.submission().taskrun() {
            self.run_completion_work(counted)?;
        }
        self.wait_for_room(counted)
    }

    /// Has the kernel do what it has left over before it posts completions. A call does twenty pieces of such work, unless it
    /// waits for more completions; a loop that never waits would fall ever further behind.
    fn run_completion_work(&mut self, counted: &mut Counted) -> Result<(), Errno> {
        counted.enters += 1;
        let most = self.ring.completion().capacity();
        let time = types::Timespec::from(Duration::ZERO);
        let worked = self.ring.submitter().wait_with_args(most, &types::SubmitArgs::new().timespec(&time));
        worked.or_else(|error| self.explain(&error))
    }

    /// Where a thread of the kernel's takes the entries, a queue that is still full is waited for: nothing else can be done.
    fn wait_for_room(&self, counted: &mut Counted) -> Result<(), Errno> {
        if self.backlog.is_empty() || !self.ring.params().is_setup_sqpoll() {
            return Ok(());
        }
        counted.enters += 1;
        self.ring.submitter().squeue_wait().map_or_else(|error| self.explain(&error), |_| Ok(()))
    }

    /// Waits with a timeout by an entry of its own, which ends with the first completion or with the time (Linux
    /// before 5.11).
    fn submit_with_timeout(&mut self, time: Duration, ignored: u64) -> io::Result<usize> {
        *self.time = types::Timespec::from(time);
        let timeout = opcode::Timeout::new(&raw const *self.time).count(1).build().user_data(ignored);
        // Without room for it the call only makes some; the next turn waits.
        let waits = usize::from(self.push(&timeout));
        self.ring.submitter().submit_and_wait(waits)
    }

    /// Tells errors that pass from those that do not.
    fn explain(&self, error: &io::Error) -> Result<(), Errno> {
        match Errno::from_io_error(error).unwrap_or(Errno::IO) {
            // The time is over, a signal came; or the completion queue is full (before Linux 5.19): the
            // caller reaps and comes back.
            Errno::TIME | Errno::INTR | Errno::BUSY => Ok(()),
            // No memory for a request at this moment. What completes meanwhile may give some back.
            Errno::AGAIN => {
                let time = types::Timespec::from(Duration::from_millis(1));
                let _ = self.ring.submitter().wait_with_args(1, &types::SubmitArgs::new().timespec(&time));
                Ok(())
            }
            errno => Err(errno),
        }
    }
}
