//! Writing to an open file: at an offset, at its own position, at its end, from one buffer or several.

use std::io;

use super::{Next, OWN_POSITION, RwFlags, part};
use crate::buf::{BufResult, FixedBuf, IoBuf, IoVectoredBuf};
use crate::driver::Op;
use crate::driver::op::fixed::WriteFixed;
use crate::driver::op::rw::Write;
use crate::driver::op::vectored::WriteVectored;
use crate::fs::File;

/// Writing.
impl File {
    /// Writes at `offset`: as much as the system takes.
    ///
    /// # Errors
    ///
    /// Those of pwrite(2): `EBADF` if the file is not open for writing, `ENOSPC`, `EDQUOT`, `EFBIG`, `EIO`, `ESPIPE` for
    /// a pipe or a socket; `EINVAL` with `O_DIRECT` where something is not aligned; `EBUSY` if too many operations
    /// are in flight.
    pub async fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        Op::new(Write::new(self.shared().clone(), buf, offset)).await
    }

    /// As [`write_at`](Self::write_at), in a way that this one write goes.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at); `EOPNOTSUPP` for what the kernel or the file system lacks, `EAGAIN` as
    /// [`RwFlags::NOWAIT`] asks for it.
    pub async fn write_at_with<B: IoBuf>(&self, buf: B, offset: u64, flags: RwFlags) -> BufResult<usize, B> {
        Op::new(Write::new(self.shared().clone(), buf, offset).with(flags.bits())).await
    }

    /// Writes at the file's own position, and moves it; also to a pipe, a terminal, a device.
    ///
    /// # Errors
    ///
    /// Those of write(2); `EBUSY` if too many operations are in flight.
    pub async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.write_at(buf, OWN_POSITION).await
    }

    /// Writes the whole buffer.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at); `ErrorKind::WriteZero` if the file takes no more.
    pub async fn write_all_at<B: IoBuf>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let mut done = 0;
        while done < buf.filled() {
            let (written, rest) = self.write_at(buf.slice(done..), offset.saturating_add(done as u64)).await;
            buf = rest.into_inner();
            if let Next::Stop(error) = part(written, &mut done, io::ErrorKind::WriteZero) {
                return (Err(error), buf);
            }
        }
        (Ok(()), buf)
    }

    /// Writes to the end of the file, wherever it is by then, whether or not it was opened to
    /// [append](crate::fs::OpenOptions::append): as much as the system takes. Two who append do not overwrite each other.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at).
    pub async fn append<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        // The position is not the file's own, so that this does not wait for those who use it.
        self.write_at_with(buf, 0, RwFlags::APPEND).await
    }

    /// Writes the whole buffer to the end of the file. If the system takes it in parts, others who append may come between them.
    ///
    /// # Errors
    ///
    /// As [`write_all_at`](Self::write_all_at).
    pub async fn append_all<B: IoBuf>(&self, mut buf: B) -> BufResult<(), B> {
        let mut done = 0;
        while done < buf.filled() {
            let (written, rest) = self.append(buf.slice(done..)).await;
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
    pub async fn write_vectored_at<V: IoVectoredBuf>(&self, bufs: V, offset: u64) -> BufResult<usize, V> {
        self.write_vectored_at_with(bufs, offset, RwFlags::NONE).await
    }

    /// As [`write_vectored_at`](Self::write_vectored_at), in a way that this one write goes.
    ///
    /// # Errors
    ///
    /// As [`write_at_with`](Self::write_at_with).
    pub async fn write_vectored_at_with<V: IoVectoredBuf>(
        &self,
        bufs: V,
        offset: u64,
        flags: RwFlags,
    ) -> BufResult<usize, V> {
        Op::new(WriteVectored::new(self.shared().clone(), bufs, 0, offset, flags.bits())).await
    }

    /// Writes the whole of several buffers.
    ///
    /// # Errors
    ///
    /// As [`write_all_at`](Self::write_all_at).
    pub async fn write_all_vectored_at<V: IoVectoredBuf>(
        &self,
        mut bufs: V,
        offset: u64,
    ) -> BufResult<(), V> {
        let want = bufs.total_filled();
        let mut done = 0;
        while done < want {
            let (fd, at) = (self.shared().clone(), offset.saturating_add(done as u64));
            let (written, back) = Op::new(WriteVectored::new(fd, bufs, done, at, 0)).await;
            bufs = back;
            if let Next::Stop(error) = part(written, &mut done, io::ErrorKind::WriteZero) {
                return (Err(error), bufs);
            }
        }
        (Ok(()), bufs)
    }

    /// As [`write_at`](Self::write_at), from a [registered buffer](crate::buf::FixedPool).
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at).
    pub async fn write_fixed_at<B: FixedBuf>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        self.write_fixed_at_with(buf, offset, RwFlags::NONE).await
    }

    /// Writes the whole of a registered buffer.
    ///
    /// # Errors
    ///
    /// As [`write_all_at`](Self::write_all_at).
    pub async fn write_all_fixed_at<B: FixedBuf>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let mut done = 0;
        while done < buf.filled() {
            let at = offset.saturating_add(done as u64);
            let (written, rest) = self.write_fixed_at(buf.slice(done..), at).await;
            buf = rest.into_inner();
            if let Next::Stop(error) = part(written, &mut done, io::ErrorKind::WriteZero) {
                return (Err(error), buf);
            }
        }
        (Ok(()), buf)
    }

    /// As [`write_fixed_at`](Self::write_fixed_at), in a way that this one write goes.
    ///
    /// # Errors
    ///
    /// As [`write_at_with`](Self::write_at_with).
    pub async fn write_fixed_at_with<B: FixedBuf>(
        &self,
        buf: B,
        offset: u64,
        flags: RwFlags,
    ) -> BufResult<usize, B> {
        Op::new(WriteFixed::new(self.shared().clone(), buf, offset, flags.bits())).await
    }
}
