//! Asks the machine. Every answer is optional: what cannot be asked is left out, nothing fails.

use std::fs;

use annulus::abi::{Features, OPCODES, QueryOpcode, REGISTER_OPS, SetupFlags};
use annulus::register::{Probe, Task};
use annulus::{IoUring, Parameters, environment, kernel};
use rustix::process::{Resource, getrlimit};

use super::report::{Blocked, Limits, Named, Opcode, RegisterOperation, Report, Sizes};

/// What is there.
pub(crate) fn report() -> Report {
    let system = rustix::system::uname();
    let kernel = system.release().to_string_lossy().into_owned();
    let ring = IoUring::builder().try_build(8);
    let blocked = ring
        .as_ref()
        .err()
        .map(|error| Blocked { errno: error.errno().raw_os_error(), reason: error.to_string() });
    let ring: Option<IoUring> = ring.ok();
    Report {
        machine: system.machine().to_string_lossy().into_owned(),
        available: ring.is_some(),
        blocked,
        limits: limits(),
        largest: largest(),
        features: ring.as_ref().map(|ring| features(ring.params())).unwrap_or_default(),
        setup_flags: if ring.is_some() { setup_flags() } else { Vec::new() },
        opcodes: ring.as_ref().map(opcodes).unwrap_or_default(),
        register_operations: ring.as_ref().map(|_| register_operations(&kernel)).unwrap_or_default(),
        poll_devices: poll_devices(),
        kernel,
    }
}

fn limits() -> Limits {
    Limits {
        io_uring_disabled: environment::io_uring_disabled(),
        io_uring_group: environment::io_uring_group(),
        seccomp_filter: environment::seccomp_filter(),
        memlock_bytes: getrlimit(Resource::Memlock).current,
        descriptors: getrlimit(Resource::Nofile).current,
    }
}

/// The sizes that the kernel clamps a huge wish to.
fn largest() -> Option<Sizes> {
    let ring: IoUring = IoUring::builder().setup_clamp().build(u32::MAX).ok()?;
    let params = ring.params();
    Some(Sizes { sq_entries: params.sq_entries(), cq_entries: params.cq_entries() })
}

fn features(params: &Parameters) -> Vec<Named> {
    let has = params.features();
    let row = |(name, feature)| Named { name, available: has.contains(feature) };
    Features::all().iter_names().map(row).collect()
}

fn setup_flags() -> Vec<Named> {
    let row = |(name, flag)| Named { name, available: kernel::knows_setup_flag(flag) };
    SetupFlags::all().iter_names().map(row).collect()
}

fn opcodes(ring: &IoUring) -> Vec<Opcode> {
    let mut probe = Probe::new();
    // A kernel before 5.6 cannot be asked; it is left with nothing available, which is the careful answer.
    let asked = ring.submitter().register_probe(&mut probe).is_ok();
    let row = |op: &annulus::abi::OpcodeInfo| Opcode {
        number: op.number,
        name: op.name,
        since: release(op.since),
        available: asked && probe.is_supported(op.number),
    };
    OPCODES.iter().map(row).collect()
}

fn register_operations(kernel: &str) -> Vec<RegisterOperation> {
    let query = Task::new().query::<QueryOpcode>();
    let count = query.ok().map(|answer| answer.nr_register_opcodes);
    let running = version(kernel);
    let row = |op: &annulus::abi::RegisterInfo| {
        let number = op.op.number();
        let (available, known_by) = match count {
            Some(count) => (number < count, "query"),
            None => (running >= Some(op.since), "release"),
        };
        RegisterOperation { number, name: op.name, since: release(op.since), available, known_by }
    };
    REGISTER_OPS.iter().map(row).collect()
}

/// Block devices that were given poll queues.
fn poll_devices() -> Vec<String> {
    let Ok(devices) = fs::read_dir("/sys/block") else { return Vec::new() };
    let polls = |device: &fs::DirEntry| {
        fs::read_to_string(device.path().join("queue/io_poll")).is_ok_and(|value| value.trim() == "1")
    };
    let mut names: Vec<String> = devices
        .filter_map(Result::ok)
        .filter(polls)
        .map(|device| device.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn release((major, minor): (u8, u8)) -> String {
    format!("{major}.{minor}")
}

/// Major and minor number of a release such as `6.18.44-amd64`.
fn version(release: &str) -> Option<(u8, u8)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_compared_by_its_first_two_numbers() {
        assert_eq!(version("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(version("5.10.0-46-cloud-amd64"), Some((5, 10)));
        assert_eq!(version("unknown"), None);
    }
}
