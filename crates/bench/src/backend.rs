//! The back ends that a ring can be built on: one line for each, and nothing else in the bench knows how many
//! there are.

use annulus::{BackendChoice, Builder, IoUring, SetupError};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::report::Fault;

/// What executes a ring's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Back {
    /// The kernel's io_uring.
    Kernel,
}

impl Back {
    /// All of them, in the order of the tables.
    pub(crate) const ALL: [Self; 1] = [Self::Kernel];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
        }
    }

    /// A ring as a loop of one thread has it: of a single issuer, called through its registered descriptor, with
    /// completions made when that thread enters.
    ///
    /// # Errors
    ///
    /// [`Fault::Refused`] if the back end may not be used here or does not have these flags.
    pub(crate) fn ring(self, entries: u32, completions: u32) -> Result<IoUring, Fault> {
        let mut builder = self.builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_cqsize(completions).setup_clamp();
        builder.try_build(entries).map_err(refusal)
    }

    fn builder(self) -> Builder {
        let mut builder = IoUring::builder();
        let choice = match self {
            Self::Kernel => BackendChoice::Kernel,
        };
        builder.backend(choice);
        builder
    }
}

/// A ring that is forbidden or lacks something is a finding; one for which memory or descriptors are short is not.
fn refusal(error: SetupError) -> Fault {
    let reason = error.to_string();
    match Errno::from_io_error(&error.into()) {
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
    }
}
