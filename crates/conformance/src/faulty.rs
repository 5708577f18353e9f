//! A back end that fails as the real ones may: short submits, `EINTR`, `EAGAIN`, `EBUSY`, waits that end too early,
//! completions that are held back.
//!
//! [`Faulty`] stands before any other back end and spoils calls of enter, by a seed or by a script. Each fault is one
//! that io_uring_enter(2) allows, so a program that loses something under it has a defect. What the other back end does
//! is not touched: entries reach it unchanged and in order, none is dropped, and its completions are its own.
//!
//! Deliberately not here: failing requests. A request that fails is an ordinary result, which any program can
//! ask for.
#![allow(unsafe_code, reason = "passes calls on to another back end, with the promises of its own caller")]

use std::collections::VecDeque;
use std::ffi::c_void;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use annulus::abi::{EnterArg, EnterFlags, Params, RegisterOp, RingMemory, SetupFlags};
use annulus::{Backend, IoUring};
use rustix::io::Errno;

use crate::programs::Random;

/// How one call of enter is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Not at all.
    None,
    /// At most so many entries are taken, however many are offered; no fewer than one. As when memory for
    /// requests runs short. It may cut a chain in two.
    Short(u32),
    /// A signal arrives: what is offered is taken, the wait ends at once. `EINTR` if nothing was taken.
    Interrupted,
    /// No memory for even one request: `EAGAIN`, and nothing is taken.
    Again,
    /// Completions wait in the backlog: `EBUSY`, and nothing is taken. As before Linux 5.19.
    Busy,
    /// What is ready is not posted in this call, as if it came a moment later; a wait with a timeout ends with `ETIME`,
    /// another one as if a signal had come.
    Late,
}

/// Which faults come when.
#[derive(Debug)]
pub struct Faults {
    plan: Mutex<Plan>,
    /// How many of each kind came to pass, by [`Fault::kind`].
    counts: [AtomicU64; KINDS],
}

#[derive(Debug)]
enum Plan {
    Script(VecDeque<Fault>),
    Seeded { random: Random, one_in: u64, kinds: Vec<Fault> },
}

/// A back end whose calls of enter are spoilt.
#[derive(Debug)]
pub struct Faulty<B> {
    inner: B,
    faults: Arc<Faults>,
}

/// The back end of a ring, with the ring around it, so that a decorator can stand before it.
#[derive(Debug)]
pub struct Inside(IoUring);

/// How many kinds of faults there are.
const KINDS: usize = 5;

impl Fault {
    /// One of each kind.
    pub const ALL: [Self; KINDS] = [Self::Short(1), Self::Interrupted, Self::Again, Self::Busy, Self::Late];

    /// Its place in [`ALL`](Self::ALL).
    const fn kind(self) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Short(_) => Some(0),
            Self::Interrupted => Some(1),
            Self::Again => Some(2),
            Self::Busy => Some(3),
            Self::Late => Some(4),
        }
    }
}

impl Faults {
    /// These, one for each call of enter, and then none any more.
    #[must_use]
    pub fn script(faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        Self::new(Plan::Script(faults.into_iter().collect()))
    }

    /// One call in `one_in` is spoilt by one of `kinds`, as the seed has it.
    ///
    /// # Panics
    ///
    /// If `one_in` is less than 2, as a call that is always spoilt gets nowhere; or if there are no kinds.
    #[must_use]
    pub fn seeded(seed: u64, one_in: u64, kinds: &[Fault]) -> Arc<Self> {
        assert!(one_in >= 2, "one call in {one_in} leaves none that is whole");
        assert!(!kinds.is_empty(), "no kind of fault to pick from");
        Self::new(Plan::Seeded { random: Random::new(seed), one_in, kinds: kinds.to_vec() })
    }

    /// How often a fault of this kind came to pass; a short submit counts if entries were left.
    #[must_use]
    pub fn count(&self, fault: Fault) -> u64 {
        // Relaxed: a number to be looked at when all is over.
        fault.kind().map_or(0, |kind| self.counts[kind].load(Ordering::Relaxed))
    }

    fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self { plan: Mutex::new(plan), counts: [const { AtomicU64::new(0) }; KINDS] })
    }

    fn next(&self) -> Fault {
        match &mut *self.plan.lock().unwrap_or_else(PoisonError::into_inner) {
            Plan::Script(faults) => faults.pop_front().unwrap_or(Fault::None),
            Plan::Seeded { random, one_in, kinds } => {
                if !random.one_in(*one_in) {
                    return Fault::None;
                }
                match random.pick(kinds) {
                    Fault::Short(_) => Fault::Short(random.between(1, 4).into()),
                    fault => fault,
                }
            }
        }
    }

    fn note(&self, fault: Fault) {
        if let Some(kind) = fault.kind() {
            // Relaxed: a number to be looked at when all is over.
            self.counts[kind].fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<B: Backend> Faulty<B> {
    /// `inner`, with these faults before it.
    #[must_use]
    pub const fn new(inner: B, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

impl Faulty<Inside> {
    /// The same ring again, with faults before its back end.
    ///
    /// # Errors
    ///
    /// None from a ring that was set up by a [`Builder`](annulus::Builder); `EINVAL` as
    /// [`IoUring::from_backend`] has it.
    pub fn ring(ring: IoUring, faults: &Arc<Faults>) -> Result<IoUring, Errno> {
        IoUring::from_backend(Box::new(Self::new(Inside(ring), Arc::clone(faults))))
    }
}

// SAFETY: memory, parameters and calls are those of `inner`, which keeps the contract; a spoilt call asks it for
// less than its caller did, or for nothing.
unsafe impl<B: Backend> Backend for Faulty<B> {
    fn memory(&self) -> &RingMemory {
        self.inner.memory()
    }

    fn params(&self) -> &Params {
        self.inner.params()
    }

    unsafe fn enter(
        &self,
        to_submit: u32,
        min_complete: u32,
        flags: EnterFlags,
        arg: EnterArg<'_>,
    ) -> Result<u32, Errno> {
        let polls = self.params().setup_flags().contains(SetupFlags::SQPOLL);
        let offers = to_submit > 0 && !polls;
        let fault = self.faults.next();
        let (taken, wanted, flags) = match fault {
            Fault::Short(most) if offers && most.max(1) < to_submit => {
                // Who takes less than it was offered does not wait.
                (most.max(1), 0, flags - EnterFlags::GETEVENTS)
            }
            Fault::Again | Fault::Busy if offers => {
                self.faults.note(fault);
                return Err(if fault == Fault::Again { Errno::AGAIN } else { Errno::BUSY });
            }
            Fault::Interrupted if min_complete > 0 => (to_submit, 0, flags),
            Fault::Late if flags.contains(EnterFlags::GETEVENTS) => {
                (to_submit, 0, flags - EnterFlags::GETEVENTS)
            }
            _ => {
                // SAFETY: the contract of this function.
                return unsafe { self.inner.enter(to_submit, min_complete, flags, arg) };
            }
        };
        self.faults.note(fault);
        // SAFETY: the contract of this function; fewer entries, or a shorter wait, ask for less.
        let entered = unsafe { self.inner.enter(taken, wanted, flags, arg) }?;
        match fault {
            Fault::Interrupted | Fault::Late if min_complete > 0 && (entered == 0 || polls) => {
                let is_timed = matches!(arg, EnterArg::Extended(extended) if extended.ts != 0);
                Err(if fault == Fault::Late && is_timed { Errno::TIME } else { Errno::INTR })
            }
            _ => Ok(entered),
        }
    }

    unsafe fn register(&self, op: RegisterOp, arg: *mut c_void, nr: u32) -> Result<u32, Errno> {
        // SAFETY: the contract of this function.
        unsafe { self.inner.register(op, arg, nr) }
    }

    fn ring_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.ring_fd()
    }

    fn use_registered_fd(&self, on: bool) -> Result<bool, Errno> {
        self.inner.use_registered_fd(on)
    }

    fn resize(&mut self, params: &mut Params) -> Result<(), Errno> {
        self.inner.resize(params)
    }

    fn map(&self, len: usize, offset: u64) -> Result<NonNull<u8>, Errno> {
        self.inner.map(len, offset)
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) {
        // SAFETY: the contract of this function.
        unsafe { self.inner.unmap(start, len) };
    }
}

// SAFETY: everything is passed on to the back end of the ring, which keeps the contract and lives as long.
unsafe impl Backend for Inside {
    fn memory(&self) -> &RingMemory {
        self.0.backend().memory()
    }

    fn params(&self) -> &Params {
        self.0.backend().params()
    }

    unsafe fn enter(
        &self,
        to_submit: u32,
        min_complete: u32,
        flags: EnterFlags,
        arg: EnterArg<'_>,
    ) -> Result<u32, Errno> {
        // SAFETY: the contract of this function.
        unsafe { self.0.backend().enter(to_submit, min_complete, flags, arg) }
    }

    unsafe fn register(&self, op: RegisterOp, arg: *mut c_void, nr: u32) -> Result<u32, Errno> {
        // SAFETY: the contract of this function.
        unsafe { self.0.backend().register(op, arg, nr) }
    }

    fn ring_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.backend().ring_fd()
    }

    fn use_registered_fd(&self, on: bool) -> Result<bool, Errno> {
        self.0.backend().use_registered_fd(on)
    }

    fn resize(&mut self, params: &mut Params) -> Result<(), Errno> {
        let cq_entries = params.setup_flags().contains(SetupFlags::CQSIZE).then_some(params.cq_entries);
        self.0
            .resize(params.sq_entries, cq_entries)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        *params = *self.0.backend().params();
        Ok(())
    }

    fn map(&self, len: usize, offset: u64) -> Result<NonNull<u8>, Errno> {
        self.0.backend().map(len, offset)
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) {
        // SAFETY: the contract of this function.
        unsafe { self.0.backend().unmap(start, len) };
    }
}
