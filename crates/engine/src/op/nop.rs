//! `NOP`, with everything that it can be told to do.

use annulus_abi::{NopFlags, Sqe};
use rustix::io::Errno;

use super::{Context, Outcome, Step};

/// A no-op.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nop {
    flags: NopFlags,
    fd: i32,
    buffer: u16,
    result: i32,
    extra: [u64; 2],
}

impl Nop {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags.
    pub(crate) fn prepare(sqe: &Sqe, wide_completions: bool) -> Result<Self, Errno> {
        let flags = NopFlags::from_bits(sqe.op_flags).ok_or(Errno::INVAL)?;
        if flags.contains(NopFlags::CQE32) && !wide_completions {
            return Err(Errno::INVAL);
        }
        let result = if flags.contains(NopFlags::INJECT_RESULT) { sqe.len.cast_signed() } else { 0 };
        Ok(Self { flags, fd: sqe.fd, buffer: sqe.buf_index, result, extra: [sqe.off, sqe.addr] })
    }

    /// Completes.
    #[inline]
    pub(crate) fn attempt(&self, cx: &mut Context<'_>) -> Step {
        if self.flags.intersects(NopFlags::FILE | NopFlags::FIXED_BUFFER)
            && let Err(errno) = self.look_up(cx)
        {
            return Step::Done(Outcome::failure(errno));
        }
        let extra = self.flags.contains(NopFlags::CQE32).then_some(self.extra);
        Step::Done(Outcome { severs: self.result < 0, extra, ..Outcome::success(self.result) })
    }

    #[cold]
    fn look_up(&self, cx: &mut Context<'_>) -> Result<(), Errno> {
        if self.flags.contains(NopFlags::FILE) {
            if self.flags.contains(NopFlags::FIXED_FILE) {
                cx.tables.files.get(self.fd)?;
            } else {
                cx.world.kind(self.fd)?;
            }
        }
        if self.flags.contains(NopFlags::FIXED_BUFFER) && !cx.tables.buffers.has(self.buffer) {
            return Err(Errno::FAULT);
        }
        Ok(())
    }
}
