//! Attempting requests, and doing what an attempt says.

use std::sync::Arc;

use annulus_abi::{CqeFlags, IORING_OP_POLL_ADD};
use rustix::io::Errno;

use super::State;
use crate::files::File;
use crate::op::{Interest, Op, Outcome, Step, Tables, Turn, Work};
use crate::pool::Lane;
use crate::request::{Armed, FileRef, Request, Stage};
use crate::scheduler::{Action, Key};

/// Completions of one multishot request in a row before others have their turn (the kernel's `MULTISHOT_MAX_RETRY`).
const MULTISHOT_TURNS: u32 = 32;

impl State {
    /// Does what the scheduler has decided, and what follows from that.
    pub(super) fn act(&mut self) {
        // What an action leads to is queued behind it: a long chain must not become a deep stack.
        if std::mem::replace(&mut self.acting, true) {
            return;
        }
        loop {
            self.actions.extend(self.decisions.drain(..));
            let Some(action) = self.actions.pop_front() else { break };
            match action {
                Action::Issue(key) => self.issue(key),
                Action::StartLinkTimeout { timer, target: _ } => self.start_link_timeout(timer),
                Action::StopLinkTimeout { timer, silent } => {
                    self.clocks.remove(timer);
                    self.end_refused(timer, Errno::CANCELED, silent);
                }
                Action::Refuse { key, errno, silent } => self.end_refused(key, errno, silent),
            }
        }
        self.acting = false;
    }

    /// Attempts a request for the first time, or gives it to a worker if it asks for that.
    pub(super) fn issue(&mut self, key: Key) {
        self.launch();
        let request = &mut self.requests[key.0 as usize];
        if let Some(control) = request.control() {
            return self.carry_out(key, control);
        }
        if request.wants_worker() {
            return self.attempt_on_worker(key);
        }
        self.issue_inline(key);
    }

    /// Attempts it here and now.
    pub(super) fn issue_inline(&mut self, key: Key) {
        let request = &mut self.requests[key.0 as usize];
        if let Err(errno) = Self::resolve(request, &self.tables) {
            let step = request.refuse(&self.env.world, &mut self.tables, errno);
            return self.carry_on(key, step);
        }
        let step = request.attempt(&self.env.world, &mut self.tables, Turn::Inline);
        self.carry_on(key, step);
    }

    /// Finds the file that an entry names: at the time of the first attempt, as in the kernel, so that a request
    /// may work on a file that the one before it in its chain has opened.
    #[inline]
    pub(super) fn resolve(request: &mut Request, tables: &Tables) -> Result<(), Errno> {
        if matches!(request.file, FileRef::None) {
            request.file = FileRef::find(request.opcode, request.flags, request.fd, tables)?;
        }
        Ok(())
    }

    /// Does what an attempt said, until the request has ended or waits for something.
    pub(super) fn carry_on(&mut self, key: Key, mut step: Step) {
        for _ in 0..MULTISHOT_TURNS {
            match step {
                Step::Done(outcome) => return self.end(key, &outcome),
                Step::DoneWithNotice(outcome, notice) => return self.end_with_notice(key, &outcome, &notice),
                // A cancel that found it with a worker has said that it is about to end.
                Step::Wait(_) if self.request(key).cancelled => return self.end_cancelled(key),
                Step::Wait(interest) => return self.arm(key, interest),
                Step::Block(work) => return self.give_to_worker(key, work),
                Step::Start(direct, work) => return self.start_transfer(key, &direct, work),
                Step::More(outcome) => {
                    if !self.has_room() {
                        // The completion goes to the backlog, and as nobody may be there to take it, it is the last.
                        return self.end(key, &outcome);
                    }
                    let user_data = self.request(key).user_data;
                    self.post(user_data, &outcome.with_flags(outcome.flags | CqeFlags::MORE));
                }
            }
            let request = &mut self.requests[key.0 as usize];
            step = request.attempt(&self.env.world, &mut self.tables, Turn::Inline);
        }
        // Others have their turn first. What the last attempt brought must not be lost.
        if let Step::More(outcome) = step {
            if !self.has_room() {
                return self.end(key, &outcome);
            }
            let user_data = self.request(key).user_data;
            self.post(user_data, &outcome.with_flags(outcome.flags | CqeFlags::MORE));
            self.disarm(key);
            self.request(key).stage = Stage::Again;
            self.again.push_back(key);
        } else {
            self.carry_on(key, step);
        }
    }

