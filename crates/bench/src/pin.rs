//! Cores: which there are, and how threads, processes and a ring's workers are kept on one.
#![allow(
    unsafe_code,
    reason = "a set of cores in the form of the C library, for the registration of workers"
)]

use std::io;
use std::mem;

use annulus::IoUring;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Which core does what. On a machine with one core both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    /// Where what is measured runs.
    pub(crate) measured: usize,
    /// Where the client of a server runs.
    pub(crate) client: usize,
}

impl Cores {
    /// The first two cores that this process may use.
    ///
    /// # Errors
    ///
    /// That of sched_getaffinity(2).
    pub(crate) fn choose() -> io::Result<Self> {
        Ok(Self::among(&allowed()?))
    }

    fn among(allowed: &[usize]) -> Self {
        let measured = allowed.first().copied().unwrap_or_default();
        Self { measured, client: allowed.get(1).copied().unwrap_or(measured) }
    }
}

/// The cores that this thread may use.
///
/// # Errors
///
/// That of sched_getaffinity(2).
pub(crate) fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Keeps the calling thread, and threads and processes that it starts from now on, on one core until dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: CpuSet,
}

impl Pinned {
    /// # Errors
    ///
    /// That of sched_setaffinity(2): `EINVAL` for a core that the cpuset does not have.
    pub(crate) fn to(core: usize) -> io::Result<Self> {
        let before = sched_getaffinity(None)?;
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set)?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // The cores were allowed a moment ago; if they no longer are, the thread stays where it is.
        let _ = sched_setaffinity(None, &self.before);
    }
}

/// Keeps the ring's workers on a core: the kernel's do not follow the affinity of the thread that submits.
pub(crate) fn keep_workers(ring: &IoUring, core: usize) {
    // SAFETY: a set of cores is an array of integers, for which zero is a value.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the number is below the size of the set, as it came out of one of the same size.
    unsafe { libc::CPU_SET(core, &mut set) };
    // Before Linux 5.14 they cannot be kept anywhere; what they do there is measured all the same.
    let _ = ring.submitter().register_iowq_aff(&set);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_and_server_share_a_core_only_where_there_is_one() {
        assert_eq!(Cores::among(&[0, 1, 2]), Cores { measured: 0, client: 1 });
        assert_eq!(Cores::among(&[3, 7]), Cores { measured: 3, client: 7 });
        assert_eq!(Cores::among(&[5]), Cores { measured: 5, client: 5 });
    }

    #[test]
    fn a_pinned_thread_has_one_core_until_the_guard_goes() {
        let before = allowed().unwrap();
        let pinned = Pinned::to(before[0]).unwrap();
        assert_eq!(allowed().unwrap(), before[..1]);
        drop(pinned);
        assert_eq!(allowed().unwrap(), before);
    }
}
