//! `File`: an open file, and whole files at once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use annulus::owned::{Allocate, Close, Read, Statx, Sync, Truncate, Write};
use annulus_rt::buf::{BufResult, IoBuf, IoBufMut};

use crate::OpenOptions;
use crate::buffer::Lent;
use crate::running::{run, run_with};

/// The offset that stands for the file's own position.
const OWN_POSITION: u64 = u64::MAX;
/// How much is read at once of a file whose length is not known.
const STEP: usize = 64 * 1024;

/// An open file. Reads and writes name their offset; any number of them may be in flight at once, from any task and thread: the
/// methods take `&self`, and the file can be shared in an [`Arc`].
///
/// Dropping it closes it, when nothing is in flight on it any more.
///
/// # Panics
///
/// All its futures panic outside of a runtime of tokio's, or in one whose I/O is not enabled.
///
/// # Examples
///
/// ```
/// use annulus_tokio::File;
///
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// let folder = tempfile::tempdir()?;
/// let file = File::create(folder.path().join("note")).await?;
/// file.write_all_at("a ring of bytes", 0).await.0?;
/// file.sync_data().await?;
/// assert_eq!(file.len().await?, 15);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct File(Arc<OwnedFd>);

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing; makes it if it is not there, and empties it if it is.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::open`].
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path).await
    }

    /// How to open a file otherwise.
    pub const fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Reads from `offset` on: as much as there is, up to the buffer's capacity; 0 at the end of the file.
    ///
    /// # Errors
    ///
    /// Those of pread(2).
    pub async fn read_at<B: IoBufMut + Send>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        let read = |buf| Read::new(self.0.clone(), buf).offset(offset);
        let (read, Lent(buf)) = run_with(Lent(buf), read).await;
        (read, buf)
    }

    /// Reads as many bytes as the buffer holds: `vec![0; n]` is read into as a whole.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at); `ErrorKind::UnexpectedEof` if the file ends before.
    pub async fn read_exact_at<B: IoBufMut + Send>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let want = buf.filled();
        let mut done = 0;
        while done < want {
            let (read, part) = self.read_at(buf.slice(done..want), offset + done as u64).await;
            buf = part.into_inner();
            match read {
                Ok(0) => return (Err(io::ErrorKind::UnexpectedEof.into()), buf),
                Ok(n) => done += n,
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Reads at the file's own position, and moves it; also from a pipe, a terminal, a device. Dropped in flight, it may
    /// have read bytes that are lost then.
    ///
    /// # Errors
    ///
    /// Those of read(2).
    pub async fn read<B: IoBufMut + Send>(&self, buf: B) -> BufResult<usize, B> {
        self.read_at(buf, OWN_POSITION).await
    }

    /// Writes at `offset`: as much as the system takes.
    ///
    /// # Errors
    ///
    /// Those of pwrite(2).
    pub async fn write_at<B: IoBuf + Send>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        let write = |buf| Write::new(self.0.clone(), buf).offset(offset);
        let (written, Lent(buf)) = run_with(Lent(buf), write).await;
        (written, buf)
    }

    /// Writes the whole buffer. If the future is dropped, an unknown part of it has been written.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at); `ErrorKind::WriteZero` if the file takes no more.
    pub async fn write_all_at<B: IoBuf + Send>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let mut done = 0;
        while done < buf.filled() {
            let (written, part) = self.write_at(buf.slice(done..), offset + done as u64).await;
            buf = part.into_inner();
            match written {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buf),
                Ok(n) => done += n,
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Writes at the file's own position, and moves it; also to a pipe, a terminal, a device.
    ///
    /// # Errors
    ///
    /// Those of write(2).
    pub async fn write<B: IoBuf + Send>(&self, buf: B) -> BufResult<usize, B> {
        self.write_at(buf, OWN_POSITION).await
    }

    /// Brings contents and metadata to the disk: fsync(2).
    ///
    /// # Errors
    ///
    /// Those of fsync(2).
    pub async fn sync_all(&self) -> io::Result<()> {
        run(|| Sync::all(self.0.clone())).await.map(drop)
    }

    /// Brings the contents to the disk: fdatasync(2).
    ///
    /// # Errors
    ///
    /// Those of fdatasync(2).
    pub async fn sync_data(&self) -> io::Result<()> {
        run(|| Sync::data(self.0.clone())).await.map(drop)
    }

    /// Makes sure that there is room for `len` bytes from `offset` on, and makes the file that long: fallocate(2).
    ///
    /// # Errors
    ///
    /// Those of fallocate(2): `ENOSPC`, `EOPNOTSUPP` if the file system cannot.
    pub async fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        run(|| Allocate::new(self.0.clone(), offset, len)).await.map(drop)
    }

    /// Makes the file `len` bytes long: ftruncate(2). Before Linux 6.9, which is the first that has it in rings, on a
    /// thread of tokio's for what blocks.
    ///
    /// # Errors
    ///
    /// Those of ftruncate(2): `EINVAL` if the file is not open for writing, `EFBIG`.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        match run(|| Truncate::new(self.0.clone(), len)).await {
            // Either the ring does not know it, or the call will say so too.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                let file = self.0.clone();
                let truncate = move || rustix::fs::ftruncate(&*file, len);
                Ok(tokio::task::spawn_blocking(truncate).await.map_err(io::Error::other)??)
            }
            truncated => truncated.map(drop),
        }
    }

    /// How long the file is, in bytes.
    ///
    /// # Errors
    ///
    /// Those of statx(2).
    pub async fn len(&self) -> io::Result<u64> {
        let ask = || Statx::new(c"").at(self.0.clone()).flags(libc::AT_EMPTY_PATH).mask(libc::STATX_SIZE);
        run(ask).await.map(|facts| facts.stx_size)
    }

    /// Whether the file holds nothing.
    ///
    /// # Errors
    ///
    /// Those of statx(2).
    pub async fn is_empty(&self) -> io::Result<bool> {
        self.len().await.map(|len| len == 0)
    }

    /// Closes through the ring and waits for it. If something is still in flight, that closes when it ends, and nothing is
    /// waited for.
    ///
    /// # Errors
    ///
    /// Those of close(2), such as an `EIO` or `EDQUOT` of earlier writes on a network file system.
    pub async fn close(self) -> io::Result<()> {
        let Some(fd) = Arc::into_inner(self.0) else { return Ok(()) };
        crate::running::run_once(Close::new(fd)).await
    }

    /// The descriptor itself, for other uses.
    ///
    /// # Errors
    ///
    /// Gives the file back while an operation is still in flight on it.
    pub fn try_into_owned_fd(self) -> Result<OwnedFd, Self> {
        Arc::try_unwrap(self.0).map_err(Self)
    }
}

/// Reads a whole file.
///
/// # Errors
///
/// Those of [`File::open`] and [`File::read_at`].
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = File::open(path).await?;
    let len = usize::try_from(file.len().await?).unwrap_or(usize::MAX);
    // One byte more, so that the end is seen without growing.
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len.saturating_add(1)).map_err(|_| io::ErrorKind::OutOfMemory)?;
    loop {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(STEP);
        }
        let (done, offset) = (bytes.len(), bytes.len() as u64);
        let (read, part) = file.read_at(bytes.slice(done..), offset).await;
        bytes = part.into_inner();
        if read? == 0 {
            return Ok(bytes);
        }
    }
}

/// Writes a whole file: makes it if it is not there, and replaces what it holds if it is.
///
/// # Errors
///
/// Those of [`File::create`] and [`File::write_all_at`], with the buffer.
pub async fn write<B: IoBuf + Send>(path: impl AsRef<Path>, buf: B) -> BufResult<(), B> {
    let file = match File::create(path).await {
        Ok(file) => file,
        Err(error) => return (Err(error), buf),
    };
    let (written, buf) = file.write_all_at(buf, 0).await;
    match written {
        Ok(()) => (file.close().await, buf),
        Err(error) => (Err(error), buf),
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> Self {
        OwnedFd::from(file).into()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
