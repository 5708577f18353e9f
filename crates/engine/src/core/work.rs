//! Handing requests to workers, and taking them back.
//!
//! The operation stays in the table until its job starts, so that a job that was taken back in time has nothing; while
//! the job runs it has the operation, and nobody else can touch it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use annulus_abi::OpTraits;
use rustix::io::Errno;

use super::{Ring, State};
use crate::op::{Op, Outcome, Step, Turn, Work, traits_of};
use crate::pool::{Interrupt, Job, Lane};
use crate::request::{FileRef, Stage};
use crate::scheduler::Key;

/// What a worker brought back for a ring that defers its completions.
pub(super) struct Late {
    key: Key,
    generation: u32,
    what: Brought,
}

/// What a worker brought.
enum Brought {
    /// It has made the call.
    Result { op: Op, result: Result<u32, Errno> },
    /// It has made the first attempt.
    Step(Step),
}

impl State {
    /// Has a worker make the call of a request.
    pub(super) fn give_to_worker(&mut self, key: Key, work: Work) {
        self.disarm(key);
        self.spawn(key, work, run);
    }

    /// Has a worker make the first attempt (`IOSQE_ASYNC`). From here on it works on its own reference to its file: the program may
    /// close its descriptor, whose number others may get before the worker comes to it.
    pub(super) fn attempt_on_worker(&mut self, key: Key) {
        let request = &mut self.requests[key.0 as usize];
        if let Err(errno) = Self::resolve(request, &self.tables) {
            let step = request.refuse(&self.env.world, &mut self.tables, errno);
            return self.carry_on(key, step);
        }
        // Which file it is decides only the limit that it counts against.
        let lane = if traits_of(self.request(key).opcode).contains(OpTraits::UNBOUND) {
            Lane::Unbounded
        } else {
            Lane::Bounded
        };
        self.spawn(key, Work { lane, hash: None }, attempt);
    }

    fn spawn(&mut self, key: Key, work: Work, task: fn(&Arc<Ring>, Key, u32, &Interrupt)) {
        if let FileRef::Plain(_) = self.request(key).file
            && let Err(errno) = self.hold_file(key)
        {
            return self.end(key, &Outcome::failure(errno));
        }
        let generation = self.request(key).generation;
        let ring = self.env.ring.clone();
        let run = Box::new(move |interrupt: &Interrupt| {
            if let Some(ring) = ring.upgrade() {
                task(&ring, key, generation, interrupt);
            }
        });
        let job = Job { owner: self.env.id, lane: work.lane, hash: work.hash, run };
        let spawned = self.requests[key.0 as usize].workers(&self.env.pool).spawn(job);
        match spawned {
            Ok(ticket) => self.request(key).stage = Stage::Working(ticket),
            Err(errno) => self.end(key, &Outcome::failure(errno)),
        }
    }

    /// Takes back what workers brought, and carries it on.
    pub(super) fn take_late(&mut self, ring: &Ring) {
        for Late { key, generation, what } in ring.late.take() {
            let step = match what {
                Brought::Step(step) => self.find_request(key, generation).map(|_| step),
                Brought::Result { op, result } => self.take_back(key, generation, op, result),
            };
            if let Some(step) = step {
                self.request(key).stage = Stage::Ready;
                self.carry_on(key, step);
            }
        }
    }

    /// Takes the operation out of a request that a worker is about to carry out; nothing if it or the ring has ended.
    fn hand_out(&mut self, key: Key, generation: u32) -> Option<(Op, i32)> {
        if self.closing {
            return None;
        }
        let request = self.find_request(key, generation)?;
        let fd = request.file.fd();
        Some((std::mem::replace(&mut request.op, Op::Void), fd))
    }

    /// Takes the operation of a ring that ends, and throws away what it made.
    fn throw_away(&mut self, key: Key, generation: u32, op: Op) {
        let Self { requests, tables, env, .. } = self;
        let found = requests.get_mut(key.0 as usize).filter(|request| request.generation == generation);
        if let Some(request) = found {
            request.op = op;
            request.abandon(&env.world, tables);
            requests.remove(key.0 as usize);
        }
    }

    /// Throws away what a worker brought and nobody will take.
    pub(super) fn throw_late_away(&mut self, late: Late) {
        if let Brought::Result { op, .. } = late.what {
            self.throw_away(late.key, late.generation, op);
        }
    }

    /// Puts the operation back and makes a step of the call's result.
    fn take_back(&mut self, key: Key, generation: u32, op: Op, result: Result<u32, Errno>) -> Option<Step> {
        let Self { requests, tables, env, .. } = self;
        let request = requests.get_mut(key.0 as usize).filter(|request| request.generation == generation)?;
        request.op = op;
        let result = match result {
            Err(Errno::INTR) if request.cancelled => Err(Errno::CANCELED),
            result => result,
        };
        Some(request.settle(&env.world, tables, result))
    }
}

impl Ring {
    /// Gives what a worker has to the ring: at once, or when its owner enters.
    fn bring(&self, key: Key, generation: u32, what: Brought) {
        if self.defers() {
            self.late.put(Late { key, generation, what });
            // Whoever leads, or polls the ring's descriptor, sees it by this.
            self.world.wake();
            self.lock().tell_of_task_work(self);
            return;
        }
        self.with(|state| {
            if state.closing {
                if let Brought::Result { op, .. } = what {
                    state.throw_away(key, generation, op);
                }
                return;
            }
            let step = match what {
                Brought::Step(step) => step,
                Brought::Result { op, result } => {
                    let Some(step) = state.take_back(key, generation, op, result) else { return };
                    step
                }
            };
            state.request(key).stage = Stage::Ready;
            state.carry_on(key, step);
        });
    }
}

/// A job: makes the call.
fn run(ring: &Arc<Ring>, key: Key, generation: u32, interrupt: &Interrupt) {
    let handed_out = ring.lock().hand_out(key, generation);
    let Some((mut op, fd)) = handed_out else { return };
    let made = catch_unwind(AssertUnwindSafe(|| op.block(&*ring.world, fd, interrupt)));
    // A request that was lost would be waited for without end.
    let result = made.unwrap_or_else(|_| {
        tracing::error!("an operation panicked; its request ends with EIO");
        Err(Errno::IO)
    });
    ring.bring(key, generation, Brought::Result { op, result });
}

/// A job: makes the first attempt, and the call too if that is what the attempt asks for.
fn attempt(ring: &Arc<Ring>, key: Key, generation: u32, interrupt: &Interrupt) {
    let attempted = {
        let mut state = ring.lock();
        let State { requests, tables, env, closing, .. } = &mut *state;
        let Some(request) =
            requests.get_mut(key.0 as usize).filter(|request| request.generation == generation)
        else {
            return;
        };
        if *closing {
            // A descriptor that it made would be nobody's.
            return;
        }
        request.attempt(&env.world, tables, Turn::Worker)
    };
    match attempted {
        // Here is a worker already. Only work that must queue behind other work goes on to the queue.
        Step::Block(Work { hash: None, .. }) => run(ring, key, generation, interrupt),
        step => ring.bring(key, generation, Brought::Step(step)),
    }
}
