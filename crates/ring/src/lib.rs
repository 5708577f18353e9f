//! io_uring for Rust, everywhere: the user's side of the rings.
pub use annulus_abi as abi;
pub mod cqueue;
pub mod opcode;
pub mod squeue;
pub mod types;
