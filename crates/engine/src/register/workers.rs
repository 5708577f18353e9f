//! Where workers run, and how many there may be.
//!
//! The pool is the ring's, and that of rings which share it (`IORING_SETUP_ATTACH_WQ`); in the kernel it is the thread's.

use annulus_abi::{IO_WQ_BOUND, IO_WQ_UNBOUND};
use rustix::io::Errno;
use rustix::thread::CpuSet;

use super::call::{Call, Fields};
use crate::core::Ring;

/// `REGISTER_IOWQ_AFF`. Processors that the machine cannot have do not count.
///
/// # Errors
///
/// `EINVAL`: a processor is named that the process may not use. `EFAULT`.
pub(super) fn set_affinity(ring: &Ring, call: &Call<'_>) -> Result<u32, Errno> {
    if call.addr == 0 || call.nr == 0 {
        return Err(Errno::INVAL);
    }
    let possible = possible_cpus();
    let len = (call.nr as usize).min(possible.div_ceil(64) * 8);
    let mut mask = vec![0_u8; len];
    call.world.load(call.span(call.addr, len), &mut mask)?;
    let mut cpus = CpuSet::new();
    let named = (0..possible.min(8 * len)).filter(|cpu| mask[cpu / 8] & (1 << (cpu % 8)) != 0);
    named.for_each(|cpu| cpus.set(cpu));
    ring.pool.set_affinity(Some(cpus)).map(|()| 0)
}

/// `UNREGISTER_IOWQ_AFF`.
///
/// # Errors
///
/// `EINVAL`.
pub(super) fn clear_affinity(ring: &Ring, call: &Call<'_>) -> Result<u32, Errno> {
    call.nothing()?;
    ring.pool.set_affinity(None).map(|()| 0)
}

/// `REGISTER_IOWQ_MAX_WORKERS`: the limits of before are written back.
///
/// # Errors
///
/// `EINVAL`, `EFAULT`.
pub(super) fn set_limits(ring: &Ring, call: &Call<'_>) -> Result<u32, Errno> {
    call.structure(2)?;
    let fields: Fields<8> = call.load()?;
    let limits = [fields.u32(4 * IO_WQ_BOUND), fields.u32(4 * IO_WQ_UNBOUND)];
    if limits.iter().any(|limit| i32::try_from(*limit).is_err()) {
        return Err(Errno::INVAL);
    }
    let before = ring.pool.max_workers(limits);
    call.store(before.map(u32::to_ne_bytes).as_flattened()).map(|()| 0)
}

/// As many processors as the machine can have, plugged in or not.
fn possible_cpus() -> usize {
    // "0-127", or "0,2-7".
    let list = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    let last = list.trim().rsplit([',', '-']).next().and_then(|last| last.parse::<usize>().ok());
    last.map_or(CpuSet::MAX_CPU, |last| (last + 1).min(CpuSet::MAX_CPU))
}
