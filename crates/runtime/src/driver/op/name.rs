//! Operations on names: make a directory, remove, rename, link.
#![allow(unsafe_code, reason = "names paths that the operations own")]

use std::ffi::CString;
use std::io;

use annulus::{opcode, squeue};
use rustix::fs::{AtFlags, unlinkat};

use super::nothing;
use super::path::Base;
use crate::driver::{Completion, Operation};

/// A path and where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) base: Base,
    pub(crate) path: CString,
}

/// What is done to names.
pub(crate) enum Naming {
    /// mkdirat(2).
    MakeDir { at: Place, mode: u32 },
    /// unlinkat(2), with `AT_REMOVEDIR` or nothing.
    Unlink { at: Place, flags: i32 },
    /// renameat2(2), with `RENAME_*`.
    Rename { from: Place, to: Place, flags: u32 },
    /// linkat(2), with `AT_SYMLINK_FOLLOW`, `AT_EMPTY_PATH` or nothing. A `temporary` name goes if the future is dropped.
    Link { from: Place, to: Place, flags: i32, temporary: bool },
    /// symlinkat(2).
    Symlink { text: CString, at: Place },
}

// SAFETY: the paths are on the heap, the shares keep the directories open.
unsafe impl Operation for Naming {
    type Output = io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        match self {
            Self::MakeDir { at, mode } => {
                opcode::MkDirAt::new(at.base.fd(), at.path.as_ptr()).mode(*mode).build()
            }
            Self::Unlink { at, flags } => {
                opcode::UnlinkAt::new(at.base.fd(), at.path.as_ptr()).flags(*flags).build()
            }
            Self::Rename { from, to, flags } => {
                let (old, new) = (from.path.as_ptr(), to.path.as_ptr());
                opcode::RenameAt::new(from.base.fd(), old, to.base.fd(), new).flags(*flags).build()
            }
            Self::Link { from, to, flags, .. } => {
                let (old, new) = (from.path.as_ptr(), to.path.as_ptr());
                opcode::LinkAt::new(from.base.fd(), old, to.base.fd(), new).flags(*flags).build()
            }
            Self::Symlink { text, at } => {
                opcode::SymlinkAt::new(at.base.fd(), text.as_ptr(), at.path.as_ptr()).build()
            }
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        nothing(completion)
    }

    /// Nobody wants the name any more.
    fn late(&mut self, completion: Completion) {
        if let Self::Link { to, temporary: true, .. } = self
            && completion.result >= 0
        {
            // In place, as there may be no other time: the ring waits for this before it goes.
            let _ = unlinkat(to.base.as_fd(), &to.path, AtFlags::empty());
        }
    }
}
