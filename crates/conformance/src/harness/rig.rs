//! A rig: a ring that is easy to push to and that never waits for ever.
//!
//! What it keeps true: a wait that is not answered panics, after [`PATIENCE`], with what is still out; every
//! opcode that completes with success is noted for the case that claims to cover it. Where waits take no timeout
//! (before Linux 5.11) it is the ring's descriptor that is waited for, by poll(2).
#![allow(unsafe_code, reason = "pushes; what is pushed points to memory that is never freed")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use annulus::abi::{IORING_OP_LINK_TIMEOUT, IORING_OP_TIMEOUT, Probe, ProbeOpFlags, RegisterOp, SetupFlags};
use annulus::types::{SubmitArgs, Timespec};
use annulus::{IoUring, cqueue, opcode, squeue};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::{Buffer, Kept, Skip};

/// How often a wait of one second is repeated before the case has failed.
const PATIENCE: u32 = 20;

/// What `nothing_more` pushes, so that it is told from what the case pushed.
const MARK: u64 = u64::MAX - 77;

thread_local! {
    static SUCCEEDED: RefCell<BTreeSet<u8>> = const { RefCell::new(BTreeSet::new()) };
}

/// The opcodes that completed with success in this thread since the last call.
pub(super) fn take_succeeded() -> BTreeSet<u8> {
    SUCCEEDED.take()
}

/// A ring, what is out on it, and what came back.
///
/// Entries that are pushed point to nothing but [`Kept`] values and [`Buffer`](super::Buffer)s, which live for
/// ever, so that pushing is sound whatever becomes of the ring; and they name descriptors that the
/// case keeps open until they are submitted.
#[derive(Debug)]
pub struct Rig<S: squeue::EntryMarker = squeue::Entry, C: cqueue::EntryMarker = cqueue::Entry> {
    ring: IoUring<S, C>,
    out: BTreeMap<u64, u8>,
    /// Its waits take a timeout.
    has_timed_waits: bool,
}

impl<S: squeue::EntryMarker, C: cqueue::EntryMarker> Rig<S, C> {
    /// A rig around a ring on which nothing is out.
    #[must_use]
    pub fn new(ring: IoUring<S, C>) -> Self {
        let has_timed_waits = ring.params().is_feature_ext_arg();
        Self { ring, out: BTreeMap::new(), has_timed_waits }
    }

    /// The ring.
    #[must_use]
    pub const fn ring(&self) -> &IoUring<S, C> {
        &self.ring
    }

    /// The ring, to use its queues.
    pub const fn ring_mut(&mut self) -> &mut IoUring<S, C> {
        &mut self.ring
    }

    /// Its descriptor.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    /// Puts an entry into the queue.
    ///
    /// # Panics
    ///
    /// If the queue is full.
    pub fn push(&mut self, entry: impl Into<S>) {
        self.push_together(&[entry.into()]);
    }

    /// Submits what was pushed, without waiting.
    ///
    /// # Panics
    ///
    /// If the back end refuses.
    pub fn submit(&mut self) -> usize {
        self.ring.submit().expect("the submit is taken")
    }

    /// Submits what was pushed, and lets the back end post what is ready, without waiting for more.
    ///
    /// # Panics
    ///
    /// If the back end refuses.
    pub fn submit_and_look(&mut self) -> usize {
        self.ring.submitter().submit_and_get_events().expect("the submit is taken")
    }

