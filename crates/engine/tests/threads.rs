//! What the engine takes from its process while requests wait: how many threads, and how much processor time; and no
//! signal.
//!
//! Threads of the engine are known by their names (`annulus-*`); /proc tells of each what it has used.
#![allow(unsafe_code, reason = "pushes entries whose memory outlives them")]

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annulus::abi::{FUTEX_BITSET_MATCH_ANY, FUTEX2_SIZE_U32, Futex2Flags, Params, SetupFlags};
use annulus::types::{CancelBuilder, Timespec};
use annulus::{IoUring, cqueue, opcode, squeue, types};
use annulus_engine::Engine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const ECANCELED: i32 = -125;
/// How many bounded and unbounded workers the ring of the first test may have.
const WORKERS: [u32; 2] = [2, 4];
/// As many futexes are waited for, with a thread for each.
const FUTEXES: u32 = 32;
/// `P_ALL` and `WEXITED` of waitid(2).
const ANY_CHILD: (u32, u32) = (0, 4);

/// One test at a time: they count the threads of the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ring(flags: SetupFlags) -> IoUring {
    let params =
        Params { flags: (flags | SetupFlags::CQSIZE).bits(), cq_entries: 16384, ..Params::default() };
    let engine = Engine::new(1024, params).expect("an engine");
    IoUring::from_backend(Box::new(engine)).expect("a ring of ordinary entries")
}

fn push(ring: &mut IoUring, entry: &squeue::Entry, user_data: u64) {
    let entry = entry.user_data(user_data);
    // SAFETY: what entries name lives until the ring is gone: the tests declare it before their rings.
    while unsafe { ring.submission().push(&entry) }.is_err() {
        ring.submit().expect("it submits");
    }
}

/// A thread of the engine.
#[derive(Debug)]
struct Thread {
    name: String,
    /// `S` while it sleeps.
    state: char,
    /// Clock ticks of processor time.
    ticks: u64,
}

/// Those that there are.
fn engine_threads() -> Vec<Thread> {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    // A thread may end while they are read.
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    stats.filter_map(|stat| thread(&stat)).filter(|thread| thread.name.starts_with("annulus-")).collect()
}

/// Reads a line of proc_pid_stat(5): number, name in parentheses, state, ..., user and system time as the 14th and 15th.
fn thread(stat: &str) -> Option<Thread> {
    let (head, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?;
    Some(Thread { name: head.split_once('(')?.1.to_owned(), state: fields[0].chars().next()?, ticks })
}

/// Waits until none of them has anything to do.
fn until_all_sleep() {
    for _ in 0..20_000 {
        let threads = engine_threads();
        if !threads.is_empty() && threads.iter().all(|thread| thread.state == 'S') {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("they do not come to rest: {:?}", engine_threads());
}

/// A child that lives until it is told otherwise.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("1000").spawn().expect("sleep(1)"))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it ends");
    }
}

/// Requests that wait hold their files, each by a descriptor.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the hard limit");
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(most >= 10_000, "the hard limit of descriptors is {most}: too few for 8,000 requests that wait");
}

#[test]
fn ten_thousand_requests_that_wait_take_no_more_threads_than_are_allowed() {
    let _alone = alone();
    allow_descriptors();
    let _child = Sleeper::start();
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let (socket, _peer) = UnixStream::pair().expect("sockets");
    let mut byte = Box::new(0_u8);
    let word = Box::new(0_u32);
    let an_hour = Timespec::new().sec(3600);
    let (pipe, socket) = (types::Fd(reader.as_raw_fd()), types::Fd(socket.as_raw_fd()));
    let read = opcode::Read::new(pipe, &raw mut *byte, 1).build();
    let futex = opcode::FutexWait::new(
        &raw const *word,
        0,
        FUTEX_BITSET_MATCH_ANY,
        FUTEX2_SIZE_U32 | Futex2Flags::PRIVATE.bits(),
    );
    let kinds = [
        (2000, opcode::PollAdd::new(pipe, 1).build()),
        (2000, read),
        (2000, opcode::Recv::new(socket, &raw mut *byte, 1).build()),
        (2000, read.flags(squeue::Flags::ASYNC)),
        (1900 - u64::from(FUTEXES), opcode::Timeout::new(&raw const an_hour).build()),
        (FUTEXES.into(), futex.build()),
        // Nobody can be told of any child's end: each of these takes a worker, or waits for one.
        (100, opcode::WaitId::new(ANY_CHILD.0, 0, ANY_CHILD.1.cast_signed()).build()),
    ];

    let mut ring = ring(SetupFlags::empty());
    let mut limits = WORKERS;
    ring.submitter().register_iowq_max_workers(&mut limits).expect("it takes limits");
    let mut pushed = 0;
    let mut most = 0;
    for (count, entry) in &kinds {
        for _ in 0..*count {
            push(&mut ring, entry, pushed);
            pushed += 1;
        }
        ring.submit().expect("it submits");
        most = most.max(engine_threads().len());
    }
    until_all_sleep();
    most = most.max(engine_threads().len());

    assert_eq!(pushed, 10_000);
    let cqes: Vec<_> = ring.completion().map(|cqe: cqueue::Entry| (cqe.user_data(), cqe.result())).collect();
    assert_eq!(cqes, [], "all of them wait");
    // The workers, the waits for futexes, and the thread that sees to the ring while nobody waits.
    let allowed = (WORKERS[0] + WORKERS[1] + FUTEXES + 1) as usize;
    assert!(most <= allowed, "{most} threads, {allowed} are allowed: {:?}", engine_threads());

    let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
    push(&mut ring, &cancel, u64::MAX);
    let mut ended = vec![false; 10_000];
    let mut left = 10_001;
    while left > 0 {
        ring.submit_and_wait(1).expect("it waits");
        for cqe in ring.completion() {
            let cqe: cqueue::Entry = cqe;
            left -= 1;
            if cqe.user_data() == u64::MAX {
                assert_eq!(cqe.result(), 10_000, "so many were cancelled");
                continue;
            }
            let place = usize::try_from(cqe.user_data()).expect("a place");
            assert!(!std::mem::replace(&mut ended[place], true), "{place} ended twice");
            let result = cqe.result();
            assert!([ECANCELED, -4].contains(&result), "request {place} ended with {result}");
        }
    }
}

