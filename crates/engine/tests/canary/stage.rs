//! A ring with requests in flight, and the three ways in which a program takes their memory back.
#![allow(unsafe_code, reason = "pushes entries whose memory outlives them")]

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use annulus::abi::{Buf, Params, SetupFlags};
use annulus::squeue::{Entry, Flags};
use annulus::types::{CancelBuilder, Fd};
use annulus::{IoUring, cqueue, opcode};
use annulus_engine::Engine;

use super::flock::Canary;

/// How often each situation is tried: a late write is a race.
pub(crate) const TRIALS: usize = 20;

/// What would have completed the requests of a scene.
pub(crate) type Provoke = Box<dyn FnOnce()>;

const CANCELED: i32 = -125;
/// For whoever writes late.
const LATE: Duration = Duration::from_millis(2);

/// A ring, what its requests were lent, and what they work on.
pub(crate) struct Stage {
    pub(crate) ring: IoUring,
    /// The flags of the entries of this trial.
    pub(crate) flags: Flags,
    flock: Vec<Canary>,
    files: Vec<OwnedFd>,
    groups: Vec<u16>,
    pushed: u64,
}

/// A ring of the engine's.
pub(crate) fn engine(setup: SetupFlags) -> IoUring {
    let params = Params { flags: setup.bits(), sq_thread_idle: 20, ..Params::default() };
    let engine = Engine::new(64, params).expect("an engine");
    IoUring::from_backend(Box::new(engine)).expect("a ring of ordinary entries")
}

impl Stage {
    /// An empty ring of the engine's; which kind, and with which flags on its entries, differs from trial to trial.
    pub(crate) fn of_trial(trial: usize) -> Self {
        let deferred = SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN;
        let setup = [SetupFlags::empty(), deferred, SetupFlags::SQPOLL][trial % 3];
        let flags = if (trial / 3).is_multiple_of(2) { Flags::empty() } else { Flags::ASYNC };
        Self::on(engine(setup), flags)
    }

    /// This ring, empty.
    pub(crate) const fn on(ring: IoUring, flags: Flags) -> Self {
        Self { ring, flags, flock: Vec::new(), files: Vec::new(), groups: Vec::new(), pushed: 0 }
    }

    /// Memory for a request.
    pub(crate) fn lend<T>(&mut self, bytes: usize) -> *mut T {
        self.flock.push(Canary::new(bytes));
        self.flock[self.flock.len() - 1].at()
    }

    /// Memory for a request with something in it.
    pub(crate) fn lend_holding<T>(&mut self, value: T) -> *mut T {
        self.flock.push(Canary::holding(value));
        self.flock[self.flock.len() - 1].at()
    }

    /// Keeps what requests work on; its number for entries.
    pub(crate) fn keep(&mut self, file: impl Into<OwnedFd>) -> Fd {
        let file = file.into();
        let fd = Fd(file.as_raw_fd());
        self.files.push(file);
        fd
    }

    /// A group of buffers in a ring, all of it lent: `count` buffers of a page each.
    pub(crate) fn lend_group(&mut self, group: u16, count: u16) {
        let mut entries = [Buf::default(); 16];
        for (bid, entry) in (0..count).zip(&mut entries) {
            let addr = self.lend::<u8>(4096).addr() as u64;
            *entry = Buf { addr, len: 4096, bid, resv: 0 };
        }
        // Lies over the tail.
        entries[0].resv = count;
        let ring = self.lend_holding(entries).addr() as u64;
        // SAFETY: the memory stays until the ring is dropped or the group unregistered.
        let registered = unsafe { self.ring.submitter().register_buf_ring_with_flags(ring, 16, group, 0) };
        registered.expect("a group");
        self.groups.push(group);
    }

