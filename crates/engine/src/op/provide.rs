//! `PROVIDE_BUFFERS` and `REMOVE_BUFFERS`: buffers for the list of a group.

use annulus_abi::{self as abi, Sqe};
use rustix::io::Errno;

use super::{Context, Operation, Outcome, Prepare, Step};
use crate::buffers::Batch;
use crate::world::Vouched;

/// Buffer numbers have 16 bits.
const NUMBERS: u64 = 1 << 16;

/// One of the two.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Provide {
    /// Appends buffers.
    Add { group: u16, batch: Batch, vouched: Vouched },
    /// Takes buffers away.
    Remove { group: u16, count: u32 },
}

impl Provide {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// To remove: `EINVAL` for a number of buffers that is none. To add: `E2BIG` for such a number, or a first number that is too
    /// big; `EINVAL` for buffers of no length, or numbers that do not fit; `EOVERFLOW`, `EFAULT` for memory beyond the last address.
    pub(crate) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        // Negative numbers are too big.
        let count = u64::try_from(sqe.fd).ok().filter(|count| (1..=NUMBERS).contains(count));
        let group = sqe.buf_index;
        if sqe.opcode == abi::IORING_OP_REMOVE_BUFFERS {
            let count = count.ok_or(Errno::INVAL)?;
            return Ok(Self::Remove { group, count: u32::try_from(count).unwrap_or(u32::MAX) });
        }
        let count = count.ok_or(Errno::TOOBIG)?;
        if sqe.len == 0 {
            return Err(Errno::INVAL);
        }
        let end = u64::from(sqe.len).checked_mul(count).and_then(|size| sqe.addr.checked_add(size));
        if end.ok_or(Errno::OVERFLOW)? > i64::MAX.cast_unsigned() {
            return Err(Errno::FAULT);
        }
        let first_id = u16::try_from(sqe.off).map_err(|_| Errno::TOOBIG)?;
        if u64::from(first_id) + count > NUMBERS {
            return Err(Errno::INVAL);
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let batch = Batch { addr: sqe.addr, len: sqe.len, count, first_id };
        Ok(Self::Add { group, batch, vouched: cx.vouched })
    }
}

impl Operation for Provide {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        let groups = &mut cx.tables.groups;
        let result = match *self {
            Self::Add { group, batch, vouched } => groups.provide(vouched, group, batch).map(|()| 0),
            Self::Remove { group, count } => groups.remove(group, count),
        };
        Step::Done(Outcome::from(result))
    }
}
