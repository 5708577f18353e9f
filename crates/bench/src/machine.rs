//! What the kernel says of this machine and of its processes.

use std::{fs, io};

use rustix::param::clock_ticks_per_second;
use rustix::system::uname;

use crate::pin;
use crate::report::Machine;

/// Asks the machine what it is. What it does not say is left open.
pub(crate) fn machine() -> Machine {
    let field = |file, name| field(&fs::read_to_string(file).unwrap_or_default(), name);
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let memory_kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    Machine {
        kernel: uname().release().to_string_lossy().into_owned(),
        cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "a processor without a name".to_owned()),
        cores: pin::allowed().map_or(0, |cores| cores.len()),
        memory_mib: memory_kib / 1024,
    }
}

/// The CPU time of a process in nanoseconds, all its threads together, those that ended and the kernel's workers for it
/// included. It advances in ticks of the clock, a hundredth of a second each on most machines.
///
/// # Errors
///
/// `ENOENT` for a process that is gone; `EINVAL` for a file of another form.
pub(crate) fn cpu_ns_of(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let ticks = ticks(&text).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(ticks.saturating_mul(1_000_000_000 / clock_ticks_per_second().max(1)))
}

/// User and system time out of `/proc/PID/stat`: fields 14 and 15. The second field, the name in parentheses, may itself
/// have spaces and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "4242 (a) b (c) R 1 2 3 0 -1 4194304 110 0 0 0 250 31 0 0 20 0 5 0 99 1000 200 18446744073709551615";

    #[test]
    fn user_and_system_time_are_found_behind_any_name() {
        assert_eq!(ticks(STAT), Some(281));
        assert_eq!(ticks("4242 (cut) R 1 2 3"), None);
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn a_process_that_works_has_cpu_time_and_one_that_is_not_has_none() {
        let me = std::process::id();
        let before = cpu_ns_of(me).unwrap();
        while cpu_ns_of(me).unwrap() == before {}
        assert_eq!(cpu_ns_of(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_machine_has_a_name_a_core_and_memory() {
        let machine = machine();
        assert!(machine.cores >= 1 && machine.memory_mib > 0, "{machine:?}");
        assert!(machine.kernel.starts_with(|c: char| c.is_ascii_digit()), "{machine:?}");
        assert_eq!(field("a\t: 1\nb : x y\n", "b").as_deref(), Some("x y"));
        assert_eq!(field("a: 1\n", "c"), None);
    }
}
