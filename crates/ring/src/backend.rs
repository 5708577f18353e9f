//! What executes a ring, and who decides that: the program, the environment, or what this machine allows.
//!
//! The only file that names the engine. It decides nothing about rings themselves: how the kernel is asked stands in
//! `kernel/`, what the engine does is its own matter, and the builder puts the attempts in order.
#![allow(unsafe_code, reason = "vouches for the memory that an engine's ring is given")]

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::sync::Once;

use crate::SetupError;

/// What shall execute the operations of a ring: [`Builder::backend`](crate::Builder::backend).
///
/// The environment can say it too, for programs that leave it open: see
/// [`environment::backend_choice`](crate::environment::backend_choice).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BackendChoice {
    /// The kernel if it lets this process; else the engine. It counts as a refusal that io_uring is forbidden or
    /// missing (`EPERM`, `EACCES`, `ENOSYS`), and that its limits leave no room (`ENOMEM`, `EMFILE`, `ENFILE`), which is said with
    /// a warning. What would be wrong on both, such as flags that exclude each other, is an error.
    #[default]
    Auto,
    /// The kernel, or an error that says why not.
    Kernel,
    /// The engine, in this process: none of the three calls of io_uring is made, which can kill a process where a filter
    /// watches over them.
    Engine,
}

impl BackendChoice {
    /// All of them, as they are named in the environment and on command lines: `auto`, `kernel`, `engine`.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Kernel, Self::Engine];

    /// Its name: `auto`, `kernel` or `engine`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Kernel => "kernel",
            Self::Engine => "engine",
        }
    }
}

impl Display for BackendChoice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BackendChoice {
    type Err = SetupError;

    /// From its name.
    ///
    /// # Errors
    ///
    /// [`SetupError::UnknownBackend`].
    fn from_str(name: &str) -> Result<Self, SetupError> {
        let named = Self::ALL.into_iter().find(|choice| choice.name() == name);
        named.ok_or_else(|| SetupError::UnknownBackend { name: name.to_owned() })
    }
}

/// What executes the operations of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// The kernel.
    Kernel,
    /// The engine, in this process.
    Engine,
    /// A back end of the program's: [`IoUring::from_backend`](crate::IoUring::from_backend).
    Custom,
}

impl Display for BackendKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Engine => "engine",
            Self::Custom => "custom",
        })
    }
}

/// What executes a ring, and why: [`IoUring::chosen`](crate::IoUring::chosen).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let ring = annulus::IoUring::new(8)?;
/// match ring.chosen().refusal() {
///     Some(why) => println!("on the {}, as the kernel refuses: {why}", ring.chosen().kind()),
///     None => println!("on the {}", ring.chosen().kind()),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    kind: BackendKind,
    refusal: Option<SetupError>,
}

impl Chosen {
    /// As the program, or the environment, has it.
    pub(crate) const fn by_order(kind: BackendKind) -> Self {
        Self { kind, refusal: None }
    }

    /// The engine, because the kernel refuses; said once for each process, with a warning if a limit is what stands in the
    /// way, as that can be raised.
    pub(crate) fn instead_of_kernel(refusal: SetupError) -> Self {
        static FORBIDDEN: Once = Once::new();
        static LIMITED: Once = Once::new();
        if refusal.is_limit() {
            LIMITED.call_once(
                || tracing::warn!(reason = %refusal, "rings run on the engine: the kernel has no room"),
            );
        } else {
            FORBIDDEN.call_once(
                || tracing::info!(reason = %refusal, "rings run on the engine: the kernel refuses"),
            );
        }
        Self { kind: BackendKind::Engine, refusal: Some(refusal) }
    }

    /// What executes the ring.
    #[must_use]
    pub const fn kind(&self) -> BackendKind {
        self.kind
    }

    /// Why it is not the kernel, where that was tried first ([`BackendChoice::Auto`]).
    #[must_use]
    pub const fn refusal(&self) -> Option<&SetupError> {
        self.refusal.as_ref()
    }
}

#[cfg(feature = "engine")]
mod engine {
    use std::ffi::c_void;
    use std::os::fd::RawFd;

    use annulus_abi::{Backend, Params, RegisterOp, SetupFlags};
    use annulus_engine::Engine;
    use rustix::io::Errno;

    use crate::kernel::{RingSource, give_memory};

    /// The setup flags that it knows; `None` if this program was built without it.
    pub(crate) const FLAGS: Option<SetupFlags> = Some(Engine::SETUP_FLAGS);

    /// Whether a descriptor is that of a ring of the engine's.
    pub(crate) fn owns(fd: RawFd) -> bool {
        Engine::owns(fd)
    }

    /// Sets a ring up.
    ///
    /// # Errors
    ///
    /// Those of io_uring_setup(2), as the engine has them.
    pub(crate) fn open(
        source: RingSource,
        entries: u32,
        mut params: Params,
        dontfork: bool,
    ) -> Result<Box<dyn Backend>, Errno> {
        let memory = give_memory(source, entries, &mut params)?;
        // SAFETY: the memory is large enough for these parameters; it is freed with the ring, which keeps it from the
        // next line on, or is the caller's, who vouched for it in `Builder::setup_no_mmap_in`.
        let mut engine = unsafe { Engine::in_memory(entries, params) }?;
        if let Some(memory) = memory {
            engine.keep(Box::new(memory));
        }
        if dontfork {
            engine.dontfork()?;
        }
        Ok(Box::new(engine))
    }

    /// Registers or asks without a ring.
    ///
    /// # Errors
    ///
    /// Those of io_uring_register(2), as the engine has them.
    ///
    /// # Safety
    ///
    /// `arg` and `nr` are what `op` asks for without a ring.
    pub(crate) unsafe fn register_blind(op: RegisterOp, arg: *mut c_void, nr: u32) -> Result<u32, Errno> {
        // SAFETY: the contract of this function.
        unsafe { Engine::register_blind(op, arg, nr) }
    }
}

#[cfg(not(feature = "engine"))]
mod engine {
    use std::ffi::c_void;
    use std::os::fd::RawFd;

    use annulus_abi::{Backend, Params, RegisterOp, SetupFlags};
    use rustix::io::Errno;

    use crate::kernel::RingSource;

    /// None: the program was built without it.
    pub(crate) const FLAGS: Option<SetupFlags> = None;

    /// Whether a descriptor is that of a ring of the engine's.
    pub(crate) const fn owns(_: RawFd) -> bool {
        false
    }

    /// There is none to set a ring up with.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`.
    pub(crate) fn open(_: RingSource, _: u32, _: Params, _: bool) -> Result<Box<dyn Backend>, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// There is none to ask.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`.
    ///
    /// # Safety
    ///
    /// None: nothing is done.
    pub(crate) const unsafe fn register_blind(_: RegisterOp, _: *mut c_void, _: u32) -> Result<u32, Errno> {
        Err(Errno::OPNOTSUPP)
    }
}

/// How much of the interface the engine honours: opcodes and their forms, flags, register operations.
#[cfg(feature = "engine")]
pub use annulus_engine::support;
pub(crate) use engine::{
    FLAGS as ENGINE_FLAGS, open as open_engine, owns as engine_owns, register_blind as engine_register_blind,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_by_the_name_that_it_shows() {
        for choice in BackendChoice::ALL {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        let unknown = "epoll".parse::<BackendChoice>().unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "there is no back end `epoll` (EINVAL); ANNULUS_BACKEND and `backend` take auto, kernel or engine"
        );
    }
}
