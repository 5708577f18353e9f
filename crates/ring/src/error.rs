//! Why a ring could not be set up, and what to do about it.
//!
//! The kernel answers with an errno; the same errno has several causes, and the machine tells which it
//! was: the sysctl, the seccomp state of this process, its limits, and, for flags, a few more attempts.
//! Nothing here changes anything, and nothing is looked up before a set-up has failed.

use std::fmt::{self, Display, Formatter};
use std::io;

use annulus_abi::{Params, SetupFlags};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::backend::ENGINE_FLAGS;
use crate::environment;
use crate::kernel::{self, SystemCalls, plain_ring, probe_flag};

/// Flags under which the queues are not what [`SubmissionQueue`](crate::SubmissionQueue) takes them for: with
/// `SQ_REWIND` the kernel reads the entries from the first slot on at every call, whatever was consumed before.
pub(crate) const UNUSABLE: SetupFlags = SetupFlags::SQ_REWIND;

/// A ring could not be set up: the errno, the cause as far as this machine shows it, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// `EPERM`: the sysctl `kernel.io_uring_disabled` forbids io_uring, to unprivileged processes (1) or
    /// to all (2).
    DisabledBySysctl {
        /// The value of the sysctl.
        value: u8,
    },
    /// `EPERM` or `EACCES`, or `EINVAL` even for the plainest ring, and a seccomp filter is in force: a container's
    /// or a service's profile.
    ForbiddenBySeccomp {
        /// What the filter answered.
        errno: Errno,
    },
    /// `EPERM` or `EACCES` without sysctl and filter: a security module, or a feature that wants a privilege.
    Forbidden {
        /// What the kernel answered.
        errno: Errno,
    },
    /// `ENOSYS`: no io_uring in this kernel, or a filter that says so.
    Missing {
        /// Whether a seccomp filter is in force, which may be what answers.
        seccomp: bool,
    },
    /// `ENOMEM`: the rings count against the limit of locked memory, or memory is short.
    OutOfMemory {
        /// Bytes that the rings take.
        needed: usize,
        /// The soft limit of locked memory (`RLIMIT_MEMLOCK`) in bytes, if there is one.
        limit: Option<u64>,
    },
    /// `EMFILE` or `ENFILE`: no descriptor left in the process or in the system.
    OutOfDescriptors {
        /// Which of the two.
        errno: Errno,
        /// The soft limit of the process (`RLIMIT_NOFILE`), if there is one.
        limit: Option<u64>,
    },
    /// `EINVAL`: a number of entries out of range.
    Entries {
        /// What was asked for.
        asked: u32,
        /// The most that there can be.
        most: u32,
        /// Which queue.
        queue: &'static str,
    },
    /// `EINVAL`: this kernel, or the engine, knows too little.
    FlagsUnknown {
        /// The flags that it refuses.
        flags: SetupFlags,
    },
    /// `EINVAL`: a flag without another one that it needs.
    FlagNeeds {
        /// The flag.
        flag: SetupFlags,
        /// One of these must be set too.
        needs: SetupFlags,
    },
    /// `EINVAL`: flags that exclude each other.
    FlagsExclude {
        /// Both.
        flags: SetupFlags,
    },
    /// Flags that the queues of this crate do not go with, whatever the kernel says (`EINVAL`).
    FlagsUnusable {
        /// The flags.
        flags: SetupFlags,
    },
    /// No back end has this name (`EINVAL`): [`BackendChoice`](crate::BackendChoice), or the variable `ANNULUS_BACKEND`.
    UnknownBackend {
        /// The name.
        name: String,
    },
    /// The engine was asked for, and this program was built without it (`EOPNOTSUPP`).
    EngineNotBuilt,
    /// The engine was asked for together with a table of system calls (`EINVAL`), which is the kernel's.
    EngineHasNoTable,
    /// `EAGAIN`: no thread for the ring.
    OutOfThreads {
        /// The soft limit of the user (`RLIMIT_NPROC`), if there is one.
        limit: Option<u64>,
    },
    /// Anything else that io_uring_setup(2) or mmap(2) answered.
    Other {
        /// The answer.
        errno: Errno,
    },
}

impl SetupError {
    /// Finds the cause of a refusal.
    pub(crate) fn explain(calls: &SystemCalls, errno: Errno, entries: u32, params: &Params) -> Self {
        let error = match errno {
            Errno::PERM | Errno::ACCESS => forbidden(errno),
            Errno::NOSYS => Self::Missing { seccomp: environment::seccomp_filter() },
            Errno::NOMEM => Self::OutOfMemory {
                needed: kernel::memory_size(entries, params),
                limit: getrlimit(Resource::Memlock).current,
            },
            Errno::MFILE | Errno::NFILE => {
                Self::OutOfDescriptors { errno, limit: getrlimit(Resource::Nofile).current }
            }
            Errno::AGAIN => Self::OutOfThreads { limit: getrlimit(Resource::Nproc).current },
            Errno::INVAL => invalid(entries, params).unwrap_or_else(|| refused_by_kernel(calls, params)),
            _ => Self::Other { errno },
        };
        tracing::debug!(%error, "no ring of the kernel's");
        error
    }