    /// Submits what was pushed and takes completions until there are `want`, in the order of the queue.
    ///
    /// # Panics
    ///
    /// If they do not come.
    pub fn take(&mut self, want: usize) -> Vec<C> {
        let mut taken = Vec::new();
        let mut naps = 0;
        loop {
            while taken.len() < want {
                let Some(cqe) = self.ring.completion().next() else { break };
                self.note(&cqe);
                taken.push(cqe);
            }
            if taken.len() == want && self.ring.submission().is_empty() {
                return taken;
            }
            let rest = want - taken.len();
            match self.submit_and_wait_a_second(rest.min(1)) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) if error.raw_os_error() == Some(libc::ETIME) => naps += 1,
                Err(error) => panic!("the wait is refused: {error}"),
            }
            assert!(
                naps < PATIENCE,
                "{rest} of {want} completions did not come; taken: {taken:?}, out: {:?}",
                self.out
            );
        }
    }

    /// Takes the next completion.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub fn take_one(&mut self) -> C {
        self.take(1).remove(0)
    }

    /// Pushes one entry, submits it and takes its completion.
    ///
    /// # Panics
    ///
    /// If another one comes.
    pub fn run(&mut self, entry: impl Into<S>) -> C {
        let entry = entry.into();
        let user_data = entry.get_user_data();
        self.push(entry);
        let cqe = self.take_one();
        assert_eq!(cqe.user_data(), user_data, "somebody else's completion: {cqe:?}");
        cqe
    }

    /// Runs one entry and gives its result.
    ///
    /// # Panics
    ///
    /// If another completion comes.
    pub fn result(&mut self, entry: impl Into<S>) -> i32 {
        self.run(entry).into().result()
    }

    /// Pushes entries with their places as user data, submits them at once, and gives the result of each
    /// by its place. Each must complete exactly once.
    ///
    /// # Panics
    ///
    /// If one does not, or twice.
    pub fn batch<E: Into<S>>(&mut self, entries: impl IntoIterator<Item = E>) -> Vec<i32> {
        let count = self.push_all(entries);
        let cqes = self.take(count);
        in_places(count, cqes.into_iter().map(Into::into))
    }

    /// Pushes entries with their places as user data, in one piece: a polling thread sees all or none,
    /// so that chains stay whole. Gives their number.
    ///
    /// # Panics
    ///
    /// If the queue is too short for them.
    pub fn push_all<E: Into<S>>(&mut self, entries: impl IntoIterator<Item = E>) -> usize {
        let mut entries: Vec<S> = entries.into_iter().map(Into::into).collect();
        for (place, entry) in entries.iter_mut().enumerate() {
            entry.set_user_data(place as u64);
        }
        self.push_together(&entries);
        entries.len()
    }

    /// Pushes entries as they are, in one piece.
    ///
    /// # Panics
    ///
    /// If the queue is too short for them.
    pub fn push_together(&mut self, entries: &[S]) {
        self.out.extend(entries.iter().map(|entry| (entry.get_user_data(), entry.sqe().opcode)));
        // SAFETY: entries of the suite point to `Kept` and `Buffer` alone, which are never freed.
        unsafe { self.ring.submission().push_multiple(entries) }.expect("room in the submission queue");
    }

    /// Takes `want` completions and gives result and flags by user data.
    ///
    /// # Panics
    ///
    /// If they do not come, or one comes twice.
    pub fn by_user_data(&mut self, want: usize) -> BTreeMap<u64, cqueue::Entry> {
        let mut map = BTreeMap::new();
        for cqe in self.take(want) {
            let twice = map.insert(cqe.user_data(), cqe.into());
            assert!(twice.is_none(), "two completions for {}", cqe.user_data());
        }
        map
    }

    /// Shows that no other completion is there: one more request completes, and nothing before it.
    ///
    /// # Panics
    ///
    /// If something is there.
    pub fn nothing_more(&mut self) {
        let cqe = self.run(opcode::Nop::new().build().user_data(MARK));
        assert_eq!(cqe.into().result(), 0, "a NOP succeeds");
    }

    /// Waits until something is so that no completion tells.
    ///
    /// # Panics
    ///
    /// If it does not come to be.
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        for _ in 0..PATIENCE * 1000 {
            if is_so(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("waited in vain until {what}");
    }

    /// Waits until the polling thread has taken what was submitted; at once on other rings.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn until_taken(&mut self) {
        self.until("the entries are taken", |rig| rig.ring.submission().is_empty());
    }

    /// Registers by number what has no method.
    ///
    /// # Errors
    ///
    /// That of the back end.
    pub fn register<T: Copy>(&self, op: RegisterOp, arg: Kept<T>, nr: u32) -> Result<u32, Errno> {
        // SAFETY: a `Kept` lives for ever, and cases give operations what they ask for.
        unsafe { self.ring.backend().register(op, arg.ptr().cast::<c_void>(), nr) }
    }

    /// Registers, or unregisters, what takes no argument.
    ///
    /// # Errors
    ///
    /// That of the back end.
    pub fn register_nothing(&self, op: RegisterOp, nr: u32) -> Result<u32, Errno> {
        // SAFETY: there is no argument to be read.
        unsafe { self.ring.backend().register(op, std::ptr::null_mut(), nr) }
    }

    /// Registers buffers, which stay valid for ever.
    ///
    /// # Errors
    ///
    /// The reason to skip if the process may not lock so much memory.
    ///
    /// # Panics
    ///
    /// If the back end refuses them for another reason.
    pub fn register_buffers(&self, buffers: &[Buffer]) -> Result<(), Skip> {
        let iovec =
            |buffer: &Buffer| libc::iovec { iov_base: buffer.ptr().cast(), iov_len: buffer.len() as usize };
        let iovecs: Vec<_> = buffers.iter().map(iovec).collect();
        // SAFETY: the memory of a `Buffer` is never freed.
        match unsafe { self.ring.submitter().register_buffers(&iovecs) } {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
                Err(Skip::Privilege("not so much memory may be locked (RLIMIT_MEMLOCK)".to_owned()))
            }
            outcome => {
                outcome.expect("the buffers are taken");
                Ok(())
            }
        }
    }

    /// Submits, and waits for `want` completions, one or none; `ETIME` if they do not come.
    fn submit_and_wait_a_second(&mut self, want: usize) -> io::Result<()> {
        let submitter = self.ring.submitter();
        if self.has_timed_waits {
            let second = Timespec::new().sec(1);
            return submitter.submit_with_args(want, &SubmitArgs::new().timespec(&second)).map(drop);
        }
        submitter.submit_and_get_events()?;
        if want == 0 || !self.ring.completion().is_empty() {
            return Ok(());
        }
        if self.ring.params().setup_flags().contains(SetupFlags::IOPOLL) {
            // Only who enters finds its completions, and the device sees to it that they come.
            return self.ring.submitter().submit_and_wait(want).map(drop);
        }
        // SAFETY: the ring is open as long as the rig.
        let ring = unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) };
        let second = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        match poll(&mut [PollFd::new(&ring, PollFlags::IN)], Some(&second))? {
            0 => Err(Errno::TIME.into()),
            _ => Ok(()),
        }
    }

    fn note(&mut self, cqe: &C) {
        let entry: cqueue::Entry = (*cqe).into();
        let Some(opcode) = self.out.get(&entry.user_data()).copied() else { return };
        let fired =
            entry.result() == -libc::ETIME && [IORING_OP_TIMEOUT, IORING_OP_LINK_TIMEOUT].contains(&opcode);
        if entry.result() >= 0 || fired {
            SUCCEEDED.with_borrow_mut(|seen| seen.insert(opcode));
        }
        if !entry.has_more() {
            self.out.remove(&entry.user_data());
        }
    }
}

