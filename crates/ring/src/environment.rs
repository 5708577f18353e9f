//! What decides whether this process may use io_uring, and what executes its rings: read from `/proc` and from the
//! variables of the environment, without making a ring.
//!
//! [`SetupError`] uses it to explain a refusal; a program can ask beforehand, where
//! trying could kill it. None of the io_uring calls is made here.

use std::env;
use std::fs;
use std::str::FromStr;

use crate::{BackendChoice, SetupError};

/// The variable of the environment that says what executes rings, where the program leaves it open.
pub const BACKEND_VARIABLE: &str = "ANNULUS_BACKEND";

/// What [`BACKEND_VARIABLE`] says: `auto`, `kernel` or `engine`; [`Auto`](BackendChoice::Auto) if it is not set, or empty.
///
/// It decides for a ring whose builder is left at `Auto`. A builder that says [`Kernel`](BackendChoice::Kernel) or
/// [`Engine`](BackendChoice::Engine) is not overruled.
///
/// # Errors
///
/// [`SetupError::UnknownBackend`] for any other value.
pub fn backend_choice() -> Result<BackendChoice, SetupError> {
    match env::var_os(BACKEND_VARIABLE) {
        Some(name) if !name.is_empty() => name.to_string_lossy().parse(),
        _ => Ok(BackendChoice::Auto),
    }
}

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

/// Whether a sysctl of this value is what forbids io_uring to the calling thread: at 1 it does not forbid it to
/// `CAP_SYS_ADMIN` (outside of any user namespace) and to the group.
pub(crate) fn sysctl_forbids(value: u8) -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let namespace = fs::read_to_string("/proc/thread-self/uid_map").unwrap_or_default();
    forbids(value, &status, &namespace, io_uring_group())
}

fn forbids(value: u8, status: &str, uid_map: &str, group: Option<i64>) -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    // The first namespace maps every number to itself.
    let is_first = uid_map.split_whitespace().eq(["0", "0", "4294967295"]);
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let effective = field("CapEff:").and_then(|caps| u64::from_str_radix(caps.trim(), 16).ok());
    let is_admin = is_first && effective.is_some_and(|caps| caps >> CAP_SYS_ADMIN & 1 == 1);
    let groups = ["Gid:", "Groups:"].into_iter().filter_map(field).flat_map(str::split_whitespace);
    let is_member = group.is_some_and(|group| groups.into_iter().any(|one| one.parse() == Ok(group)));
    match value {
        0 => false,
        1 => !is_admin && !is_member,
        _ => true,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "         0          0 4294967295\n";
    const ROOT: &str = "Gid:\t0\t0\t0\t0\nGroups:\t0 \nCapEff:\t000001ffffffffff\n";
    const USER: &str = "Gid:\t1000\t1000\t1000\t1000\nGroups:\t4 27 990 \nCapEff:\t0000000000000000\n";

    #[test]
    fn the_sysctl_forbids_by_its_value() {
        assert!(!forbids(0, USER, FIRST, Some(-1)));
        assert!(forbids(1, USER, FIRST, Some(-1)));
        assert!(forbids(2, ROOT, FIRST, Some(0)));
    }

    #[test]
    fn the_sysctl_leaves_administrators_and_a_group_alone_at_one() {
        assert!(!forbids(1, ROOT, FIRST, Some(-1)));
        assert!(forbids(1, ROOT, "0 100000 65536", Some(-1)), "the root of a container");
        assert!(!forbids(1, USER, FIRST, Some(990)));
        assert!(!forbids(1, USER, FIRST, Some(1000)));
        assert!(forbids(1, USER, FIRST, Some(99)));
    }

    #[test]
    fn what_cannot_be_read_exempts_nobody() {
        assert!(forbids(1, "", "", None));
    }
}
