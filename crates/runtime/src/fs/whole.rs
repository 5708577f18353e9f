//! Whole files: read, written.

use std::io;
use std::path::Path;

use super::transfer::OWN_POSITION;
use super::{Dir, File, OpenOptions};
use crate::buf::{BufResult, IoBuf};

/// Reads a whole file.
///
/// # Errors
///
/// As [`File::open`] and [`File::read_to_end_at`].
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    contents(File::open(path).await?).await
}

/// Reads a whole file that holds text.
///
/// # Errors
///
/// As [`read`]; `ErrorKind::InvalidData` if it is not UTF-8.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    text(read(path).await?)
}

/// Writes a whole file: makes it, or replaces what it holds, piece by piece. Readers may see a part, and so may everybody after a
/// crash; [`write_atomic`](super::write_atomic) does not let them.
///
/// # Errors
///
/// As [`File::create`] and [`File::write_all_at`].
pub async fn write<B: IoBuf>(path: impl AsRef<Path>, contents: B) -> BufResult<(), B> {
    fill(File::create(path).await, contents).await
}

impl Dir {
    /// Reads a whole file whose path starts here.
    ///
    /// # Errors
    ///
    /// As [`read`](super::read).
    pub async fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        contents(self.open_file(path).await?).await
    }

    /// Reads a whole file that holds text, whose path starts here.
    ///
    /// # Errors
    ///
    /// As [`read_to_string`](super::read_to_string).
    pub async fn read_to_string(&self, path: impl AsRef<Path>) -> io::Result<String> {
        text(self.read(path).await?)
    }

    /// Writes a whole file whose path starts here.
    ///
    /// # Errors
    ///
    /// As [`write`](super::write).
    pub async fn write<B: IoBuf>(&self, path: impl AsRef<Path>, contents: B) -> BufResult<(), B> {
        let options = OpenOptions::new().write(true).create(true).truncate(true);
        fill(self.open_with(path, &options).await, contents).await
    }
}

async fn contents(file: File) -> io::Result<Vec<u8>> {
    let mut buf = Vec::new();
    // One byte more than it says, so that the read that finds the end needs no more memory.
    let size = usize::try_from(file.metadata().await?.len().saturating_add(1)).unwrap_or(usize::MAX);
    buf.try_reserve_exact(size).map_err(|error| io::Error::new(io::ErrorKind::OutOfMemory, error))?;
    // At the file's own position, so that it may be a pipe.
    let (read, buf) = file.read_to_end_at(buf, OWN_POSITION).await;
    read?;
    Ok(buf)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

async fn fill<B: IoBuf>(file: io::Result<File>, contents: B) -> BufResult<(), B> {
    let file = match file {
        Ok(file) => file,
        Err(error) => return (Err(error), contents),
    };
    let (written, contents) = file.write_all_at(contents, OWN_POSITION).await;
    let closed = file.close().await;
    (written.and(closed), contents)
}
