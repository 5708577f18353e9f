//! io_uring_register(2): its operations, what each takes, and every structure of the interface.
//!
//! The structures keep the kernel's layout, field names and order; only the types' names are
//! Rust's (`struct io_uring_buf_reg` is [`BufReg`], and rustdoc's search finds it under both).
//! Reserved fields are public, because the kernel refuses them unless they are zero:
//! `..Default::default()` fills them.

mod bpf;
mod buffers;
mod napi;
mod op;
mod probe;
mod query;
mod region;
mod resources;
mod restriction;
mod table;
mod zcrx;

pub use bpf::*;
pub use buffers::*;
pub use napi::*;
pub use op::*;
pub use probe::*;
pub use query::*;
pub use region::*;
pub use resources::*;
pub use restriction::*;
pub use table::*;
pub use zcrx::*;
