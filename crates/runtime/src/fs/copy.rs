//! Copying from file to file: inside of the kernel where that is possible, through the ring where it is not.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::copy_file_range;
use rustix::io::Errno;

use super::blocking::{Stop, in_steps};
use super::{Dir, File, Metadata, OpenOptions};
use crate::buf::IoBuf;

/// How much one call in the kernel copies, in bytes: after each, a dropped future is noticed.
const STEP: usize = 64 * 1024 * 1024;

/// How much is copied through memory at a time, in bytes.
const CHUNK: usize = 256 * 1024;

/// Copies the contents and the permissions of a file to another, which is made, or emptied before. Returns how many bytes there were.
///
/// Btrfs, XFS and other file systems that can let both files share their blocks do that (a *reflink*), and network file systems copy on
/// the server: copy_file_range(2), on a helper thread. Where the two are on different file systems, or theirs does not
/// know how, bytes are read and written through the ring. If the future is dropped, the target may hold a part.
///
/// # Errors
///
/// As [`File::open`] and [`File::create`]; `EINVAL` if the source is no ordinary file, or both are the same one; `ENOSPC`, `EFBIG`,
/// `EIO`; `EAGAIN` if too much waits for a helper thread.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let source = File::open(from).await?;
    let facts = ordinary(&source).await?;
    let target = target(&facts).open(to).await?;
    copy_whole(&source, &facts, &target).await
}

impl Dir {
    /// Copies a file whose path starts here to one whose path starts at `to_dir`, as [`copy`](super::copy).
    ///
    /// # Errors
    ///
    /// As [`copy`](super::copy).
    pub async fn copy(&self, from: impl AsRef<Path>, to_dir: &Self, to: impl AsRef<Path>) -> io::Result<u64> {
        let source = self.open_file(from).await?;
        let facts = ordinary(&source).await?;
        let target = to_dir.open_with(to, &target(&facts)).await?;
        copy_whole(&source, &facts, &target).await
    }
}

/// What is known about a file that is to be copied.
async fn ordinary(source: &File) -> io::Result<Metadata> {
    let facts = source.metadata().await?;
    if facts.is_file() { Ok(facts) } else { Err(io::Error::from_raw_os_error(libc::EINVAL)) }
}

/// How the target is opened: not emptied, as it may be the source.
const fn target(facts: &Metadata) -> OpenOptions {
    OpenOptions::new().write(true).create(true).mode(facts.mode())
}

async fn copy_whole(source: &File, facts: &Metadata, target: &File) -> io::Result<u64> {
    let before = target.metadata().await?;
    if before.is_same_file(facts) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    if before.is_file() {
        target.set_len(0).await?;
        if before.mode() != facts.mode() {
            target.set_permissions(facts.permissions()).await?;
        }
    }
    source.copy_range_to(0, target, 0, u64::MAX).await
}

impl File {
    /// Copies up to `len` bytes from `offset` on to `to_offset` of another file, or another part of this one. Returns how many there were until
    /// the end. How, see [`copy`](super::copy).
    ///
    /// # Errors
    ///
    /// Those of copy_file_range(2), [`read_at`](Self::read_at) and [`write_at`](Self::write_at): `EINVAL` if the two
    /// ranges overlap; `EAGAIN` if too much waits for a helper thread, `EMFILE` if there are no descriptors for it.
    pub async fn copy_range_to(&self, offset: u64, to: &Self, to_offset: u64, len: u64) -> io::Result<u64> {
        let (source, target) = (self.as_fd().try_clone_to_owned()?, to.as_fd().try_clone_to_owned()?);
        let inside = move |stop: &Stop| copy_inside(&source, offset, &target, to_offset, len, stop);
        let (copied, end) = in_steps(inside).await?;
        if end {
            return Ok(copied);
        }
        let (offset, to_offset) = (offset.saturating_add(copied), to_offset.saturating_add(copied));
        self.copy_through_memory(offset, to, to_offset, len - copied).await.map(|more| copied + more)
    }

    async fn copy_through_memory(&self, offset: u64, to: &Self, to_offset: u64, len: u64) -> io::Result<u64> {
        let mut buf = Vec::with_capacity(CHUNK);
        let mut done = 0;
        while done < len {
            let want = usize::try_from(len - done).unwrap_or(CHUNK).min(CHUNK);
            buf.clear();
            let (read, part) = self.read_at(buf.slice(..want), offset.saturating_add(done)).await;
            buf = part.into_inner();
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let (written, back) = to.write_all_at(buf, to_offset.saturating_add(done)).await;
            written?;
            done += back.len() as u64;
            buf = back;
        }
        Ok(done)
    }
}

/// Copies in the kernel, step by step, as far as it can. Returns how much that was, and whether it was everything.
///
/// # Errors
///
/// Those of copy_file_range(2) for which there is no other way; `ECANCELED` if it was stopped.
pub fn copy_inside(
    source: &OwnedFd,
    mut offset: u64,
    target: &OwnedFd,
    mut to_offset: u64,
    len: u64,
    stop: &Stop,
) -> io::Result<(u64, bool)> {
    let mut copied = 0;
    while copied < len {
        stop.check()?;
        let step = usize::try_from(len - copied).unwrap_or(STEP).min(STEP);
        match copy_file_range(source, Some(&mut offset), target, Some(&mut to_offset), step) {
            // Files of the kernel's own (`/proc`) say that they are empty, and are not: the read will tell.
            Ok(0) => return Ok((copied, copied > 0)),
            Ok(n) => copied += n as u64,
            Err(Errno::INTR) => {}
            // Not between these two, or not here: by other means. (A target that appends is refused with EBADF.)
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM | Errno::BADF) => {
                return Ok((copied, false));
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok((copied, true))
}
