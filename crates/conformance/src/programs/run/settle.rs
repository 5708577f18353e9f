//! Settling, and the end of a run: until nothing more can come by itself, until nothing is under way at all.

use std::time::Duration;

use annulus::abi::{
    IORING_ASYNC_CANCEL_ALL, IORING_ASYNC_CANCEL_ANY, IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE,
};
use annulus::abi::{KernelTimespec, RegisterOp, Sqe, SyncCancelReg};
use annulus::opcode;
use annulus::squeue::Entry;
use annulus::types::{SubmitArgs, Timespec};
use rustix::io::Errno;

use super::{OWN, Run};
use crate::harness::Kept;
use crate::programs::record::Record;

/// How a run finds out that nothing more comes.
#[derive(Clone, Copy, Debug)]
pub enum Pace<'a> {
    /// By waiting; the number multiplies how long.
    Search(u32),
    /// By waiting for as many completions as came in another run; the number multiplies how long in vain.
    Follow(&'a Record, u32),
}

/// Microseconds without completion after which nothing is expected of requests that wait for others.
const QUIET_US: u64 = 150;

/// The same if workers have a part in it, or a thread that polls the queue.
const QUIET_IN_WORKERS_US: u64 = 1_000;

/// Microseconds to wait for what is sure to come.
const DUE_US: u64 = 300_000;

/// How often what is left is cancelled before it counts as never ending.
const PASSES: u32 = 400;

impl Pace<'_> {
    const fn patience(&self) -> u32 {
        match self {
            Self::Search(patience) | Self::Follow(_, patience) => *patience,
        }
    }
}

