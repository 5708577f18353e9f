//! The two sides of a ring in the engine's memory: against a plain model, in two threads, and with indices that no
//! program should write.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use annulus_abi::{Cqe, Cqe32, CqeFlags, SqRingFlags, Sqe, Sqe128};
use proptest::prelude::*;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use super::*;

pub(super) const NARROW: SetupFlags = SetupFlags::empty();
pub(super) const WIDE: SetupFlags = SetupFlags::SQE128.union(SetupFlags::CQE32);
pub(super) const MIXED: SetupFlags = SetupFlags::CQE_MIXED.union(SetupFlags::NO_SQARRAY);

/// A ring whose indices begin where a test wants them to.
pub(super) fn rings(sq_entries: u32, cq_entries: u32, flags: SetupFlags, start: Start) -> Rings {
    let flags = (flags | SetupFlags::CQSIZE | SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN).bits();
    let mut params = Params { sq_entries, cq_entries, flags, ..Params::default() };
    // SAFETY: no memory is given.
    unsafe { Rings::starting_at(&mut params, start) }.expect("memory for a small ring")
}

/// Pushes entries that carry these numbers, in both halves if they have two; says how many fitted.
pub(super) fn push(rings: &Rings, numbers: &[u64]) -> usize {
    let sqe = |n| Sqe { user_data: n, ..Sqe::new(0) };
    if rings.memory.sqe_size() == size_of::<Sqe>() {
        // SAFETY: the only one, of this size.
        let mut end = unsafe { rings.memory.sq_producer::<Sqe>() };
        numbers.iter().take_while(|&&n| end.push(&sqe(n))).count()
    } else {
        // SAFETY: the only one, of this size.
        let mut end = unsafe { rings.memory.sq_producer::<Sqe128>() };
        let entry = |n: u64| Sqe128 { base: sqe(n), extra: [n.to_le_bytes()[0]; 64] };
        numbers.iter().take_while(|&&n| end.push(&entry(n))).count()
    }
}

/// Takes an entry and reads the number in all its parts.
pub(super) fn take(sq: &mut SqConsumer) -> Option<u64> {
    let entry = sq.next()?;
    let n = entry.sqe.user_data;
    let expected = if sq.memory().sqe_size() == size_of::<Sqe>() { 0 } else { n.to_le_bytes()[0] };
    assert_eq!(sq.extra(&entry), [expected; 64]);
    Some(n)
}

/// The words of up to `most` places of the completion queue, which are given back.
pub(super) fn reap(memory: &RingMemory, most: usize) -> Vec<Vec<u64>> {
    if memory.cqe_size() == size_of::<Cqe>() {
        // SAFETY: the only one, of this size.
        let mut end = unsafe { memory.cq_consumer::<Cqe>() };
        std::iter::from_fn(|| end.pop()).take(most).map(|cqe| words(&cqe).to_vec()).collect()
    } else {
        // SAFETY: the only one, of this size.
        let mut end = unsafe { memory.cq_consumer::<Cqe32>() };
        let all = |cqe: Cqe32| [words(&cqe.base), cqe.extra].concat();
        std::iter::from_fn(|| end.pop()).take(most).map(all).collect()
    }
}

/// A completion as the words that it is.
pub(super) fn words(cqe: &Cqe) -> [u64; 2] {
    let ([a, b, c, d], [e, f, g, h]) = (cqe.res.to_ne_bytes(), cqe.flags.to_ne_bytes());
    [cqe.user_data, u64::from_ne_bytes([a, b, c, d, e, f, g, h])]
}

/// A completion of this number; on a mixed ring, one of two places if `wide`.
pub(super) fn cqe(n: u64, wide: bool) -> Cqe {
    let flags = if wide { CqeFlags::F_32.bits() } else { CqeFlags::MORE.bits() };
    Cqe { user_data: n, res: -5, flags }
}

pub(super) const EXTRA: [u64; 2] = [0xaaaa_bbbb_cccc_dddd, 0x1111_2222_3333_4444];

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(usize),
    Take(usize),
    GiveBack,
    Post { wide: bool },
    Show,
    Reap(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6_usize).prop_map(Step::Push),
        (0..6_usize).prop_map(Step::Take),
        Just(Step::GiveBack),
        any::<bool>().prop_map(|wide| Step::Post { wide }),
        any::<bool>().prop_map(|wide| Step::Post { wide }),
        Just(Step::Show),
        (0..6_usize).prop_map(Step::Reap),
    ]
}