    /// Finds the cause of a refusal of the engine's, without any call of io_uring.
    pub(crate) fn explain_engine(errno: Errno, entries: u32, params: &Params) -> Self {
        let error = match errno {
            // Nothing is locked.
            Errno::NOMEM => Self::OutOfMemory { needed: kernel::memory_size(entries, params), limit: None },
            Errno::MFILE | Errno::NFILE => {
                Self::OutOfDescriptors { errno, limit: getrlimit(Resource::Nofile).current }
            }
            Errno::AGAIN => Self::OutOfThreads { limit: getrlimit(Resource::Nproc).current },
            Errno::INVAL => invalid(entries, params).unwrap_or_else(|| refused_by_engine(params)),
            _ => Self::Other { errno },
        };
        tracing::debug!(%error, "no ring of the engine's");
        error
    }

    /// Whether it is only the kernel that refuses, so that the engine may do.
    pub(crate) const fn leaves_the_engine(&self) -> bool {
        self.is_limit()
            || matches!(
                self,
                Self::DisabledBySysctl { .. }
                    | Self::ForbiddenBySeccomp { .. }
                    | Self::Forbidden { .. }
                    | Self::Missing { .. }
            )
    }

    /// Whether a limit stands in the way, which can be raised.
    pub(crate) const fn is_limit(&self) -> bool {
        matches!(self, Self::OutOfMemory { .. } | Self::OutOfDescriptors { .. })
    }

    /// The errno behind it.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match *self {
            Self::DisabledBySysctl { .. } => Errno::PERM,
            Self::Missing { .. } => Errno::NOSYS,
            Self::OutOfMemory { .. } => Errno::NOMEM,
            Self::ForbiddenBySeccomp { errno }
            | Self::Forbidden { errno }
            | Self::OutOfDescriptors { errno, .. }
            | Self::Other { errno } => errno,
            Self::Entries { .. }
            | Self::FlagsUnknown { .. }
            | Self::FlagNeeds { .. }
            | Self::FlagsExclude { .. }
            | Self::FlagsUnusable { .. }
            | Self::UnknownBackend { .. }
            | Self::EngineHasNoTable => Errno::INVAL,
            Self::EngineNotBuilt => Errno::OPNOTSUPP,
            Self::OutOfThreads { .. } => Errno::AGAIN,
        }
    }
}

impl Display for SetupError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::DisabledBySysctl { value } => {
                let whom = if *value == 1 {
                    "processes without CAP_SYS_ADMIN that are not in kernel.io_uring_group"
                } else {
                    "all processes"
                };
                write!(
                    f,
                    "io_uring is forbidden to {whom} here (sysctl kernel.io_uring_disabled={value}, EPERM); \
                     an administrator can allow it with `sysctl kernel.io_uring_disabled=0`"
                )
            }
            Self::ForbiddenBySeccomp { errno } => write!(
                f,
                "io_uring is forbidden by a seccomp filter ({errno}), as in containers with the default \
                 profile of Docker, containerd or Podman; allow io_uring_setup, io_uring_enter and \
                 io_uring_register in the profile"
            ),
            Self::Forbidden { errno } => write!(
                f,
                "io_uring is forbidden ({errno}) though neither the sysctl nor seccomp forbids it: look for \
                 a security module (SELinux, AppArmor) or a flag that wants a privilege"
            ),
            Self::Missing { seccomp: true } => f.write_str(
                "there is no io_uring here (ENOSYS), and a seccomp filter is in force that may be what says so \
                 (Podman's profile does); allow io_uring_setup, io_uring_enter and io_uring_register in it",
            ),
            Self::Missing { seccomp: false } => f.write_str(
                "there is no io_uring here (ENOSYS): the kernel is older than 5.1, was built without it, or \
                 is an emulation such as gVisor",
            ),
            Self::OutOfMemory { needed, limit: Some(limit) } => write!(
                f,
                "no memory for the rings (ENOMEM): they take {needed} bytes, and all rings and registered buffers of this \
                 user together may lock {limit} bytes; raise RLIMIT_MEMLOCK (`ulimit -l`, LimitMEMLOCK=) or ask for fewer entries"
            ),
            Self::OutOfMemory { needed, limit: None } => {
                write!(f, "no memory for the rings (ENOMEM): they take {needed} bytes, and no limit of locked memory is in the way")
            }
            Self::OutOfDescriptors { errno: Errno::MFILE, limit } => {
                let limit = limit.map_or_else(String::new, |limit| format!(" of {limit}"));
                write!(f, "no descriptor left for a ring (EMFILE): raise the process's limit{limit} (`ulimit -n`) or close some")
            }
            Self::OutOfDescriptors { .. } => {
                f.write_str("no descriptor left for a ring in the whole system (ENFILE): see sysctl fs.file-max")
            }
            Self::Entries { asked, most, queue } => {
                write!(f, "a {queue} queue has 1 to {most} entries, {asked} were asked for (EINVAL); setup_clamp takes what there is")
            }
            Self::FlagsUnknown { flags } => {
                write!(f, "the setup flags {flags:?} are not known here (EINVAL); `Builder::optional` goes on without")
            }
            Self::FlagNeeds { flag, needs } => {
                write!(f, "the setup flag {flag:?} is refused without {needs:?} (EINVAL)")
            }
            Self::FlagsExclude { flags } => {
                write!(f, "the setup flags {flags:?} exclude each other (EINVAL)")
            }
            Self::FlagsUnusable { flags } => {
                write!(f, "the setup flags {flags:?} do not go with the queues of this crate (EINVAL); leave them out")
            }
            Self::UnknownBackend { name } => write!(
                f,
                "there is no back end `{name}` (EINVAL); ANNULUS_BACKEND and `backend` take auto, kernel or engine"
            ),
            Self::EngineNotBuilt => f.write_str(
                "this program was built without the engine (EOPNOTSUPP): switch on the feature `engine` of `annulus`",
            ),
            Self::EngineHasNoTable => f.write_str(
                "the engine does not go through a table of system calls (EINVAL): leave out `system_calls`, or \
                 the choice of the engine",
            ),
            Self::OutOfThreads { limit } => {
                let limit = limit.map_or_else(String::new, |limit| format!(" of {limit}"));
                write!(f, "no thread for the ring (EAGAIN): raise the limit{limit} of the user's threads (`ulimit -u`) or that of the cgroup")
            }
            Self::Other { errno } => write!(f, "the ring could not be set up: {errno}"),
        }
    }
}

