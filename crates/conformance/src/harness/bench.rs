//! The bench: one back end in one mode, which hands out rigs to cases.

use annulus::abi::SetupFlags;
use annulus::{IoUring, SetupError, cqueue, squeue};

use super::{BackendUnderTest, Mode, Need, Rig, Setup, Skip};

/// Where a case is run: a back end, and the mode its rings are set up in.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    backend: &'a BackendUnderTest,
    mode: Mode,
}

impl<'a> Bench<'a> {
    /// Places in the submission queue of a rig, unless the case asks for another number.
    const ENTRIES: u32 = 32;

    /// A bench for rings of this back end in this mode.
    #[must_use]
    pub const fn new(backend: &'a BackendUnderTest, mode: Mode) -> Self {
        Self { backend, mode }
    }

    /// What executes.
    #[must_use]
    pub const fn backend(&self) -> &'a BackendUnderTest {
        self.backend
    }

    /// How its rings are driven.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// A ring of the usual size.
    ///
    /// # Errors
    ///
    /// The reason to skip if there is none.
    pub fn rig(&self) -> Result<Rig, Skip> {
        self.rig_with(|_| {})
    }

    /// A ring of the mode with what the case changes.
    ///
    /// # Errors
    ///
    /// The reason to skip if the back end refuses it.
    pub fn rig_with(&self, change: impl FnOnce(&mut Setup)) -> Result<Rig, Skip> {
        let setup = self.setup(change);
        self.try_open(&setup).map(Rig::new).map_err(|error| Skip::setup(setup.flags, &error))
    }

    /// A ring with entries of 128 bytes and completions of 32.
    ///
    /// # Errors
    ///
    /// The reason to skip if the back end refuses it.
    pub fn wide_rig(&self) -> Result<Rig<squeue::Entry128, cqueue::Entry32>, Skip> {
        let setup = self.setup(|_| {});
        let ring = (self.backend.open_wide)(&setup);
        ring.map(Rig::new).map_err(|error| Skip::setup(setup.flags, &error))
    }

    /// What a ring of the mode is set up with.
    #[must_use]
    pub fn setup(&self, change: impl FnOnce(&mut Setup)) -> Setup {
        let mut setup = Setup::new(Self::ENTRIES);
        setup.flags = self.mode.flags();
        change(&mut setup);
        setup
    }

    /// A ring, or the refusal itself.
    ///
    /// # Errors
    ///
    /// That of the back end.
    pub fn try_open(&self, setup: &Setup) -> Result<IoUring, SetupError> {
        (self.backend.open)(setup)
    }

    /// Checks one need after the other.
    ///
    /// # Errors
    ///
    /// The reason to skip if one is not met.
    pub fn needs(&self, needs: impl IntoIterator<Item = Need>) -> Result<(), Skip> {
        needs.into_iter().try_for_each(|need| need.check(self.backend))
    }

    /// Whether a thread of the back end takes the entries, so that a submit says nothing about them.
    #[must_use]
    pub fn polls(&self) -> bool {
        self.mode.flags().contains(SetupFlags::SQPOLL)
    }
}
