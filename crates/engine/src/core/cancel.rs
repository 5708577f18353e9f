//! Cancelling requests: which ones are meant, and what becomes of each.
//!
//! A cancel has three outcomes: the request was found and ends with `ECANCELED` (0), there is none (`ENOENT`), or it is past
//! the point of return (`EALREADY`) and ends as it will. Requests that are still held by a chain or a drain are not found, as
//! in the kernel. The request's own completion always comes.

use annulus_abi::{
    CancelFlags, IORING_OP_FUTEX_WAIT, IORING_OP_FUTEX_WAITV, IORING_OP_LINK_TIMEOUT, IORING_OP_WAITID,
    SqeFlags,
};
use rustix::io::Errno;

use super::State;
use crate::op::Criteria;
use crate::pool::Reached;
use crate::request::{FileRef, Request, Stage};
use crate::scheduler::Key;

impl State {
    /// Cancels what the criteria choose, but never `by`, the cancel itself. Returns how many, if all were meant, or 0.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `EALREADY`; `EBADF` for a file that is not there.
    pub(crate) fn cancel(&mut self, criteria: &Criteria, by: Option<Key>) -> Result<u32, Errno> {
        let file = self.file_meant(criteria)?;
        let all = criteria.flags.intersects(CancelFlags::ALL | CancelFlags::ANY);
        let meant = self.meant(criteria, &file, by);
        let mut count = 0;
        for (key, generation) in meant {
            // Another one's end may have taken it along.
            if self.find_request(key, generation).is_none() {
                continue;
            }
            let reached = self.cancel_one(key);
            if !all {
                return reached;
            }
            count += 1;
        }
        if all { Ok(count) } else { Err(Errno::NOENT) }
    }

    /// Those that the criteria choose, in the order of the table.
    fn meant(&self, criteria: &Criteria, file: &FileRef, by: Option<Key>) -> Vec<(Key, u32)> {
        let chosen = |(index, request): (usize, &Request)| {
            let key = Key(u32::try_from(index).unwrap_or(u32::MAX));
            let is_meant = Some(key) != by && self.is_meant(request, criteria, file);
            is_meant.then_some((key, request.generation))
        };
        if !criteria.names() {
            return self.requests.iter().filter_map(chosen).collect();
        }
        let mut meant: Vec<_> = self.requests.named(criteria.user_data).filter_map(chosen).collect();
        meant.sort_unstable_by_key(|(key, _)| key.0);
        meant
    }

    /// Cancels one request. Returns 0, or 1 for one of those that the kernel counts.
    ///
    /// # Errors
    ///
    /// `EALREADY`: it ends by itself. `ENOENT`: it has not begun.
    pub(super) fn cancel_one(&mut self, key: Key) -> Result<u32, Errno> {
        let counts = u32::from(self.ends_when_interrupted(key));
        match &self.requests[key.0 as usize].stage {
            // What a device does cannot be found either, as in the kernel.
            Stage::Ready | Stage::Started(_) => Err(Errno::NOENT),
            Stage::Armed(_) | Stage::Again | Stage::Timing => {
                if let Some(outcome) = self.request(key).op.outrun() {
                    self.end(key, &outcome);
                    return Err(Errno::NOENT);
                }
                self.end_cancelled(key);
                Ok(counts)
            }
            Stage::Working(ticket) => {
                let ticket = *ticket;
                let request = &mut self.requests[key.0 as usize];
                request.cancelled = true;
                match request.workers(&self.env.pool).cancel(ticket) {
                    Reached::Removed(job) => {
                        drop(job);
                        self.end_cancelled(key);
                        Ok(counts)
                    }
                    Reached::Running if counts > 0 => Ok(counts),
                    Reached::Running | Reached::Gone => Err(Errno::ALREADY),
                }
            }
        }
    }

    /// Ends a request because it was cancelled: with what it has done so far, if it has done anything.
    pub(super) fn end_cancelled(&mut self, key: Key) {
        self.disarm(key);
        self.clocks.remove(key);
        self.again.retain(|other| *other != key);
        let Self { requests, tables, env, .. } = self;
        let step = requests[key.0 as usize].refuse(&env.world, tables, Errno::CANCELED);
        self.carry_on(key, step);
    }

    /// The kernel's waits for futexes and children are no work of a worker: cancelling them succeeds, and is counted
    /// although only one was meant.
    fn ends_when_interrupted(&self, key: Key) -> bool {
        let opcode = self.requests[key.0 as usize].opcode;
        matches!(opcode, IORING_OP_FUTEX_WAIT | IORING_OP_FUTEX_WAITV | IORING_OP_WAITID)
    }

    /// The file that the criteria name, if they name one.
    fn file_meant(&self, criteria: &Criteria) -> Result<FileRef, Errno> {
        if !criteria.flags.contains(CancelFlags::FD) {
            return Ok(FileRef::None);
        }
        if criteria.flags.contains(CancelFlags::FD_FIXED) {
            return self.tables.files.get(criteria.fd).map(|file| FileRef::Held(file.clone()));
        }
        self.env.world.kind(criteria.fd)?;
        Ok(FileRef::Plain(criteria.fd))
    }

    fn is_meant(&self, request: &Request, criteria: &Criteria, file: &FileRef) -> bool {
        // Linked timeouts belong to their target; what has not begun cannot be found.
        if matches!(request.stage, Stage::Ready | Stage::Started(_))
            || request.opcode == IORING_OP_LINK_TIMEOUT
        {
            return false;
        }
        let flags = criteria.flags;
        if flags.contains(CancelFlags::ANY) {
            return true;
        }
        if flags.contains(CancelFlags::FD) && !self.works_on(request, criteria, file) {
            return false;
        }
        if flags.contains(CancelFlags::OP) && request.opcode != criteria.opcode {
            return false;
        }
        !criteria.names() || request.user_data == criteria.user_data
    }

    fn works_on(&self, request: &Request, criteria: &Criteria, file: &FileRef) -> bool {
        match (file, &request.file) {
            (_, FileRef::None) | (FileRef::None, _) => false,
            (FileRef::Held(meant), FileRef::Held(own)) => std::sync::Arc::ptr_eq(meant, own),
            (FileRef::Plain(meant), own) => {
                let same_number = !request.flags.contains(SqeFlags::FIXED_FILE) && request.fd == criteria.fd;
                // The number may have been given to another file since.
                (same_number || matches!(own, FileRef::Held(_))) && self.env.world.is_same(own.fd(), *meant)
            }
            (FileRef::Held(meant), FileRef::Plain(own)) => self.env.world.is_same(meant.fd(), *own),
        }
    }
}
