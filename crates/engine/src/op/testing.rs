//! Drives operations without a ring, for unit tests: on the host, one step at a time or to the end.

use std::os::fd::RawFd;
use std::sync::Arc;

use annulus_abi::{IORING_OP_NOP, Sqe, SqeFlags};
use rustix::io::Errno;

use super::{Context, Op, Outcome, Prepare, Step, Tables, Turn, prepare};
use crate::pool::Interrupt;
use crate::world::{Host, Vouched, World};

/// A world and tables for operations.
pub(super) struct Stand {
    pub(super) world: Arc<dyn World>,
    pub(super) tables: Tables,
    pub(super) iopoll: bool,
}

impl Stand {
    pub(super) fn new() -> Self {
        Self { world: Arc::new(Host::new().expect("a world")), tables: Tables::default(), iopoll: false }
    }

    /// Makes an operation of an entry.
    pub(super) fn prepare(&self, sqe: &Sqe) -> Result<Op, Errno> {
        let mut cx = Prepare {
            world: self.world.as_ref(),
            vouched: Vouched::in_tests(),
            iopoll: self.iopoll,
            wide_completions: false,
        };
        prepare(sqe, &mut cx)
    }

    /// Attempts it on a descriptor.
    pub(super) fn attempt(&mut self, op: &mut Op, fd: RawFd, turn: Turn) -> Step {
        self.with(fd, turn, |cx| op.attempt(cx))
    }

    /// Does it as a worker would, and settles it.
    pub(super) fn block(&mut self, op: &mut Op, fd: RawFd) -> Step {
        let result = op.block(self.world.as_ref(), fd, &Interrupt::default());
        self.with(fd, Turn::Worker, |cx| op.settle(cx, result))
    }

    /// Ends it without another attempt.
    pub(super) fn abandon(&mut self, op: &mut Op, fd: RawFd) {
        self.with(fd, Turn::Inline, |cx| op.abandon(cx));
    }

    /// Ends it with an error before another attempt.
    pub(super) fn refuse(&mut self, op: &mut Op, fd: RawFd, errno: Errno) -> Step {
        self.with(fd, Turn::Worker, |cx| op.refuse(cx, errno))
    }

    /// Runs an entry to its only completion. What it waits for must be there already.
    pub(super) fn run(&mut self, sqe: &Sqe) -> Outcome {
        let mut op = match self.prepare(sqe) {
            Ok(op) => op,
            Err(errno) => return Outcome::failure(errno),
        };
        let fixed = SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::FIXED_FILE);
        let slot = if fixed { self.tables.files.get(sqe.fd).map(Arc::clone).ok() } else { None };
        let fd = slot.as_ref().map_or(sqe.fd, |file| file.fd());
        let mut step = self.attempt(&mut op, fd, Turn::Inline);
        loop {
            step = match step {
                Step::Done(outcome) => return outcome,
                Step::Block(_) => self.block(&mut op, fd),
                other => panic!("it would go on: {other:?}"),
            }
        }
    }

    /// `res` of that completion.
    pub(super) fn result(&mut self, sqe: &Sqe) -> i32 {
        self.run(sqe).result
    }

    fn with<T>(&mut self, fd: RawFd, turn: Turn, act: impl FnOnce(&mut Context<'_>) -> T) -> T {
        act(&mut Context {
            world: &self.world,
            tables: &mut self.tables,
            fd,
            turn,
            vouched: Vouched::in_tests(),
        })
    }
}

/// An entry of an opcode for a descriptor.
pub(super) fn entry(opcode: u8, fd: RawFd) -> Sqe {
    assert_ne!(opcode, IORING_OP_NOP, "this one needs no descriptor");
    Sqe { fd, ..Sqe::new(opcode) }
}

/// The address of a value or of the first element of a list.
pub(super) fn at<T: ?Sized>(value: &T) -> u64 {
    std::ptr::from_ref(value).cast::<u8>().expose_provenance() as u64
}

/// The address of memory that an operation is to change.
pub(super) fn at_mut<T: ?Sized>(value: &mut T) -> u64 {
    std::ptr::from_mut(value).cast::<u8>().expose_provenance() as u64
}

/// `res` of a failure.
pub(super) fn failed(errno: Errno) -> i32 {
    -errno.raw_os_error()
}
