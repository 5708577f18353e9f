//! Operations on files beside reading and writing: opening and closing, paths, attributes, pipes, slots.
//!
//! Everything that an entry points to is copied when it is prepared; what may wait for a disk is done by a worker.

mod attributes;
mod close;
mod open;
mod paths;
mod pipe;
mod slots;
mod splice;
#[cfg(test)]
mod tests;
mod work;

use annulus_abi::{self as abi, Sqe};
use rustix::io::Errno;

use self::attributes::Attribute;
use self::close::Close;
use self::open::Open;
use self::paths::PathWork;
use self::pipe::Pipe;
use self::slots::{FilesUpdate, FixedFdInstall};
use self::splice::Splice;
use self::work::FileWork;
use super::{Op, Operation, Prepare};
use crate::pool::Interrupt;

/// Whether the opcode is one of these.
pub(super) const fn has(opcode: u8) -> bool {
    matches!(
        opcode,
        abi::IORING_OP_FSYNC
            | abi::IORING_OP_SYNC_FILE_RANGE
            | abi::IORING_OP_FALLOCATE
            | abi::IORING_OP_FTRUNCATE
            | abi::IORING_OP_FADVISE
            | abi::IORING_OP_MADVISE
            | abi::IORING_OP_OPENAT
            | abi::IORING_OP_OPENAT2
            | abi::IORING_OP_CLOSE
            | abi::IORING_OP_STATX
            | abi::IORING_OP_RENAMEAT
            | abi::IORING_OP_UNLINKAT
            | abi::IORING_OP_MKDIRAT
            | abi::IORING_OP_SYMLINKAT
            | abi::IORING_OP_LINKAT
            | abi::IORING_OP_FSETXATTR
            | abi::IORING_OP_SETXATTR
            | abi::IORING_OP_FGETXATTR
            | abi::IORING_OP_GETXATTR
            | abi::IORING_OP_SPLICE
            | abi::IORING_OP_TEE
            | abi::IORING_OP_PIPE
            | abi::IORING_OP_FILES_UPDATE
            | abi::IORING_OP_FIXED_FD_INSTALL
    )
}

/// Makes an operation of an entry of one of these opcodes.
///
/// # Errors
///
/// What the kernel's own preparation answers; each operation says it.
pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Op, Errno> {
    match sqe.opcode {
        abi::IORING_OP_OPENAT | abi::IORING_OP_OPENAT2 => Open::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_CLOSE => Close::prepare(sqe).map(boxed),
        abi::IORING_OP_STATX
        | abi::IORING_OP_RENAMEAT
        | abi::IORING_OP_UNLINKAT
        | abi::IORING_OP_MKDIRAT
        | abi::IORING_OP_SYMLINKAT
        | abi::IORING_OP_LINKAT => PathWork::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_FSETXATTR
        | abi::IORING_OP_SETXATTR
        | abi::IORING_OP_FGETXATTR
        | abi::IORING_OP_GETXATTR => Attribute::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_SPLICE | abi::IORING_OP_TEE => Splice::prepare(sqe).map(boxed),
        abi::IORING_OP_PIPE => Pipe::prepare(sqe, cx).map(boxed),
        abi::IORING_OP_FILES_UPDATE => FilesUpdate::prepare(sqe).map(boxed),
        abi::IORING_OP_FIXED_FD_INSTALL => FixedFdInstall::prepare(sqe).map(boxed),
        _ => FileWork::prepare(sqe, cx).map(boxed),
    }
}

fn boxed(operation: impl Operation + 'static) -> Op {
    Op::Other(Box::new(operation))
}

/// Makes a call that may wait, again if a signal came that was not for this job.
///
/// # Errors
///
/// `EINTR`: the job was cancelled; and those of the call.
fn uninterrupted<T>(interrupt: &Interrupt, mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    while !interrupt.requested() {
        match call() {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
    Err(Errno::INTR)
}
