//! Reading an open file: at an offset, at its own position, to its end, into one buffer or several.

use std::io;

use annulus::owned::{Read, Readv};
use annulus_rt::buf::{BufResult, IoBuf, IoBufMut, IoVectoredBufMut};
use annulus_rt::fs::RwFlags;

use super::{File, Next, OWN_POSITION, part};
use crate::lent::{Extent, Lent, LentRow};
use crate::running::run_with;

/// How far a vector grows that is full, in bytes: by its length, within these.
const GROWTH: (usize, usize) = (8 * 1024, 8 * 1024 * 1024);

/// Reading.
impl File {
    /// Reads from `offset` on: as much as there is, up to the buffer's capacity; 0 at the end of the file.
    ///
    /// # Errors
    ///
    /// Those of pread(2): `EBADF` if the file is not open for reading, `EISDIR`, `EIO`; `EINVAL` with `O_DIRECT` where
    /// something is not aligned.
    pub fn read_at<B: IoBufMut + Send>(
        &self,
        buf: B,
        offset: u64,
    ) -> impl Future<Output = BufResult<usize, B>> + Send {
        self.read_at_with(buf, offset, RwFlags::NONE)
    }

    /// As [`read_at`](Self::read_at), in a way that this one read goes.
    ///
    /// ```
    /// use annulus_tokio::{File, RwFlags};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let file = File::open("Cargo.toml").await?;
    /// let (read, buf) = file.read_at_with(vec![0; 9], 0, RwFlags::DONTCACHE).await;
    /// match read {
    ///     Ok(n) => assert_eq!((n, &buf[..]), (9, &b"[package]"[..])),
    ///     // Before Linux 6.14, and on some file systems.
    ///     Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP)),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at); `EOPNOTSUPP` for what the kernel or the file system lacks, `EAGAIN` as
    /// [`RwFlags::NOWAIT`] asks for it.
    pub fn read_at_with<B: IoBufMut + Send>(
        &self,
        buf: B,
        offset: u64,
        flags: RwFlags,
    ) -> impl Future<Output = BufResult<usize, B>> + Send {
        self.one(buf, offset, flags)
    }

    /// Reads as many bytes as the buffer holds: `vec![0; n]` is read into as a whole.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at); `ErrorKind::UnexpectedEof` if the file ends before.
    pub fn read_exact_at<B: IoBufMut + Send>(
        &self,
        buf: B,
        offset: u64,
    ) -> impl Future<Output = BufResult<(), B>> + Send {
        self.exact(buf, offset)
    }

    /// Reads from `offset` to the end of the file, and puts it behind what the vector holds. Returns how many bytes came.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at); `ErrorKind::OutOfMemory` if there is no memory for it. What was read until then
    /// is in the vector.
    pub async fn read_to_end_at(&self, mut buf: Vec<u8>, offset: u64) -> BufResult<usize, Vec<u8>> {
        let before = buf.len();
        loop {
            let len = buf.len();
            let more = if len == buf.capacity() { len.clamp(GROWTH.0, GROWTH.1) } else { 0 };
            if let Err(error) = buf.try_reserve(more) {
                return (Err(io::Error::new(io::ErrorKind::OutOfMemory, error)), buf);
            }
            let done = len - before;
            let (read, rest) = self.read_at(buf.slice(len..), offset.saturating_add(done as u64)).await;
            buf = rest.into_inner();
            match read {
                Ok(0) => return (Ok(done), buf),
                Ok(_) => {}
                Err(error) => return (Err(error), buf),
            }
        }
    }

    /// Reads from `offset` on into several buffers, up to their capacities, one after the other: preadv(2). More than
    /// 1024 are left for another read.
    ///
    /// ```
    /// use annulus_tokio::File;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let file = File::open("Cargo.toml").await?;
    /// let (read, (bracket, word)) = file.read_vectored_at(([0; 1], vec![0; 7]), 0).await;
    /// assert_eq!((read?, bracket, word), (8, *b"[", b"package".to_vec()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub fn read_vectored_at<V: IoVectoredBufMut + Send>(
        &self,
        bufs: V,
        offset: u64,
    ) -> impl Future<Output = BufResult<usize, V>> + Send {
        self.read_vectored_at_with(bufs, offset, RwFlags::NONE)
    }

    /// As [`read_vectored_at`](Self::read_vectored_at), in a way that this one read goes.
    ///
    /// # Errors
    ///
    /// As [`read_at_with`](Self::read_at_with).
    pub fn read_vectored_at_with<V: IoVectoredBufMut + Send>(
        &self,
        bufs: V,
        offset: u64,
        flags: RwFlags,
    ) -> impl Future<Output = BufResult<usize, V>> + Send {
        self.scatter(LentRow::new(bufs, Extent::Capacity), offset, flags)
    }

    /// Reads as many bytes as the buffers hold, into all of them.
    ///
    /// # Errors
    ///
    /// As [`read_exact_at`](Self::read_exact_at).
    pub fn read_exact_vectored_at<V: IoVectoredBufMut + Send>(
        &self,
        bufs: V,
        offset: u64,
    ) -> impl Future<Output = BufResult<(), V>> + Send {
        self.exact_row(bufs, offset)
    }

    async fn scatter<V: IoVectoredBufMut + Send>(
        &self,
        row: LentRow<V>,
        offset: u64,
        flags: RwFlags,
    ) -> BufResult<usize, V> {
        let read = |row, _: &_| Readv::new(self.0.clone(), row).offset(offset).flags(flags.bits());
        let (read, LentRow { row, .. }) = run_with(row, read).await;
        (read, row)
    }

    /// Reads at the file's own position, and moves it; also from a pipe, a terminal, a device. Dropped in flight, it may
    /// have read bytes that are lost then.
    ///
    /// # Errors
    ///
    /// Those of read(2).
    pub fn read<B: IoBufMut + Send>(&self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        self.read_at(buf, OWN_POSITION)
    }
}

impl File {
    async fn one<B: IoBufMut + Send>(&self, buf: B, offset: u64, flags: RwFlags) -> BufResult<usize, B> {
        let read = |buf, _: &_| Read::new(self.0.clone(), buf).offset(offset).flags(flags.bits());
        let (read, Lent(buf)) = run_with(Lent(buf), read).await;
        (read, buf)
    }

    async fn exact<B: IoBufMut + Send>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let want = buf.filled();
        let mut done = 0;
        while done < want {
            let (read, rest) = self.read_at(buf.slice(done..want), offset.saturating_add(done as u64)).await;
            buf = rest.into_inner();
            if let Next::Stop(error) = part(read, &mut done, io::ErrorKind::UnexpectedEof) {
                return (Err(error), buf);
            }
        }
        (Ok(()), buf)
    }

    async fn exact_row<V: IoVectoredBufMut + Send>(&self, mut bufs: V, offset: u64) -> BufResult<(), V> {
        let want = bufs.total_filled();
        let mut done = 0;
        while done < want {
            let (rest, at) = (LentRow::without(bufs, done), offset.saturating_add(done as u64));
            let (read, back) = self.scatter(rest, at, RwFlags::NONE).await;
            bufs = back;
            if let Next::Stop(error) = part(read, &mut done, io::ErrorKind::UnexpectedEof) {
                return (Err(error), bufs);
            }
        }
        (Ok(()), bufs)
    }
}
