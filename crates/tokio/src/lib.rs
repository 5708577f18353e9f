//! Files through rings, inside an ordinary tokio program: no runtime of its own, no thread of its own.
//!
//! tokio gives every operation on a file to a pool of threads that block. Here it goes into a ring instead, at the place where the future
//! is polled first; what is in the page cache is often there at once, without a hop to another thread. Completions that
//! come later make the ring's descriptor readable, which tokio watches as it does sockets.
//!
//! ```
//! use annulus_tokio::File;
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let file = File::open("Cargo.toml").await?;
//!     let (read, buf) = file.read_at(Vec::with_capacity(9), 0).await;
//!     assert_eq!((read?, buf.as_slice()), (9, &b"[package]"[..]));
//!     Ok(())
//! }
//! ```
//!
//! # Operations own their buffers
//!
//! The kernel works on the memory of an operation until that has completed, whatever becomes of the future. So a buffer is given to
//! an operation and comes back with the result, as in `annulus-rt`, whose traits these are
//! ([`IoBuf`](annulus_rt::buf::IoBuf), [`IoBufMut`](annulus_rt::buf::IoBufMut)). A future may be dropped at any
//! `.await`: its operation is cancelled, its memory stays with the ring until the kernel is done with it, and a file that was
//! opened in spite of it is closed.
//!
//! # Rings and runtimes
//!
//! Each runtime has as many rings as it has workers, made when they are first needed and bounded in what they have in
//! flight; who finds one full waits for a place. Futures are `Send`: an operation goes on whichever thread polls
//! it. When a runtime ends, what its rings have in flight is cancelled and waited for, and only then they go; what
//! does not end is leaked, never freed. A future that outlives its runtime goes on in the one that polls it.
//!
//! Where io_uring is forbidden or missing, the engine of `annulus` carries the operations out in this process:
//! `ANNULUS_BACKEND` decides, or what the machine allows.

mod buffer;
mod file;
mod options;
mod registry;
mod ring;
mod running;

pub use file::{File, read, write};
pub use options::OpenOptions;
