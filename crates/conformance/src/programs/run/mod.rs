//! Runs a program on a back end and records what it comes to.
//!
//! A run is as deterministic as the interface: between two steps that could race, it settles. Who runs a program
//! first has to find out by waiting when nothing more comes ([`Pace::Search`]); who repeats it knows how
//! many completions to wait for ([`Pace::Follow`]). At the end everything is cancelled by name and reaped to zero.

mod registrations;
mod settle;
mod under_way;

use std::collections::VecDeque;
use std::os::fd::RawFd;

use annulus::abi::{CqeFlags, IOSQE_CQE_SKIP_SUCCESS, SetupFlags};
use annulus::squeue::Entry;
use annulus::{cqueue, opcode};

use self::registrations::Registered;
pub use self::settle::Pace;
use self::under_way::UnderWay;
use super::arena::Arena;
use super::encode::{Data, Encoder, Groups, MESSAGE, pattern};
use super::program::{Op, PATHS, Program, Request, Step};
use super::record::{Answer, Completion, Record};
use super::world::World;
use crate::harness::{BackendUnderTest, Mode, Rig, Setup, Skip};

/// Flags of completions that are promised; the others are hints, or a buffer's number.
const PROMISED: u32 =
    CqeFlags::BUFFER.bits() | CqeFlags::MORE.bits() | CqeFlags::NOTIF.bits() | CqeFlags::BUF_MORE.bits();

/// The `user_data` of what the run submits itself.
const OWN: u64 = u64::MAX - 5;

/// Runs a program.
///
/// `arena` is as new afterwards, unless something of the run may still write there.
///
/// # Errors
///
/// The reason to skip, if the back end has no such ring.
pub fn run(
    program: &Program,
    backend: &BackendUnderTest,
    arena: &mut Arena,
    paths: &[u64; PATHS.len()],
    pace: Pace<'_>,
) -> Result<Record, Skip> {
    let mut setup = Setup::new(program.ring.entries);
    setup.cq_entries = Some(program.ring.cq_entries);
    setup.flags = program.ring.mode.flags();
    if program.ring.submit_all {
        setup.flags |= SetupFlags::SUBMIT_ALL;
    }
    let ring = (backend.open)(&setup).map_err(|error| Skip::setup(setup.flags, &error))?;
    let (ended, record) = {
        let mut run = Run {
            rig: Rig::new(ring),
            arena,
            paths,
            pace,
            world: World::default(),
            registered: Registered::default(),
            groups: Groups::new(),
            pushed: Vec::new(),
            queue: VecDeque::new(),
            polled: program.ring.mode == Mode::SqPoll,
            own_result: None,
            under_way: UnderWay::default(),
            record: Record::default(),
        };
        for (place, step) in program.steps.iter().enumerate() {
            run.step(place, *step);
        }
        (run.finish(), run.record)
    };
    if ended {
        arena.reset();
    } else {
        *arena = Arena::new();
    }
    Ok(record)
}

/// A run under way.
struct Run<'a> {
    rig: Rig,
    arena: &'a mut Arena,
    paths: &'a [u64; PATHS.len()],
    pace: Pace<'a>,
    world: World,
    registered: Registered,
    groups: Groups,
    /// What goes into the queue with the next submission. Not earlier: a thread that polls it would tear chains apart.
    pushed: Vec<Entry>,
    /// A thread takes the entries, and does the completion work.
    polled: bool,
    /// The result of what the run submitted itself.
    own_result: Option<i32>,
    /// What was pushed and not yet taken.
    queue: VecDeque<(Request, Data, Option<RawFd>)>,
    under_way: UnderWay,
    record: Record,
}

