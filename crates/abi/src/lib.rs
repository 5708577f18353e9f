//! The io_uring contract: what the two sides of a ring agree on.
//!
//! Layouts and constants of the interface as Linux 6.18 has it (and what 6.19 to 7.x added), the
//! table of opcodes, the memory that both sides share with its orderings, and the trait that a
//! back end implements. This crate does no I/O, starts no thread, reads no clock and needs no `std`:
//! the user's side (`annulus`) and the device's side (the kernel, or an engine) both build on it.
//!
//! Kernel names are kept: a constant is called what `linux/io_uring.h` calls it, and the typed
//! flag words are named after the group (`IORING_SETUP_*` is [`SetupFlags`]). Structures have the
//! kernel's layout and field names under a Rust name (`struct io_uring_buf_reg` is [`BufReg`]).
//!
//! ```
//! use annulus_abi::{IORING_OP_READ, OpTraits, OpcodeInfo, Sqe, SqeFields, SqeFlags};
//!
//! // A read of 4096 bytes at offset 8192 from the registered file in slot 3.
//! let mut buffer = [0u8; 4096];
//! let mut sqe = Sqe::new(IORING_OP_READ);
//! sqe.flags = SqeFlags::FIXED_FILE.bits();
//! sqe.fd = 3;
//! sqe.addr = buffer.as_mut_ptr().addr() as u64;
//! sqe.len = 4096;
//! sqe.off = 8192;
//!
//! // What the table knows of it.
//! let info = OpcodeInfo::of(sqe.opcode).unwrap();
//! assert_eq!((info.name, info.since), ("READ", (5, 6)));
//! assert!(info.supports_fixed_file() && info.traits.contains(OpTraits::IOPOLL));
//! assert!(info.reads.contains(SqeFields::ADDR | SqeFields::LEN | SqeFields::OFF));
//! assert!(info.refused_fields(&sqe).is_empty());
//! ```
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
mod releases;
mod sqe;

pub use backend::*;
pub use cqe::*;
pub use enter::*;
pub use memory::*;
pub use op::*;
pub use opcode::*;
pub use params::*;
pub use register::*;
pub use releases::*;
pub use sqe::*;
