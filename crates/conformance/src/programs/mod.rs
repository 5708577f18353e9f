//! Random programs, run on two back ends and compared: the kernel as the oracle.
//!
//! A [`Program`] is data. [`generate`](generate()) makes one from a seed, [`run`](run()) runs it and records what the interface
//! promises about it, [`differences`] compares two records, [`shrink`](shrink()) cuts a program that tells two back ends apart
//! down to what is needed, and [`print`](print()) writes it as Rust text that can be pasted as a regression case.
//! [`Hunt`] does all of it for one seed after the other.
//!
//! Deliberately not here: what is right. The reference decides; the kernel compared with itself shows no difference,
//! which is what makes a difference a finding.

mod arena;
mod compare;
mod encode;
mod generate;
mod hunt;
mod print;
mod program;
mod random;
mod record;
mod run;
mod shrink;
mod world;

pub use arena::Arena;
pub use compare::{Difference, differences};
pub use encode::path_addresses;
pub use generate::generate;
pub use hunt::{Finding, Hunt, Verdict};
pub use print::print;
pub use program::{
    Key, Memory, Op, PATHS, Place, Program, Registration, Request, RingShape, Step, Target, Tweak, Wait,
};
pub use random::Random;
pub use record::{Answer, Completion, Record};
pub use run::{Pace, run};
pub use shrink::shrink;

/// Everything that the text of a printed program names.
pub mod prelude {
    pub use super::program::Key::{self, *};
    pub use super::program::Memory::{self, *};
    pub use super::program::Op::{self, *};
    pub use super::program::Place::{self, *};
    pub use super::program::Registration::{self, *};
    pub use super::program::Step::{self, *};
    pub use super::program::Target::{self, *};
    pub use super::program::Tweak::{self, *};
    pub use super::program::Wait::{self, *};
    pub use super::program::{Program, Request, RingShape};
    pub use crate::harness::Mode::{self, *};
}
