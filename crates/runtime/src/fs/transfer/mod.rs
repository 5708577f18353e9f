//! Reading and writing an open file: what one transfer may do differently, and what both directions share.

mod read;
mod write;

use std::io;

/// The offset that stands for the file's own position.
pub(super) const OWN_POSITION: u64 = u64::MAX;

/// What one read or write does differently (`RWF_*` of preadv2(2)). Combine with `|`.
///
/// What a kernel or a file system lacks is refused with `EOPNOTSUPP`, and nothing was transferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RwFlags(i32);

impl RwFlags {
    /// As the file was opened.
    pub const NONE: Self = Self(0);
    /// Through the page cache, and out of it again: what was read is dropped, what was written is dropped when it is on
    /// the disk. Linux 6.14, and the file system must take part (ext4, XFS, btrfs do); else `EOPNOTSUPP`.
    pub const DONTCACHE: Self = Self(0x80);
    /// Rather fail with `EAGAIN` than wait for the disk. A read may be short instead.
    pub const NOWAIT: Self = Self(libc::RWF_NOWAIT);
    /// A write is on the disk when it completes, as with `O_DSYNC`.
    pub const DSYNC: Self = Self(libc::RWF_DSYNC);
    /// A write and the file's metadata are on the disk when it completes, as with `O_SYNC`.
    pub const SYNC: Self = Self(libc::RWF_SYNC);
    /// A write goes to the end of the file, whatever its offset, as with `O_APPEND`.
    pub const APPEND: Self = Self(libc::RWF_APPEND);
    /// A write goes to its offset, although the file was opened with `O_APPEND`. Linux 6.9.
    pub const NOAPPEND: Self = Self(0x20);
    /// A write happens as a whole or not at all, also if power fails. Only with `O_DIRECT`, where the device can (Linux 6.11).
    pub const ATOMIC: Self = Self(0x40);
    /// Poll for the completion. Only for a ring of that mode (`SetupFlags::IOPOLL`); `EINVAL` on others, as the
    /// runtime's is unless it was [built](crate::Builder::setup_flags) otherwise.
    pub const HIPRI: Self = Self(libc::RWF_HIPRI);

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> i32 {
        self.0
    }

    /// Both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOr for RwFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// What comes after a part of a transfer that is to be whole.
enum Next {
    Go,
    Stop(io::Error),
}

/// Counts a part. `end` is what a part of nothing means.
fn part(moved: io::Result<usize>, done: &mut usize, end: io::ErrorKind) -> Next {
    match moved {
        Ok(0) => Next::Stop(end.into()),
        Ok(n) => {
            *done += n;
            Next::Go
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Next::Go,
        Err(error) => Next::Stop(error),
    }
}
