//! Writing to an open file: at an offset, at its own position, at its end, from one buffer or several.

use std::io;

use annulus::owned::{Write, Writev};
use annulus_rt::buf::{BufResult, IoBuf, IoVectoredBuf};
use annulus_rt::fs::RwFlags;

use super::{File, Next, OWN_POSITION, part};
use crate::lent::{Lent, LentRow};
use crate::running::run_with;

/// Writing.
impl File {
    /// Writes at `offset`: as much as the system takes.
    ///
    /// # Errors
    ///
    /// Those of pwrite(2): `EBADF` if the file is not open for writing, `ENOSPC`, `EDQUOT`, `EFBIG`, `EIO`; `EINVAL` with `O_DIRECT`
    /// where something is not aligned.
    pub fn write_at<B: IoBuf + Send>(
        &self,
        buf: B,
        offset: u64,
    ) -> impl Future<Output = BufResult<usize, B>> + Send {
        self.write_at_with(buf, offset, RwFlags::NONE)
    }

    /// As [`write_at`](Self::write_at), in a way that this one write goes.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at); `EOPNOTSUPP` for what the kernel or the file system lacks, `EAGAIN` as
    /// [`RwFlags::NOWAIT`] asks for it.
    pub fn write_at_with<B: IoBuf + Send>(
        &self,
        buf: B,
        offset: u64,
        flags: RwFlags,
    ) -> impl Future<Output = BufResult<usize, B>> + Send {
        self.write_one(buf, offset, flags)
    }

    /// Writes the whole buffer. If the future is dropped, an unknown part of it has been written.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at); `ErrorKind::WriteZero` if the file takes no more.
    pub fn write_all_at<B: IoBuf + Send>(
        &self,
        buf: B,
        offset: u64,
    ) -> impl Future<Output = BufResult<(), B>> + Send {
        self.write_whole(buf, offset, RwFlags::NONE)
    }

    /// Writes to the end of the file, wherever it is by then, whether or not it was opened to
    /// [append](crate::OpenOptions::append): as much as the system takes. Two who append do not overwrite each other.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at).
    pub fn append<B: IoBuf + Send>(&self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        // The position is not the file's own, so that this does not wait for those who use it.
        self.write_at_with(buf, 0, RwFlags::APPEND)
    }

    /// Writes the whole buffer to the end of the file. If the system takes it in parts, others who append may come between them.
    ///
    /// # Errors
    ///
    /// As [`write_all_at`](Self::write_all_at).
    pub fn append_all<B: IoBuf + Send>(&self, buf: B) -> impl Future<Output = BufResult<(), B>> + Send {
        self.write_whole(buf, 0, RwFlags::APPEND)
    }

    async fn write_whole<B: IoBuf + Send>(
        &self,
        mut buf: B,
        offset: u64,
        flags: RwFlags,
    ) -> BufResult<(), B> {
        let mut done = 0;
        while done < buf.filled() {
            let at = offset.saturating_add(done as u64);
            let (written, rest) = self.write_at_with(buf.slice(done..), at, flags).await;
            buf = rest.into_inner();
            if let Next::Stop(error) = part(written, &mut done, io::ErrorKind::WriteZero) {
                return (Err(error), buf);
            }
        }
        (Ok(()), buf)
    }

    /// Writes several buffers at `offset`, one after the other: pwritev(2). More than 1024 are left for another write.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at).
    pub fn write_vectored_at<V: IoVectoredBuf + Send>(
        &self,
        bufs: V,
        offset: u64,
    ) -> impl Future<Output = BufResult<usize, V>> + Send {
        self.write_vectored_at_with(bufs, offset, RwFlags::NONE)
    }

    /// As [`write_vectored_at`](Self::write_vectored_at), in a way that this one write goes.
    ///
    /// # Errors
    ///
    /// As [`write_at_with`](Self::write_at_with).
    pub fn write_vectored_at_with<V: IoVectoredBuf + Send>(
        &self,
        bufs: V,
        offset: u64,
        flags: RwFlags,
    ) -> impl Future<Output = BufResult<usize, V>> + Send {
        self.gather(LentRow::without(bufs, 0), offset, flags)
    }

    /// Writes the whole of several buffers.
    ///
    /// # Errors
    ///
    /// As [`write_all_at`](Self::write_all_at).
    pub fn write_all_vectored_at<V: IoVectoredBuf + Send>(
        &self,
        bufs: V,
        offset: u64,
    ) -> impl Future<Output = BufResult<(), V>> + Send {
        self.write_row(bufs, offset)
    }

    async fn gather<V: IoVectoredBuf + Send>(
        &self,
        row: LentRow<V>,
        offset: u64,
        flags: RwFlags,
    ) -> BufResult<usize, V> {
        let write = |row, _: &_| Writev::new(self.0.clone(), row).offset(offset).flags(flags.bits());
        let (written, LentRow { row, .. }) = run_with(row, write).await;
        (written, row)
    }

    /// Writes at the file's own position, and moves it; also to a pipe, a terminal, a device.
    ///
    /// # Errors
    ///
    /// Those of write(2).
    pub fn write<B: IoBuf + Send>(&self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        self.write_at(buf, OWN_POSITION)
    }
}

impl File {
    async fn write_one<B: IoBuf + Send>(&self, buf: B, offset: u64, flags: RwFlags) -> BufResult<usize, B> {
        let write = |buf, _: &_| Write::new(self.0.clone(), buf).offset(offset).flags(flags.bits());
        let (written, Lent(buf)) = run_with(Lent(buf), write).await;
        (written, buf)
    }

    async fn write_row<V: IoVectoredBuf + Send>(&self, mut bufs: V, offset: u64) -> BufResult<(), V> {
        let want = bufs.total_filled();
        let mut done = 0;
        while done < want {
            let (rest, at) = (LentRow::without(bufs, done), offset.saturating_add(done as u64));
            let (written, back) = self.gather(rest, at, RwFlags::NONE).await;
            bufs = back;
            if let Next::Stop(error) = part(written, &mut done, io::ErrorKind::WriteZero) {
                return (Err(error), bufs);
            }
        }
        (Ok(()), bufs)
    }
}
