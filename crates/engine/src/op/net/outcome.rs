//! What transfers on sockets come to.

use annulus_abi::CqeFlags;
use rustix::io::Errno;

use crate::op::{Outcome, Step};

/// A failure as a step.
pub(super) fn failed(errno: Errno) -> Step {
    Step::Done(Outcome::failure(errno))
}

/// The last completion of a transfer: an error counts only if nothing was transferred before it.
pub(super) fn ended(done: u32, result: Result<u32, Errno>, short: bool, flags: CqeFlags) -> Outcome {
    let severs = short || result.is_err();
    let outcome = match result {
        Ok(count) => counted(done.saturating_add(count)),
        Err(errno) if done == 0 => Outcome::failure(errno),
        Err(_) => counted(done),
    };
    Outcome { severs, flags, ..outcome }
}

/// So many bytes.
pub(super) fn counted(count: u32) -> Outcome {
    Outcome::success(i32::try_from(count).unwrap_or(i32::MAX))
}

/// Counts of one call fit: the kernel transfers less than 2 GiB at once.
pub(super) fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
