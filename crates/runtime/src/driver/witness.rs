//! Learning when a ring that was closed is gone, and with it everything that was in flight on it.
//!
//! Nothing tells that: closing a ring only begins to cancel. But a ring keeps the files that are registered with it until the
//! last of its requests is over (each holds the ring; `io_ring_ctx_free` comes after that), so the end of a pipe that nobody
//! has but the ring is closed by then, no earlier. A ring that somebody else has too, as a duplicate or in a child, is not
//! seen to go, which costs the wait and nothing else.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use annulus::IoUring;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::time::clock;

/// The end of a pipe whose other end a ring holds.
pub(super) struct Witness(OwnedFd);

impl Witness {
    /// Gives a ring that is to be closed, and used for nothing any more, the other end. `has_files`: it has a table of files
    /// already, of which the first is replaced. `None` if the ring takes none.
    pub(super) fn of(ring: &IoUring, has_files: bool) -> Option<Self> {
        // Before Linux 5.13 registering files waits until nothing is in flight.
        if !ring.params().is_feature_resource_tagging() {
            return None;
        }
        let (seen, held) = pipe_with(PipeFlags::CLOEXEC).ok()?;
        let fds = [held.as_raw_fd()];
        let registered = if has_files {
            ring.submitter().register_files_update(0, &fds).map(drop)
        } else {
            ring.submitter().register_files(&fds)
        };
        if let Err(error) = registered {
            tracing::debug!(%error, "the ring takes no file by which its end could be seen");
            return None;
        }
        Some(Self(seen))
    }

    /// Waits until the ring is gone, but not longer than until `end`. Whether it is.
    pub(super) fn sees_the_end(&self, end: Instant) -> bool {
        loop {
            let left = end.saturating_duration_since(clock::now());
            let Ok(time) = Timespec::try_from(left) else { return false };
            // That the other end is closed is told without being asked for.
            let mut fds = [PollFd::new(&self.0, PollFlags::empty())];
            match poll(&mut fds, Some(&time)) {
                Ok(_) => return fds[0].revents().contains(PollFlags::HUP),
                Err(Errno::INTR) if !left.is_zero() => {}
                Err(_) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use annulus::BackendChoice;
    use rustix::io::fcntl_dupfd_cloexec;

    use super::*;

    fn after(millis: u64) -> Instant {
        clock::now() + Duration::from_millis(millis)
    }

    #[test]
    fn a_ring_is_seen_to_go_when_it_goes_and_not_before() {
        for choice in [BackendChoice::Kernel, BackendChoice::Engine] {
            for has_files in [false, true] {
                let ring = IoUring::builder().backend(choice).build(4).unwrap();
                if has_files {
                    ring.submitter().register_files(&[0, 1]).unwrap();
                }
                let witness = Witness::of(&ring, has_files).unwrap();
                assert!(!witness.sees_the_end(after(0)), "{choice:?}");
                assert!(!witness.sees_the_end(after(20)), "{choice:?}");
                drop(ring);
                assert!(witness.sees_the_end(after(60_000)), "{choice:?}");
            }
        }
    }

    #[test]
    fn a_ring_that_somebody_else_has_too_is_not_seen_to_go() {
        let ring = IoUring::builder().backend(BackendChoice::Kernel).build(4).unwrap();
        let duplicate = fcntl_dupfd_cloexec(ring.as_fd(), 0).unwrap();
        let witness = Witness::of(&ring, false).unwrap();
        drop(ring);
        assert!(!witness.sees_the_end(after(50)));
        drop(duplicate);
        assert!(witness.sees_the_end(after(60_000)));
    }

    #[test]
    fn a_ring_that_takes_no_files_has_no_witness() {
        let ring = IoUring::builder().backend(BackendChoice::Kernel).build(4).unwrap();
        assert!(Witness::of(&ring, true).is_none(), "there is no first file to be replaced");
    }
}
