//! Makes programs at random, so that what they come to is not left to chance.
//!
//! A program is a row of windows: chains are pushed and submitted, and it settles; between windows it acts by itself.
//! Within a window no two chains touch the same thing (`things`), so that whatever order a back end takes
//! them in, the outcome is one. It does no I/O and does not look at what a back end answers.

mod left_out;
mod operations;
mod things;

use std::collections::{BTreeMap, BTreeSet};

use annulus::abi::{IOSQE_ASYNC, IOSQE_CQE_SKIP_SUCCESS, IOSQE_IO_DRAIN, IOSQE_IO_HARDLINK, IOSQE_IO_LINK};

use self::operations::{GROUPS, Operations, Topic};
use self::things::{Thing, Touch, other_end};
use super::program::{Memory, Op, Place, Program, Registration, Request, RingShape, Step, Target, Tweak};
use super::random::Random;
use crate::harness::Mode;

/// The program of this seed.
///
/// ```
/// use annulus_conformance::programs::generate;
///
/// assert_eq!(generate(7), generate(7));
/// assert_ne!(generate(7), generate(8));
/// ```
#[must_use]
pub fn generate(seed: u64) -> Program {
    let mut random = Random::new(seed);
    let mut ring = ring(&mut random);
    // By numbers of its own, so that the other programs stay what they were.
    if Random::new(!seed).one_in(20) {
        ring.mode = Mode::SqPoll;
    }
    let topics: Vec<Topic> = (0..1 + random.below(3)).map(|_| random.pick(&Topic::ALL)).collect();
    let (drains, counts, splices) = (random.one_in(3), random.one_in(8), random.one_in(2));
    let mut generator = Generator {
        random,
        topics,
        entries: ring.entries,
        submit_all: ring.submit_all,
        steps: Vec::new(),
        named: 0,
        makers: Vec::new(),
        has_files: false,
        has_buffers: false,
        waiting: BTreeMap::new(),
        held: BTreeSet::new(),
        // What a drain has held back goes to a worker of the polling thread, whom nothing finds but a request, which is held
        // back itself: in Linux 6.18 such a program need not end.
        drains: drains && ring.mode != Mode::SqPoll,
        counts,
        splices,
        overflows: ring.cq_entries == ring.entries,
        defers: ring.mode == Mode::Deferred,
        polled: ring.mode == Mode::SqPoll,
        has_eventfd: false,
        is_incremental: false,
        drained: false,
        bundled: BTreeSet::new(),
    };
    generator.open();
    for _ in 0..1 + generator.random.below(6) {
        generator.window();
        if generator.drained {
            break;
        }
        generator.act();
    }
    Program { ring, steps: generator.steps }
}

fn ring(random: &mut Random) -> RingShape {
    let entries = random.pick(&[8, 16]);
    let overflows = random.one_in(6);
    RingShape {
        mode: random.pick(&[Mode::Interrupt, Mode::Deferred]),
        entries,
        cq_entries: if overflows { entries } else { 64 },
        submit_all: random.one_in(4),
    }
}

#[derive(Debug)]
struct Generator {
    random: Random,
    topics: Vec<Topic>,
    entries: u32,
    submit_all: bool,
    steps: Vec<Step>,
    /// The last name that was given.
    named: u16,
    /// Requests that make descriptors.
    makers: Vec<u16>,
    has_files: bool,
    has_buffers: bool,
    /// Directions of streams that somebody may wait for, and the request that does.
    waiting: BTreeMap<Thing, u16>,
    /// What requests behind a waiting one will touch, whenever that ends.
    held: BTreeSet<Thing>,
    /// Whether there are drains at all. Then there is no SEND_ZC: Linux 6.18 counts the notification that such a
    /// request is given when it is read as one more request before it, and its drain waits for ever.
    drains: bool,
    /// Whether pipes are spliced; then they are not written to by the ring.
    splices: bool,
    /// Whether timeouts count completions; then there are no others.
    counts: bool,
    /// Whether there may be no room for completions; then there is no multishot request: whether it goes on depends on
    /// how many completions of others came before, and links make that an accident.
    overflows: bool,
    /// Whether completions wait until they are asked for.
    defers: bool,
    /// Whether a thread takes the entries.
    polled: bool,
    /// Whether completions are told of by the eventfd.
    has_eventfd: bool,
    /// Whether the buffers of the last group are filled piece by piece.
    is_incremental: bool,
    /// A drain may hold everything from now on.
    drained: bool,
    /// Multishot receives of bundles, which one back end may have ended where another goes on.
    bundled: BTreeSet<u16>,
}