impl Run<'_> {
    /// Reaps until nothing more can come by itself.
    pub(super) fn settle(&mut self) {
        match self.pace {
            Pace::Search(patience) => self.search(patience),
            Pace::Follow(record, patience) => {
                let want = record.settled.get(self.record.settled.len()).copied().unwrap_or_default();
                self.follow(want, patience);
            }
        }
        self.under_way.grow_old();
        self.record.settled.push(self.record.completions.len());
    }

    fn search(&mut self, patience: u32) {
        loop {
            let came = self.reap() > 0;
            if self.under_way.is_empty() {
                // What is already posted, but held back, comes with one more look.
                if !came && !self.look() {
                    return;
                }
                continue;
            }
            if self.under_way.is_due() {
                if !self.wait(DUE_US) {
                    return;
                }
                continue;
            }
            let is_slow = self.polled || self.under_way.is_slow();
            let quiet = if is_slow { QUIET_IN_WORKERS_US } else { QUIET_US };
            if !self.wait(quiet * u64::from(patience)) {
                return;
            }
        }
    }

    fn follow(&mut self, want: usize, patience: u32) {
        while self.record.completions.len() < want {
            if self.reap() == 0 && !self.wait(DUE_US) {
                break;
            }
        }
        if self.polled || self.under_way.is_slow() {
            while self.wait(QUIET_US * u64::from(patience)) {
                self.reap();
            }
        }
        while self.look() {}
    }

    /// Lets the back end post what is ready. Whether something came.
    fn look(&mut self) -> bool {
        if let Err(error) = self.rig.ring().submitter().get_events()
            && !is_passing(&error)
        {
            self.record.broken.push(format!("a look is refused: {error}"));
        }
        self.reap() > 0
    }

    /// Waits for a completion. Whether one is there.
    fn wait(&mut self, microseconds: u64) -> bool {
        if !self.rig.ring_mut().completion().is_empty() {
            return true;
        }
        let limit = Timespec::from(Duration::from_micros(microseconds));
        let args = SubmitArgs::new().timespec(&limit);
        loop {
            match self.rig.ring().submitter().wait_with_args(1, &args) {
                Err(error) if is_passing(&error) => continue,
                Err(error) if error.raw_os_error() != Some(libc::ETIME) => {
                    self.record.broken.push(format!("a wait is refused: {error}"));
                }
                _ => {}
            }
            break;
        }
        !self.rig.ring_mut().completion().is_empty()
    }

    /// Ends everything, one by one and in order of names, and records what is left. Whether all has ended.
    pub(super) fn finish(&mut self) -> bool {
        for _ in 0..4 {
            if self.queue.is_empty() {
                break;
            }
            self.submit();
        }
        self.settle();
        self.record.finish = self.record.completions.len();
        for (_, _, closes) in std::mem::take(&mut self.queue) {
            if let Some(fd) = closes {
                self.world.adopt_nameless(fd);
            }
        }
        let ended = self.cancel_one_by_one() && self.cancel_the_silent();
        if !ended {
            let left = self.under_way.names();
            self.record.broken.push(format!("never ended, though cancelled: {left:?}"));
        }
        self.record.rest = self.world.rest();
        if self.registered.eventfd {
            // It is told of completions, by one signal for several or one for each.
            for (_, bytes) in self.record.rest.iter_mut().filter(|(name, _)| name == "Event") {
                *bytes = if bytes.len() == 8 { b"told".to_vec() } else { b"not told".to_vec() };
            }
        }
        let broken = self.arena.broken_guards();
        if broken > 0 {
            self.record.broken.push(format!("{broken} times memory was written behind its end"));
        }
        if ended {
            self.close_made();
        }
        ended
    }

    fn cancel_one_by_one(&mut self) -> bool {
        let mut last = None;
        for _ in 0..PASSES {
            if !self.under_way.is_loud() {
                return true;
            }
            last = self.under_way.next(last);
            let Some(name) = last else {
                self.wait(QUIET_IN_WORKERS_US);
                self.reap();
                continue;
            };
            if self.cancel(name, 0).is_ok() {
                self.settle();
                last = None;
            }
        }
        false
    }

    /// Ends what tells nobody, until nothing is found any more.
    fn cancel_the_silent(&mut self) -> bool {
        for _ in 0..PASSES {
            if self.under_way.is_empty() {
                return true;
            }
            let flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
            let found = self.cancel(0, flags);
            if matches!(found, Ok(1..)) {
                // A worker that was found ends a little later, and what is linked to it after that.
                self.wait(QUIET_IN_WORKERS_US * u64::from(self.pace.patience()));
            }
            self.settle();
            // How many were found; nobody, in words, from a back end that counts as for one.
            if matches!(found, Ok(0) | Err(Errno::NOENT)) {
                return true;
            }
        }
        false
    }

    /// Cancels by a registration, which no drain holds back, and, where a thread polls the queue, by a request if that has found
    /// nothing: in Linux 6.18 the call does not look among the workers of that thread.
    fn cancel(&mut self, name: u64, flags: u32) -> Result<u32, Errno> {
        let timeout = KernelTimespec { tv_sec: 0, tv_nsec: 2_000_000 };
        let key = SyncCancelReg { addr: name, fd: -1, flags, timeout, ..SyncCancelReg::default() };
        match self.rig.register(RegisterOp::REGISTER_SYNC_CANCEL, Kept::new(key), 1) {
            Ok(0) | Err(Errno::NOENT) if self.polled => self.cancel_by_request(name, flags),
            outcome => outcome,
        }
    }

    fn cancel_by_request(&mut self, name: u64, flags: u32) -> Result<u32, Errno> {
        let mut entry: Entry = opcode::Nop::new().build();
        let cancel = Sqe::new(IORING_OP_ASYNC_CANCEL);
        *entry.sqe_mut() = Sqe { fd: -1, addr: name, op_flags: flags, user_data: OWN, ..cancel };
        self.own_result = None;
        self.rig.push(entry);
        self.submit();
        for _ in 0..10 {
            self.wait(QUIET_IN_WORKERS_US);
            self.reap();
            match self.own_result {
                // A worker that is at it will end it.
                Some(result) if result == -libc::EALREADY => return Ok(0),
                Some(result @ 0..) => return Ok(result.cast_unsigned()),
                Some(_) => return Err(Errno::NOENT),
                None => {}
            }
        }
        Err(Errno::TIME)
    }

    /// Closes the descriptors that requests made, as they were made: by the ring.
    fn close_made(&mut self) {
        for fd in self.world.made() {
            let mut entry: Entry = opcode::Nop::new().build();
            *entry.sqe_mut() = Sqe { fd, user_data: OWN, ..Sqe::new(IORING_OP_CLOSE) };
            self.rig.push(entry);
            if self.rig.ring().submit_and_wait(1).is_ok() {
                self.reap();
            }
        }
    }
}

/// Whether a call is to be made again: a signal came, or memory or completions had to be waited for.
pub(super) fn is_passing(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY))
}