/// What the queues should do, in words of plain collections.
struct Model {
    sq_entries: usize,
    cq_entries: usize,
    mode: SetupFlags,
    queued: VecDeque<u64>,
    taken: usize,
    /// The places of the completion queue, and how many of them the program sees.
    places: VecDeque<Vec<u64>>,
    shown: usize,
    tail: u32,
}

impl Model {
    fn post(&mut self, cqe: &Cqe) -> bool {
        let two = self.mode.contains(SetupFlags::CQE_MIXED) && cqe.flags & CqeFlags::F_32.bits() != 0;
        let at_end = (self.tail as usize + 1).is_multiple_of(self.cq_entries);
        if two
            && at_end
            && !self.place(words(&Cqe { flags: CqeFlags::SKIP.bits(), ..Cqe::default() }).to_vec())
        {
            return false;
        }
        if self.places.len() + 1 + usize::from(two) > self.cq_entries {
            return false;
        }
        if self.mode.contains(SetupFlags::CQE32) {
            return self.place([words(cqe), EXTRA].concat());
        }
        self.place(words(cqe).to_vec()) && (!two || self.place(EXTRA.to_vec()))
    }

    fn place(&mut self, words: Vec<u64>) -> bool {
        let free = self.places.len() < self.cq_entries;
        if free {
            self.places.push_back(words);
            self.tail = self.tail.wrapping_add(1);
        }
        free
    }
}

fn run(rings: &mut Rings, model: &mut Model, steps: &[Step]) {
    let mut next = 0_u64;
    for &step in steps {
        match step {
            Step::Push(n) => {
                let numbers: Vec<u64> = (next..).take(n).collect();
                let fit = n.min(model.sq_entries - model.queued.len() - model.taken);
                assert_eq!(push(rings, &numbers), fit);
                model.queued.extend(&numbers[..fit]);
                next += n as u64;
            }
            Step::Take(n) => {
                for _ in 0..n {
                    let expected = model.queued.pop_front();
                    model.taken += usize::from(expected.is_some());
                    assert_eq!(take(&mut rings.sq), expected);
                }
            }
            Step::GiveBack => {
                rings.sq.publish();
                model.taken = 0;
            }
            Step::Post { wide } => {
                next += 1;
                assert_eq!(rings.cq.push(&cqe(next, wide), EXTRA), model.post(&cqe(next, wide)));
            }
            Step::Show => {
                rings.cq.publish();
                model.shown = model.places.len();
            }
            Step::Reap(n) => {
                let n = n.min(model.shown);
                model.shown -= n;
                assert_eq!(reap(&rings.memory, n), model.places.drain(..n).collect::<Vec<_>>());
            }
        }
        assert_eq!(rings.sq.available() as usize, model.queued.len());
        assert_eq!(rings.cq.waiting() as usize, model.places.len());
        assert_eq!(rings.cq.free() as usize, model.cq_entries - model.places.len());
        assert_eq!(rings.memory.cq_len() as usize, model.shown);
    }
}

pub(super) fn a_mode() -> impl Strategy<Value = SetupFlags> {
    prop_oneof![Just(NARROW), Just(WIDE), Just(MIXED), Just(SetupFlags::NO_SQARRAY)]
}

/// Indices about to run over, and others.
pub(super) fn a_start() -> impl Strategy<Value = Start> {
    let index = || prop_oneof![Just(0), any::<u32>(), (0..40_u32).prop_map(|below| u32::MAX - below)];
    (index(), index()).prop_map(|(sq, cq)| Start { sq, cq })
}

proptest! {
    #[test]
    fn both_sides_of_the_queues_do_as_a_plain_model_does(
        mode in a_mode(),
        start in a_start(),
        logs in (0..4_u32, 0..3_u32),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let (sq_entries, cq_entries) = (1 << logs.0, 1 << (logs.0 + logs.1));
        let mut rings = rings(sq_entries, cq_entries, mode, start);
        let mut model = Model {
            sq_entries: sq_entries as usize,
            cq_entries: cq_entries as usize,
            mode,
            queued: VecDeque::new(),
            taken: 0,
            places: VecDeque::new(),
            shown: 0,
            tail: start.cq,
        };
        run(&mut rings, &mut model, &steps);
    }

    #[test]
    fn whatever_the_program_writes_the_ends_stay_inside_their_bounds(
        mode in a_mode(),
        pokes in prop::collection::vec((0..3_usize, any::<u32>(), 0..8_u32, any::<bool>()), 1..60),
    ) {
        let mut rings = rings(8, 8, mode, Start::default());
        let (sq, cq) = (rings.params.sq_off, rings.params.cq_off);
        let array = if mode.contains(SetupFlags::NO_SQARRAY) { sq.tail } else { sq.array };
        for (which, value, place, wide) in pokes {
            let offset = [sq.tail, cq.head, array + if array == sq.tail { 0 } else { 4 * place }][which];
            rings.mapping.store(offset, value);
            let available = rings.sq.available();
            prop_assert!(available <= 8);
            let taken = (0..available).filter(|_| rings.sq.next().is_some()).count();
            prop_assert!(taken <= 8);
            rings.sq.publish();
            prop_assert!(rings.cq.waiting() <= 8 && rings.cq.free() <= 8);
            for n in 0..4 {
                let _ = rings.cq.push(&cqe(n, wide), EXTRA);
            }
            rings.cq.publish();
            prop_assert!(reap(&rings.memory, 100).len() <= 100);
        }
    }
}

