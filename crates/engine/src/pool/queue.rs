//! What waits, what runs and who is idle: the state behind the pool's lock, as plain data.
//!
//! No lock, no thread, no clock, and no knowledge of what a job does (`J`) or what a worker is (`W`):
//! [`Handover`](super::handover::Handover) calls it with the lock held and acts on the answers.
//!
//! What holds whenever the lock is free: in each lane, if a job is ready, a worker is on its way to the queue
//! (`coming`), or no worker of the lane is idle. Two jobs of one hash never run at once, and those of a hash run in
//! the order in which they came. Jobs that are ready are taken in the order in which they came.
//!
//! Workers come one at a time: each summons the next, if jobs are still ready, before it begins its own. Waking one
//! for each job cost whoever left the jobs a system call each, for workers most of which then found nothing: jobs
//! of a microsecond are all done by the first, and a job that blocks delays those behind it by one wake-up.

use std::collections::{BTreeMap, HashMap, VecDeque};

use slab::Slab;

/// The kind of a job, and of the workers that take it: each kind has workers and a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Ends by itself, sooner or later: files and block devices. Few threads suffice.
    Bounded,
    /// May wait for something that never comes: pipes, terminals, children, futexes.
    Unbounded,
}

/// What the jobs that must not run at the same time have in common: device and inode.
pub(super) type Hash = (u64, u64);

/// One job of one pool. Its number is never given to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    id: u64,
    slot: usize,
}

/// A job as the queue sees it.
pub(super) struct Task<J> {
    pub(super) lane: Lane,
    pub(super) owner: u64,
    pub(super) hash: Option<Hash>,
    pub(super) run: J,
}

/// What has to happen so that a ready job finds a worker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Summon {
    /// Nothing: no job is ready, or a worker comes already, or all are busy and there may be no more.
    Nobody,
    /// This worker was idle and is to be woken.
    Wake(usize),
    /// There is room for one more worker.
    Start,
}

/// What a cancel found.
pub(super) enum Found<J> {
    /// It waited, and is taken out.
    Waiting(Task<J>),
    /// It runs on this worker.
    Running(usize),
    /// There is no such job any more.
    Nothing,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Threads, of the bounded and of the unbounded kind.
    pub(crate) workers: [usize; 2],
    /// Those of them that have nothing to do.
    pub(crate) idle: [usize; 2],
    /// Jobs that no worker has begun.
    pub(crate) waiting: usize,
    /// Jobs that a worker has begun and not ended.
    pub(crate) running: usize,
}

pub(super) struct State<J, W> {
    entries: Slab<Entry<J>>,
    next_id: u64,
    lanes: [Queue; 2],
    /// A hash is here while a job of it is ready or runs; those behind it wait in its list.
    hashes: HashMap<(Lane, Hash), VecDeque<Ticket>>,
    /// How many jobs each owner has, if it has any.
    owners: BTreeMap<u64, usize>,
    workers: Slab<Worker<W>>,
    running: usize,
    pub(super) closed: bool,
}

/// One lane.
struct Queue {
    /// In ascending order of number.
    ready: VecDeque<Ticket>,
    /// The one that became idle last is at the end, and is woken first: its caches are warm, and those that
    /// are not needed stay idle and end.
    idle: Vec<usize>,
    /// All workers, those included that have only been started.
    workers: usize,
    /// Workers that were woken or started and have not looked at the queue since.
    coming: usize,
    limit: usize,
}

struct Entry<J> {
    id: u64,
    lane: Lane,
    owner: u64,
    hash: Option<Hash>,
    place: Place<J>,
}

enum Place<J> {
    Waiting(J),
    Running(usize),
}

struct Worker<W> {
    lane: Lane,
    is_new: bool,
    is_parked: bool,
    /// The job that it runs.
    job: Option<Ticket>,
    data: W,
}

impl Lane {
    pub(super) const ALL: [Self; 2] = [Self::Bounded, Self::Unbounded];

    pub(super) fn index(self) -> usize {
        match self {
            Self::Bounded => 0,
            Self::Unbounded => 1,
        }
    }
}

