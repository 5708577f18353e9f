//! Cancelling, and waiting until what was cancelled has ended (`IORING_REGISTER_SYNC_CANCEL`).

use annulus_abi::{CancelFlags, SyncCancelReg};
use rustix::io::Errno;

use super::call::{Call, Fields};
use super::wait::saturating_ns;
use crate::core::Ring;
use crate::op::Criteria;
use crate::world::ClockId;

/// Waits for the ring as its owner does, without the lock.
///
/// # Errors
///
/// `ENOENT`: nothing to cancel. `ETIME`: it has not ended in time. `EINTR`; `EBADF`, `EINVAL`, `EFAULT`.
pub(super) fn cancel(ring: &Ring, call: &Call<'_>) -> Result<u32, Errno> {
    call.structure(1)?;
    let fields: Fields<{ size_of::<SyncCancelReg>() }> = call.load()?;
    let flags = CancelFlags::from_bits(fields.u32(12)).ok_or(Errno::INVAL)?;
    fields.reserved(33..64)?;
    let criteria =
        Criteria { flags, user_data: fields.u64(0), fd: fields.u32(8).cast_signed(), opcode: fields.u8(32) };
    let mut state = ring.lock();
    let first = state.cancel(&criteria, None);
    state.settle_up(ring);
    if first != Err(Errno::ALREADY) {
        return first;
    }
    // Past the point of return: it is waited for. The lock is kept in between, so that its end is not missed.
    let (seconds, nanos) = (fields.i64(16), fields.i64(24));
    let deadline = ((seconds, nanos) != (-1, -1))
        .then(|| ring.world.now(ClockId::Monotonic).saturating_add_signed(saturating_ns(seconds, nanos)));
    loop {
        state = ring.wait_for_news(state, deadline)?;
        let cancelled = state.cancel(&criteria, None);
        state.settle_up(ring);
        match cancelled {
            Err(Errno::ALREADY) => {}
            Ok(_) | Err(Errno::NOENT) => return Ok(0),
            Err(errno) => return Err(errno),
        }
    }
}
