//! What is registered with a ring, and what is asked of the kernel through io_uring_register(2).
//!
//! The calls themselves are methods of [`Submitter`](crate::Submitter); those that need no ring are in
//! [`Task`].

mod clock;
mod error;
mod filter;
mod probe;
mod query;
mod restriction;
mod task;

use std::os::fd::RawFd;

pub use annulus_abi::RegisterOp;

pub use clock::WaitClock;
pub use error::RegisterError;
pub use filter::FilterRule;
pub use probe::Probe;
pub use query::Query;
pub(crate) use query::ask;
pub use restriction::Restriction;
pub use task::Task;

/// In the list of [`register_files_update`](crate::Submitter::register_files_update): leave this slot as it is.
pub const SKIP_FILE: RawFd = annulus_abi::IORING_REGISTER_FILES_SKIP;
