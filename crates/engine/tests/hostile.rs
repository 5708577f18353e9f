//! Entries that make no sense, by the thousand: the engine neither crashes nor hangs, and ends each of them once.
//!
//! Each round is a process of its own, so that a crash fails one round and what entries open or close harms nobody.
//! Descriptors are those of a private set; addresses lie in an arena with nothing behind it, or nowhere. Whatever an
//! entry makes of the arena's content (paths, vectors, times) leads back to the arena, to nowhere, or to a file of the
//! round's own folder.
#![allow(unsafe_code, reason = "pushes entries that name an arena, and maps it")]

use std::collections::HashMap;
use std::os::fd::IntoRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use annulus::abi::{self, Params, SetupFlags, Sqe, SqeFlags};
use annulus::types::{CancelBuilder, SubmitArgs, Timespec};
use annulus::{IoUring, cqueue, squeue};
use annulus_engine::Engine;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Where the arena lies: any eight bytes of an aligned copy of an address in it are such an address or nowhere.
const ARENA: u64 = 0x1_0000_0000;
const ARENA_LEN: u64 = 0x4000;
/// A list of descriptors that nothing writes to.
const LIST: u64 = ARENA + ARENA_LEN;
/// Nothing is mapped for as much as an entry can name.
const GUARD: u64 = 9 << 30;
/// The first number of the private descriptors, above all that the engine opens for itself.
const PRIVATE: i32 = 200;
/// Says to a process that it is a round, and which.
const SEED: &str = "ANNULUS_HOSTILE_SEED";
/// For longer searches: the first round, and how many.
const FIRST: &str = "ANNULUS_HOSTILE_FIRST";
const COUNT: &str = "ANNULUS_HOSTILE_ROUNDS";
/// `user_data` of entries lies below; that of messages above.
const MESSAGE: u64 = 1 << 40;
const ROUNDS: u64 = 16;
const ENTRIES: u64 = 400;

/// A generator of numbers (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }

    fn word(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).expect("half of it")
    }

    /// An address in the arena, or nowhere.
    fn address(&mut self) -> u64 {
        match self.below(8) {
            0 => self.below(512) * 8,
            _ => ARENA + self.below(ARENA_LEN / 8) * 8,
        }
    }

    /// One of the private descriptors, or none.
    fn descriptor(&mut self, count: i32) -> i32 {
        match self.below(16) {
            0 => -1,
            1 => i32::try_from(self.below(8)).expect("small"),
            _ => PRIVATE + i32::try_from(self.below(u64::from(count.unsigned_abs()))).expect("small"),
        }
    }

    /// Bits that are mostly none.
    fn bits(&mut self) -> u32 {
        match self.below(8) {
            0..=3 => 0,
            4 | 5 => 1 << self.below(16),
            6 => self.word() & 0xff,
            _ => self.word(),
        }
    }
}

/// A round: takes the place of the process.
fn round(seed: u64) {
    // SAFETY: ends a round that hangs, by the signal that the test looks for.
    unsafe { libc::alarm(60) };
    let folder = tempfile::tempdir().expect("a folder");
    std::env::set_current_dir(folder.path()).expect("it is there");
    let most = Some(1 << 20);
    setrlimit(Resource::Fsize, Rlimit { current: most, maximum: most }).expect("a lower limit");
    // SAFETY: a file that would become too long is to be refused, not the end.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let mut random = Random(seed);
    let flags = [
        SetupFlags::empty(),
        SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN,
        SetupFlags::SQPOLL,
        SetupFlags::SUBMIT_ALL | SetupFlags::COOP_TASKRUN,
    ][usize::try_from(seed % 4).expect("small")];
    let flags = flags | SetupFlags::CQSIZE;
    let params = Params { flags: flags.bits(), cq_entries: 64, sq_thread_idle: 5, ..Params::default() };
    let engine = Engine::new(32, params).expect("an engine");
    let mut ring: IoUring = IoUring::from_backend(Box::new(engine)).expect("a ring of ordinary entries");
    let fds = descriptors();
    map_arena(&mut random, &fds);
    ring.submitter().register_files(&fds).expect("files");
    let buffers = [0, 1].map(|n| libc::iovec {
        iov_base: std::ptr::with_exposed_provenance_mut(
            usize::try_from(ARENA + n * 0x1000).expect("64 bits"),
        ),
        iov_len: 0x1000,
    });
    // SAFETY: the arena stays.
    unsafe { ring.submitter().register_buffers(&buffers) }.expect("buffers");

    let mut expected = HashMap::new();
    for user_data in 0..ENTRIES {
        let sqe = entry(&mut random, i32::try_from(fds.len()).expect("few"), user_data);
        if !SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::CQE_SKIP_SUCCESS) {
            expected.insert(user_data, sqe);
        }
        // SAFETY: all that it can lead to is the arena, which stays.
        while unsafe { ring.submission().push(&squeue::Entry::from(sqe)) }.is_err() {
            submit(&mut ring);
            collect(&mut ring, &mut expected);
        }
        if random.one_in(8) {
            submit(&mut ring);
        }
        if random.one_in(16) {
            collect(&mut ring, &mut expected);
        }
    }
    if !seed.is_multiple_of(3) {
        finish(&mut ring, &mut expected);
    }
    drop(ring);
    // The process ends without a look back: entries may have closed what the test's own machinery needs.
    drop(folder);
    // SAFETY: ends the process.
    unsafe { libc::_exit(0) };
}

