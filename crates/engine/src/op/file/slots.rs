//! Operations on the table of registered files: `FILES_UPDATE` and `FIXED_FD_INSTALL`.

use annulus_abi::{FixedFdFlags, IORING_FILE_INDEX_ALLOC, Sqe, SqeFlags};
use rustix::io::Errno;

use crate::files::Source;
use crate::op::{Context, Operation, Outcome, Step};

/// `FILES_UPDATE`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilesUpdate {
    /// The first slot, or `IORING_FILE_INDEX_ALLOC` for any that are free.
    offset: u32,
    count: u32,
    fds: u64,
}

impl FilesUpdate {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL`: no descriptors, or flags for a file or a buffer.
    pub(crate) fn prepare(sqe: &Sqe) -> Result<Self, Errno> {
        let refused = SqeFlags::FIXED_FILE | SqeFlags::BUFFER_SELECT;
        if SqeFlags::from_bits_retain(sqe.flags).intersects(refused) || sqe.len == 0 {
            return Err(Errno::INVAL);
        }
        // The kernel keeps the slot in 32 bits.
        #[expect(clippy::cast_possible_truncation, reason = "so does the kernel")]
        let offset = sqe.off as u32;
        Ok(Self { offset, count: sqe.len, fds: sqe.addr })
    }
}

impl Operation for FilesUpdate {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        let source = Source { world: cx.world, vouched: cx.vouched, rings: cx.tables.rings };
        let files = &mut cx.tables.files;
        let updated = if self.offset == IORING_FILE_INDEX_ALLOC {
            files.update_any(&source, self.fds, self.count)
        } else {
            files.update(&source, self.offset, self.count, self.fds, 0)
        };
        Step::Done(Outcome::from(updated))
    }
}

/// `FIXED_FD_INSTALL`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedFdInstall {
    close_on_exec: bool,
}

impl FixedFdInstall {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EBADF` without `IOSQE_FIXED_FILE`. `EINVAL` for unknown flags. `EPERM` with other credentials.
    pub(crate) fn prepare(sqe: &Sqe) -> Result<Self, Errno> {
        if !SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::FIXED_FILE) {
            return Err(Errno::BADF);
        }
        let flags = FixedFdFlags::from_bits(sqe.op_flags).ok_or(Errno::INVAL)?;
        if sqe.personality != 0 {
            return Err(Errno::PERM);
        }
        Ok(Self { close_on_exec: !flags.contains(FixedFdFlags::NO_CLOEXEC) })
    }
}

impl Operation for FixedFdInstall {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        let made = cx.world.duplicate(cx.fd, self.close_on_exec);
        Step::Done(made.map_or_else(Outcome::failure, Outcome::success))
    }
}