/// What the device does in a thread of its own: each number comes back, in order, until there were `total`.
fn echo(rings: &mut Rings, total: u64, mut rest: impl FnMut(&Rings)) {
    let mut done = 0;
    while done < total {
        let batch = rings.sq.available().min(rings.cq.free());
        if batch == 0 {
            rest(rings);
        }
        for _ in 0..batch {
            let n = take(&mut rings.sq).expect("an entry that was there");
            assert!(rings.cq.push(&cqe(n, false), EXTRA), "a place that was there");
            done += 1;
        }
        rings.sq.publish();
        rings.cq.publish();
    }
}

/// The program's side: pushes `total` numbers in batches and checks that each comes back in its turn.
fn exchange(memory: &RingMemory, total: u64, batch: usize, mut pushed: impl FnMut()) {
    let (mut sent, mut seen) = (0_u64, 0_u64);
    while seen < total {
        // SAFETY: the only one, of this size.
        let mut end = unsafe { memory.sq_producer::<Sqe>() };
        let before = sent;
        while sent < total
            && sent - before < batch as u64
            && end.push(&Sqe { user_data: sent, ..Sqe::new(0) })
        {
            sent += 1;
        }
        drop(end);
        pushed();
        let arrived = reap(memory, usize::MAX);
        if arrived.is_empty() {
            thread::yield_now();
        }
        for words in arrived {
            assert_eq!(words[0], seen);
            seen += 1;
        }
    }
}

#[test]
fn a_million_numbers_pass_between_two_threads_in_order() {
    const TOTAL: u64 = 1_000_000;
    let near_the_end = Start { sq: u32::MAX - 1000, cq: u32::MAX - 5000 };
    let mut rings = rings(64, 256, SetupFlags::NO_SQARRAY, near_the_end);
    // SAFETY: the scope ends before the mapping does.
    let memory = unsafe { rings.memory.alias() };
    thread::scope(|scope| {
        scope.spawn(|| echo(&mut rings, TOTAL, |_| thread::yield_now()));
        exchange(&memory, TOTAL, 48, || {});
    });
    let seen = (rings.mapping.word(rings.params.sq_off.head), rings.mapping.word(rings.params.cq_off.head));
    let total = u32::try_from(TOTAL).expect("a small number");
    assert_eq!(seen.0.load(Relaxed), near_the_end.sq.wrapping_add(total));
    assert_eq!(seen.1.load(Relaxed), near_the_end.cq.wrapping_add(total));
}

/// The device rests as a polling thread does, and the program asks once for each entry whether it does. A device that
/// did not look again after it announced its sleep would soon miss an entry, and both would wait for ever.
#[test]
fn a_device_that_announced_its_sleep_is_always_woken() {
    const TOTAL: u64 = 200_000;
    let mut rings = rings(1, 1, SetupFlags::NO_SQARRAY, Start::default());
    // SAFETY: the scope ends before the mapping does.
    let memory = unsafe { rings.memory.alias() };
    let device_side = &mut rings;
    thread::scope(|scope| {
        let sleeps = |rings: &Rings| {
            rings.sq.set_flags(SqRingFlags::NEED_WAKEUP);
            while rings.sq.fence_and_available() == 0 {
                thread::park();
            }
            rings.sq.clear_flags(SqRingFlags::NEED_WAKEUP);
        };
        let device = scope.spawn(move || echo(device_side, TOTAL, sleeps));
        for n in 0..TOTAL {
            // SAFETY: the only one, of this size.
            let mut end = unsafe { memory.sq_producer::<Sqe>() };
            assert!(end.push(&Sqe { user_data: n, ..Sqe::new(0) }), "the device took what was there");
            drop(end);
            if memory.sq_flags_after_fence().contains(SqRingFlags::NEED_WAKEUP) {
                device.thread().unpark();
            }
            let mut looks = 0;
            while memory.cq_len() == 0 {
                looks += 1;
                if looks % 64 == 0 { thread::yield_now() } else { std::hint::spin_loop() }
            }
            assert_eq!(reap(&memory, 2), [words(&cqe(n, false))]);
        }
    });
}

