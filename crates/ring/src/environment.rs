//! What decides whether this process may use io_uring: read from `/proc`, without making a ring.
//!
//! [`SetupError`](crate::SetupError) uses it to explain a refusal; a program can ask beforehand, where
//! trying could kill it. None of the io_uring calls is made here.

use std::fs;
use std::str::FromStr;

/// The sysctl `kernel.io_uring_disabled`: 0 allowed, 1 allowed to `CAP_SYS_ADMIN` and to
/// [`io_uring_group`], 2 forbidden. `None` before Linux 6.6, and where `/proc` is not mounted.
#[must_use]
pub fn io_uring_disabled() -> Option<u8> {
    read("/proc/sys/kernel/io_uring_disabled")
}

/// The sysctl `kernel.io_uring_group`: the group that is allowed where the former is 1; -1 for none.
#[must_use]
pub fn io_uring_group() -> Option<i64> {
    read("/proc/sys/kernel/io_uring_group")
}

/// Whether a seccomp filter is in force for the calling thread, as in most containers.
#[must_use]
pub fn seccomp_filter() -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

fn read<T: FromStr>(path: &str) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