/// Results by place, where each place has exactly one.
fn in_places(count: usize, cqes: impl Iterator<Item = cqueue::Entry>) -> Vec<i32> {
    let mut results = vec![None; count];
    for cqe in cqes {
        let place = usize::try_from(cqe.user_data()).ok().and_then(|place| results.get_mut(place));
        let place = place.unwrap_or_else(|| panic!("a completion of nothing in the batch: {cqe:?}"));
        assert!(place.is_none(), "a second completion: {cqe:?}");
        *place = Some(cqe.result());
    }
    results.into_iter().map(|result| result.expect("as many completions as places")).collect()
}

/// What PROBE of this ring names.
pub(super) fn supported_opcodes(ring: &IoUring) -> Vec<u8> {
    let probe = Kept::new(Probe::<256>::new());
    // SAFETY: the probe has room for 256 opcodes and lives for ever.
    let asked =
        unsafe { ring.backend().register(RegisterOp::REGISTER_PROBE, probe.ptr().cast::<c_void>(), 256) };
    asked.expect("PROBE answers");
    let probe = probe.get();
    let named = probe.ops.iter().take(usize::from(probe.ops_len));
    named.filter(|op| op.flags & ProbeOpFlags::SUPPORTED.bits() != 0).map(|op| op.op).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Setup, backends};

    #[test]
    fn without_timed_waits_the_ring_is_polled_until_a_completion_comes() {
        for backend in backends() {
            let Ok(ring) = (backend.open)(&Setup::new(4)) else { continue };
            let mut rig = Rig::new(ring);
            rig.has_timed_waits = false;
            let (reading, writing) =
                rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
            let buffer = Buffer::new(8);
            let fd = annulus::types::Fd(reading.as_raw_fd());
            rig.push(opcode::Read::new(fd, buffer.ptr(), buffer.len()).build());
            rig.submit();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(50));
                    assert_eq!(rustix::io::write(&writing, b"late"), Ok(4));
                });
                assert_eq!(rig.take_one().result(), 4, "{}", backend.name);
            });
            rig.nothing_more();
            let waited = rig.submit_and_wait_a_second(1).map_err(|error| error.raw_os_error());
            assert_eq!(waited, Err(Some(libc::ETIME)), "{}", backend.name);
        }
    }
}
