//! io_uring_register(2): what is registered, configured and asked.

use std::ffi::c_void;
use std::sync::Arc;

use annulus_abi::{EnterFlags, GeteventsArg, RegisterOp, Sqe};
use rustix::io::Errno;

use crate::core::{Ring, Wait};
use crate::op::nanoseconds;
use crate::world::{ClockId, Vouched, World};

/// What was configured for a ring, beside its tables.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// The clock of timeouts of waits (`IORING_REGISTER_CLOCK`).
    clock: ClockId,
}

impl Settings {
    /// Whether the ring's restrictions allow the entry.
    ///
    /// # Errors
    ///
    /// `EACCES`.
    #[inline]
    pub(crate) fn allow(&self, sqe: &Sqe) -> Result<(), Errno> {
        let _ = sqe;
        Ok(())
    }

    /// Whether there is a personality of this number.
    ///
    /// # Errors
    ///
    /// `EINVAL`.
    pub(crate) fn personality(&self, id: u16) -> Result<(), Errno> {
        let _ = id;
        Err(Errno::INVAL)
    }
}

impl Settings {
    /// A wait that is described in the registered region.
    ///
    /// # Errors
    ///
    /// `EFAULT`: there is none at this offset.
    pub(crate) fn registered_wait(
        &self,
        offset: u64,
        flags: EnterFlags,
        wait: Wait,
        world: &dyn World,
    ) -> Result<Wait, Errno> {
        let _ = (offset, flags, wait, world);
        Err(Errno::FAULT)
    }

    /// A wait with a timeout, a minimum wait, a signal mask.
    ///
    /// # Errors
    ///
    /// `EFAULT`, `EINVAL`.
    pub(crate) fn extended_wait(
        &self,
        arg: &GeteventsArg,
        flags: EnterFlags,
        mut wait: Wait,
        world: &dyn World,
        vouched: Vouched,
    ) -> Result<Wait, Errno> {
        if arg.sigmask != 0 {
            let size = usize::try_from(arg.sigmask_sz).unwrap_or(usize::MAX);
            wait.sigmask = load_sigmask(world, vouched, arg.sigmask, size)?;
        }
        if arg.min_wait_usec != 0 {
            let now = world.now(ClockId::Monotonic);
            wait.min_wait = Some(now.saturating_add(u64::from(arg.min_wait_usec) * 1000));
        }
        if arg.ts != 0 {
            let ns = load_time(world, vouched, arg.ts)?;
            let now = if flags.contains(EnterFlags::ABS_TIMER) { 0 } else { world.now(self.clock) };
            wait.deadline = Some((self.clock, now.saturating_add(ns)));
        }
        Ok(wait)
    }
}

/// The signal set at an address.
///
/// # Errors
///
/// `EINVAL` unless it has the kernel's size; `EFAULT`.
pub(crate) fn load_sigmask(
    world: &dyn World,
    vouched: Vouched,
    addr: u64,
    size: usize,
) -> Result<Option<u64>, Errno> {
    if addr == 0 {
        return Ok(None);
    }
    if size != size_of::<u64>() {
        return Err(Errno::INVAL);
    }
    let mut bytes = [0; 8];
    world.load(vouched.span(addr, bytes.len()), &mut bytes)?;
    Ok(Some(u64::from_ne_bytes(bytes)))
}

/// The argument of an extended enter at an address.
///
/// # Errors
///
/// `EFAULT`.
pub(crate) fn load_getevents(world: &dyn World, vouched: Vouched, addr: u64) -> Result<GeteventsArg, Errno> {
    let mut bytes = [0; size_of::<GeteventsArg>()];
    world.load(vouched.span(addr, bytes.len()), &mut bytes)?;
    let word = |at: usize| bytes[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
    let long = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
    Ok(GeteventsArg { sigmask: long(0), sigmask_sz: word(8), min_wait_usec: word(12), ts: long(16) })
}

/// Nanoseconds of the time at an address.
fn load_time(world: &dyn World, vouched: Vouched, addr: u64) -> Result<u64, Errno> {
    let mut bytes = [0; 16];
    world.load(vouched.span(addr, bytes.len()), &mut bytes)?;
    let number = |at: usize| bytes[at..at + 8].try_into().map_or(0, i64::from_ne_bytes);
    nanoseconds(number(0), number(8)).ok_or(Errno::INVAL)
}

/// Carries out a register call.
///
/// # Errors
///
/// Those of io_uring_register(2), by operation; `EINVAL` for those that the engine does not have.
pub(crate) fn register(
    ring: &Arc<Ring>,
    op: RegisterOp,
    arg: *mut c_void,
    nr: u32,
    vouched: Vouched,
) -> Result<u32, Errno> {
    let _ = (ring, op, arg, nr, vouched);
    Err(Errno::INVAL)
}
