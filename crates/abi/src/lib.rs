//! The io_uring contract: what the two sides of a ring agree on.
//!
//! Layouts and constants of the interface as Linux 6.18 has it (and what 6.19 to 7.x added), the
//! table of opcodes, the memory that both sides share with its orderings, and the trait that a
//! back end implements. This crate does no I/O, starts no thread, reads no clock and needs no `std`:
//! the user's side (`annulus`) and the device's side (the kernel, or an engine) both build on it.
//!
//! Kernel names are kept: a constant is called what `linux/io_uring.h` calls it, and the typed
//! flag words are named after the group (`IORING_SETUP_*` is [`SetupFlags`]).
#![no_std]

#[cfg(test)]
extern crate std;

mod backend;
mod cqe;
mod enter;
mod flags;
mod memory;
mod op;
mod opcode;
mod params;
mod register;
mod sqe;

pub use backend::*;
pub use cqe::*;
pub use enter::*;
pub use memory::*;
pub use op::*;
pub use opcode::*;
pub use params::*;
pub use register::*;
pub use sqe::*;