fn submit(ring: &mut IoUring) {
    let time = Timespec::new();
    let _ = ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time));
}

/// Cancels all until each entry has ended.
fn finish(ring: &mut IoUring, expected: &mut HashMap<u64, Sqe>) {
    // What a drain or a chain holds back begins when what is before it has ended, so that one time is not enough.
    for _ in 0..10_000 {
        submit(ring);
        collect(ring, expected);
        if expected.is_empty() {
            return;
        }
        let _ = ring.submitter().register_sync_cancel(Some(Timespec::new()), CancelBuilder::any());
        let time = Timespec::new().nsec(1_000_000);
        let _ = ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time));
    }
    panic!("these do not end: {expected:#?}");
}

/// Takes completions; each entry is ended at the most once.
fn collect(ring: &mut IoUring, expected: &mut HashMap<u64, Sqe>) {
    let cqes: Vec<cqueue::Entry> = ring.completion().collect();
    for cqe in cqes {
        let user_data = cqe.user_data();
        if user_data < MESSAGE && !cqueue::more(cqe.flags()) {
            expected.remove(&user_data);
        }
    }
}

/// An entry of nonsense.
fn entry(random: &mut Random, fds: i32, user_data: u64) -> Sqe {
    let opcode = match random.below(20) {
        0 => u8::try_from(random.below(256)).expect("a byte"),
        _ => u8::try_from(random.below(u64::from(abi::IORING_OP_PIPE) + 3)).expect("an opcode"),
    };
    let flags = (0..7).fold(0, |flags, bit| {
        // A drain holds up all that comes, and a group is seldom there.
        let chance = if bit == 1 || bit == 5 { 40 } else { 6 };
        flags | u8::from(random.one_in(chance)) << bit
    });
    // One that fails and wanted no completion takes those of its whole chain along: they could not be counted.
    let is_linked = SqeFlags::from_bits_retain(flags).intersects(SqeFlags::IO_LINK | SqeFlags::IO_HARDLINK);
    let flags = if is_linked { flags & !SqeFlags::CQE_SKIP_SUCCESS.bits() } else { flags };
    let fd = random.descriptor(fds);
    let off = match random.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => random.below(0x4000),
        3 => random.next(),
        _ => random.address(),
    };
    let len = match random.below(6) {
        0 => 0,
        1 | 2 => 1 + u32::try_from(random.below(4)).expect("small"),
        3 | 4 => u32::try_from(random.below(0x4000)).expect("small"),
        _ => random.word(),
    };
    let mut sqe = Sqe { opcode, flags, fd, off, addr: random.address(), len, user_data, ..Sqe::default() };
    if random.one_in(3) {
        sqe.ioprio = u16::try_from(random.bits() & 0xffff).expect("masked");
    }
    if random.one_in(2) {
        sqe.op_flags = random.bits();
    }
    if random.one_in(3) {
        sqe.buf_index = u16::try_from(random.below(4)).expect("small");
    }
    if random.one_in(30) {
        sqe.personality = 1;
    }
    if random.one_in(3) {
        sqe.file_index = match random.below(4) {
            0 => u32::MAX,
            1 => random.descriptor(fds).cast_unsigned(),
            _ => u32::try_from(random.below(20)).expect("small"),
        };
    }
    if random.one_in(8) {
        sqe.addr3 = random.address();
    }
    tame(random, fds, &mut sqe);
    sqe
}

