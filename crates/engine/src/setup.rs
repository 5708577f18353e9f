//! What a ring may be: the answer of io_uring_setup(2) to sizes and flags, as Linux 6.18 gives it.
//!
//! Refusals come in the kernel's order and with its errnos; `setup_tests.rs` compares both over a sweep of sizes
//! and flags. What needs more than the parameters is the core's: whether `wq_fd` is a ring at all, the threads,
//! the descriptor. The kernel charges rings to `RLIMIT_MEMLOCK`; nothing is locked here, so nothing is charged.
#![allow(
    unsafe_code,
    reason = "parameters may name memory that becomes a ring's; asks about a descriptor by number"
)]

use std::os::fd::RawFd;

use annulus_abi::{Features, Params, SetupFlags};
use rustix::io::Errno;
use rustix::thread::CpuSet;

use crate::shared::Rings;

/// The setup flags that Linux 6.18 knows.
pub(crate) const KNOWN: SetupFlags = SetupFlags::from_bits_retain(2 * SetupFlags::CQE_MIXED.bits() - 1);

/// What the engine does of what a 6.18 kernel does. Not `REG_REG_RING`: its calls are no system calls, so there is no
/// descriptor to save. Not `RW_ATTR`: the one attribute there is, protection information, is out of reach.
pub(crate) const FEATURES: Features = Features::SINGLE_MMAP
    .union(Features::NODROP)
    .union(Features::SUBMIT_STABLE)
    .union(Features::RW_CUR_POS)
    .union(Features::CUR_PERSONALITY)
    .union(Features::FAST_POLL)
    .union(Features::POLL_32BITS)
    .union(Features::SQPOLL_NONFIXED)
    .union(Features::EXT_ARG)
    .union(Features::NATIVE_WORKERS)
    .union(Features::RSRC_TAGS)
    .union(Features::CQE_SKIP)
    .union(Features::LINKED_FILE)
    .union(Features::RECVSEND_BUNDLE)
    .union(Features::MIN_TIMEOUT)
    .union(Features::NO_IOWAIT);

/// Checks what is asked for, makes the queues, and fills in sizes, offsets and features.
///
/// A ring of `REGISTERED_FD_ONLY` differs from others in what the core leaves out: it has no descriptor.
///
/// # Errors
///
/// As io_uring_setup(2): `EINVAL` for sizes, flags, a CPU or reserved fields that are wrong, `ENXIO` if `wq_fd`
/// is not open with `ATTACH_WQ`, `EOVERFLOW` for a mixed ring of one completion; and those of [`Rings::new`].
///
/// # Safety
///
/// With `NO_MMAP`, memory at the addresses in `params` is the ring's for as long as the result and its
/// parts live.
pub(crate) unsafe fn set_up(entries: u32, params: &mut Params) -> Result<Rings, Errno> {
    if params.resv != [0; 3] || !KNOWN.contains(params.setup_flags()) {
        return Err(Errno::INVAL);
    }
    let mut filled = *params;
    prepare(entries, &mut filled)?;
    filled.features = FEATURES.bits();
    // SAFETY: the contract of this function.
    let rings = unsafe { Rings::new(&mut filled) }?;
    check_threads(&filled)?;
    *params = filled;
    Ok(rings)
}

/// Checks flags against each other and rounds the sizes: the part that set-up and resizing share.
///
/// # Errors
///
/// `EINVAL`, and `EOVERFLOW` for a mixed ring of one completion.
pub(crate) fn prepare(entries: u32, params: &mut Params) -> Result<(), Errno> {
    let flags = params.setup_flags();
    // The polling thread is the one matter that the kernel looks at later: `check_threads`.
    let mut needs = SetupFlags::NEEDS.iter().filter(|(flag, _)| *flag != SetupFlags::SQ_AFF);
    if needs.any(|&(flag, others)| flags.contains(flag) && !flags.intersects(others))
        || SetupFlags::EXCLUDES.iter().any(|&(one, other)| flags.contains(one | other))
    {
        return Err(Errno::INVAL);
    }
    let clamp = flags.contains(SetupFlags::CLAMP);
    params.sq_entries = rounded(entries, Params::MAX_SQ_ENTRIES, clamp)?;
    params.cq_entries = if flags.contains(SetupFlags::CQSIZE) {
        rounded(params.cq_entries, Params::MAX_CQ_ENTRIES, clamp)?
    } else {
        2 * params.sq_entries
    };
    if params.cq_entries < params.sq_entries {
        return Err(Errno::INVAL);
    }
    if flags.contains(SetupFlags::CQE_MIXED) && params.cq_entries < 2 {
        return Err(Errno::OVERFLOW);
    }
    Ok(())
}

fn rounded(entries: u32, most: u32, clamp: bool) -> Result<u32, Errno> {
    match entries {
        0 => Err(Errno::INVAL),
        _ if entries <= most => Ok(entries.next_power_of_two()),
        _ if clamp => Ok(most),
        _ => Err(Errno::INVAL),
    }
}

/// What the kernel looks at when it starts or shares threads.
fn check_threads(params: &Params) -> Result<(), Errno> {
    let flags = params.setup_flags();
    let attached = flags.contains(SetupFlags::ATTACH_WQ);
    if attached && !is_open(params.wq_fd.cast_signed()) {
        return Err(Errno::NXIO);
    }
    if !flags.contains(SetupFlags::SQ_AFF) {
        return Ok(());
    }
    if !flags.contains(SetupFlags::SQPOLL) {
        return Err(Errno::INVAL);
    }
    // A polling thread that is shared stays where it is.
    if attached { Ok(()) } else { check_cpu(params.sq_thread_cpu) }
}

/// Whether a thread may be bound to this CPU: it exists, is online, and the process may use it.
///
/// Only an attempt says that; so the calling thread goes there and comes back.
fn check_cpu(cpu: u32) -> Result<(), Errno> {
    let cpu = usize::try_from(cpu).map_err(|_| Errno::INVAL)?;
    if cpu >= CpuSet::MAX_CPU {
        return Err(Errno::INVAL);
    }
    let before = rustix::thread::sched_getaffinity(None)?;
    let mut wanted = CpuSet::new();
    wanted.set(cpu);
    rustix::thread::sched_setaffinity(None, &wanted)?;
    rustix::thread::sched_setaffinity(None, &before)
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: takes numbers, and answers EBADF to one that is no descriptor.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

#[cfg(test)]
#[path = "setup_tests.rs"]
mod tests;
