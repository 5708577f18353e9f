//! `STATX`, `RENAMEAT`, `UNLINKAT`, `MKDIRAT`, `SYMLINKAT` and `LINKAT`: one call of a worker each, with paths that are copied first.
//!
//! As in Linux, their failures do not break a chain.

use std::ffi::CString;
use std::os::fd::RawFd;

use annulus_abi::{self as abi, Sqe, SqeFlags};
use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::uninterrupted;
use crate::op::{Context, Operation, Outcome, Prepare, Step, Work};
use crate::pool::{Interrupt, Lane};
use crate::world::{At, Span, World};

/// The longest path, its end included.
const PATH_MAX: usize = 4096;
/// The size of `struct statx`.
const STATX_SIZE: usize = 256;

/// A path, and the directory it is relative to.
#[derive(Debug)]
pub(super) struct Place {
    directory: RawFd,
    path: CString,
}

impl Place {
    /// The path at an address. An empty one is refused unless `may_be_empty`.
    ///
    /// # Errors
    ///
    /// `EFAULT`, `ENAMETOOLONG`, `ENOENT`.
    pub(super) fn load(
        cx: &Prepare<'_>,
        directory: RawFd,
        addr: u64,
        may_be_empty: bool,
    ) -> Result<Self, Errno> {
        Ok(Self { directory, path: load_path(cx, addr, may_be_empty)? })
    }

    pub(super) fn at(&self) -> At<'_> {
        At { directory: self.directory, path: &self.path }
    }
}

/// Work on files by their paths.
#[derive(Debug)]
pub(crate) enum PathWork {
    /// `STATX`.
    Stat { at: Place, flags: u32, mask: u32, into: Span },
    /// `RENAMEAT`.
    Rename { from: Place, to: Place, flags: u32 },
    /// `UNLINKAT`.
    Unlink { at: Place, flags: u32 },
    /// `MKDIRAT`.
    MakeDirectory { at: Place, mode: u32 },
    /// `SYMLINKAT`.
    MakeSymlink { target: CString, at: Place },
    /// `LINKAT`.
    Link { from: Place, to: Place, flags: u32 },
}

impl PathWork {
    /// Reads the entry of one of these opcodes.
    ///
    /// # Errors
    ///
    /// `EBADF` with `IOSQE_FIXED_FILE`: a directory is no slot. `EINVAL` for unknown flags of `UNLINKAT`, and any other opcode. Those of a path.
    pub(crate) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        refuse_slot(sqe)?;
        let flags = sqe.op_flags;
        let may_be_empty = flags & AtFlags::EMPTY_PATH.bits() != 0;
        let first = |may_be_empty| Place::load(cx, sqe.fd, sqe.addr, may_be_empty);
        let second = || Place::load(cx, sqe.len.cast_signed(), sqe.off, false);
        Ok(match sqe.opcode {
            abi::IORING_OP_STATX => Self::Stat {
                at: first(may_be_empty)?,
                flags,
                mask: sqe.len,
                into: cx.vouched.span(sqe.off, STATX_SIZE),
            },
            abi::IORING_OP_RENAMEAT => Self::Rename { from: first(false)?, to: second()?, flags },
            abi::IORING_OP_UNLINKAT => {
                if flags & !AtFlags::REMOVEDIR.bits() != 0 {
                    return Err(Errno::INVAL);
                }
                Self::Unlink { at: first(false)?, flags }
            }
            abi::IORING_OP_MKDIRAT => Self::MakeDirectory { at: first(false)?, mode: sqe.len },
            abi::IORING_OP_SYMLINKAT => Self::MakeSymlink {
                target: load_path(cx, sqe.addr, false)?,
                at: Place::load(cx, sqe.fd, sqe.off, false)?,
            },
            abi::IORING_OP_LINKAT => Self::Link { from: first(may_be_empty)?, to: second()?, flags },
            _ => return Err(Errno::INVAL),
        })
    }

    fn call(&self, world: &dyn World) -> Result<(), Errno> {
        match self {
            Self::Stat { at, flags, mask, into } => world.stat(at.at(), *flags, *mask, *into),
            Self::Rename { from, to, flags } => world.rename(from.at(), to.at(), *flags),
            Self::Unlink { at, flags } => world.unlink(at.at(), *flags),
            Self::MakeDirectory { at, mode } => world.make_directory(at.at(), *mode),
            Self::MakeSymlink { target, at } => world.make_symlink(target, at.at()),
            Self::Link { from, to, flags } => world.link(from.at(), to.at(), *flags),
        }
    }
}

impl Operation for PathWork {
    fn attempt(&mut self, _: &mut Context<'_>) -> Step {
        Step::Block(Work { lane: Lane::Bounded, hash: None })
    }

    fn block(&mut self, world: &dyn World, _: RawFd, interrupt: &Interrupt) -> Result<u32, Errno> {
        uninterrupted(interrupt, || self.call(world)).map(|()| 0)
    }

    fn settle(&mut self, _: &mut Context<'_>, result: Result<u32, Errno>) -> Step {
        Step::Done(Outcome::lenient(result))
    }
}

/// A path that is copied.
///
/// # Errors
///
/// `EFAULT`, `ENAMETOOLONG`; `ENOENT` for an empty one, unless it may be.
pub(super) fn load_path(cx: &Prepare<'_>, addr: u64, may_be_empty: bool) -> Result<CString, Errno> {
    let path = cx.world.load_string(cx.vouched.span(addr, PATH_MAX), PATH_MAX)?;
    if path.is_empty() && !may_be_empty {
        return Err(Errno::NOENT);
    }
    Ok(path)
}

/// Refuses `IOSQE_FIXED_FILE` where `fd` is a directory.
///
/// # Errors
///
/// `EBADF`.
pub(super) fn refuse_slot(sqe: &Sqe) -> Result<(), Errno> {
    if SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::FIXED_FILE) {
        return Err(Errno::BADF);
    }
    Ok(())
}
