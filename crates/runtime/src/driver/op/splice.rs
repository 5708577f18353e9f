//! Operations that move bytes between a pipe and a file, and those that pass on what dropped receives had taken.
#![allow(unsafe_code, reason = "names bytes that the operation owns")]

use std::io;
use std::rc::Rc;

use annulus::{opcode, squeue};

use super::{length, number};
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;
use crate::net::inbound::{Doubt, Inbound};

/// The offset that stands for a pipe.
const NONE: i64 = -1;

/// splice(2) that does not wait for the pipe.
pub(crate) struct Splice {
    from: (SharedFd, i64),
    to: (SharedFd, i64),
    len: usize,
    /// Of the pipe, whose next read waits until it is known what is left.
    _doubt: Option<Doubt>,
}

impl Splice {
    /// From a pipe, to a place in a file.
    pub(crate) fn to_file(
        pipe: SharedFd,
        inbound: &Rc<Inbound>,
        file: SharedFd,
        at: i64,
        len: usize,
    ) -> Self {
        Self { from: (pipe, NONE), to: (file, at), len, _doubt: Some(Doubt::of(inbound)) }
    }

    /// From a place in a file, to a pipe.
    pub(crate) const fn from_file(file: SharedFd, at: i64, pipe: SharedFd, len: usize) -> Self {
        Self { from: (file, at), to: (pipe, NONE), len, _doubt: None }
    }
}

// SAFETY: names no memory; the shares keep both descriptors open.
unsafe impl Operation for Splice {
    type Output = io::Result<usize>;

    fn entry(&mut self) -> squeue::Entry {
        let ((from, from_at), (to, to_at)) = (&self.from, &self.to);
        let splice = opcode::Splice::new(from.target(), *from_at, to.target(), *to_at, length(self.len));
        splice.flags(libc::SPLICE_F_NONBLOCK).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        number(completion)
    }
}

/// Where bytes are passed on to.
#[derive(Clone, Debug)]
pub(crate) enum Outlet {
    /// A pipe, or what is like one.
    Pipe(SharedFd),
    Socket(SharedFd),
    /// A place in a file.
    File(SharedFd, u64),
}

/// write(2) or send(2) of what was kept for the next receive from somewhere. What is written is kept no longer, whether or not
/// the future is there to see it: no byte is lost, and none is there twice.
pub(crate) struct PassOn {
    kept: Rc<Inbound>,
    bytes: Vec<u8>,
    to: Outlet,
    /// It is a copy: what was kept stays.
    copies: bool,
    /// Other receives wait until it is known what is left.
    _doubt: Doubt,
}

impl PassOn {
    /// Of at most `most` bytes; `None` if nothing is kept.
    pub(crate) fn new(kept: &Rc<Inbound>, most: usize, to: Outlet, copies: bool) -> Option<Self> {
        let bytes = kept.peek(most)?;
        Some(Self { kept: kept.clone(), bytes, to, copies, _doubt: Doubt::of(kept) })
    }

    fn passed(&self, completion: Completion) -> io::Result<usize> {
        let passed = number(completion);
        if let Ok(n) = passed
            && !self.copies
        {
            self.kept.consume(n);
        }
        passed
    }
}

// SAFETY: the bytes are on the heap and are not changed, the share keeps the descriptor open.
unsafe impl Operation for PassOn {
    type Output = io::Result<usize>;

    fn entry(&mut self) -> squeue::Entry {
        let (start, len) = (self.bytes.as_ptr(), length(self.bytes.len()));
        match &self.to {
            Outlet::Pipe(fd) => opcode::Write::new(fd.target(), start, len).offset(u64::MAX).build(),
            Outlet::Socket(fd) => {
                opcode::Send::new(fd.target(), start, len).flags(libc::MSG_NOSIGNAL).build()
            }
            Outlet::File(fd, at) => opcode::Write::new(fd.target(), start, len).offset(*at).build(),
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        self.passed(completion)
    }

    fn late(&mut self, completion: Completion) {
        // Whoever is next at the source, or at the outlet, is told of an error then.
        let _ = self.passed(completion);
    }
}
