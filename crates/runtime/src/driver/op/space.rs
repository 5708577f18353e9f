//! Operations on the extent of an open file: allocate, cut, advise, write back.
#![allow(unsafe_code, reason = "implements the contract of operations")]

use std::io;

use annulus::{opcode, squeue};

use super::nothing;
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;

/// What is done. Offsets and lengths are in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// fallocate(2), with `FALLOC_FL_*`.
    Allocate { mode: i32, offset: u64, len: u64 },
    /// ftruncate(2).
    SetLen(u64),
    /// posix_fadvise(2), with `POSIX_FADV_*`; a length of 0 reaches to the end.
    Advise { offset: u64, len: u32, advice: i32 },
    /// sync_file_range(2), with `SYNC_FILE_RANGE_*`; a length of 0 reaches to the end.
    WriteBack { offset: u64, len: u32, flags: u32 },
}

/// A change of an open file's extent, or of what the page cache has of it.
pub(crate) struct Space {
    pub(crate) fd: SharedFd,
    pub(crate) change: Change,
}

// SAFETY: names nothing but the descriptor, which the share keeps open.
unsafe impl Operation for Space {
    type Output = io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        let fd = self.fd.target();
        match self.change {
            Change::Allocate { mode, offset, len } => {
                opcode::Fallocate::new(fd, len).offset(offset).mode(mode).build()
            }
            Change::SetLen(len) => opcode::Ftruncate::new(fd, len).build(),
            Change::Advise { offset, len, advice } => {
                opcode::Fadvise::new(fd, libc::off_t::from(len), advice).offset(offset).build()
            }
            Change::WriteBack { offset, len, flags } => {
                opcode::SyncFileRange::new(fd, len).offset(offset).flags(flags).build()
            }
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        nothing(completion)
    }
}
