//! The extent of a file, and what the page cache has of it: length, room, holes, advice, write-back.

use std::io;

use annulus::opcode::Ftruncate;
use annulus::owned::{Advise, Allocate, SyncRange, Truncate};
use annulus_rt::fs::{Advice, AllocateMode};

use super::File;
use crate::running::{run, run_new};

/// The most that one entry covers of what has 32-bit lengths, in bytes: whole pages.
const STEP: u64 = 0xffff_f000;

/// The extent.
impl File {
    /// Makes the file `len` bytes long: cuts it, or adds zeros (a hole). ftruncate(2).
    ///
    /// # Errors
    ///
    /// Those of ftruncate(2): `EINVAL` if the file is not open for writing or for a length above `i64::MAX`, `EFBIG`.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        run_new(Ftruncate::CODE, || Truncate::new(self.0.clone(), len)).await.map(drop)
    }

    /// Makes sure that there is room for `len` bytes from `offset` on, and makes the file that long: fallocate(2).
    ///
    /// # Errors
    ///
    /// Those of fallocate(2): `ENOSPC`, `EFBIG`, `EINVAL` for a `len` of 0, `EOPNOTSUPP` if the file system cannot.
    pub async fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.allocate_with(AllocateMode::GROW, offset, len).await
    }

    /// Changes the room of a range otherwise.
    ///
    /// ```
    /// use annulus_tokio::{AllocateMode, File};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir_in(".")?;
    /// # let path = dir.path().join("table");
    /// let file = File::create(path).await?;
    /// file.write_all_at(vec![1; 16_384], 0).await.0?;
    /// file.allocate_with(AllocateMode::PUNCH_HOLE, 4096, 8192).await?;
    /// assert_eq!(file.metadata().await?.len(), 16_384);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate).
    pub async fn allocate_with(&self, mode: AllocateMode, offset: u64, len: u64) -> io::Result<()> {
        run(|| Allocate::new(self.0.clone(), offset, len).mode(mode.bits())).await.map(drop)
    }

    /// Says how a range is going to be used; a `len` of 0 reaches to the end of the file.
    ///
    /// # Errors
    ///
    /// Those of posix_fadvise(2): `ESPIPE` for a pipe.
    pub async fn advise(&self, offset: u64, len: u64, advice: Advice) -> io::Result<()> {
        // The others are said of the whole file, whatever the range.
        let len = if matches!(advice, Advice::WillNeed | Advice::DontNeed) { len } else { 0 };
        for (at, len) in steps(offset, len) {
            run(|| Advise::new(self.0.clone(), at, len, advice.number())).await?;
        }
        Ok(())
    }

    /// Writes what the page cache has of a range to the disk, and waits for it; a `len` of 0 reaches to the end of the file. It brings no
    /// metadata there, so it makes nothing safe by itself: it keeps the amount small that [`sync_data`](Self::sync_data)
    /// has to do. sync_file_range(2).
    ///
    /// # Errors
    ///
    /// Those of sync_file_range(2): `EIO`, `ENOSPC`, `ESPIPE` for a pipe.
    pub async fn sync_range(&self, offset: u64, len: u64) -> io::Result<()> {
        let wait = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        self.write_back(offset, len, libc::SYNC_FILE_RANGE_WRITE | wait).await
    }

    /// Begins to write what the page cache has of a range to the disk, and does not wait for it.
    ///
    /// # Errors
    ///
    /// As [`sync_range`](Self::sync_range).
    pub async fn start_sync_range(&self, offset: u64, len: u64) -> io::Result<()> {
        self.write_back(offset, len, libc::SYNC_FILE_RANGE_WRITE).await
    }

    async fn write_back(&self, offset: u64, len: u64, flags: u32) -> io::Result<()> {
        for (at, len) in steps(offset, len) {
            run(|| SyncRange::new(self.0.clone(), at, len, flags)).await?;
        }
        Ok(())
    }
}

/// A range in as many steps as 32-bit lengths ask for. A length of 0, to the end, is one step.
fn steps(offset: u64, len: u64) -> impl Iterator<Item = (u64, u32)> + Send {
    let more = (1..len.div_ceil(STEP)).map(move |step| step * STEP);
    std::iter::once(0).chain(more).map(move |done| {
        let len = u32::try_from((len - done).min(STEP)).expect("at most STEP");
        (offset.saturating_add(done), len)
    })
}

#[cfg(test)]
mod tests {
    use super::{STEP, steps};

    #[test]
    fn a_range_is_covered_by_steps_of_whole_pages() {
        let of = |offset, len| steps(offset, len).collect::<Vec<_>>();
        let step = u32::try_from(STEP).unwrap_or_default();
        assert_eq!(of(5, 0), [(5, 0)]);
        assert_eq!(of(5, 7), [(5, 7)]);
        assert_eq!(of(0, STEP), [(0, step)]);
        assert_eq!(of(1, 2 * STEP + 3), [(1, step), (1 + STEP, step), (1 + 2 * STEP, 3)]);
    }
}