/// Keeps an entry from what would harm the machine, or others.
fn tame(random: &mut Random, fds: i32, sqe: &mut Sqe) {
    // Low numbers are slots; as descriptors they would be the engine's own, which are nobody's to name.
    let is_slot = SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::FIXED_FILE);
    if !is_slot && (0..PRIVATE).contains(&sqe.fd) {
        sqe.fd += PRIVATE;
    }
    let other = random.descriptor(fds).max(PRIVATE).cast_unsigned();
    match sqe.opcode {
        // It would fill the disk.
        abi::IORING_OP_FALLOCATE => (sqe.off, sqe.addr) = (random.below(0x4000), random.below(0x4000)),
        // Some advice poisons the memory itself; some would empty the list.
        abi::IORING_OP_MADVISE => sqe.op_flags &= 15,
        abi::IORING_OP_SPLICE | abi::IORING_OP_TEE => sqe.file_index = other,
        abi::IORING_OP_EPOLL_CTL => sqe.off = u64::from(other),
        abi::IORING_OP_FILES_UPDATE => sqe.addr = LIST,
        abi::IORING_OP_MSG_RING => sqe.off |= MESSAGE,
        // It would give a request another name.
        abi::IORING_OP_POLL_REMOVE => sqe.len &= !abi::IORING_POLL_UPDATE_USER_DATA,
        _ => {}
    }
}

/// The private descriptors.
fn descriptors() -> Vec<i32> {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let (left, right) = UnixStream::pair().expect("sockets");
    let (datagrams, other) = std::os::unix::net::UnixDatagram::pair().expect("sockets");
    let listener = UnixListener::bind("listener").expect("a listener");
    let file = std::fs::File::create_new("file").expect("a file");
    file.set_len(0x2000).expect("room");
    let mut readable = std::fs::OpenOptions::new();
    let readable = readable.read(true).write(true).open("file").expect("it is there");
    let folder = std::fs::File::open(".").expect("it is there");
    let event = eventfd(3, EventfdFlags::empty()).expect("an eventfd");
    let set = epoll::create(epoll::CreateFlags::empty()).expect("a set");
    let made = [
        reader.into_raw_fd(),
        writer.into_raw_fd(),
        left.into_raw_fd(),
        right.into_raw_fd(),
        datagrams.into_raw_fd(),
        other.into_raw_fd(),
        listener.into_raw_fd(),
        file.into_raw_fd(),
        readable.into_raw_fd(),
        folder.into_raw_fd(),
        event.into_raw_fd(),
        set.into_raw_fd(),
    ];
    let mut private = Vec::new();
    for (number, fd) in (PRIVATE..).zip(made) {
        // SAFETY: the number is nobody's yet.
        assert_eq!(unsafe { libc::dup2(fd, number) }, number);
        // SAFETY: it was made above, and has another number now.
        unsafe { libc::close(fd) };
        private.push(number);
    }
    private
}

/// Maps the arena, and nothing for a long way behind it.
fn map_arena(random: &mut Random, fds: &[i32]) {
    let start =
        std::ptr::with_exposed_provenance_mut::<libc::c_void>(usize::try_from(ARENA).expect("64 bits"));
    let (len, guard) = (usize::try_from(ARENA_LEN).expect("small"), usize::try_from(GUARD).expect("64 bits"));
    let (none, both) = (ProtFlags::empty(), ProtFlags::READ | ProtFlags::WRITE);
    let fixed = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
    // SAFETY: it replaces nothing.
    let mapped = unsafe { mmap_anonymous(start, guard, none, fixed) }.expect("nothing lies there");
    assert_eq!(mapped, start);
    // SAFETY: the start of that mapping; a page for the list lies behind the arena.
    unsafe { mprotect(start, len + 4096, MprotectFlags::from_bits_retain(both.bits())) }.expect("our own");
    // SAFETY: the arena, of which nobody else knows yet.
    let words = unsafe { std::slice::from_raw_parts_mut(start.cast::<u64>(), len / 8) };
    words.fill_with(|| if random.one_in(2) { random.address() } else { random.below(0x200) * 8 });
    // SAFETY: the page behind the arena is part of the mapping.
    let list = unsafe { start.byte_add(len) };
    // SAFETY: that page, of which nobody else knows yet.
    let numbers = unsafe { std::slice::from_raw_parts_mut(list.cast::<i32>(), 1024) };
    numbers.iter_mut().zip(fds.iter().cycle()).for_each(|(number, fd)| *number = *fd);
    // SAFETY: that page.
    unsafe { mprotect(list, 4096, MprotectFlags::READ) }.expect("our own");
}

#[test]
fn entries_of_nonsense_neither_crash_nor_hang_the_engine() {
    if let Ok(seed) = std::env::var(SEED) {
        return round(seed.parse().expect("a number"));
    }
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let (first, rounds) = (number(FIRST).unwrap_or(0), number(COUNT).unwrap_or(ROUNDS));
    let program = std::env::current_exe().expect("this program");
    for seed in first..first + rounds {
        let mut command = Command::new(&program);
        command.args(["--exact", "entries_of_nonsense_neither_crash_nor_hang_the_engine", "--nocapture"]);
        let output = command.env(SEED, seed.to_string()).output().expect("it starts");
        assert!(
            output.status.success(),
            "round {seed}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
