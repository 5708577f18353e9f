//! Whether this kernel knows a setup flag: asked by setting up the smallest ring with it.
#![allow(unsafe_code, reason = "calls through the table")]

use annulus_abi::{Params, SetupFlags};
use rustix::io::Errno;

use super::calls::SystemCalls;
use super::setup;

/// A flag, and what must be set beside it for the kernel to look at it.
const COMPANIONS: [(SetupFlags, SetupFlags); 6] = [
    (SetupFlags::SQ_AFF, SetupFlags::SQPOLL),
    (SetupFlags::DEFER_TASKRUN, SetupFlags::SINGLE_ISSUER),
    (SetupFlags::TASKRUN_FLAG, SetupFlags::COOP_TASKRUN),
    (SetupFlags::HYBRID_IOPOLL, SetupFlags::IOPOLL),
    (SetupFlags::REGISTERED_FD_ONLY, SetupFlags::NO_MMAP),
    (SetupFlags::SQ_REWIND, SetupFlags::NO_SQARRAY),
];

/// Whether the kernel does more with the flag than answer `EINVAL`. Leaves nothing behind.
pub(crate) fn probe_flag(calls: &SystemCalls, flag: SetupFlags) -> bool {
    let beside = COMPANIONS.iter().filter(|(one, _)| *one == flag);
    let flags = beside.fold(flag, |all, (_, beside)| all | *beside);
    // A completion queue of one's own size must be told; no ring is to be attached to, and no memory given:
    // a kernel that knows those flags complains about that instead.
    let mut params = Params { flags: flags.bits(), cq_entries: 2, wq_fd: u32::MAX, ..Params::default() };
    match setup(calls, 1, &mut params) {
        Ok(fd) => {
            // SAFETY: the descriptor was opened just now, and nothing was made of it.
            unsafe { (calls.close)(fd) };
            true
        }
        Err(errno) => errno != Errno::INVAL,
    }
}

/// Whether there is a ring to be had at all: the smallest, without flags. Leaves nothing behind.
///
/// # Errors
///
/// Those of io_uring_setup(2).
pub(crate) fn plain_ring(calls: &SystemCalls) -> Result<(), Errno> {
    let fd = setup(calls, 1, &mut Params::default())?;
    // SAFETY: the descriptor was opened just now, and nothing was made of it.
    unsafe { (calls.close)(fd) };
    Ok(())
}
