//! Open files.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::Metadata;
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::driver::Op;
use crate::driver::op::file::Fsync;
use crate::driver::op::path::{Base, Statx};
use crate::driver::op::rw::{Read, Write};
use crate::fd::SharedFd;

/// The offset that stands for the file's own position.
const OWN_POSITION: u64 = u64::MAX;

/// An open file. Closed through the ring when it and everything in flight on it are gone.
///
/// Reads and writes name their offset; several may be in flight at once.
///
/// # Examples
///
/// ```
/// use annulus_rt::fs::OpenOptions;
///
/// let dir = tempfile::tempdir()?;
/// annulus_rt::run(async {
///     let options = OpenOptions::new().read(true).write(true).create_new(true);
///     let file = options.open(dir.path().join("note")).await?;
///     file.write_all_at("a ring of bytes", 0).await.0?;
///     let (read, buf) = file.read_at(Vec::with_capacity(4), 2).await;
///     assert_eq!((read?, buf.as_slice()), (4, &b"ring"[..]));
///     assert_eq!(file.metadata().await?.len(), 15);
///     file.close().await
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct File(SharedFd);

impl File {
    pub(super) const fn from_shared(fd: SharedFd) -> Self {
        Self(fd)
    }

    pub(super) fn into_shared(self) -> SharedFd {
        self.0
    }

    /// Reads from `offset` on: as much as there is, up to the buffer's capacity; 0 at the end of the file.
    ///
    /// # Errors
    ///
    /// Those of pread(2); `EBUSY` if too many operations are in flight.
    pub async fn read_at<B: IoBufMut>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        Op::new(Read::new(self.0.clone(), buf, offset)).await
    }

    /// Reads at the file's own position, and moves it; also from a pipe, a terminal, a device. Dropped in
    /// flight, it may have read bytes that are lost then.
    ///
    /// # Errors
    ///
    /// Those of read(2); `EBUSY` if too many operations are in flight.
    pub async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        self.read_at(buf, OWN_POSITION).await
    }

    /// Writes at the file's own position, and moves it; also to a pipe, a terminal, a device.
    ///
    /// # Errors
    ///
    /// Those of write(2); `EBUSY` if too many operations are in flight.
    pub async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.write_at(buf, OWN_POSITION).await
    }

    /// Reads as many bytes as the buffer holds: `vec![0; n]` is read into as a whole, as by
    /// [`std::io::Read::read_exact`].
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at); `ErrorKind::UnexpectedEof` if the file ends before.
    pub async fn read_exact_at<B: IoBufMut>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let want = buf.filled();
        let mut done = 0;
        while done < want {
            let (read, part) = self.read_at(buf.slice(done..want), offset + done as u64).await;
            buf = part.into_inner();
            match read {
                Ok(0) => return (Err(io::ErrorKind::UnexpectedEof.into()), buf),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Writes at `offset`: as much as the system takes.
    ///
    /// # Errors
    ///
    /// Those of pwrite(2); `EBUSY` if too many operations are in flight.
    pub async fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        Op::new(Write::new(self.0.clone(), buf, offset)).await
    }

    /// Writes the whole buffer.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at); `ErrorKind::WriteZero` if the file takes no more.
    pub async fn write_all_at<B: IoBuf>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let mut done = 0;
        while done < buf.filled() {
            let (written, part) = self.write_at(buf.slice(done..), offset + done as u64).await;
            buf = part.into_inner();
            match written {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buf),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Asks about the file.
    ///
    /// # Errors
    ///
    /// Those of statx(2); `EBUSY` if too many operations are in flight.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let base = Base::Dir(self.0.clone());
        Op::new(Statx::new(base, c"".to_owned(), libc::AT_EMPTY_PATH)).await.map(Metadata)
    }

    /// Brings contents and metadata to the disk: fsync(2).
    ///
    /// # Errors
    ///
    /// Those of fsync(2).
    pub async fn sync_all(&self) -> io::Result<()> {
        Op::new(Fsync { fd: self.0.clone(), data_only: false }).await
    }

    /// Brings the contents to the disk: fdatasync(2).
    ///
    /// # Errors
    ///
    /// Those of fdatasync(2).
    pub async fn sync_data(&self) -> io::Result<()> {
        Op::new(Fsync { fd: self.0.clone(), data_only: true }).await
    }

    /// Closes and waits for it. Dropping closes too, without a word about errors.
    ///
    /// # Errors
    ///
    /// Those of close(2), such as an `EIO` or `EDQUOT` of earlier writes on a network file system.
    pub async fn close(self) -> io::Result<()> {
        self.0.close().await
    }

    /// The descriptor itself, for other uses.
    ///
    /// # Errors
    ///
    /// Gives the file back while an operation is still in flight on it.
    pub fn try_into_owned_fd(self) -> Result<OwnedFd, Self> {
        self.0.try_into_owned().map_err(Self)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        Self(SharedFd::new(fd))
    }
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> Self {
        OwnedFd::from(file).into()
    }
}
