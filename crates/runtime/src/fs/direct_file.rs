//! `DirectFile`: a file around the page cache, of which any range can be read.

use std::io;
use std::path::Path;

use super::{DirectAlignment, File, OpenOptions};
use crate::buf::{AlignedBuf, BufResult, IoBuf, Slice};

/// A file that is read and written around the page cache (`O_DIRECT`): nothing of it takes memory that others need, and a
/// write has been at the device when it completes (which may have a cache of its own: [`File::sync_data`]).
///
/// Reads may be of any range: what is around it for the sake of alignment is read too. Writes must be aligned, as a part of a block
/// could only be changed by reading it first.
///
/// # Examples
///
/// ```
/// use annulus_rt::buf::IoBuf;
/// use annulus_rt::fs::{DirectFile, OpenOptions};
///
/// annulus_rt::run(async {
///     let file = DirectFile::open("Cargo.toml", &OpenOptions::new().read(true)).await?;
///     let word = file.read_at(1, 7).await?;
///     assert_eq!(word.as_bytes(), b"package");
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DirectFile {
    file: File,
    alignment: DirectAlignment,
}

impl DirectFile {
    /// Opens a file with these options and [`direct`](OpenOptions::direct).
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open`]; `EINVAL` or `EOPNOTSUPP` where the file system has no direct transfers.
    pub async fn open(path: impl AsRef<Path>, options: &OpenOptions) -> io::Result<Self> {
        Self::of(options.direct(true).open(path).await?).await
    }

    /// Takes a file that was opened with [`direct`](OpenOptions::direct), from wherever.
    ///
    /// # Errors
    ///
    /// As [`File::direct_alignment`].
    pub async fn of(file: File) -> io::Result<Self> {
        let alignment = file.direct_alignment().await?;
        Ok(Self { file, alignment })
    }

    /// What writes, and their buffers, have to be aligned by.
    #[must_use]
    pub const fn alignment(&self) -> DirectAlignment {
        self.alignment
    }

    /// An empty buffer for writes of up to `len` bytes.
    #[must_use]
    pub fn buf(&self, len: usize) -> AlignedBuf {
        self.alignment.buf(len)
    }

    /// Reads `len` bytes from `offset` on, fewer if the file ends before.
    ///
    /// # Errors
    ///
    /// As [`File::read_at`]; `EINVAL` for a range that ends above `i64::MAX`.
    pub async fn read_at(&self, offset: u64, len: usize) -> io::Result<Slice<AlignedBuf>> {
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let end =
            offset.checked_add(len as u64).filter(|end| i64::try_from(*end).is_ok()).ok_or_else(invalid)?;
        let begin = self.alignment.floor(offset);
        let before = usize::try_from(offset - begin).map_err(|_| invalid())?;
        let whole = usize::try_from(self.alignment.ceil(end) - begin).map_err(|_| invalid())?;
        let mut buf = self.buf(whole);
        // An aligned read is short at the end of the file alone, or by whole blocks.
        while buf.len() < before + len {
            let from = buf.len();
            let (read, part) = self.file.read_at(buf.slice(from..whole), begin + from as u64).await;
            buf = part.into_inner();
            match read {
                Ok(n) if n == 0 || !n.is_multiple_of(self.alignment.offset() as usize) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let begin = before.min(buf.len());
        Ok(buf.slice(begin..before.saturating_add(len)))
    }

    /// Writes at `offset`, as [`File::write_all_at`]. Offset, length and address must be aligned.
    ///
    /// # Errors
    ///
    /// As [`File::write_all_at`]; `EINVAL` for what is not aligned.
    pub async fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<(), B> {
        self.file.write_all_at(buf, offset).await
    }

    /// The file, for everything else: its length, room, the disk.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The file.
    #[must_use]
    pub fn into_inner(self) -> File {
        self.file
    }
}
