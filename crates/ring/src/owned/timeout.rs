//! Timeouts whose times are kept.
#![allow(unsafe_code, reason = "names a time that the operation owns")]

use std::time::Duration;

use rustix::io::Errno;

use super::Operation;
use crate::types::{TimeoutFlags, Timespec};
use crate::{cqueue, opcode, squeue};

/// Ends when a time has passed. The result is `Ok` then (the kernel's `ETIME`), and an error if it was
/// cancelled.
#[derive(Debug)]
pub struct Timeout {
    time: Timespec,
    flags: TimeoutFlags,
}

impl Timeout {
    /// Waits for a span.
    #[must_use]
    pub fn new(span: Duration) -> Self {
        Self { time: span.into(), flags: TimeoutFlags::empty() }
    }

    /// Waits for a point in time, of `CLOCK_MONOTONIC` unless `flags` name another clock.
    #[must_use]
    pub const fn at(time: Timespec, flags: TimeoutFlags) -> Self {
        let clocks = TimeoutFlags::BOOTTIME.union(TimeoutFlags::REALTIME);
        Self { time, flags: flags.intersection(clocks).union(TimeoutFlags::ABS) }
    }
}

// SAFETY: the entry names the time, a field of the value.
unsafe impl Operation for Timeout {
    type Output = Result<(), Errno>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Timeout::new(&raw const self.time).flags(self.flags | TimeoutFlags::ETIME_SUCCESS).build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        elapsed(cqe)
    }
}

/// Cancels the operation that was pushed before it, with
/// [`Flags::IO_LINK`](crate::squeue::Flags::IO_LINK), when that takes too long. The result is `Ok` if it did;
/// `ECANCELED` if the operation was faster, `ENOENT` if it had ended already.
#[derive(Debug)]
pub struct LinkTimeout {
    time: Timespec,
}

impl LinkTimeout {
    /// Gives the operation a span.
    #[must_use]
    pub fn new(span: Duration) -> Self {
        Self { time: span.into() }
    }
}

// SAFETY: the entry names the time, a field of the value.
unsafe impl Operation for LinkTimeout {
    type Output = Result<(), Errno>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::LinkTimeout::new(&raw const self.time).build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        elapsed(cqe)
    }
}

fn elapsed(cqe: &cqueue::Entry) -> Result<(), Errno> {
    match cqe.to_result() {
        Err(Errno::TIME) | Ok(_) => Ok(()),
        Err(errno) => Err(errno),
    }
}