impl Generator {
    /// Registers what the topics need.
    fn open(&mut self) {
        let needs_files = self.topics.contains(&Topic::Slots) || self.random.one_in(3);
        if needs_files && !self.random.one_in(10) {
            self.steps.push(Step::Register(Registration::Files));
            self.has_files = true;
            if self.random.one_in(4) {
                let range = Registration::AllocRange { from: 4, len: self.random.pick(&[2, 4, 0, 9]) };
                self.steps.push(Step::Register(range));
            }
        }
        if self.random.one_in(3) {
            self.steps.push(Step::Register(Registration::Buffers));
            self.has_buffers = true;
        }
        if self.topics.contains(&Topic::Buffers) {
            for group in [GROUPS[2], GROUPS[3]] {
                let incremental = group == GROUPS[3] && self.random.one_in(2);
                self.is_incremental |= incremental;
                self.steps.push(Step::Register(Registration::BufferRing { group, incremental }));
            }
        }
        // Who polls or reads the eventfd as well would see each signal as it comes, and how many there are is not promised; a ring that
        // defers also tells of task work without a completion, and what is done by it is up to the back end.
        let shows_signals = [Topic::Polls, Topic::Slots].iter().any(|topic| self.topics.contains(topic));
        if self.random.one_in(8) && !shows_signals && !self.defers {
            self.steps.push(Step::Register(Registration::Eventfd { only_async: false }));
            self.has_eventfd = true;
        }
    }