impl<J, W> State<J, W> {
    pub(super) fn new(limits: [usize; 2]) -> Self {
        let lane = |limit: usize| Queue {
            ready: VecDeque::new(),
            idle: Vec::new(),
            workers: 0,
            coming: 0,
            limit: limit.max(1),
        };
        Self {
            entries: Slab::new(),
            next_id: 0,
            lanes: limits.map(lane),
            hashes: HashMap::new(),
            owners: BTreeMap::new(),
            workers: Slab::new(),
            running: 0,
            closed: false,
        }
    }

    /// Takes a job in. It is ready unless another one of its hash is or runs. [`summon`](Self::summon) is next.
    pub(super) fn add(&mut self, task: Task<J>) -> Ticket {
        let Task { lane, owner, hash, run } = task;
        let id = self.next_id;
        self.next_id += 1;
        let slot = self.entries.insert(Entry { id, lane, owner, hash, place: Place::Waiting(run) });
        let ticket = Ticket { id, slot };
        *self.owners.entry(owner).or_default() += 1;
        if let Some(hash) = hash {
            if let Some(behind) = self.hashes.get_mut(&(lane, hash)) {
                behind.push_back(ticket);
                return ticket;
            }
            self.hashes.insert((lane, hash), VecDeque::new());
        }
        self.lanes[lane.index()].ready.push_back(ticket);
        ticket
    }

    /// Finds a worker for what is ready if none is coming. Whoever is to be woken counts as coming from now on.
    pub(super) fn summon(&mut self, lane: Lane) -> Summon {
        let queue = &mut self.lanes[lane.index()];
        if queue.ready.is_empty() || queue.coming > 0 {
            return Summon::Nobody;
        }
        if let Some(worker) = queue.idle.pop() {
            queue.coming += 1;
            self.workers[worker].is_parked = false;
            return Summon::Wake(worker);
        }
        if queue.workers < queue.limit { Summon::Start } else { Summon::Nobody }
    }

    /// Counts a worker whose thread is being started.
    pub(super) fn enlist(&mut self, lane: Lane, data: W) -> usize {
        let queue = &mut self.lanes[lane.index()];
        queue.workers += 1;
        queue.coming += 1;
        self.workers.insert(Worker { lane, is_new: true, is_parked: false, job: None, data })
    }

    /// A worker that was woken or started has come.
    pub(super) fn arrive(&mut self, worker: usize) {
        let queue = &mut self.lanes[self.workers[worker].lane.index()];
        queue.coming -= 1;
        self.workers[worker].is_new = false;
    }

    /// Whether there are more workers than there may be, so that this one has to go.
    pub(super) fn is_too_many(&self, lane: Lane) -> bool {
        let queue = &self.lanes[lane.index()];
        queue.workers > queue.limit
    }

    /// Takes workers that are idle and too many out of their rest, so that they end.
    pub(super) fn dismiss(&mut self, lane: Lane) -> Option<usize> {
        let queue = &mut self.lanes[lane.index()];
        let is_wanted = !self.closed && queue.workers - queue.coming.min(queue.workers) <= queue.limit;
        if is_wanted {
            return None;
        }
        let worker = queue.idle.pop()?;
        queue.coming += 1;
        self.workers[worker].is_parked = false;
        Some(worker)
    }

    /// The next job for a worker that has none.
    pub(super) fn take(&mut self, worker: usize) -> Option<(Ticket, J)> {
        let lane = self.workers[worker].lane;
        let ticket = self.lanes[lane.index()].ready.pop_front()?;
        let entry = &mut self.entries[ticket.slot];
        let Place::Waiting(run) = std::mem::replace(&mut entry.place, Place::Running(worker)) else {
            unreachable!("job {} is ready and runs", ticket.id);
        };
        self.workers[worker].job = Some(ticket);
        self.running += 1;
        Some((ticket, run))
    }

    /// The worker's job has ended. Returns the owner if that was its last one.
    pub(super) fn finish(&mut self, worker: usize) -> Option<u64> {
        let ticket = self.workers[worker].job.take();
        let Some(ticket) = ticket else { unreachable!("worker {worker} had no job to end") };
        let entry = self.entries.remove(ticket.slot);
        self.running -= 1;
        self.release_hash(entry.lane, entry.hash);
        self.release_owner(entry.owner)
    }

