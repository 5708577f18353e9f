//! One suite of io_uring semantics, and every back end runs it.
//!
//! A case is a function of a [`Bench`]: which back end, in which mode. It states one corner of the interface
//! (its name is the sentence), asks for what it needs, and is left out with a printed reason where that
//! is missing. [`backends`] lists what is tested, [`cases()`] what is tested of each; `tests/suite.rs` runs the
//! product as tests with names such as `kernel::links::a_short_read_breaks_its_link`.
//!
//! Deliberately not here: how `annulus` builds entries and manages its queues; those tests are beside
//! its code. What it keeps true: no case depends on how fast the machine is, every wait ends, and an
//! opcode counts as covered only when the case that claims it saw the opcode succeed.
//!
//! ```
//! use annulus_conformance::{Bench, Mode, backends};
//! use annulus::opcode;
//!
//! for backend in backends() {
//!     let bench = Bench::new(&backend, Mode::Interrupt);
//!     let Ok(mut rig) = bench.rig() else { continue };
//!     let cqe = rig.run(opcode::Nop::new().build());
//!     assert_eq!(cqe.result(), 0);
//! }
//! ```

pub mod cases;
pub mod faulty;
pub mod harness;
pub mod model;
pub mod programs;

pub use cases::cases;
pub use harness::{
    BackendUnderTest, Bench, Buffer, Case, Kept, Mode, Modes, Need, Outcome, Rig, Setup, Skip, backends,
};
