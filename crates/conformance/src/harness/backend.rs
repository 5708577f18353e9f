//! The back ends under test, and how a ring on each is described.
//!
//! A further back end is one more line in [`backends`] and one function, nothing else.

use std::os::fd::RawFd;
use std::sync::OnceLock;

use annulus::abi::{IORING_OP_RECV_ZC, OpcodeInfo, SetupFlags};
use annulus::{BackendChoice, Builder, IoUring, SetupError, cqueue, squeue};
use rustix::system::uname;

use super::rig::supported_opcodes;

/// What executes the rings of a run.
#[derive(Debug)]
pub struct BackendUnderTest {
    /// The first part of the names of its tests.
    pub name: &'static str,
    /// The Linux whose interface it has: major, minor.
    pub release: (u32, u32),
    /// Builds a ring with entries of the usual sizes.
    pub open: fn(&Setup) -> Result<IoUring, SetupError>,
    /// Builds a ring with entries of 128 bytes and completions of 32.
    pub open_wide: fn(&Setup) -> Result<IoUring<squeue::Entry128, cqueue::Entry32>, SetupError>,
    /// What it cannot have by its nature, whatever its release: opcodes that need the kernel's own hands on a device.
    pub without: &'static [u8],
    opcodes: OnceLock<Result<Vec<u8>, SetupError>>,
}

impl BackendUnderTest {
    /// The same back end under another name, with rings of the usual sizes that are opened another way: behind
    /// a decorator, or with a flag less.
    #[must_use]
    pub const fn variant(&self, name: &'static str, open: fn(&Setup) -> Result<IoUring, SetupError>) -> Self {
        Self {
            name,
            release: self.release,
            open,
            open_wide: self.open_wide,
            without: self.without,
            opcodes: OnceLock::new(),
        }
    }

    /// The opcodes that its PROBE names.
    ///
    /// # Errors
    ///
    /// Why there is no ring at all.
    pub fn opcodes(&self) -> Result<&[u8], SetupError> {
        let opcodes =
            self.opcodes.get_or_init(|| (self.open)(&Setup::new(1)).map(|ring| supported_opcodes(&ring)));
        opcodes.as_deref().map_err(Clone::clone)
    }

    /// Whether its PROBE names the opcode.
    #[must_use]
    pub fn has(&self, opcode: u8) -> bool {
        self.opcodes().is_ok_and(|opcodes| opcodes.contains(&opcode))
    }

    /// Whether its interface is at least that of this Linux.
    #[must_use]
    pub fn is_at_least(&self, major: u32, minor: u32) -> bool {
        self.release >= (major, minor)
    }

    /// Whether its interface is what its release says and no more. Kernels that are maintained for years take over from later ones:
    /// io_uring of Linux 5.10 has been mostly that of 5.15 since 5.10.162, and 6.1 has got flags of 6.6.
    #[must_use]
    pub fn has_no_backports(&self) -> bool {
        self.is_at_least(6, 12)
    }

    /// Whether its interface is that of the newest Linux that the suite is written for, so that whatever
    /// software it lacks is a defect.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_at_least(6, 18)
    }

    /// The opcodes that its release ought to have.
    pub fn expected_opcodes(&self) -> impl Iterator<Item = &'static OpcodeInfo> {
        let release = self.release;
        annulus::abi::OPCODES
            .iter()
            .filter(move |info| (u32::from(info.since.0), u32::from(info.since.1)) <= release)
    }
}

/// How a ring is to be set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Places in the submission queue.
    pub entries: u32,
    /// Places in the completion queue; twice as many as `entries` if not given.
    pub cq_entries: Option<u32>,
    /// What else it shall be.
    pub flags: SetupFlags,
    /// Milliseconds until the polling thread sleeps.
    pub idle_ms: u32,
    /// The ring whose workers it shares.
    pub attach_to: Option<RawFd>,
}

impl Setup {
    /// A ring that is driven by calls.
    #[must_use]
    pub const fn new(entries: u32) -> Self {
        Self { entries, cq_entries: None, flags: SetupFlags::empty(), idle_ms: 10, attach_to: None }
    }

    fn builder<S: squeue::EntryMarker, C: cqueue::EntryMarker>(
        &self,
        choice: BackendChoice,
    ) -> Builder<S, C> {
        let mut builder = IoUring::<S, C>::builder();
        builder.backend(choice);
        if let Some(entries) = self.cq_entries {
            builder.setup_cqsize(entries);
        }
        if self.flags.contains(SetupFlags::SQPOLL) {
            builder.setup_sqpoll(self.idle_ms);
        }
        if let Some(ring) = self.attach_to {
            builder.setup_attach_wq(ring);
        }
        builder.flags(self.flags);
        builder
    }
}

/// Names the back ends of a run, with commas between them: `kernel,engine`.
const VARIABLE: &str = "ANNULUS_CONFORMANCE_BACKENDS";

/// The back ends of a run where `ANNULUS_CONFORMANCE_BACKENDS` says nothing.
const DEFAULT: &str = "kernel,engine";

/// The back ends of this run. All of them in one, so that a difference is one red name.
///
/// # Panics
///
/// If `ANNULUS_CONFORMANCE_BACKENDS` names one that there is not.
#[must_use]
pub fn backends() -> Vec<BackendUnderTest> {
    let names = std::env::var(VARIABLE).unwrap_or_else(|_| DEFAULT.to_owned());
    let named = |name: &str| match name {
        "kernel" => kernel(),
        "engine" => engine(),
        _ => panic!("{VARIABLE}={names}: there is no back end `{name}`, only kernel and engine"),
    };
    names.split(',').map(named).collect()
}

/// The kernel of this machine.
fn kernel() -> BackendUnderTest {
    BackendUnderTest {
        name: "kernel",
        release: running_release(),
        open: |setup| setup.builder(BackendChoice::Kernel).try_build(setup.entries),
        open_wide: |setup| setup.builder(BackendChoice::Kernel).try_build(setup.entries),
        without: &[],
        opcodes: OnceLock::new(),
    }
}

/// The engine in this process, which presents itself as Linux 6.18 wherever it runs.
fn engine() -> BackendUnderTest {
    BackendUnderTest {
        name: "engine",
        release: (6, 18),
        open: |setup| setup.builder(BackendChoice::Engine).try_build(setup.entries),
        open_wide: |setup| setup.builder(BackendChoice::Engine).try_build(setup.entries),
        without: &[IORING_OP_RECV_ZC],
        opcodes: OnceLock::new(),
    }
}

/// Major and minor of the Linux of this machine.
pub(super) fn running_release() -> (u32, u32) {
    release(uname().release().to_str().unwrap_or_default())
}

/// Major and minor of a release such as `6.12.111+deb12-cloud-amd64`; zeroes if it looks otherwise.
fn release(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_up_to_its_minor_number() {
        assert_eq!(release("6.18.44-fc-v657"), (6, 18));
        assert_eq!(release("6.12.111+deb12-cloud-amd64"), (6, 12));
        assert_eq!(release("7.0"), (7, 0));
        assert_eq!(release(""), (0, 0));
    }
}
