//! What a ring of the engine leaves behind: no descriptor, no thread.
//!
//! Descriptors and threads are counted for the whole process, so this is one test, which does one thing after the other.
#![allow(unsafe_code, reason = "pushes entries whose memory outlives them")]

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use annulus::abi::{Params, SetupFlags};
use annulus::squeue::{Entry, Flags};
use annulus::types::{CancelBuilder, Fd, Futex2Flags, Timespec};
use annulus::{IoUring, cqueue, opcode};
use annulus_engine::Engine;

/// How often it is done, as what it leaves may be the loser's of a race.
const ROUNDS: usize = 20;
/// Workers end by themselves, after those who wait for them were told.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

fn ring(setup: SetupFlags) -> IoUring {
    let params = Params { flags: setup.bits(), sq_thread_idle: 20, ..Params::default() };
    let engine = Engine::new(64, params).expect("an engine");
    IoUring::from_backend(Box::new(engine)).expect("a ring of ordinary entries")
}

fn push(ring: &mut IoUring, entry: Entry) {
    // SAFETY: the tests keep what entries name until their ring has gone.
    unsafe { ring.submission().push(&entry.user_data(1)) }.expect("there is room");
}

/// The open descriptors, without that of the directory itself.
fn descriptors() -> BTreeSet<String> {
    let names = |path: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(path).expect("proc is mounted");
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect()
    };
    let folder = Path::new("/proc/self/fd");
    names(folder).into_iter().filter(|name| folder.join(name).symlink_metadata().is_ok()).collect()
}

/// How many threads of the engine there are.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("proc is mounted");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("annulus-")).count()
}

/// Does it several times; then nothing may be left.
fn leaves_nothing(what: &str, mut act: impl FnMut(SetupFlags)) {
    let before = descriptors();
    for round in 0..ROUNDS {
        let deferred = SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN;
        act([SetupFlags::empty(), deferred, SetupFlags::SQPOLL][round % 3]);
    }
    // A test that leaves threads behind hangs here, and its name says what they are.
    while threads() > 0 {
        std::thread::sleep(LOOK_AGAIN);
    }
    assert_eq!(descriptors(), before, "left behind by {what}");
}

/// Cancels everything until nothing is in flight; closes descriptors that were made all the same.
fn cancel_all(ring: &mut IoUring, mut in_flight: usize) {
    while in_flight > 0 {
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        // SAFETY: it names no memory.
        unsafe { ring.submission().push(&cancel) }.expect("there is room");
        ring.submit_and_wait(1).expect("it waits");
        for cqe in ring.completion().filter(|cqe| cqe.user_data() == 1) {
            if cqe.result() >= 0 {
                // SAFETY: the ring made it for this test, which knows of nobody else who has it.
                drop(unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(cqe.result()) });
            }
            in_flight -= usize::from(!cqueue::more(cqe.flags()));
        }
    }
}

/// A FIFO, and how to open it for reading: a worker does that, until somebody opens it for writing.
struct Fifo {
    path: std::ffi::CString,
    _folder: tempfile::TempDir,
}

impl Fifo {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        let access = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, access, 0).expect("a FIFO");
        Self { path: std::ffi::CString::new(path.as_os_str().as_bytes()).expect("no NUL"), _folder: folder }
    }

    fn path(&self) -> &Path {
        Path::new(std::ffi::OsStr::from_bytes(self.path.as_bytes()))
    }

    fn entry(&self) -> Entry {
        let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), self.path.as_ptr());
        open.flags(libc::O_RDONLY | libc::O_CLOEXEC).build().flags(Flags::ASYNC)
    }

    /// Opens it for writing if somebody opens it for reading.
    fn writer(&self) -> Option<std::fs::File> {
        std::fs::File::options().write(true).custom_flags(libc::O_NONBLOCK).open(self.path()).ok()
    }

    /// How many descriptors of it are open.
    fn openings(&self) -> usize {
        let links = std::fs::read_dir("/proc/self/fd").expect("proc is mounted");
        let targets = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
        targets.filter(|target| target == self.path()).count()
    }
}

fn nothing_in_flight(setup: SetupFlags) {
    let mut ring = ring(setup);
    push(&mut ring, opcode::Nop::new().build());
    ring.submit_and_wait(1).expect("it waits");
    // Who asks for it wants to poll it.
    assert!(ring.as_raw_fd() >= 0);
}