impl Run<'_> {
    fn step(&mut self, place: usize, step: Step) {
        match step {
            Step::Push(request) => self.push(request),
            Step::Submit => {
                let taken = self.submit();
                self.answer(place, taken, Vec::new());
            }
            Step::Settle => self.settle(),
            Step::Feed { at, len } => {
                let bytes = pattern(u16::try_from(place).unwrap_or_default() | 0x4000, len.into());
                let fed = self.world.feed(at, &bytes);
                self.answer(place, number(fed), Vec::new());
            }
            Step::Take { at, len } => match self.world.take(at, len.into()) {
                Ok(bytes) => self.answer(place, i64::try_from(bytes.len()).unwrap_or_default(), bytes),
                Err(errno) => self.answer(place, -i64::from(errno.raw_os_error()), Vec::new()),
            },
            Step::CloseOwn(target) => self.world.close(target),
            Step::ShutdownOwn(target, how) => {
                let shut = self.world.shut_down(target, how).map(|()| 0);
                self.answer(place, number(shut), Vec::new());
            }
            Step::Dial => self.world.dial(),
            Step::Register(registration) => {
                let value = self.register(registration);
                self.answer(place, value, Vec::new());
            }
        }
    }

    fn answer(&mut self, step: usize, value: i64, bytes: Vec<u8>) {
        self.record.answers.push(Answer { step, value, bytes });
    }

    fn push(&mut self, mut request: Request) {
        // Silence would hide which descriptors there are.
        if request.op.makes_descriptor() || matches!(request.op, Op::Close { .. }) {
            request.flags &= !IOSQE_CQE_SKIP_SUCCESS;
        }
        let queue = self.rig.ring_mut().submission();
        if queue.len() + self.pushed.len() >= queue.capacity() {
            return;
        }
        drop(queue);
        let mut encoder = Encoder {
            ring: self.rig.fd(),
            arena: self.arena,
            world: &mut self.world,
            fixed: &self.registered.buffers,
            groups: &mut self.groups,
            paths: self.paths,
        };
        let (sqe, data, closes) = encoder.encode(&request);
        let mut entry: Entry = opcode::Nop::new().build();
        *entry.sqe_mut() = sqe;
        self.pushed.push(entry);
        self.queue.push_back((request, data, closes));
    }

    /// Hands over, and notes what was taken.
    fn submit(&mut self) -> i64 {
        self.rig.push_together(&std::mem::take(&mut self.pushed));
        let outcome = loop {
            match self.rig.ring().submit() {
                // Nothing was taken, and the same again is what there is to do.
                Err(error) if settle::is_passing(&error) => continue,
                outcome => break outcome,
            }
        };
        if self.polled {
            self.until_taken();
        }
        let left = self.rig.ring_mut().submission().len();
        let taken = self.queue.len().saturating_sub(left);
        let taken: Vec<_> = self.queue.drain(..taken).collect();
        let count = taken.len();
        self.under_way.begin(taken);
        match outcome {
            // The call has only said what there was for the thread to take.
            Ok(_) if self.polled => i64::try_from(count).unwrap_or_default(),
            Ok(taken) => i64::try_from(taken).unwrap_or_default(),
            Err(error) => -i64::from(error.raw_os_error().unwrap_or(i32::MAX)),
        }
    }

    /// Waits until the polling thread has taken what there was: that is a matter of microseconds, or of its being waked.
    fn until_taken(&mut self) {
        for _ in 0..500 {
            if self.rig.ring_mut().submission().is_empty() {
                return;
            }
            std::thread::yield_now();
        }
        self.rig.until_taken();
    }

    /// Takes what is in the completion queue. Gives how many there were.
    fn reap(&mut self) -> usize {
        let mut count = 0;
        loop {
            let Some(cqe) = self.rig.ring_mut().completion().next() else { return count };
            count += 1;
            if cqe.user_data() == OWN {
                self.own_result = Some(cqe.result());
            } else {
                self.note(&cqe);
            }
        }
    }

    fn note(&mut self, cqe: &cqueue::Entry) {
        let (name, result) = (cqe.user_data(), cqe.result());
        let mut completion = Completion { name, result, flags: promised_flags(cqe), bytes: Vec::new() };
        if cqe.is_notification() && !self.record.of(name).any(|earlier| earlier.result >= 0) {
            // A zero-copy send that failed may be followed by its notification, announced or not; also one that
            // failed in silence.
            self.under_way.end(name);
            return;
        }
        if name == MESSAGE {
            completion.bytes = b"a message".to_vec();
        } else if let Some((request, data, closes)) = self.under_way.find(name) {
            let (request, closes) = (*request, *closes);
            if result >= 0 {
                completion.bytes = bytes(data, &self.groups, &mut self.registered, cqe, &request.op);
                if request.op.makes_descriptor() {
                    self.world.adopt(request.name, result);
                    completion.result = 0;
                }
            }
            // What was not closed is closed at the end; unless it was not there.
            if let Some(fd) = closes.filter(|_| result != 0 && result != -libc::EBADF) {
                self.world.adopt_nameless(fd);
            }
            if !cqe.has_more() {
                self.under_way.end(name);
            }
        } else {
            self.record.broken.push(format!("a completion that nothing is under way for: {cqe:?}"));
        }
        self.record.completions.push(completion);
    }
}

/// The flags that are promised. With a failure come none: whether a buffer was used up, or a notification
/// follows, depends on how far the request had come. At the end of a file, Linux 6.18 names the buffer that nothing was
/// put into or not, and does not say that more of it is left.
fn promised_flags(cqe: &cqueue::Entry) -> u32 {
    match cqe.result() {
        ..0 => 0,
        0 => cqe.flags() & PROMISED & !(CqeFlags::BUF_MORE | CqeFlags::BUFFER).bits(),
        _ => cqe.flags() & PROMISED,
    }
}

/// The data that a completion brought.
fn bytes(data: &Data, groups: &Groups, registered: &mut Registered, cqe: &cqueue::Entry, op: &Op) -> Vec<u8> {
    let len = usize::try_from(cqe.result()).unwrap_or_default();
    let first = |buffer: &crate::harness::Buffer, len: usize| buffer.first(len.min(buffer.len() as usize));
    match data {
        Data::None => Vec::new(),
        Data::At(buffer) => first(buffer, len),
        Data::Parts(parts) => {
            let all: Vec<u8> = parts.iter().flat_map(crate::harness::Buffer::bytes).collect();
            all[..len.min(all.len())].to_vec()
        }
        Data::Group(group) => {
            let Some(id) = cqe.buffer_id() else { return Vec::new() };
            let Some(buffer) = groups.get(&(*group, id)) else { return b"no such buffer".to_vec() };
            match op {
                Op::RecvMany { bundle: true, .. } | Op::RecvBundle { .. } => {
                    return registered.bundle(*group, id, len);
                }
                // What was sent is seen where it arrives.
                Op::SendBundle { .. } => {
                    registered.bundle(*group, id, len);
                    return Vec::new();
                }
                _ => {}
            }
            let from = registered.advance(*group, id, len, cqe.has_buffer_more());
            let end = (from + len).min(buffer.len() as usize);
            buffer.bytes()[from.min(end)..end].to_vec()
        }
        Data::Stat(stat) => {
            // stx_nlink at 16, stx_mode at 28, stx_size at 40: see statx(2).
            let is_file = stat.part(28, 2).bytes()[1] & 0xf0 == 0x80;
            let size = if is_file { stat.part(40, 8).bytes() } else { Vec::new() };
            [stat.part(16, 4).bytes(), stat.part(28, 2).bytes(), size].concat()
        }
    }
}

fn number(outcome: Result<usize, rustix::io::Errno>) -> i64 {
    match outcome {
        Ok(count) => i64::try_from(count).unwrap_or_default(),
        Err(errno) => -i64::from(errno.raw_os_error()),
    }
}
