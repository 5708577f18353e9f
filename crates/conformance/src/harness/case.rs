//! Cases, the modes that they run in, and their way into the list of tests.

use annulus::abi::{OpcodeInfo, SetupFlags};
use libtest_mimic::{Completion, Failed, Trial};

use super::rig::take_succeeded;
use super::{BackendUnderTest, Bench, Skip, Watch};

/// What a case comes to: it panics if the back end is wrong.
pub type Outcome = Result<(), Skip>;

/// One corner of the interface.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The module that it stands in.
    pub module: &'static str,
    /// The corner as a sentence.
    pub name: &'static str,
    /// The modes that it makes sense in.
    pub modes: Modes,
    /// The opcodes that it sees succeed, unless it is skipped.
    pub covers: &'static [u8],
    /// Tries it.
    pub run: fn(&Bench<'_>) -> Outcome,
}

/// How a ring is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Completions arrive whenever they arrive.
    Interrupt,
    /// By one thread that fetches completions itself: `SINGLE_ISSUER` and `DEFER_TASKRUN`.
    Deferred,
    /// Entries are taken by a thread of the back end.
    SqPoll,
}

/// The modes of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modes {
    /// All of them.
    Every,
    /// Those where the caller submits.
    Calls,
    /// One, because the case sets its rings up as it needs them, or the mode has no part in it.
    One,
}

impl Mode {
    /// The set-up flags of the mode.
    #[must_use]
    pub const fn flags(self) -> SetupFlags {
        match self {
            Self::Interrupt => SetupFlags::empty(),
            Self::Deferred => SetupFlags::SINGLE_ISSUER.union(SetupFlags::DEFER_TASKRUN),
            Self::SqPoll => SetupFlags::SQPOLL,
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Interrupt => "",
            Self::Deferred => "-defer",
            Self::SqPoll => "-sqpoll",
        }
    }
}

impl Modes {
    /// One by one.
    #[must_use]
    pub const fn all(self) -> &'static [Mode] {
        match self {
            Self::Every => &[Mode::Interrupt, Mode::Deferred, Mode::SqPoll],
            Self::Calls => &[Mode::Interrupt, Mode::Deferred],
            Self::One => &[Mode::Interrupt],
        }
    }
}

impl Case {
    /// The name of the test of this case on a back end in a mode.
    #[must_use]
    pub fn full_name(&self, backend: &BackendUnderTest, mode: Mode) -> String {
        let topic = self.module.rsplit("::").next().unwrap_or_default();
        format!("{}{}::{topic}::{}", backend.name, mode.suffix(), self.name)
    }

    /// Runs it, watches over it, and holds it to what it claims to cover.
    ///
    /// # Errors
    ///
    /// The claim that was not kept, or a skip without excuse.
    pub fn attempt(&self, backend: &BackendUnderTest, mode: Mode) -> Result<Completion, Failed> {
        let _watch = Watch::over(self.full_name(backend, mode));
        take_succeeded();
        let reachable = backend.opcodes().map_err(|error| Skip::setup(SetupFlags::empty(), &error));
        if let Err(skip) = reachable.and_then(|_| (self.run)(&Bench::new(backend, mode))) {
            if skip.is_about_software() && backend.is_complete() {
                let (major, minor) = backend.release;
                return Err(format!("Linux {major}.{minor} has no excuse to skip: {skip}").into());
            }
            return Ok(Completion::ignored_with(format!("SKIP: {skip}")));
        }
        let succeeded = take_succeeded();
        let missed = self.covers.iter().filter(|opcode| !succeeded.contains(opcode));
        let missed: Vec<_> =
            missed.filter_map(|opcode| OpcodeInfo::of(*opcode)).map(|info| info.name).collect();
        if missed.is_empty() {
            return Ok(Completion::Completed);
        }
        Err(format!("claims to cover {missed:?}, and saw no success of it").into())
    }
}

/// Every case on every back end in each of its modes, as tests.
pub fn trials(backends: &'static [BackendUnderTest], cases: &[Case]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for backend in backends {
        for case in cases.iter().copied() {
            for mode in case.modes.all().iter().copied() {
                let run = move || case.attempt(backend, mode);
                trials.push(Trial::ignorable_test(case.full_name(backend, mode), run));
            }
        }
    }
    trials
}

/// The cases of a module: the modes, the function, and the opcodes that it covers.
macro_rules! cases {
    ($($modes:ident $run:ident $(=> $($covers:ident),+)?;)*) => {
        /// The cases of this topic.
        pub(super) const CASES: &[$crate::harness::Case] = &[$(
            $crate::harness::Case {
                module: module_path!(),
                name: stringify!($run),
                modes: $crate::harness::Modes::$modes,
                covers: &[$($(annulus::abi::$covers),+)?],
                run: $run,
            },
        )*];
    };
}

pub(crate) use cases;