    /// Queues a request that is to be in flight.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.pushed += 1;
        let entry = entry.flags(self.flags).user_data(self.pushed);
        self.queue(&entry);
    }

    /// As [`push`](Self::push), for one that takes a buffer of the group 7.
    pub(crate) fn push_selecting(&mut self, entry: Entry) {
        self.pushed += 1;
        let entry = entry.flags(self.flags | Flags::BUFFER_SELECT).user_data(self.pushed);
        self.queue(&entry);
    }

    fn queue(&mut self, entry: &Entry) {
        // SAFETY: what entries name is lent, and unmapped after the ring has gone.
        unsafe { self.ring.submission().push(entry) }.expect("there is room");
    }

    /// Carries one request out, before the others.
    pub(crate) fn run(&mut self, entry: Entry) {
        self.queue(&entry.user_data(u64::MAX));
        self.ring.submit_and_wait(1).expect("it waits");
        let results: Vec<_> = self.ring.completion().map(|cqe: cqueue::Entry| cqe.result()).collect();
        assert_eq!(results, [0]);
    }

    /// Has the ring take what was queued.
    pub(crate) fn submit(&mut self) {
        self.ring.submit().expect("it submits");
        while !self.ring.submission().is_empty() {
            std::thread::yield_now();
        }
    }

    /// Cancels what can be cancelled and waits for all last completions; their results.
    fn reap(&mut self) -> Vec<i32> {
        let mut results = Vec::new();
        while results.len() < usize::try_from(self.pushed).expect("few") {
            self.queue(&opcode::AsyncCancel2::new(CancelBuilder::any()).build().user_data(0));
            self.ring.submit_and_wait(1).expect("it waits");
            let ended =
                self.ring.completion().filter(|cqe| cqe.user_data() != 0 && !cqueue::more(cqe.flags()));
            results.extend(ended.map(|cqe| cqe.result()));
        }
        for group in std::mem::take(&mut self.groups) {
            self.ring.submitter().unregister_buf_ring(group).expect("the group is there");
        }
        results
    }

    /// Closes what the requests work on, and has other files with something to read under the same numbers.
    fn close_files(&mut self) {
        for file in &mut self.files {
            let (impostor, other) = UnixStream::pair().expect("sockets");
            rustix::io::write(&other, &[0x22; 64]).expect("room");
            rustix::io::dup2(&impostor, file).expect("the number is in use");
        }
    }

    /// Drops the ring with its requests in flight.
    pub(crate) fn dropped(self) -> Ended {
        drop(self.ring);
        Ended { flock: self.flock, _files: self.files, _ring: None }
    }

    /// Closes what the requests work on, gives them time to notice, and drops the ring.
    pub(crate) fn closed(mut self) -> Ended {
        self.close_files();
        std::thread::sleep(LATE);
        self.dropped()
    }

    /// Cancels what can be cancelled, waits for the rest, and goes on with the ring.
    pub(crate) fn reaped(mut self) -> Ended {
        self.reap();
        Ended { flock: self.flock, _files: self.files, _ring: Some(self.ring) }
    }

    /// As [`reaped`](Self::reaped), where nothing could complete a request before.
    pub(crate) fn cancelled(mut self) -> Ended {
        for result in self.reap() {
            assert_eq!(result, CANCELED, "nothing had completed the request");
        }
        Ended { flock: self.flock, _files: self.files, _ring: Some(self.ring) }
    }
}

/// What is left when the program takes its memory back.
pub(crate) struct Ended {
    flock: Vec<Canary>,
    _files: Vec<OwnedFd>,
    _ring: Option<IoUring>,
}

impl Ended {
    /// How many pieces are written to although they are freed, when the requests could complete.
    fn harmed(&self, provoke: Provoke) -> usize {
        self.flock.iter().for_each(Canary::free);
        provoke();
        std::thread::sleep(LATE);
        self.flock.iter().filter(|canary| canary.was_harmed()).count()
    }
}

/// In how many trials nothing was written into memory that was freed at the end.
pub(crate) fn clean_trials(
    scene: impl Fn(&mut Stage) -> Provoke,
    stage: impl Fn(usize) -> Stage,
    end: impl Fn(Stage) -> Ended,
) -> usize {
    let is_clean = |trial: &usize| {
        let mut stage = stage(*trial);
        let provoke = scene(&mut stage);
        stage.submit();
        end(stage).harmed(provoke) == 0
    };
    (0..TRIALS).filter(is_clean).count()
}
