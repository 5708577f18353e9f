//! io_uring in user space: the kernel's side of the rings as a library of the same process.
//!
//! It takes the same 64-byte entries from the same ring memory and posts the same completions, so that
//! nothing above the `annulus` crate changes where io_uring is forbidden or absent.

mod buffers;
mod core;
mod engine;
mod files;
mod mailbox;
mod op;
mod pool;
mod register;
mod request;
mod scheduler;
mod setup;
mod shared;
pub mod support;
mod timer;
mod world;

pub use engine::Engine;
