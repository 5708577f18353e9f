//! Operations on an open file that move no bytes: close, fsync, poll.
#![allow(unsafe_code, reason = "takes descriptors that completions stand for")]

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};

use annulus::{opcode, squeue, types};

use super::nothing;
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;

/// close(2).
pub(crate) struct Close {
    /// Owned until the kernel has taken it.
    fd: ManuallyDrop<OwnedFd>,
}

impl Close {
    pub(crate) const fn new(fd: OwnedFd) -> Self {
        Self { fd: ManuallyDrop::new(fd) }
    }

    /// A close that did not reach the file (the runtime refused or cancelled it) is made up for.
    fn settle(&mut self, completion: Completion) {
        if [-libc::ECANCELED, -libc::EBUSY, -libc::EAGAIN].contains(&completion.result) {
            // SAFETY: taken once, as an operation completes once, and dropped nowhere else.
            drop(unsafe { ManuallyDrop::take(&mut self.fd) });
        }
    }
}

// SAFETY: names nothing but the descriptor, which is given away.
unsafe impl Operation for Close {
    type Output = io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Close::new(types::Fd(self.fd.as_raw_fd())).build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        self.settle(completion);
        nothing(completion)
    }

    fn late(&mut self, completion: Completion) {
        self.settle(completion);
    }
}

/// fsync(2) or fdatasync(2).
pub(crate) struct Fsync {
    pub(crate) fd: SharedFd,
    pub(crate) data_only: bool,
}

// SAFETY: the share keeps the descriptor open.
unsafe impl Operation for Fsync {
    type Output = io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        let flags = if self.data_only { types::FsyncFlags::DATASYNC } else { types::FsyncFlags::empty() };
        opcode::Fsync::new(self.fd.target()).flags(flags).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        nothing(completion)
    }
}

/// poll(2) of one descriptor.
pub(crate) struct Poll {
    pub(crate) fd: SharedFd,
    pub(crate) events: i16,
}

// SAFETY: the share keeps the descriptor open.
unsafe impl Operation for Poll {
    type Output = io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        let events = u32::from(self.events.cast_unsigned());
        opcode::PollAdd::new(self.fd.target(), events).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        nothing(completion)
    }
}
