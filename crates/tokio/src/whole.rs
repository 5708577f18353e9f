//! Whole files: read, written.

use std::io;
use std::path::Path;

use annulus_rt::buf::{BufResult, IoBuf};

use crate::file::OWN_POSITION;
use crate::{File, OpenOptions};

/// Reads a whole file, also one whose length is not known before, as those of `/proc`, a pipe or a device.
///
/// # Errors
///
/// Those of [`File::open`] and [`File::read_to_end_at`].
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = File::open(path).await?;
    // At its own position, so that it may be a pipe. One byte more than it says, so that the read that finds the end needs no more memory.
    let size = usize::try_from(file.len().await?.saturating_add(1)).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|error| io::Error::new(io::ErrorKind::OutOfMemory, error))?;
    let (read, bytes) = file.read_to_end_at(bytes, OWN_POSITION).await;
    read.map(|_| bytes)
}

/// Reads a whole file that holds text.
///
/// # Errors
///
/// As [`read`]; `ErrorKind::InvalidData` if it is not UTF-8.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path).await?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes a whole file: makes it if it is not there, and replaces what it holds if it is, piece by piece. Readers may see a part, and so
/// may everybody after a crash; [`write_atomic`](crate::write_atomic) does not let them.
///
/// # Errors
///
/// Those of [`File::create`] and [`File::write_all_at`], with the buffer.
pub fn write<B: IoBuf + Send>(
    path: impl AsRef<Path>,
    buf: B,
) -> impl Future<Output = BufResult<(), B>> + Send {
    fill(OpenOptions::new().write(true).create(true).truncate(true).open(path), buf)
}

async fn fill<B: IoBuf + Send>(
    opening: impl Future<Output = io::Result<File>> + Send,
    buf: B,
) -> BufResult<(), B> {
    let file = match opening.await {
        Ok(file) => file,
        Err(error) => return (Err(error), buf),
    };
    let (written, buf) = file.write_all_at(buf, OWN_POSITION).await;
    match written {
        Ok(()) => (file.close().await, buf),
        Err(error) => (Err(error), buf),
    }
}
