//! The back ends that a ring can be built on: one line for each, and nothing else in the bench knows how many
//! there are.

use std::io;

use annulus::{BackendChoice, IoUring, SetupError};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::report::Fault;

/// What executes a ring's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Back {
    /// The kernel's io_uring.
    Kernel,
    /// The engine, in the measured process.
    Engine,
}

impl Back {
    /// All of them, in the order of the tables.
    pub(crate) const ALL: [Self; 2] = [Self::Kernel, Self::Engine];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Engine => "engine",
        }
    }

    /// A ring as a loop of one thread has it: of a single issuer, called through its registered descriptor, with
    /// completions made when that thread enters.
    ///
    /// # Errors
    ///
    /// [`Fault::Refused`] if the back end may not be used here or does not have these flags.
    pub(crate) fn ring(self, entries: u32, completions: u32) -> Result<IoUring, Fault> {
        let mut builder = IoUring::builder();
        builder.backend(self.choice());
        builder.setup_single_issuer().setup_defer_taskrun().setup_cqsize(completions).setup_clamp();
        builder.try_build(entries).map_err(refusal)
    }

    /// A runtime with a ring for this many operations at a time.
    pub(crate) fn runtime(self, operations: u32) -> annulus_rt::Builder {
        annulus_rt::Builder::new().backend(self.choice()).entries(entries_for(operations))
    }

    /// Neither `auto` nor what the environment says: a table must not say of one what was measured of the other.
    const fn choice(self) -> BackendChoice {
        match self {
            Self::Kernel => BackendChoice::Kernel,
            Self::Engine => BackendChoice::Engine,
        }
    }
}

/// Entries of a submission queue that takes this many operations at once.
pub(crate) fn entries_for(operations: u32) -> u32 {
    operations.next_power_of_two().max(64)
}

/// Why there is no ring.
fn refusal(error: SetupError) -> Fault {
    let reason = error.to_string();
    judge(reason, &error.into())
}

/// Why a runtime did not run.
pub(crate) fn not_running(error: annulus_rt::Error) -> Fault {
    match error {
        annulus_rt::Error::Setup(error) => refusal(error),
        error => Fault::Failed(error.to_string()),
    }
}

/// Why something could not be registered with a ring.
pub(crate) fn not_registered(what: &str, error: &io::Error) -> Fault {
    judge(format!("{what} cannot be registered: {error}"), error)
}

/// What is forbidden or missing here is a finding; memory or descriptors that are short are none.
fn judge(reason: String, error: &io::Error) -> Fault {
    match Errno::from_io_error(error) {
        Some(Errno::PERM | Errno::ACCESS | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {
            Fault::Refused(reason)
        }
        _ => Fault::Failed(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_of_every_back_end_has_the_flags_that_are_compared() {
        for back in Back::ALL {
            let ring = back.ring(8, 64).unwrap();
            let flags = ring.params().setup_flags();
            assert_eq!(ring.chosen().kind().to_string(), back.name());
            assert!(flags.contains(annulus::abi::SetupFlags::DEFER_TASKRUN), "{back:?}: {flags:?}");
            assert!(ring.params().is_setup_single_issuer(), "{back:?}: {flags:?}");
        }
    }

    #[test]
    fn what_is_forbidden_is_refused_and_what_is_short_has_failed() {
        let forbidden = SetupError::ForbiddenBySeccomp { errno: Errno::PERM };
        assert!(matches!(refusal(forbidden), Fault::Refused(_)));
        assert!(matches!(refusal(SetupError::Missing { seccomp: false }), Fault::Refused(_)));
        let short = SetupError::OutOfDescriptors { errno: Errno::MFILE, limit: Some(10) };
        assert!(matches!(refusal(short), Fault::Failed(_)));
        let missing = not_registered("a buffer ring", &Errno::INVAL.into());
        assert!(
            missing.to_string().starts_with("refused: a buffer ring cannot be registered: "),
            "{missing}"
        );
        assert!(matches!(not_registered("a file", &Errno::NOMEM.into()), Fault::Failed(_)));
    }
}