impl std::error::Error for SetupError {}

impl From<SetupError> for io::Error {
    /// Keeps the errno, so that `raw_os_error` answers as it does for a system call.
    fn from(error: SetupError) -> Self {
        error.errno().into()
    }
}

fn forbidden(errno: Errno) -> SetupError {
    match environment::io_uring_disabled() {
        Some(value) if errno == Errno::PERM && environment::sysctl_forbids(value) => {
            SetupError::DisabledBySysctl { value }
        }
        _ if environment::seccomp_filter() => SetupError::ForbiddenBySeccomp { errno },
        _ => SetupError::Forbidden { errno },
    }
}

/// The reasons for `EINVAL` that are the same on every back end.
fn invalid(entries: u32, params: &Params) -> Option<SetupError> {
    let flags = params.setup_flags();
    let clamp = flags.contains(SetupFlags::CLAMP);
    if entries == 0 || (entries > Params::MAX_SQ_ENTRIES && !clamp) {
        return Some(SetupError::Entries {
            asked: entries,
            most: Params::MAX_SQ_ENTRIES,
            queue: "submission",
        });
    }
    if flags.contains(SetupFlags::CQSIZE) {
        let asked = params.cq_entries;
        if asked == 0 || (asked > Params::MAX_CQ_ENTRIES && !clamp) || asked.next_power_of_two() < entries {
            return Some(SetupError::Entries { asked, most: Params::MAX_CQ_ENTRIES, queue: "completion" });
        }
    }
    for (flag, needs) in SetupFlags::NEEDS {
        if flags.contains(flag) && !flags.intersects(needs) {
            return Some(SetupError::FlagNeeds { flag, needs });
        }
    }
    let excluded = SetupFlags::EXCLUDES.iter().find(|(one, other)| flags.contains(*one | *other));
    excluded.map(|(one, other)| SetupError::FlagsExclude { flags: *one | *other })
}

/// What this kernel does not know, by a few more attempts.
fn refused_by_kernel(calls: &SystemCalls, params: &Params) -> SetupError {
    let flags = params.setup_flags();
    let errno = Errno::INVAL;
    if plain_ring(calls) == Err(errno) {
        // It is not for the flags, then.
        let filtered = environment::seccomp_filter();
        return if filtered { SetupError::ForbiddenBySeccomp { errno } } else { SetupError::Other { errno } };
    }
    let unknown =
        flags.iter().filter(|flag| !probe_flag(calls, *flag)).fold(SetupFlags::empty(), |all, one| all | one);
    not_known(unknown | flags.difference(SetupFlags::all()))
}

/// What the engine does not know.
fn refused_by_engine(params: &Params) -> SetupError {
    not_known(params.setup_flags().difference(ENGINE_FLAGS.unwrap_or_default()))
}

fn not_known(flags: SetupFlags) -> SetupError {
    if flags.is_empty() {
        return SetupError::Other { errno: Errno::INVAL };
    }
    SetupError::FlagsUnknown { flags }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
