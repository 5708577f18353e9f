//! What a case needs, and why it was left out.
//!
//! The rule that no defect hides as a skip: on a back end of the newest release the suite is written
//! for, only missing hardware and missing privilege may leave a case out.

use std::fmt;

use annulus::SetupError;
use annulus::abi::{Features, OpcodeInfo, SetupFlags};
use rustix::process::geteuid;

use super::BackendUnderTest;
use super::backend::running_release;

/// What a case cannot do without.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// An opcode, as PROBE tells.
    Opcode(u8),
    /// A feature bit.
    Feature(Features),
    /// What this Linux brought and nothing announces.
    Since(u32, u32, &'static str),
    /// A system call, or what else the Linux of this machine has since this release, whichever interface the back end has:
    /// the engine can do nothing that no system call does.
    Beneath(u32, u32, &'static str),
    /// To be root.
    Root,
}

/// Why a case was left out.
#[derive(Clone, Debug)]
pub enum Skip {
    /// The back end is older than the matter, or refuses it.
    Older(String),
    /// The process may not, or the machine has no io_uring at all.
    Privilege(String),
    /// No such device, or a Linux beneath the back end that cannot do it.
    Hardware(String),
}

impl Need {
    /// Whether the need is met.
    ///
    /// # Errors
    ///
    /// The reason to skip if it is not.
    pub fn check(self, backend: &BackendUnderTest) -> Result<(), Skip> {
        match self {
            Self::Opcode(opcode) if backend.without.contains(&opcode) => {
                Err(Skip::Hardware(impossible(opcode)))
            }
            Self::Opcode(opcode) if !backend.has(opcode) => Err(Skip::Older(lacking(opcode))),
            Self::Since(major, minor, what) if !backend.is_at_least(major, minor) => {
                Err(Skip::Older(format!("{what} came with Linux {major}.{minor}")))
            }
            Self::Beneath(major, minor, what) if running_release() < (major, minor) => {
                Err(Skip::Hardware(format!("{what} needs Linux {major}.{minor} beneath")))
            }
            Self::Root if !geteuid().is_root() => Err(Skip::Privilege("needs root".to_owned())),
            Self::Feature(feature) => has_feature(backend, feature),
            _ => Ok(()),
        }
    }
}

impl Skip {
    /// Whether a back end of the newest release has no excuse.
    #[must_use]
    pub const fn is_about_software(&self) -> bool {
        matches!(self, Self::Older(_))
    }

    /// Why there is no ring with these flags: forbidden, or not known.
    #[must_use]
    pub fn setup(flags: SetupFlags, error: &SetupError) -> Self {
        let reason = format!("no ring with {flags:?}: {error}");
        match error {
            SetupError::DisabledBySysctl { .. }
            | SetupError::ForbiddenBySeccomp { .. }
            | SetupError::Forbidden { .. }
            | SetupError::Missing { .. }
            | SetupError::OutOfMemory { .. } => Self::Privilege(reason),
            _ => Self::Older(reason),
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Older(reason) | Self::Privilege(reason) | Self::Hardware(reason)) = self;
        f.write_str(reason)
    }
}

fn impossible(opcode: u8) -> String {
    let name = OpcodeInfo::of(opcode).map_or("this opcode", |info| info.name);
    format!("{name} needs a device's queue, which nobody but the kernel can have")
}

fn lacking(opcode: u8) -> String {
    match OpcodeInfo::of(opcode) {
        Some(info) => format!("{} came with Linux {}.{}", info.name, info.since.0, info.since.1),
        None => format!("opcode {opcode} is unknown"),
    }
}

fn has_feature(backend: &BackendUnderTest, feature: Features) -> Result<(), Skip> {
    let setup = super::Setup::new(1);
    let ring = (backend.open)(&setup).map_err(|error| Skip::setup(setup.flags, &error))?;
    if ring.params().features().contains(feature) {
        return Ok(());
    }
    Err(Skip::Older(format!("the feature {feature:?} is not there")))
}
