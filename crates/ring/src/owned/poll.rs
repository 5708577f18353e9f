//! Waiting until a file is ready.
#![allow(unsafe_code, reason = "implements the contract of operations; names no memory")]

use std::collections::VecDeque;

use rustix::io::Errno;

use super::{Handle, Multishot, Operation, plain_operation};
use crate::{cqueue, opcode, squeue};

plain_operation! {
    /// Waits until a file is ready, once: poll(2). The result is the events that hold (`libc::POLL*`).
    pub struct Poll { handle: Handle, events: u32 }
    entry(self) { opcode::PollAdd::new(self.handle.target(), self.events).build() }
}

impl Poll {
    /// Waits for one of `events` (`libc::POLLIN`, `POLLOUT`, ...).
    pub fn new(handle: impl Into<Handle>, events: u32) -> Self {
        Self { handle: handle.into(), events }
    }
}

/// Reports whenever a file becomes ready. Linux 5.13.
///
/// Each item is the events that hold. It ends when it is cancelled, or when the kernel cannot go on; its
/// output is the items not taken yet and why it ended.
#[derive(Debug)]
pub struct PollMulti {
    handle: Handle,
    events: u32,
    reports: VecDeque<u32>,
}

impl PollMulti {
    /// Reports each of `events` (`libc::POLLIN`, `POLLOUT`, ...).
    pub fn new(handle: impl Into<Handle>, events: u32) -> Self {
        Self { handle: handle.into(), events, reports: VecDeque::new() }
    }
}

// SAFETY: the entry names no memory, only a file, which the value holds.
unsafe impl Operation for PollMulti {
    type Output = (Result<(), Errno>, VecDeque<u32>);

    fn entry(&mut self) -> squeue::Entry {
        opcode::PollAdd::new(self.handle.target(), self.events).multi(true).build()
    }

    unsafe fn more(&mut self, cqe: &cqueue::Entry) {
        self.reports.extend(cqe.to_result().ok());
    }

    fn items(&self) -> usize {
        self.reports.len()
    }

    fn drop_items(&mut self) {
        self.reports.clear();
    }

    unsafe fn complete(mut self, cqe: &cqueue::Entry) -> Self::Output {
        let last = cqe.to_result();
        self.reports.extend(last.ok());
        (last.map(drop), self.reports)
    }
}

impl Multishot for PollMulti {
    type Item = u32;

    fn take_item(&mut self) -> Option<u32> {
        self.reports.pop_front()
    }
}
