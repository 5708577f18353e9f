//! Copying from file to file: inside of the kernel where that is possible, through a ring where it is not.

use std::io;
use std::path::Path;

use annulus_rt::buf::IoBuf;
use annulus_rt::fs::Metadata;
use annulus_rt::fs::parts::copy_inside;

use crate::blocking::in_steps;
use crate::{File, OpenOptions};

/// How much is copied through memory at a time, in bytes.
const CHUNK: usize = 256 * 1024;

/// Copies the contents and the permissions of a file to another, which is made, or emptied before. Returns how many bytes there were.
///
/// Btrfs, XFS and other file systems that can let both files share their blocks do that (a *reflink*), and network file systems copy on
/// the server: copy_file_range(2), on a thread that blocks. Where the two are on different file systems, or theirs does not
/// know how, bytes are read and written through a ring. If the future is dropped, the target may hold a part.
///
/// # Errors
///
/// As [`File::open`] and [`File::create`]; `EINVAL` if the source is no ordinary file, or both are the same one; `ENOSPC`, `EFBIG`,
/// `EIO`.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let source = File::open(from).await?;
    let facts = source.metadata().await?;
    if !facts.is_file() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // Not emptied, as it may be the source.
    let target = OpenOptions::new().write(true).create(true).mode(facts.mode()).open(to).await?;
    make_ready(&target, &facts).await?;
    source.copy_range_to(0, &target, 0, u64::MAX).await
}

/// Empties the target and gives it the permissions of the source, unless it is the source.
async fn make_ready(target: &File, source: &Metadata) -> io::Result<()> {
    let before = target.metadata().await?;
    if before.is_same_file(source) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    if !before.is_file() {
        return Ok(());
    }
    if before.len() > 0 {
        target.set_len(0).await?;
    }
    if before.mode() != source.mode() {
        target.set_permissions(source.permissions()).await?;
    }
    Ok(())
}

/// Copying.
impl File {
    /// Copies up to `len` bytes from `offset` on to `to_offset` of another file, or another part of this one. Returns how many there were until
    /// the end. How, see [`copy`](crate::copy).
    ///
    /// # Errors
    ///
    /// Those of copy_file_range(2), [`read_at`](Self::read_at) and [`write_all_at`](Self::write_all_at): `EINVAL` if the two
    /// ranges overlap.
    pub async fn copy_range_to(&self, offset: u64, to: &Self, to_offset: u64, len: u64) -> io::Result<u64> {
        let (source, target) = (self.shared().clone(), to.shared().clone());
        let inside = in_steps(move |stop| copy_inside(&source, offset, &target, to_offset, len, stop));
        let (mut copied, is_all) = inside.await?;
        let mut chunk = Vec::with_capacity(CHUNK);
        while !is_all && copied < len {
            let want = usize::try_from(len - copied).unwrap_or(CHUNK).min(CHUNK);
            chunk.clear();
            let (read, part) = self.read_at(chunk.slice(..want), offset.saturating_add(copied)).await;
            if read? == 0 {
                break;
            }
            let (written, back) = to.write_all_at(part.into_inner(), to_offset.saturating_add(copied)).await;
            written?;
            copied += back.len() as u64;
            chunk = back;
        }
        Ok(copied)
    }
}
