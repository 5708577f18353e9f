//! io_uring for Rust, everywhere.
//!
//! A ring has two queues in memory that the program shares with whatever executes its operations:
//! entries go into the submission queue, one call hands over the whole batch, and results come back
//! through the completion queue. This crate is the program's side of that: the queues, every operation
//! and every registration of Linux 6.18 (and those known of later ones), and the three system calls.
//!
//! ```
//! use annulus::{IoUring, opcode, types};
//! use std::{fs, os::fd::AsRawFd};
//!
//! fn main() -> std::io::Result<()> {
//!     let mut ring = IoUring::new(8)?;
//!     let file = fs::File::open("Cargo.toml")?;
//!     let mut text = vec![0; 64];
//!
//!     let length = u32::try_from(text.len()).unwrap();
//!     let read = opcode::Read::new(types::Fd(file.as_raw_fd()), text.as_mut_ptr(), length)
//!         .build()
//!         .user_data(0x42);
//!     // Sound: `text` and `file` stay until the completion below, and nobody touches `text` before it.
//!     unsafe { ring.submission().push(&read) }.expect("a new queue has room");
//!
//!     ring.submit_and_wait(1)?;
//!     let cqe = ring.completion().next().expect("one completion was waited for");
//!     assert_eq!(cqe.user_data(), 0x42);
//!     assert!(cqe.result() > 0, "read: {}", std::io::Error::from_raw_os_error(-cqe.result()));
//!     Ok(())
//! }
//! ```
//!
//! # Coming from the `io-uring` crate
//!
//! The public API is a superset of `io-uring` 0.7: the same paths, names and signatures. A program
//! changes the name of the crate, and the cost of calls that had nothing to do goes away.
//!
//! # Memory
//!
//! An entry may name memory, and the kernel reads and writes it until the operation's last completion,
//! whatever happens to the value that the program thinks of as owning it; that is why
//! [`push`](SubmissionQueue::push) is unsafe. [`owned`] has operations that own what they point to, and are
//! safe to submit. Dropping a ring does not stop what is in flight.
//!
//! # Programs to read
//!
//! The folder `examples/` has complete ones, each run by a test: `cat` and `link_fsync` on owned operations, `cp`
//! with many linked reads and writes in flight, `tcp_echo` in all four modes, `udp_echo` on a buffer ring, and
//! `event_loop`, an epoll loop that reads files through a ring whose descriptor stands in the same set.

pub use annulus_abi as abi;

mod backend;
#[allow(
    clippy::unnecessary_safety_comment,
    reason = "clippy takes the example's comment above for this module's"
)]
mod buf_ring;
mod builder;
mod completion;
pub mod cqueue;
mod debug;
pub mod environment;
mod error;
pub mod kernel;
mod mixed;
pub mod opcode;
pub mod owned;
mod pages;
mod parameters;
pub mod register;
mod ring;
mod shared;
pub mod squeue;
mod submission;
mod submitter;
pub mod types;
mod wait_region;
mod zcrx;

pub use annulus_abi::{Backend, EnterFlags};

#[cfg(feature = "engine")]
pub use backend::support;
pub use backend::{BackendChoice, BackendKind, Chosen};
pub use buf_ring::{BufRing, BufRingBuilder, BufRingHandle, Filled, Hold, Vacant};
pub use builder::Builder;
pub use completion::{CompletionQueue, CompletionStatus};
pub use error::SetupError;
pub use parameters::Parameters;
pub use register::Probe;
pub use ring::IoUring;
pub use submission::SubmissionQueue;
pub use submitter::Submitter;
pub use wait_region::WaitRegion;
pub use zcrx::{Zcrx, ZcrxBuilder, ZcrxData};