    /// Attempts those again that had their turn.
    pub(super) fn go_on_with_others(&mut self) {
        for _ in 0..self.again.len() {
            let Some(key) = self.again.pop_front() else { return };
            let request = &mut self.requests[key.0 as usize];
            request.stage = Stage::Ready;
            let step = request.attempt(&self.env.world, &mut self.tables, Turn::Inline);
            self.carry_on(key, step);
        }
    }

    /// Watches what the request waits for.
    fn arm(&mut self, key: Key, interest: Interest) {
        if let Stage::Armed(armed) = &self.request(key).stage {
            if armed.interest == interest {
                return;
            }
            self.disarm(key);
        }
        match self.try_arm(key, interest) {
            Ok(()) => {}
            Err(Errno::PERM) if matches!(self.request(key).op, Op::Poll(_)) => self.end_unwatched_poll(key),
            // Such a file is always ready, or cannot say, or it contains what the ring watches (its own descriptor): only a
            // call that may wait can tell.
            Err(Errno::PERM | Errno::LOOP) => {
                let work = Work { lane: Lane::Unbounded, hash: None };
                self.give_to_worker(key, work);
            }
            Err(errno) => self.end(key, &Outcome::failure(errno)),
        }
    }

    /// Ends a poll request for a file that is always ready.
    fn end_unwatched_poll(&mut self, key: Key) {
        let request = &self.requests[key.0 as usize];
        if let Op::Poll(poll) = request.op {
            let outcome = poll.settle_unwatched(&*self.env.world, request.file.fd());
            self.end(key, &outcome);
        }
    }

    fn try_arm(&mut self, key: Key, interest: Interest) -> Result<(), Errno> {
        let on = match interest.on {
            // Registered files are shared with others, whose watches would have it told again.
            None if matches!(&self.request(key).op, Op::Poll(poll) if poll.tells_all()) => {
                let file = self.hold_file(key)?;
                let held = self.env.world.hold(file.fd())?;
                Arc::new(File::new(held, Arc::clone(&self.env.world)))
            }
            None => self.hold_file(key)?,
            Some(fd) => {
                // The request keeps its own file too, which is not the one that it waits for.
                if !matches!(self.request(key).file, FileRef::None) {
                    self.hold_file(key)?;
                }
                Arc::new(File::new(self.env.world.hold(fd)?, Arc::clone(&self.env.world)))
            }
        };
        self.watches.add(&*self.env.world, on.fd(), key, interest.events)?;
        if self.request(key).opcode == IORING_OP_POLL_ADD {
            self.look_now = true;
        }
        self.request(key).stage = Stage::Armed(Armed { on, interest });
        Ok(())
    }

    /// Watches no longer for this request.
    pub(super) fn disarm(&mut self, key: Key) {
        let request = &mut self.requests[key.0 as usize];
        if let Stage::Armed(armed) = std::mem::replace(&mut request.stage, Stage::Ready) {
            self.watches.remove(&*self.env.world, armed.on.fd(), key);
        }
    }

    /// Gives the request its own reference to its file, so that the program may close its descriptor.
    pub(super) fn hold_file(&mut self, key: Key) -> Result<Arc<File>, Errno> {
        let request = &mut self.requests[key.0 as usize];
        match &request.file {
            FileRef::Held(file) => Ok(Arc::clone(file)),
            FileRef::None => Err(Errno::BADF),
            FileRef::Plain(fd) => {
                let held = self.env.world.hold(*fd)?;
                let file = Arc::new(File::new(held, Arc::clone(&self.env.world)));
                request.file = FileRef::Held(Arc::clone(&file));
                Ok(file)
            }
        }
    }
}
