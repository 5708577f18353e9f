//! What was learnt about descriptors: that they are not open for direct I/O.
//!
//! A hint may be wrong, as a program may close a number and open something else under it. So it only ever decides how an
//! operation is tried, never what comes of it, and it is asked for anew after some uses.

use std::os::fd::RawFd;

/// How many descriptors are remembered; a power of two.
const ENTRIES: usize = 64;
/// How often a hint is taken before it is asked for again.
const USES: u8 = 32;

/// Descriptors that were found to go through the page cache.
#[derive(Debug)]
pub(crate) struct Hints {
    entries: [Hint; ENTRIES],
}

#[derive(Clone, Copy, Debug)]
struct Hint {
    fd: RawFd,
    left: u8,
}

impl Hints {
    /// Whether this one is known not to be open for direct I/O.
    #[inline]
    pub(crate) fn is_buffered(&mut self, fd: RawFd) -> bool {
        let entry = self.entry(fd);
        let known = entry.fd == fd && entry.left > 0;
        if known {
            entry.left -= 1;
        }
        known
    }

    /// It was asked, and it is not.
    pub(crate) fn learn_buffered(&mut self, fd: RawFd) {
        *self.entry(fd) = Hint { fd, left: USES };
    }

    #[inline]
    fn entry(&mut self, fd: RawFd) -> &mut Hint {
        let place = usize::try_from(fd).unwrap_or(0) % ENTRIES;
        &mut self.entries[place]
    }
}

impl Default for Hints {
    fn default() -> Self {
        Self { entries: [Hint { fd: -1, left: 0 }; ENTRIES] }
    }
}