#[test]
fn a_ring_whose_requests_wait_uses_no_processor_time() {
    let _alone = alone();
    let (polled, mut first) = std::io::pipe().expect("a pipe");
    let (reader, mut second) = std::io::pipe().expect("a pipe");
    let mut bytes = Box::new([0_u8; 6]);
    let an_hour = Timespec::new().sec(3600);
    let mut ring = ring(SetupFlags::empty());
    let poll = opcode::PollAdd::new(types::Fd(polled.as_raw_fd()), 1).build();
    for place in 0..100 {
        push(&mut ring, &poll, place);
        push(&mut ring, &opcode::Timeout::new(&raw const an_hour).build(), 1000 + place);
    }
    let read = opcode::Read::new(types::Fd(reader.as_raw_fd()), bytes.as_mut_ptr(), 6).build();
    push(&mut ring, &read, 2000);
    ring.submit().expect("it submits");
    until_all_sleep();

    let used = || engine_threads().iter().map(|thread| thread.ticks).sum::<u64>();
    let mut spent = Vec::new();
    // One for rounding: a tick is charged to whoever happens to run when it comes. And what keeps a processor from the whole
    // machine is charged to whoever had it: not each time, though.
    while spent.iter().all(|spent| *spent > 1) {
        assert!(spent.len() < 5, "ticks in a second: {spent:?} {:?}", engine_threads());
        let before = used();
        std::thread::sleep(Duration::from_secs(1));
        spent.push(used() - before);
    }

    // And it is not dead: the thread that sees to it notices what happens, though nobody enters.
    first.write_all(b"x").expect("room");
    second.write_all(b"a ring").expect("room");
    let mut seen = Vec::new();
    while seen.len() < 101 {
        seen.extend(ring.completion().map(|cqe: cqueue::Entry| (cqe.user_data(), cqe.result())));
        std::thread::yield_now();
    }
    seen.sort_unstable();
    let polls = (0..100).map(|place| (place, 1));
    assert_eq!(seen, polls.chain([(2000, 6)]).collect::<Vec<_>>());
    assert_eq!(*bytes, *b"a ring");
}

/// The name of each thread of the process and the signals that it blocks, as /proc tells them.
fn blocked_signals() -> Vec<(String, u64)> {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    let field = |status: &str, name| {
        status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    let one = |status: String| {
        let blocked = u64::from_str_radix(&field(&status, "SigBlk:")?, 16).ok()?;
        Some((field(&status, "Name:")?, blocked))
    };
    statuses.filter_map(one).collect()
}

#[test]
fn no_thread_of_the_engine_takes_a_signal_of_the_program() {
    let _alone = alone();
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let mut byte = Box::new(0_u8);
    let mut polling = ring(SetupFlags::SQPOLL);
    push(&mut polling, &opcode::Nop::new().build(), 1);
    polling.submit_and_wait(1).expect("it waits");
    let mut waiting = ring(SetupFlags::empty());
    push(&mut waiting, &opcode::PollAdd::new(types::Fd(reader.as_raw_fd()), 1).build(), 2);
    let read = opcode::Read::new(types::Fd(reader.as_raw_fd()), &raw mut *byte, 1).build();
    push(&mut waiting, &read.flags(squeue::Flags::ASYNC), 3);
    let word = Box::new(0_u32);
    let private = FUTEX2_SIZE_U32 | Futex2Flags::PRIVATE.bits();
    let futex = opcode::FutexWait::new(&raw const *word, 0, FUTEX_BITSET_MATCH_ANY, private).build();
    push(&mut waiting, &futex, 4);
    waiting.submit().expect("it submits");
    let expected = ["annulus-poll", "annulus-sq", "annulus-futex"];
    // A thread gives itself its name when it begins.
    let threads = loop {
        let threads = blocked_signals();
        if expected.iter().all(|name| threads.iter().any(|(known, _)| known == name)) {
            break threads;
        }
        std::thread::yield_now();
    };
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGCHLD, libc::SIGUSR1, libc::SIGALRM] {
        let bit = 1_u64 << (signal - 1);
        for (name, blocked) in threads.iter().filter(|(name, _)| name.starts_with("annulus-")) {
            assert!(blocked & bit != 0, "{name} takes signal {signal}: it blocks {blocked:x}");
        }
    }
}
