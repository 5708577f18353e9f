//! What lies between the handlers of operations and the outside: files, sockets, memory, clocks, readiness.
//!
//! [`Host`] is the one world so far, made of system calls. Nothing else in the crate makes a system call
//! for an operation, reads a clock or follows an address: a simulated world can take its place.
//!
//! What every method keeps:
//! - a descriptor is a number of this world; a wrong one answers `EBADF` and harms nothing;
//! - memory is named by a [`Span`], which only what a submission vouched for can make;
//! - a [`Mode::Nonblocking`] call never waits for another party: it answers `EAGAIN` instead (a disk counts as
//!   another party where the system can tell);
//! - errors are errnos as the kernel's io_uring would put them into `res`.

mod attributes;
mod clock;
mod direct;
mod elements;
mod file_work;
mod files;
mod futexes;
pub(crate) mod host;
mod memory;
mod paths;
mod pipes;
mod processes;
mod readiness;
mod sets;
mod sockets;
mod transfer;

pub(crate) use attributes::{Attributes, Bearer};
pub(crate) use clock::{Clock, ClockId};
pub(crate) use direct::{Direct, DirectIo};
pub(crate) use elements::Elements;
pub(crate) use file_work::FileWork;
pub(crate) use files::{FileKind, Files};
pub(crate) use futexes::{Futex, FutexWait, FutexWaiting, Futexes};
pub(crate) use host::Host;
pub(crate) use memory::{Memory, Span, Vouched};
pub(crate) use paths::{At, Opening, Paths};
pub(crate) use pipes::{End, Pipes};
pub(crate) use processes::{Children, Fate, Processes};
pub(crate) use readiness::{Event, Readiness, ReadySet};
pub(crate) use sets::{RawEvent, Sets};
pub(crate) use sockets::{
    Incoming, LONGEST_ADDRESS, Outgoing, PeerAddress, Received, SocketAddress, SocketFact, SocketKind,
    Sockets,
};
pub(crate) use transfer::{CURRENT, Direction, Transfer};

/// The outside as the engine sees it.
pub(crate) trait World:
    DirectIo
    + Files
    + Memory
    + Clock
    + Readiness
    + Sockets
    + Transfer
    + FileWork
    + Paths
    + Attributes
    + Pipes
    + Sets
    + Futexes
    + Processes
    + std::fmt::Debug
    + Send
    + Sync
{
}

/// Whether a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Answers `EAGAIN` rather than wait.
    Nonblocking,
    /// Waits as long as it takes, or until a signal interrupts it (`EINTR`).
    Blocking,
}
