//! Rings that lack or deny opcodes and calls.
//!
//! What is denied is so by restrictions of the ring itself; what is missing is left out of its probe too.
#![allow(unsafe_code, reason = "a back end that hides opcodes passes everything else on")]
#![allow(dead_code, reason = "each test program uses a part")]

use std::cell::RefCell;
use std::ffi::c_void;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use annulus::abi::{self, Backend, EnterArg, EnterFlags, Params, Probe, RegisterOp, RingMemory, SetupFlags};
use annulus::register::Restriction;
use annulus::{BackendKind, IoUring};
use annulus_rt::Builder;
use rustix::io::{Errno, fcntl_dupfd_cloexec};

/// How a ring is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Its probe does not name the opcodes.
    Missing,
    /// Its probe names them.
    Denied,
}

/// What a ring cannot do.
struct Limits {
    opcodes: Vec<u8>,
    /// Calls of io_uring_register(2).
    calls: Vec<u8>,
    how: How,
    /// Somebody else keeps the ring open.
    shared: bool,
}

thread_local! {
    /// What the next rings of this thread cannot do.
    static LIMITS: RefCell<Limits> =
        const { RefCell::new(Limits { opcodes: Vec::new(), calls: Vec::new(), how: How::Denied, shared: false }) };

    /// What keeps the last ring open that was to be shared.
    static SHARE: RefCell<Option<OwnedFd>> = const { RefCell::new(None) };
}

/// A runtime on a ring that cannot do these.
pub(crate) fn without(opcodes: &[u8], how: How) -> Builder {
    without_calls(opcodes, &[], how)
}

/// A runtime on a ring that cannot do these, and denies some calls of io_uring_register(2) too.
pub(crate) fn without_calls(opcodes: &[u8], calls: &[u32], how: How) -> Builder {
    let calls = calls.iter().map(|call| u8::try_from(*call).unwrap()).collect();
    LIMITS.set(Limits { opcodes: opcodes.to_vec(), calls, how, shared: false });
    Builder::new().around_rings(|ring| LIMITS.with_borrow(|limits| limited(&ring, limits)))
}

/// A ring of such a runtime of this thread, whose descriptor somebody else has too until it gives up
/// its [share](give_up_share).
pub(crate) fn shared(builder: Builder) -> Builder {
    LIMITS.with_borrow_mut(|limits| limits.shared = true);
    builder
}

/// Nobody else has the descriptor of the ring any more.
pub(crate) fn give_up_share() {
    drop(SHARE.take().expect("the ring was shared"));
}

/// A ring like the one that is given, which denies opcodes and calls.
fn limited(like: &IoUring, limits: &Limits) -> IoUring {
    let Limits { opcodes, calls, how, shared } = limits;
    let params = like.params();
    let mut builder = IoUring::builder();
    builder.optional(params.setup_flags() & !SetupFlags::NO_SQARRAY).setup_r_disabled();
    let ring: IoUring = builder.setup_cqsize(params.cq_entries()).build(params.sq_entries()).unwrap();
    let on_engine = ring.chosen().kind() == BackendKind::Engine;
    let probe = u8::try_from(abi::IORING_REGISTER_PROBE).unwrap();
    let decorated = *how == How::Missing || on_engine;
    // The kernel's ring alone says that it is restricted by refusing to be asked.
    let mut known = annulus::Probe::new();
    like.submitter().register_probe(&mut known).unwrap();
    let rules = |last: u8| {
        let registers = (0..=last).filter(|op| decorated || *op != probe).filter(|op| !calls.contains(op));
        let registers = registers.map(Restriction::register_op);
        let allowed = known.supported().filter(|opcode| !opcodes.contains(opcode)).map(Restriction::sqe_op);
        let flags = Restriction::sqe_flags_allowed(u8::MAX);
        registers.chain(allowed).chain([flags]).collect::<Vec<_>>()
    };
    // Calls that cancel, or what Linux 5.10 has.
    let restricted = ring.submitter().register_restrictions(&mut rules(24));
    restricted.or_else(|_| ring.submitter().register_restrictions(&mut rules(12))).unwrap();
    ring.submitter().register_enable_rings().unwrap();
    if *shared {
        SHARE.set(Some(fcntl_dupfd_cloexec(ring.as_fd(), 0).unwrap()));
    }
    if !decorated {
        return ring;
    }
    let hidden = if *how == How::Missing { opcodes.to_vec() } else { Vec::new() };
    IoUring::from_backend(Box::new(Hiding { inner: ring, hidden })).unwrap()
}

/// A ring whose probe does not name some opcodes.
#[derive(Debug)]
struct Hiding {
    inner: IoUring,
    hidden: Vec<u8>,
}

// SAFETY: everything is passed on to the back end of the ring, which keeps the contract and lives as long.
unsafe impl Backend for Hiding {
    fn memory(&self) -> &RingMemory {
        self.inner.backend().memory()
    }

    fn params(&self) -> &Params {
        self.inner.backend().params()
    }

    unsafe fn enter(
        &self,
        to_submit: u32,
        min_complete: u32,
        flags: EnterFlags,
        arg: EnterArg<'_>,
    ) -> Result<u32, Errno> {
        // SAFETY: the contract of this function.
        unsafe { self.inner.backend().enter(to_submit, min_complete, flags, arg) }
    }

    unsafe fn register(&self, op: RegisterOp, arg: *mut c_void, nr: u32) -> Result<u32, Errno> {
        // SAFETY: the contract of this function.
        let registered = unsafe { self.inner.backend().register(op, arg, nr) }?;
        if op == RegisterOp::REGISTER_PROBE {
            let probe = arg.cast::<Probe>();
            for opcode in &self.hidden {
                // SAFETY: a probe of the caller's, of which the first `nr` opcodes are there.
                unsafe { (&mut (*probe).ops)[usize::from(*opcode)].flags = 0 };
            }
        }
        Ok(registered)
    }

    fn ring_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.backend().ring_fd()
    }

    fn follows_consumption(&self) -> bool {
        self.inner.backend().follows_consumption()
    }

    fn consumed(&self) {
        self.inner.backend().consumed();
    }

    fn map(&self, len: usize, offset: u64) -> Result<NonNull<u8>, Errno> {
        self.inner.backend().map(len, offset)
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) {
        // SAFETY: the contract of this function.
        unsafe { self.inner.backend().unmap(start, len) };
    }
}
