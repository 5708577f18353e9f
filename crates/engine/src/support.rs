//! How much of the interface the engine honours: what `annulus probe` and `docs/SUPPORT.md` say of it.
//!
//! The engine presents itself as Linux 6.18, so what came later is missing, and what came with it or before is there,
//! as the kernel has it, unless a row here says otherwise. The conformance suite holds these rows against what the engine answers.

use annulus_abi::{self as abi, FlagGroup, FlagInfo, Form, OpcodeInfo, RegisterInfo};

use crate::op::is_supported;
use crate::setup::{FEATURES, KNOWN};

/// The Linux as which the engine presents itself: major, minor.
pub const RELEASE: (u8, u8) = (6, 18);

/// Whether the engine honours something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As Linux 6.18 does.
    Full,
    /// Yes, with this difference.
    Differs(&'static str),
    /// No, for this reason; it answers as a kernel without it.
    Missing(&'static str),
}

impl Support {
    /// Whether a program can use it.
    #[must_use]
    pub const fn is_there(self) -> bool {
        !matches!(self, Self::Missing(_))
    }

    /// The difference, or the reason.
    #[must_use]
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::Full => None,
            Self::Differs(note) | Self::Missing(note) => Some(note),
        }
    }

    const fn from_release((major, minor): (u8, u8)) -> Self {
        if major < RELEASE.0 || major == RELEASE.0 && minor <= RELEASE.1 {
            Self::Full
        } else {
            Self::Missing("newer than Linux 6.18")
        }
    }
}

/// An opcode in its plain form.
///
/// ```
/// use annulus_engine::support::{self, Support};
/// use annulus_abi::{IORING_OP_READ, IORING_OP_RECV_ZC, OpcodeInfo};
///
/// assert_eq!(support::of_opcode(OpcodeInfo::of(IORING_OP_READ).unwrap()), Support::Full);
/// assert!(!support::of_opcode(OpcodeInfo::of(IORING_OP_RECV_ZC).unwrap()).is_there());
/// ```
#[must_use]
pub fn of_opcode(info: &OpcodeInfo) -> Support {
    let row = OPCODES.iter().find(|(opcode, _)| *opcode == info.number);
    match row {
        Some((_, support)) => *support,
        None if info.since > RELEASE => Support::from_release(info.since),
        None if is_supported(info.number) => Support::Full,
        None => Support::Missing("not in the engine"),
    }
}

/// An opcode in one of its forms.
#[must_use]
pub fn of_form(info: &OpcodeInfo, form: &Form) -> Support {
    let plain = of_opcode(info);
    if !plain.is_there() {
        return plain;
    }
    let row = FORMS.iter().find(|(name, what, _)| *name == form.name && *what == form.what);
    row.map_or_else(|| Support::from_release(form.since_with(info)), |row| row.2)
}

/// A flag of a ring, an entry, an enter or a registration.
#[must_use]
pub fn of_flag(flag: &FlagInfo) -> Support {
    if let Some((_, support)) = FLAGS.iter().find(|(name, _)| *name == flag.name) {
        return *support;
    }
    let is_known = match flag.group {
        FlagGroup::Setup => u64::from(KNOWN.bits()) & flag.value != 0,
        FlagGroup::Feature => u64::from(FEATURES.bits()) & flag.value != 0,
        FlagGroup::Entry | FlagGroup::Enter | FlagGroup::Register => true,
    };
    if is_known { Support::from_release(flag.since) } else { Support::Missing("newer than Linux 6.18") }
}

/// An operation of io_uring_register(2).
#[must_use]
pub fn of_register_op(info: &RegisterInfo) -> Support {
    let row = REGISTER_OPS.iter().find(|(number, _)| *number == info.op.number());
    row.map_or_else(|| Support::from_release(info.since), |row| row.1)
}

const BENEATH: Support = Support::Differs("as the kernel beneath has it");
const FUTEX_THREADS: Support = Support::Differs("a thread for each wait, at most 256 for a ring");
const NO_DEVICE: Support = Support::Missing("needs a driver of the kernel");

/// Opcodes that are not as in the kernel.
const OPCODES: [(u8, Support); 7] = [
    (abi::IORING_OP_SEND_ZC, Support::Differs("copies; the notification follows at once and says so")),
    (abi::IORING_OP_SENDMSG_ZC, Support::Differs("copies; the notification follows at once and says so")),
    (abi::IORING_OP_URING_CMD, Support::Differs("commands of sockets; EOPNOTSUPP for other files")),
    (abi::IORING_OP_RECV_ZC, NO_DEVICE),
    (
        abi::IORING_OP_WAITID,
        Support::Differs("the end of one child is watched for; other waits take a worker each"),
    ),
    (abi::IORING_OP_FUTEX_WAIT, FUTEX_THREADS),
    (abi::IORING_OP_FUTEX_WAITV, FUTEX_THREADS),
];