    /// Takes a job out that waits, or says where it runs.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Found<J> {
        let Some(entry) = self.entries.get(ticket.slot).filter(|entry| entry.id == ticket.id) else {
            return Found::Nothing;
        };
        if let Place::Running(worker) = entry.place {
            return Found::Running(worker);
        }
        let Entry { lane, owner, hash, place, .. } = self.entries.remove(ticket.slot);
        let Place::Waiting(run) = place else { unreachable!("job {} waits and runs", ticket.id) };
        let behind = hash.and_then(|hash| self.hashes.get_mut(&(lane, hash)));
        if !behind.is_some_and(|behind| take_out(behind, ticket)) {
            take_out(&mut self.lanes[lane.index()].ready, ticket);
            self.release_hash(lane, hash);
        }
        self.release_owner(owner);
        Found::Waiting(Task { lane, owner, hash, run })
    }

    /// The worker has nothing to do.
    pub(super) fn park(&mut self, worker: usize) {
        let entry = &mut self.workers[worker];
        entry.is_parked = true;
        self.lanes[entry.lane.index()].idle.push(worker);
    }

    /// Whether nobody has woken the worker since it was parked.
    pub(super) fn is_parked(&self, worker: usize) -> bool {
        self.workers[worker].is_parked
    }

    /// The worker has rested long enough, and nobody has woken it.
    pub(super) fn unpark(&mut self, worker: usize) {
        let entry = &mut self.workers[worker];
        entry.is_parked = false;
        self.lanes[entry.lane.index()].idle.retain(|&idle| idle != worker);
    }

    /// The worker ends, or could not be started. If it was to take a job, somebody else has to:
    /// [`summon`](Self::summon) is next.
    pub(super) fn leave(&mut self, worker: usize) {
        let Worker { lane, is_new, is_parked, job, .. } = self.workers.remove(worker);
        debug_assert!(!is_parked && job.is_none(), "worker {worker} ends while it is parked or has a job");
        let queue = &mut self.lanes[lane.index()];
        queue.workers -= 1;
        if is_new {
            queue.coming -= 1;
        }
    }

    /// Sets the limits that are not 0, and returns those before.
    pub(super) fn set_limits(&mut self, new: [usize; 2]) -> [usize; 2] {
        let before = [self.lanes[0].limit, self.lanes[1].limit];
        for (queue, limit) in self.lanes.iter_mut().zip(new) {
            if limit > 0 {
                queue.limit = limit;
            }
        }
        before
    }

    pub(super) fn lane_of(&self, worker: usize) -> Lane {
        self.workers[worker].lane
    }

    /// How many workers a lane has.
    pub(super) fn workers_in(&self, lane: Lane) -> usize {
        self.lanes[lane.index()].workers
    }

    pub(super) fn worker(&self, worker: usize) -> &W {
        &self.workers[worker].data
    }

    pub(super) fn worker_mut(&mut self, worker: usize) -> &mut W {
        &mut self.workers[worker].data
    }

    pub(super) fn all_workers(&self) -> impl Iterator<Item = &W> {
        self.workers.iter().map(|(_, worker)| &worker.data)
    }

    pub(super) fn has_jobs_of(&self, owner: u64) -> bool {
        self.owners.contains_key(&owner)
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            workers: [self.lanes[0].workers, self.lanes[1].workers],
            idle: [self.lanes[0].idle.len(), self.lanes[1].idle.len()],
            waiting: self.entries.len() - self.running,
            running: self.running,
        }
    }

    /// The job that was ready or ran for its hash is gone: the next one of the hash becomes ready.
    fn release_hash(&mut self, lane: Lane, hash: Option<Hash>) {
        let Some(hash) = hash else { return };
        let next = self.hashes.get_mut(&(lane, hash)).and_then(VecDeque::pop_front);
        let Some(next) = next else {
            self.hashes.remove(&(lane, hash));
            return;
        };
        // It came before much of what is ready, and does not lose its turn by having waited for its hash.
        let ready = &mut self.lanes[lane.index()].ready;
        let place = ready.partition_point(|other| other.id < next.id);
        ready.insert(place, next);
    }

    fn release_owner(&mut self, owner: u64) -> Option<u64> {
        let left = self.owners.get_mut(&owner)?;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        self.owners.remove(&owner);
        Some(owner)
    }
}

/// Removes a ticket from a list in ascending order of number; false if it is not there.
fn take_out(list: &mut VecDeque<Ticket>, ticket: Ticket) -> bool {
    match list.binary_search_by_key(&ticket.id, |other| other.id) {
        Ok(place) => list.remove(place).is_some(),
        Err(_) => false,
    }
}
