//! Asks the machine. Every answer is optional: what cannot be asked is left out, nothing fails.

use std::fs;

use annulus::abi::{
    FLAGS, FORMS, Features, FlagGroup, Form, OPCODES, OpcodeInfo, QueryOpcode, REGISTER_OPS, RegisterInfo,
    SetupFlags,
};
use annulus::register::{Probe, Task};
use annulus::support::{self, Support};
use annulus::{BackendChoice, IoUring, Parameters, SetupError, environment, kernel};
use rustix::process::{Resource, getrlimit};

use super::report::{
    Blocked, Engine, FormOf, Limits, Named, Opcode, RegisterOperation, Report, Rings, Sizes,
};

/// What is there.
pub(crate) fn report(choice: BackendChoice) -> Report {
    let system = rustix::system::uname();
    let kernel = system.release().to_string_lossy().into_owned();
    // Who forbids the kernel's rings may mean that its calls kill the process: then it is not even asked.
    let choice = match choice {
        BackendChoice::Auto => environment::backend_choice(),
        explicit => Ok(explicit),
    };
    let may_ask = choice != Ok(BackendChoice::Engine);
    let ring = may_ask.then(|| open(BackendChoice::Kernel));
    let blocked = match &ring {
        None => Some(Blocked { errno: 0, reason: NOT_ASKED.to_owned() }),
        Some(Err(error)) => Some(Blocked::from(error)),
        Some(Ok(_)) => None,
    };
    let ring = ring.and_then(Result::ok);
    let ring = ring.as_ref();
    Report {
        machine: system.machine().to_string_lossy().into_owned(),
        available: ring.is_some(),
        blocked,
        rings: rings(choice.and_then(open)),
        engine: open(BackendChoice::Engine).err().as_ref().map(Blocked::from),
        limits: limits(),
        largest: ring.and_then(|_| largest()),
        features: features(ring.map(IoUring::params)),
        setup_flags: setup_flags(ring.is_some()),
        opcodes: opcodes(ring, &kernel),
        register_operations: register_operations(ring.is_some(), &kernel),
        poll_devices: poll_devices(),
        kernel,
    }
}

const NOT_ASKED: &str = "the engine was asked for, so the kernel was not asked";

fn open(choice: BackendChoice) -> Result<IoUring, SetupError> {
    IoUring::builder().backend(choice).try_build(8)
}

impl From<&SetupError> for Blocked {
    fn from(error: &SetupError) -> Self {
        Self { errno: error.errno().raw_os_error(), reason: error.to_string() }
    }
}

impl From<Support> for Engine {
    fn from(support: Support) -> Self {
        Self { available: support.is_there(), note: support.note() }
    }
}

/// What a program's rings run on that leaves the choice open.
fn rings(ring: Result<IoUring, SetupError>) -> Rings {
    match ring {
        Ok(ring) => Rings { run_on: Some(ring.chosen().kind().to_string()), blocked: None },
        Err(error) => Rings { run_on: None, blocked: Some(Blocked::from(&error)) },
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
    let ring: IoUring =
        IoUring::builder().backend(BackendChoice::Kernel).setup_clamp().build(u32::MAX).ok()?;
    let params = ring.params();
    Some(Sizes { sq_entries: params.sq_entries(), cq_entries: params.cq_entries() })
}

fn features(params: Option<&Parameters>) -> Vec<Named> {
    let has = params.map(Parameters::features).unwrap_or_default();
    let row = |(name, feature): (&'static str, Features)| {
        named(name, has.contains(feature), FlagGroup::Feature, feature.bits().into())
    };
    Features::all().iter_names().map(row).collect()
}

fn setup_flags(may_ask: bool) -> Vec<Named> {
    let row = |(name, flag): (&'static str, SetupFlags)| {
        let available = may_ask && kernel::knows_setup_flag(flag);
        named(name, available, FlagGroup::Setup, flag.bits().into())
    };
    SetupFlags::all().iter_names().map(row).collect()
}

fn named(name: &'static str, available: bool, group: FlagGroup, value: u64) -> Named {
    let info = FLAGS.iter().find(|flag| flag.group == group && flag.value == value);
    let support = info.map_or(Support::Missing("not known"), support::of_flag);
    Named { name, available, engine: support.into() }
}

fn opcodes(ring: Option<&IoUring>, kernel: &str) -> Vec<Opcode> {
    let mut probe = Probe::new();
    // A kernel before 5.6 cannot be asked; it is left with nothing available, which is the careful answer.
    let asked = ring.is_some_and(|ring| ring.submitter().register_probe(&mut probe).is_ok());
    let row = |op: &OpcodeInfo| {
        let available = asked && probe.is_supported(op.number);
        Opcode {
            number: op.number,
            name: op.name,
            since: release(op.since),
            available,
            engine: support::of_opcode(op).into(),
            forms: forms(op, available, version(kernel)),
        }
    };
    OPCODES.iter().map(row).collect()
}

fn forms(op: &OpcodeInfo, available: bool, running: Option<(u8, u8)>) -> Vec<FormOf> {
    let row = |form: &Form| FormOf {
        name: form.name,
        what: form.what,
        since: release(form.since_with(op)),
        available: available && running >= Some(form.since_with(op)),
        engine: support::of_form(op, form).into(),
    };
    FORMS.iter().filter(|form| form.is_of(op)).map(row).collect()
}

fn register_operations(may_ask: bool, kernel: &str) -> Vec<RegisterOperation> {
    let query =
        may_ask.then(|| Task::new().backend(BackendChoice::Kernel).query::<QueryOpcode>().ok()).flatten();
    let count = query.map(|answer| answer.nr_register_opcodes);
    let running = version(kernel);
    let row = |op: &RegisterInfo| {
        let number = op.op.number();
        let (available, known_by) = match count {
            Some(count) => (number < count, "query"),
            None => (may_ask && running >= Some(op.since), "release"),
        };
        let engine = support::of_register_op(op).into();
        RegisterOperation { number, name: op.name, since: release(op.since), available, known_by, engine }
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