    /// What is pushed, submitted and settled together.
    fn window(&mut self) {
        let room = self.entries - 1;
        let (mut taken, mut pushed, mut alone) = (BTreeSet::new(), 0, false);
        for _ in 0..1 + self.random.below(4) {
            let longest = u32::min(room - pushed, 5);
            if longest == 0 || alone {
                break;
            }
            let len = if self.random.one_in(2) { 1 } else { 1 + self.random.below(longest.into()) };
            let (chain, touch) = self.chain(len, pushed == 0, &taken);
            if chain.is_empty() {
                continue;
            }
            // One that its submission is to end has none behind it, which would be linked to it.
            let is_open =
                chain.last().is_some_and(|last| last.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK) != 0);
            alone = touch.alone || is_open;
            taken.extend(touch.things);
            pushed += u32::try_from(chain.len()).unwrap_or_default();
            self.steps.extend(chain.into_iter().map(Step::Push));
        }
        // A refused entry leaves what is behind it in the queue; nothing shall be left for the next window, whose
        // chains know nothing of it. A submit with nothing to do does nothing.
        let submits = if self.submit_all { 1 } else { pushed.clamp(1, 5) };
        self.steps.extend((0..submits).map(|_| Step::Submit));
        self.steps.push(Step::Settle);
    }

    /// Requests that are linked, if they touch nothing that is taken.
    fn chain(&mut self, len: u64, may_be_alone: bool, taken: &BTreeSet<Thing>) -> (Vec<Request>, Touch) {
        let (mut chain, mut all) = (Vec::<Request>::new(), Touch::default());
        // What the chain may wait for, and which request does.
        let mut waits: Vec<(Thing, u16)> = Vec::new();
        let (mut may_wait, mut may_block, mut held) = (false, false, BTreeSet::new());
        for place in 0..len {
            let is_linked_to = chain.last().is_some_and(|last| !matches!(last.op, Op::LinkTimeout { .. }));
            // Behind others, and where there are drains, it may be with a worker.
            let may_hurry = chain.len() == 1 && !self.drains;
            let op = self.operation(chain.last().map(|last| last.op).filter(|_| is_linked_to), may_hurry);
            // What takes the place of one may be another that is replaced.
            let replaced = std::iter::successors(Some(op), |op| {
                Some(self.or_else(*op, !chain.is_empty())).filter(|next| next != op)
            });
            let op = replaced.last().unwrap_or(op);
            let touch = Touch::of(&op);
            let is_free = touch.things.iter().all(|thing| {
                !taken.contains(thing) && !self.held.contains(thing) && !self.waiting.contains_key(thing)
            });
            // Somebody who waits is woken by the first of several.
            let wakes_once = place == 0 || touch.things.is_disjoint(&self.watched());
            let alone_is_fine = !touch.alone || (may_be_alone && len == 1);
            if !is_free || !wakes_once || !alone_is_fine {
                continue;
            }
            self.named += 1;
            if op.makes_descriptor() {
                self.makers.push(self.named);
            }
            if matches!(op, Op::RecvMany { bundle: true, .. }) {
                self.bundled.insert(self.named);
            }
            waits.extend(touch.waiting().map(|thing| (thing, self.named)));
            if may_wait {
                held.extend(touch.things.iter().copied());
            }
            may_wait |= op.may_wait();
            if let Op::Accept { place: Place::AnySlot | Place::InSlot(_), .. } = op {
                // Whenever a connection comes, it takes a slot.
                held.insert(Thing::Slots);
            }
            if let Op::Splice { from, to, .. } = op {
                // Where in a file it begins may be looked at before it waits for the pipe, or behind.
                let files = [from, to].map(things::behind).into_iter().filter_map(|at| match at {
                    Target::File(n) => Some(Thing::File(n)),
                    _ => None,
                });
                held.extend(files);
            }
            // Linux 6.18 holds a receive to what was left of the buffer that it found when nothing came, whichever
            // it gets in the end: so nobody else may take from that buffer meanwhile.
            if self.is_incremental && op.may_wait() && touch.things.contains(&Thing::Group(GROUPS[3])) {
                held.insert(Thing::Group(GROUPS[3]));
            }
            all.alone |= touch.alone;
            all.things.extend(touch.things);
            let request = Request {
                name: self.named,
                flags: self.flags(&op),
                op,
                tweak: self.tweak(&op, !chain.is_empty()),
            };
            chain.push(request);
            // Whether it ends for want of buffers, and takes what is linked to it along, or with the last of them, is not promised.
            if matches!(op, Op::SendBundle { .. } | Op::RecvMany { bundle: true, .. }) {
                break;
            }
        }
        let last = chain.len().saturating_sub(1);
        for request in chain.iter_mut().take(last) {
            // A hard link outlives a request that is cancelled while a worker is at it, and not one that waits for a
            // worker: which of the two, is a race. What follows a worker's request is a worker's, too.
            may_block |= request.flags & IOSQE_ASYNC != 0 || operations::may_take_worker(&request.op);
            let hard = if may_block { IOSQE_IO_LINK } else { IOSQE_IO_HARDLINK };
            request.flags |= self.random.pick(&[IOSQE_IO_LINK, IOSQE_IO_LINK, hard]);
        }
        // A chain that its submission ends goes to a worker, where a cancel may find itself and a write does not stop at
        // what there is room for.
        if self.random.one_in(40)
            && !may_wait
            && !chain.iter().any(|request| operations::picks_from_ring(&request.op))
            && let Some(request) = chain.last_mut()
            && !matches!(request.op, Op::Cancel { .. })
        {
            request.flags |= IOSQE_IO_LINK;
        }
        let drains = chain.iter().any(|request| request.flags & IOSQE_IO_DRAIN != 0);
        self.drained |= drains;
        self.waiting.extend(waits);
        self.held.extend(held);
        (chain, all)
    }

    /// What those that wait are woken by.
    fn watched(&self) -> BTreeSet<Thing> {
        let ends = self.waiting.keys().filter_map(|thing| match thing {
            Thing::Waiting(target) => Some(match *target {
                Target::Reader(n) | Target::Writer(n) => Thing::Pipe(n),
                Target::Near(n) | Target::Far(n) => Thing::Pair(n),
                Target::Client | Target::Server => Thing::Tcp,
                Target::Sender | Target::Mailbox => Thing::Datagrams,
                Target::Event => Thing::Event,
                _ => Thing::Listener,
            }),
            _ => None,
        });
        ends.collect()
    }

    fn operation(&mut self, behind: Option<Op>, may_hurry: bool) -> Op {
        let is_linked_to = behind.is_some();
        let topic = if self.random.one_in(6) { Topic::Nops } else { self.random.pick(&self.topics) };
        let (cancels, times) =
            (!is_linked_to && self.random.one_in(10), is_linked_to && self.random.one_in(5));
        let mut operations = Operations {
            random: &mut self.random,
            named: self.named,
            makers: &self.makers,
            has_files: self.has_files,
            has_buffers: self.has_buffers,
        };
        match (cancels, times) {
            (true, _) => operations.cancel(),
            (_, true) => operations.link_timeout(behind.as_ref().filter(|_| may_hurry)),
            _ => operations.of(topic),
        }
    }

    fn flags(&mut self, op: &Op) -> u8 {
        let mut flags = 0;
        let multishot = matches!(
            op,
            Op::ReadMany { .. }
                | Op::RecvMany { .. }
                | Op::RecvBundle { .. }
                | Op::SendBundle { .. }
                | Op::Accept { multishot: true, .. }
                | Op::PollAdd { multishot: true, .. }
        );
        // Whether a worker of Linux 6.18 keeps a buffer of a list while it waits is a race.
        let keeps = matches!(
            op,
            Op::Recv { memory: Memory::Select(1 | 2), .. } | Op::Read { memory: Memory::Select(1 | 2), .. }
        );
        // A cancel in a worker may find itself.
        if self.random.one_in(9) && !multishot && !keeps && !matches!(op, Op::Cancel { .. }) {
            flags |= IOSQE_ASYNC;
        }
        // How much is in the last one, the only one that says nothing then, is not promised.
        let bundles = matches!(op, Op::SendBundle { .. } | Op::RecvMany { bundle: true, .. });
        if self.random.one_in(14) && !bundles {
            flags |= IOSQE_CQE_SKIP_SUCCESS;
        }
        if self.drains && !matches!(op, Op::Cancel { .. }) && self.random.one_in(8) {
            flags |= IOSQE_IO_DRAIN;
        }
        flags
    }

    fn tweak(&mut self, op: &Op, is_linked_to: bool) -> Tweak {
        if !self.random.one_in(40) {
            return Tweak::Nothing;
        }
        let tweak = self.random.pick(&[
            Tweak::Ioprio(1),
            Tweak::BufIndex(9),
            Tweak::FileIndex(77),
            Tweak::OpFlags(1 << 30),
            Tweak::Addr3(1),
            Tweak::Off(3),
            Tweak::Personality(5),
            Tweak::ExtraFlags(0x80),
            Tweak::ExtraFlags(0x20),
        ]);
        match (tweak, op) {
            // A socket has an opinion on offsets that only a kernel's own reads and writes hear.
            (Tweak::Off(_), Op::Read { .. } | Op::Write { .. }) => Tweak::Nothing,
            // A worker of Linux 6.18 that is to poll first, and was not asked for, fails.
            (
                Tweak::Ioprio(_),
                Op::Recv { .. }
                | Op::RecvMany { .. }
                | Op::RecvBundle { .. }
                | Op::RecvMsg { .. }
                | Op::Send { .. }
                | Op::SendBundle { .. }
                | Op::SendMsg { .. }
                | Op::SendZc { .. },
            ) if self.drains || is_linked_to => Tweak::Nothing,
            // There it is a count.
            (Tweak::Off(_), Op::Timeout { .. }) => Tweak::Nothing,
            // The number of the ring as that of a slot means one thing here and another there.
            (Tweak::ExtraFlags(_), Op::Message { .. }) => Tweak::Nothing,
            _ => tweak,
        }
    }

    /// What the program does by itself between two windows.
    fn act(&mut self) {
        for _ in 0..self.random.below(4) {
            let waited_for: Vec<Target> = self
                .waiting
                .keys()
                .filter_map(|thing| match thing {
                    // Who waits for another file may have looked at its place in this one already, or not.
                    Thing::Waiting(Target::File(_)) => None,
                    Thing::Waiting(target) => Some(*target),
                    _ => None,
                })
                .collect();
            let helps = !waited_for.is_empty() && !self.random.one_in(4);
            let target = if helps { self.random.pick(&waited_for) } else { self.any_stream() };
            self.act_on(target);
            self.steps.push(Step::Settle);
        }
        if self.random.one_in(6) && !self.waiting.is_empty() {
            self.cancel_one();
        }
        if self.random.one_in(5) {
            let registration = self.registration();
            self.steps.push(Step::Register(registration));
            self.steps.push(Step::Settle);
        }
    }

    /// Something that is registered, changed or given back between two windows.
    fn registration(&mut self) -> Registration {
        let (list, ring) = (self.random.pick(&GROUPS[..2]), self.random.pick(&GROUPS[2..]));
        let slot = self.random.pick(&[4, 5, 6, 7, 8]);
        match self.random.below(16) {
            0 | 1 => Registration::Update {
                slot,
                to: match self.random.pick(&[Target::Bad, Target::File(0), Target::Event]) {
                    Target::Event if self.has_eventfd => Target::File(0),
                    to => to,
                },
            },
            2 => Registration::NoFiles,
            3 => {
                self.has_files = true;
                Registration::Files
            }
            4 => {
                self.has_buffers = true;
                Registration::Buffers
            }
            5 => Registration::NoBuffers,
            6 => Registration::NoBufferRing { group: self.random.pick(&[ring, ring, list]) },
            7 => Registration::BufferRing { group: ring, incremental: false },
            8..11 if self.bundled.is_empty() => {
                Registration::Give { group: ring, id: self.random.pick(&[0, 1, 2, 3, 9]) }
            }
            11 => Registration::NoEventfd,
            12 => Registration::MaxWorkers { bounded: 4, unbounded: 4 },
            13 => Registration::AllocRange { from: self.random.pick(&[0, 4, 7]), len: 3 },
            _ => Registration::RawRegister { op: u32::try_from(self.random.below(40)).unwrap_or_default() },
        }
    }

    fn act_on(&mut self, target: Target) {
        let len = self.random.pick(&[1, 5, 20, 64, 64, 200]);
        let step = match (target, self.random.below(12)) {
            (Target::Listener, 0..11) => Step::Dial,
            (_, 0) => Step::CloseOwn(other_end(target)),
            (Target::Near(_) | Target::Far(_) | Target::Client | Target::Server, 1) => {
                Step::ShutdownOwn(other_end(target), self.random.pick(&[0, 1, 2]))
            }
            (Target::Writer(_), _) => Step::Take { at: other_end(target), len: 4096 },
            (_, 2) => Step::Take { at: target, len: 4096 },
            (Target::Event, _) => Step::Feed { at: Target::Event, len: 8 },
            _ => Step::Feed { at: other_end(target), len },
        };
        let step = match step {
            // A TEE that finds its source empty when it has waited for room says that it has copied nothing.
            Step::Take { at: at @ Target::Reader(_), .. }
                if self.waiting.contains_key(&Thing::Waiting(at)) =>
            {
                Step::Feed { at: other_end(at), len }
            }
            step => step,
        };
        self.steps.push(step);
    }

    fn any_stream(&mut self) -> Target {
        let n = u8::try_from(self.random.below(2)).unwrap_or_default();
        self.random.pick(&[
            Target::Reader(n),
            Target::Writer(n),
            Target::Near(n),
            Target::Far(n),
            Target::Server,
            Target::Client,
            Target::Mailbox,
            Target::Listener,
        ])
    }

    /// Cancels somebody who waits, so that its direction is free again.
    fn cancel_one(&mut self) {
        let waiting: Vec<(Thing, u16)> = self.waiting.iter().map(|(thing, name)| (*thing, *name)).collect();
        let (thing, name) = self.random.pick(&waiting);
        if self.bundled.contains(&name) {
            return;
        }
        // In Linux 6.18 the call does not find what the workers of a polling thread are at.
        if self.random.one_in(2) && !self.polled {
            self.steps.push(Step::Register(Registration::SyncCancel { of: name }));
        } else {
            self.named += 1;
            let op = Op::Cancel { key: super::program::Key::Name(name), all: false };
            self.steps.push(Step::Push(Request { name: self.named, flags: 0, op, tweak: Tweak::Nothing }));
            self.steps.push(Step::Submit);
        }
        self.steps.push(Step::Settle);
        self.waiting.remove(&thing);
    }
}