/// Forms that are not as in the kernel: the constant and the words of the form.
const FORMS: [(&str, &str, Support); 14] = [
    ("RWF_DSYNC", "as with O_DSYNC", BENEATH),
    ("RWF_SYNC", "as with O_SYNC", BENEATH),
    ("RWF_APPEND", "at the end of the file", BENEATH),
    (
        "RWF_NOAPPEND",
        "not at the end of the file",
        Support::Differs("for files with O_APPEND, Linux 6.9 beneath"),
    ),
    ("RWF_ATOMIC", "all or nothing", BENEATH),
    ("RWF_DONTCACHE", "leaves nothing in the page cache", BENEATH),
    (
        "",
        "with a priority (ioprio_set(2))",
        Support::Differs("that of the worker; what needs none ignores it"),
    ),
    ("IORING_SETUP_IOPOLL", "polled, with O_DIRECT", Support::Differs("workers poll (RWF_HIPRI)")),
    (
        "IORING_RW_ATTR_FLAG_PI",
        "protection information",
        Support::Missing("EINVAL; no system call carries it"),
    ),
    ("", "NVMe passthrough", NO_DEVICE),
    ("BLOCK_URING_CMD_DISCARD", "block device: discard", NO_DEVICE),
    ("IORING_URING_CMD_FIXED", "with a registered buffer", NO_DEVICE),
    ("IORING_URING_CMD_MULTISHOT", "multishot", NO_DEVICE),
    ("FUTEX2_NUMA", "on a NUMA node", BENEATH),
];

/// Flags that are not as in the kernel.
const FLAGS: [(&str, Support); 9] = [
    ("IORING_SETUP_IOPOLL", Support::Differs("workers poll (RWF_HIPRI); completions come by entering")),
    ("IORING_SETUP_HYBRID_IOPOLL", Support::Differs("as IORING_SETUP_IOPOLL")),
    ("IORING_SETUP_SQPOLL", Support::Differs("by a thread of this process")),
    ("IORING_SETUP_ATTACH_WQ", Support::Differs("shares the workers; a polling thread is the ring's own")),
    ("IORING_SETUP_REGISTERED_FD_ONLY", Support::Differs("there is no descriptor to poll")),
    ("IORING_FEAT_REG_REG_RING", Support::Missing("a call of the engine names no descriptor")),
    ("IORING_FEAT_RW_ATTR", Support::Missing("no system call carries protection information")),
    ("IORING_ENTER_REGISTERED_RING", Support::Differs("without effect: there is no descriptor to be saved")),
    ("IORING_ENTER_NO_IOWAIT", Support::Differs("always so: a wait of the engine is none of I/O")),
];

/// Register operations that are not as in the kernel.
const REGISTER_OPS: [(u32, Support); 10] = [
    (abi::IORING_REGISTER_BUFFERS, Support::Differs(NOT_PINNED)),
    (abi::IORING_REGISTER_BUFFERS2, Support::Differs(NOT_PINNED)),
    (abi::IORING_REGISTER_BUFFERS_UPDATE, Support::Differs(NOT_PINNED)),
    (abi::IORING_REGISTER_PERSONALITY, Support::Differs("workers with these credentials; see the crate")),
    (abi::IORING_REGISTER_NAPI, Support::Missing("EOPNOTSUPP; needs a driver of the kernel")),
    (abi::IORING_UNREGISTER_NAPI, Support::Missing("EOPNOTSUPP; needs a driver of the kernel")),
    (abi::IORING_REGISTER_ZCRX_IFQ, Support::Missing("EOPNOTSUPP; needs a driver of the kernel")),
    (abi::IORING_REGISTER_RESIZE_RINGS, Support::Differs("by `Backend::resize`")),
    (abi::IORING_REGISTER_IOWQ_MAX_WORKERS, Support::Differs("of the ring; in the kernel of the thread")),
    (abi::IORING_REGISTER_IOWQ_AFF, Support::Differs("of the ring; in the kernel of the thread")),
];

const NOT_PINNED: &str = "the memory is not pinned, and not charged to RLIMIT_MEMLOCK";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_about_something_that_exists() {
        for (name, what, _) in FORMS {
            let exists = abi::FORMS.iter().any(|form| form.name == name && form.what == what);
            assert!(exists, "nothing has the form {name} {what}");
        }
        for (name, _) in FLAGS {
            assert!(abi::FLAGS.iter().any(|flag| flag.name == name), "there is no flag {name}");
        }
    }

    #[test]
    fn what_is_missing_is_what_a_probe_does_not_name() {
        for info in &abi::OPCODES {
            assert_eq!(of_opcode(info).is_there(), is_supported(info.number), "{}", info.name);
        }
        let features = abi::FLAGS.iter().filter(|flag| flag.group == FlagGroup::Feature);
        for flag in features {
            let is_set = u64::from(FEATURES.bits()) & flag.value != 0;
            assert_eq!(of_flag(flag).is_there(), is_set, "{}", flag.name);
        }
        let setup = abi::FLAGS.iter().filter(|flag| flag.group == FlagGroup::Setup);
        for flag in setup {
            let is_known = u64::from(KNOWN.bits()) & flag.value != 0;
            assert_eq!(of_flag(flag).is_there(), is_known, "{}", flag.name);
        }
    }
}