fn armed_requests(setup: SetupFlags) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (word, time, mut buffer) = (0_u32, Timespec::new().sec(3600), [0_u8; 8]);
    let mut ring = ring(setup);
    for flags in [Flags::empty(), Flags::ASYNC] {
        let fd = Fd(reader.as_raw_fd());
        push(&mut ring, opcode::Read::new(fd, buffer.as_mut_ptr(), 8).build().flags(flags));
        push(&mut ring, opcode::PollAdd::new(fd, 1).multi(true).build().flags(flags));
        push(&mut ring, opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build().flags(flags));
        push(&mut ring, opcode::Timeout::new(&raw const time).build().flags(flags));
        let kind = Futex2Flags::SIZE_U32 | Futex2Flags::PRIVATE;
        push(&mut ring, opcode::FutexWait::new(&raw const word, 0, u64::from(u32::MAX), kind.bits()).build());
    }
    ring.submit().expect("it submits");
    drop(ring);
    drop((reader, writer));
}

fn disk_reads(setup: SetupFlags) {
    let mut file = tempfile::NamedTempFile::new_in("/var/tmp").expect("a file");
    file.write_all(&[0x11; 1 << 16]).expect("room");
    let direct = std::fs::File::options().read(true).custom_flags(libc::O_DIRECT).open(file.path());
    let direct = direct.expect("the file system takes O_DIRECT");
    let mut memory = vec![0_u8; 17 * 4096];
    let start = memory.as_ptr().align_offset(4096);
    let mut ring = ring(setup);
    for (block, flags) in (0..16).zip([Flags::empty(), Flags::ASYNC].into_iter().cycle()) {
        let buffer = memory[start + block * 4096..].as_mut_ptr();
        let read = opcode::Read::new(Fd(direct.as_raw_fd()), buffer, 4096);
        push(&mut ring, read.offset(u64::try_from(block * 4096).expect("small")).build().flags(flags));
    }
    ring.submit().expect("it submits");
}

fn registrations(setup: SetupFlags) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let told = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("an eventfd");
    let ring = ring(setup);
    let submitter = ring.submitter();
    submitter.register_files(&[reader.as_raw_fd(), writer.as_raw_fd(), -1]).expect("slots");
    submitter.register_eventfd(told.as_raw_fd()).expect("it is one");
    submitter.register_personality().expect("credentials");
}

fn cancelled_opens(setup: SetupFlags) {
    let fifo = Fifo::new();
    let mut ring = ring(setup);
    for _ in 0..4 {
        push(&mut ring, fifo.entry());
    }
    ring.submit().expect("it submits");
    // Some of them are open by now, others are about to be.
    let writer = fifo.writer();
    cancel_all(&mut ring, 4);
    drop(writer);
}

fn dropped_opens(setup: SetupFlags) {
    let fifo = Fifo::new();
    let mut ring = ring(setup);
    push(&mut ring, fifo.entry());
    ring.submit().expect("it submits");
}

/// The descriptor is made, and nobody will ever take the completion that tells its number.
fn opens_that_come_late(_: SetupFlags) {
    let fifo = Fifo::new();
    let mut ring = ring(SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN);
    push(&mut ring, fifo.entry());
    ring.submit().expect("it submits");
    let writer = loop {
        match fifo.writer() {
            Some(writer) => break writer,
            None => std::thread::yield_now(),
        }
    };
    while fifo.openings() < 2 {
        std::thread::yield_now();
    }
    drop((ring, writer));
}

fn cancelled_accepts(setup: SetupFlags) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut ring = ring(setup);
    for flags in [Flags::empty(), Flags::ASYNC] {
        let accept =
            opcode::Accept::new(Fd(listener.as_raw_fd()), std::ptr::null_mut(), std::ptr::null_mut());
        push(&mut ring, accept.build().flags(flags));
    }
    ring.submit().expect("it submits");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
    cancel_all(&mut ring, 2);
    drop(client);
}

#[test]
fn a_ring_leaves_no_descriptor_and_no_thread_behind() {
    leaves_nothing("a ring without requests", nothing_in_flight);
    leaves_nothing("armed requests", armed_requests);
    leaves_nothing("reads of a disk", disk_reads);
    leaves_nothing("registrations", registrations);
    leaves_nothing("opens that were cancelled", cancelled_opens);
    leaves_nothing("opens amid which the ring went", dropped_opens);
    leaves_nothing("opens whose completions nobody took", opens_that_come_late);
    leaves_nothing("accepts that were cancelled", cancelled_accepts);
}