#[cfg(test)]
mod tests {
    use annulus::abi::OPCODES;

    use super::*;
    use crate::programs::compare::requests;

    /// Opcodes that no program asks for on purpose: their things are not among those of programs, or nothing
    /// but a device has them. They come by number, without arguments.
    const ONLY_BY_NUMBER: [&str; 23] = [
        "SYNC_FILE_RANGE",
        "MADVISE",
        "OPENAT2",
        "EPOLL_CTL",
        "EPOLL_WAIT",
        "FSETXATTR",
        "SETXATTR",
        "FGETXATTR",
        "GETXATTR",
        "URING_CMD",
        "URING_CMD128",
        "SENDMSG_ZC",
        "WAITID",
        "FUTEX_WAIT",
        "FUTEX_WAKE",
        "FUTEX_WAITV",
        "BIND",
        "LISTEN",
        "RECV_ZC",
        "READV_FIXED",
        "WRITEV_FIXED",
        "PIPE",
        "NOP128",
    ];

    #[test]
    fn every_other_opcode_is_asked_for_in_some_program() {
        let programs: Vec<Program> = (0..3000).map(generate).collect();
        let asked: BTreeSet<u8> = programs
            .iter()
            .flat_map(requests)
            .filter(|request| !matches!(request.op, Op::Raw { .. }))
            .map(|request| request.op.opcode())
            .collect();
        let missing = OPCODES.iter().filter(|info| !asked.contains(&info.number)).map(|info| info.name);
        let missing: BTreeSet<&str> = missing.collect();
        let unasked: BTreeSet<&str> = ONLY_BY_NUMBER.into_iter().collect();
        assert_eq!(missing, unasked);
    }

    #[test]
    fn every_mode_has_programs_and_what_a_thread_takes_does_not_drain() {
        let programs: Vec<Program> = (0..500).map(generate).collect();
        for mode in [Mode::Interrupt, Mode::Deferred, Mode::SqPoll] {
            let count = programs.iter().filter(|program| program.ring.mode == mode).count();
            assert!(count >= 10, "{mode:?}: {count}");
        }
        let polled = programs.iter().filter(|program| program.ring.mode == Mode::SqPoll);
        assert!(polled.flat_map(requests).all(|request| request.flags & IOSQE_IO_DRAIN == 0));
    }

    #[test]
    fn every_name_is_given_once() {
        for program in (0..500).map(generate) {
            let names: Vec<u16> = requests(&program).map(|request| request.name).collect();
            let distinct: BTreeSet<u16> = names.iter().copied().collect();
            assert_eq!(names.len(), distinct.len(), "{program:?}");
        }
    }
}
