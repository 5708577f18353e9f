//! The report as data. Field names are the keys of the JSON, and stay.

use serde::Serialize;

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The kernel's release, as `uname -r` prints it.
    pub(crate) kernel: String,
    /// The machine's architecture.
    pub(crate) machine: String,
    /// Whether the kernel lets a ring be set up.
    pub(crate) available: bool,
    /// Why not, and what to do.
    pub(crate) blocked: Option<Blocked>,
    /// What the rings of a program run on.
    pub(crate) rings: Rings,
    /// Why the engine has no ring to give; nothing if it has.
    pub(crate) engine: Option<Blocked>,
    /// Circumstances that decide whether io_uring is allowed, and how much of it.
    pub(crate) limits: Limits,
    /// The sizes of the largest ring.
    pub(crate) largest: Option<Sizes>,
    /// What the kernel reports about any ring (`IORING_FEAT_*`).
    pub(crate) features: Vec<Named>,
    /// How a ring can be set up (`IORING_SETUP_*`).
    pub(crate) setup_flags: Vec<Named>,
    /// What a ring can be asked to do (`IORING_OP_*`).
    pub(crate) opcodes: Vec<Opcode>,
    /// What can be registered and configured (`IORING_REGISTER_*`).
    pub(crate) register_operations: Vec<RegisterOperation>,
    /// Block devices with poll queues, which `IORING_SETUP_IOPOLL` needs.
    pub(crate) poll_devices: Vec<String>,
}

/// What the rings of a program run on that makes this choice: `--backend`, or `ANNULUS_BACKEND`.
#[derive(Debug, Serialize)]
pub(crate) struct Rings {
    /// `kernel` or `engine`.
    pub(crate) run_on: Option<String>,
    /// Why there is no ring at all.
    pub(crate) blocked: Option<Blocked>,
}

/// Why no ring can be set up.
#[derive(Debug, Serialize)]
pub(crate) struct Blocked {
    /// The number of the errno; 0 if nobody was asked.
    pub(crate) errno: i32,
    /// The cause as far as the machine shows it, and the remedy.
    pub(crate) reason: String,
}

/// Circumstances of this process.
#[derive(Debug, Serialize)]
pub(crate) struct Limits {
    /// `kernel.io_uring_disabled`: 0 allowed, 1 for the privileged and a group, 2 for nobody. Linux 6.6.
    pub(crate) io_uring_disabled: Option<u8>,
    /// `kernel.io_uring_group`: who is allowed where the former is 1; -1 for no group.
    pub(crate) io_uring_group: Option<i64>,
    /// Whether a seccomp filter is in force for this process.
    pub(crate) seccomp_filter: bool,
    /// The soft limit of locked memory in bytes; none if there is no limit.
    pub(crate) memlock_bytes: Option<u64>,
    /// The soft limit of open descriptors; none if there is no limit.
    pub(crate) descriptors: Option<u64>,
}

/// How large a ring gets.
#[derive(Debug, Serialize)]
pub(crate) struct Sizes {
    /// Entries of the submission queue.
    pub(crate) sq_entries: u32,
    /// Entries of the completion queue.
    pub(crate) cq_entries: u32,
}

/// A flag.
#[derive(Debug, Serialize)]
pub(crate) struct Named {
    /// Its name, without the prefix of its group.
    pub(crate) name: &'static str,
    /// Whether the kernel has it.
    pub(crate) available: bool,
    /// What the engine makes of it.
    pub(crate) engine: Engine,
}

/// What the engine, which needs no io_uring of the kernel's, makes of something.
#[derive(Debug, Serialize)]
pub(crate) struct Engine {
    /// Whether it has it.
    pub(crate) available: bool,
    /// In which way it differs from Linux 6.18, or why it is missing.
    pub(crate) note: Option<&'static str>,
}

/// An opcode.
#[derive(Debug, Serialize)]
pub(crate) struct Opcode {
    /// Its number.
    pub(crate) number: u8,
    /// Its name, without `IORING_OP_`.
    pub(crate) name: &'static str,
    /// The first Linux that has it.
    pub(crate) since: String,
    /// Whether the kernel says that it has it (`IORING_REGISTER_PROBE`).
    pub(crate) available: bool,
    /// What the engine makes of it.
    pub(crate) engine: Engine,
    /// Its forms beside the plain one.
    pub(crate) forms: Vec<FormOf>,
}

/// A form of an opcode.
#[derive(Debug, Serialize)]
pub(crate) struct FormOf {
    /// The constant that asks for it; empty where it takes none.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) what: &'static str,
    /// The first Linux that has it.
    pub(crate) since: String,
    /// Whether the kernel has it: by its release, and as far as it has the opcode.
    pub(crate) available: bool,
    /// What the engine makes of it.
    pub(crate) engine: Engine,
}

/// A register operation.
#[derive(Debug, Serialize)]
pub(crate) struct RegisterOperation {
    /// Its number.
    pub(crate) number: u32,
    /// Its name, without `IORING_`.
    pub(crate) name: &'static str,
    /// The first Linux that has it.
    pub(crate) since: String,
    /// Whether it is there.
    pub(crate) available: bool,
    /// How that is known: `query` (the kernel said so, Linux 6.18) or `release` (from the kernel's release).
    pub(crate) known_by: &'static str,
    /// What the engine makes of it.
    pub(crate) engine: Engine,
}
