//! Whether this kernel knows a setup flag: asked by setting up the smallest ring with it.
#![allow(unsafe_code, reason = "calls through the table")]

use annulus_abi::{Params, SetupFlags};
use rustix::io::Errno;

use super::calls::SystemCalls;
use super::setup;

/// Whether the kernel does more with the flag than answer `EINVAL`. Leaves nothing behind.
pub(crate) fn probe_flag(calls: &SystemCalls, flag: SetupFlags) -> bool {
    // The kernel looks at some flags only beside another; where several would do, the oldest needs nothing itself.
    let needs = SetupFlags::NEEDS.iter().filter(|(one, _)| *one == flag);
    let flags = needs.filter_map(|(_, needs)| needs.iter().next()).fold(flag, |all, beside| all | beside);
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