#[test]
fn a_filter_that_knows_no_memfd_is_got_around() {
    for errno in [libc::ENOSYS, libc::EPERM, libc::EMFILE] {
        let refused = thread::scope(|scope| scope.spawn(move || set_up_without_memfd(errno)).join());
        let expected = if errno == libc::EMFILE { Err(Errno::MFILE) } else { Ok(vec![7]) };
        assert_eq!(refused.expect("the thread"), expected);
    }
}

/// Sets a ring up where memfd_create(2) answers this, and passes a number through it. The filter stays with the thread.
fn set_up_without_memfd(errno: i32) -> Result<Vec<u64>, Errno> {
    let rules = [(libc::SYS_memfd_create, Vec::new())].into_iter().collect();
    let answer = SeccompAction::Errno(errno.cast_unsigned());
    let arch = std::env::consts::ARCH.try_into().expect("an architecture that filters know");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch).expect("a filter");
    seccompiler::apply_filter(&BpfProgram::try_from(filter).expect("a program"))
        .expect("the filter is in force");
    let mut params = Params { sq_entries: 1, cq_entries: 2, ..Params::default() };
    // SAFETY: no memory is given.
    let mut rings = unsafe { Rings::new(&mut params) }?;
    assert_eq!(push(&rings, &[7]), 1);
    Ok(take(&mut rings.sq).into_iter().collect())
}

#[test]
fn children_may_be_kept_out_of_the_queues() {
    let rings = rings(8, 8, NARROW, Start::default());
    let start = rings.mapping.word(0).as_ptr().addr();
    let flags = |maps: &str| {
        let from = maps.find(&format!("{start:x}-")).expect("the mapping");
        maps[from..].lines().find_map(|line| line.strip_prefix("VmFlags: ")).expect("flags").to_owned()
    };
    let maps = || std::fs::read_to_string("/proc/self/smaps").expect("smaps");
    assert!(!flags(&maps()).contains("dc"), "a child inherits them, as those of the kernel");
    rings.mapping.dontfork().expect("an advice that is taken");
    assert!(flags(&maps()).contains("dc"));
}

#[test]
fn memory_that_the_program_gives_is_laid_out_as_by_the_kernel() {
    let flags = (SetupFlags::NO_MMAP | SetupFlags::CQSIZE).bits();
    let mut params = Params { sq_entries: 8, cq_entries: 16, flags, ..Params::default() };
    params.sq_off.user_addr = 0x10_0000;
    let layout = Layout::of(&params);
    assert_eq!((layout.sq.head, layout.sq.tail, layout.cq.head, layout.cq.tail), (0, 4, 8, 12));
    assert_eq!((layout.sq.flags, layout.cq.flags, layout.cq.overflow), (36, 40, 44));
    assert_eq!((layout.cq.cqes, layout.sq.array), (64, 320));
    assert_eq!((layout.rings_len, layout.sqes_len), (352, 512));
    assert_eq!(layout.sq.user_addr, 0x10_0000, "an input");
}

#[test]
fn no_two_parts_of_a_ring_overlap() {
    for given in [SetupFlags::empty(), SetupFlags::NO_MMAP] {
        for mode in [NARROW, WIDE, MIXED] {
            for (sq_entries, cq_entries) in [(1, 1), (1, 2), (8, 64), (32_768, 65_536)] {
                let flags = (given | mode).bits();
                let Layout { sq, cq, rings_len, .. } =
                    Layout::of(&Params { sq_entries, cq_entries, flags, ..Params::default() });
                let cqe = if mode == WIDE { 32 } else { 16 };
                let words = [sq.head, sq.tail, sq.flags, sq.dropped, sq.ring_mask, sq.ring_entries];
                let more = [cq.head, cq.tail, cq.flags, cq.overflow, cq.ring_mask, cq.ring_entries];
                let mut parts: Vec<(u32, u32)> =
                    words.into_iter().chain(more).map(|at| (at, at + 4)).collect();
                parts.push((cq.cqes, cq.cqes + cqe * cq_entries));
                if mode != MIXED {
                    parts.push((sq.array, sq.array + 4 * sq_entries));
                }
                parts.sort_unstable();
                assert!(parts.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{parts:?}");
                assert_eq!(parts.last().map(|part| part.1 as usize), Some(rings_len));
                assert!(cq.cqes.is_multiple_of(64) && sq.array.is_multiple_of(64));
            }
        }
    }
}
