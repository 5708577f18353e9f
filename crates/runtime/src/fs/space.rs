//! The extent of a file, and what the page cache has of it: length, room, holes, advice, write-back.

use std::io;

use super::File;
use crate::driver::Op;
use crate::driver::op::space::{Change, Space};

/// The most that one entry covers of what has 32-bit lengths, in bytes: whole pages.
const STEP: u64 = 0xffff_f000;

/// How [`File::allocate_with`] changes a range (`FALLOC_FL_*` of fallocate(2)). Combine with `|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocateMode(i32);

impl AllocateMode {
    /// Make room, and the file as long as the range reaches.
    pub const GROW: Self = Self(0);
    /// Make room, and leave the length as it is.
    pub const KEEP_SIZE: Self = Self(libc::FALLOC_FL_KEEP_SIZE);
    /// Give the room of the range back; it reads as zeros then. The length stays.
    pub const PUNCH_HOLE: Self = Self(libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE);
    /// Make the range zeros, with room for them.
    pub const ZERO_RANGE: Self = Self(libc::FALLOC_FL_ZERO_RANGE);
    /// Take the range out; what follows moves up. Whole blocks of the file system only (`EINVAL`).
    pub const COLLAPSE_RANGE: Self = Self(libc::FALLOC_FL_COLLAPSE_RANGE);
    /// Put a hole in; what follows moves down. Whole blocks of the file system only (`EINVAL`).
    pub const INSERT_RANGE: Self = Self(libc::FALLOC_FL_INSERT_RANGE);
    /// Give the file blocks of its own where it shares them with a copy.
    pub const UNSHARE_RANGE: Self = Self(libc::FALLOC_FL_UNSHARE_RANGE);

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

impl std::ops::BitOr for AllocateMode {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// How a file is going to be used (`POSIX_FADV_*` of posix_fadvise(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// In no special way. For the whole file.
    Normal,
    /// From the start to the end: read far ahead. For the whole file.
    Sequential,
    /// Here and there: do not read ahead. For the whole file.
    Random,
    /// Once. For the whole file.
    NoReuse,
    /// The range soon: begin to read it.
    WillNeed,
    /// The range not any more: drop what the page cache has of it and is on the disk.
    DontNeed,
}

impl Advice {
    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Normal => libc::POSIX_FADV_NORMAL,
            Self::Sequential => libc::POSIX_FADV_SEQUENTIAL,
            Self::Random => libc::POSIX_FADV_RANDOM,
            Self::NoReuse => libc::POSIX_FADV_NOREUSE,
            Self::WillNeed => libc::POSIX_FADV_WILLNEED,
            Self::DontNeed => libc::POSIX_FADV_DONTNEED,
        }
    }
}

/// The extent.
impl File {
    /// Makes the file this long: cuts it, or adds zeros (a hole). ftruncate(2).
    ///
    /// # Errors
    ///
    /// Those of ftruncate(2): `EINVAL` for a file that is not open for writing or a length above `i64::MAX`, `EFBIG` above
    /// the file system's limit, `EPERM` for an immutable file; `EBUSY` if too many operations are in flight.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(len)).await
    }

    /// Makes room for `len` bytes from `offset` on, so that writing there does not fail for want of it, and the file as long as the
    /// range reaches.
    ///
    /// # Errors
    ///
    /// Those of fallocate(2): `ENOSPC`, `EFBIG`, `EBADF` for a file that is not open for writing, `EINVAL` for a `len` of 0,
    /// `EOPNOTSUPP` where the file system cannot do it; `EBUSY` if too many operations are in flight.
    pub async fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.allocate_with(AllocateMode::GROW, offset, len).await
    }

    /// Changes the room of a range otherwise.
    ///
    /// ```
    /// use annulus_rt::fs::{AllocateMode, File};
    ///
    /// # let dir = tempfile::tempdir_in(".")?;
    /// # let path = dir.path().join("table");
    /// annulus_rt::run(async {
    ///     let file = File::create(path).await?;
    ///     file.write_all_at(vec![1; 16_384], 0).await.0?;
    ///     file.allocate_with(AllocateMode::PUNCH_HOLE, 4096, 8192).await?;
    ///     assert_eq!(file.metadata().await?.len(), 16_384);
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate).
    pub async fn allocate_with(&self, mode: AllocateMode, offset: u64, len: u64) -> io::Result<()> {
        self.change(Change::Allocate { mode: mode.bits(), offset, len }).await
    }

    /// Says how a range is going to be used; a `len` of 0 reaches to the end of the file.
    ///
    /// # Errors
    ///
    /// Those of posix_fadvise(2): `ESPIPE` for a pipe; `EBUSY` if too many operations are in flight.
    pub async fn advise(&self, offset: u64, len: u64, advice: Advice) -> io::Result<()> {
        let number = advice.number();
        if !matches!(advice, Advice::WillNeed | Advice::DontNeed) {
            return self.change(Change::Advise { offset, len: 0, advice: number }).await;
        }
        self.in_parts(offset, len, |offset, len| Change::Advise { offset, len, advice: number }).await
    }

    /// Writes what the page cache has of a range to the disk, and waits for it; a `len` of 0 reaches to the end of the file. It brings no
    /// metadata there, so it makes nothing safe by itself: it keeps the amount small that [`sync_data`](Self::sync_data)
    /// has to do. sync_file_range(2).
    ///
    /// # Errors
    ///
    /// Those of sync_file_range(2): `EIO`, `ENOSPC`, `ESPIPE` for a pipe; `EBUSY` if too many operations are in flight.
    pub async fn sync_range(&self, offset: u64, len: u64) -> io::Result<()> {
        let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
            | libc::SYNC_FILE_RANGE_WRITE
            | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        self.in_parts(offset, len, |offset, len| Change::WriteBack { offset, len, flags }).await
    }

    /// Begins to write what the page cache has of a range to the disk, and does not wait for it.
    ///
    /// # Errors
    ///
    /// As [`sync_range`](Self::sync_range).
    pub async fn start_sync_range(&self, offset: u64, len: u64) -> io::Result<()> {
        let flags = libc::SYNC_FILE_RANGE_WRITE;
        self.in_parts(offset, len, |offset, len| Change::WriteBack { offset, len, flags }).await
    }

    /// A change of a range in as many steps as 32-bit lengths ask for.
    async fn in_parts(
        &self,
        mut offset: u64,
        mut len: u64,
        part: impl Fn(u64, u32) -> Change,
    ) -> io::Result<()> {
        loop {
            let step = len.min(STEP);
            self.change(part(offset, u32::try_from(step).expect("at most STEP"))).await?;
            len -= step;
            offset = offset.saturating_add(step);
            if len == 0 {
                return Ok(());
            }
        }
    }

    async fn change(&self, change: Change) -> io::Result<()> {
        Op::new(Space { fd: self.shared().clone(), change }).await
    }
}
