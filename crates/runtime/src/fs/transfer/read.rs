//! Reading an open file: at an offset, at its own position, to its end, into one buffer or several.

use std::io;

use super::{Next, OWN_POSITION, RwFlags, part};
use crate::buf::{BufResult, FixedBuf, IoBuf, IoBufMut, IoVectoredBufMut};
use crate::driver::Op;
use crate::driver::op::fixed::ReadFixed;
use crate::driver::op::rw::Read;
use crate::driver::op::vectored::{Extent, ReadVectored};
use crate::fs::File;

/// How far a vector grows that is full, in bytes: by its length, within these.
const MORE_AT_LEAST: usize = 8 * 1024;
const MORE_AT_MOST: usize = 8 * 1024 * 1024;

/// Reading.
impl File {
    /// Reads from `offset` on: as much as there is, up to the buffer's capacity; 0 at the end of the file.
    ///
    /// # Errors
    ///
    /// Those of pread(2): `EBADF` if the file is not open for reading, `EISDIR`, `EIO`, `ESPIPE` for a pipe or a
    /// socket; `EINVAL` with `O_DIRECT` where something is not aligned; `EBUSY` if too many operations are in flight.
    pub async fn read_at<B: IoBufMut>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        Op::new(Read::new(self.shared().clone(), buf, offset)).await
    }

    /// As [`read_at`](Self::read_at), in a way that this one read goes.
    ///
    /// ```
    /// use annulus_rt::fs::{File, RwFlags};
    ///
    /// annulus_rt::run(async {
    ///     let file = File::open("Cargo.toml").await?;
    ///     let (read, buf) = file.read_at_with(vec![0; 9], 0, RwFlags::DONTCACHE).await;
    ///     match read {
    ///         Ok(n) => assert_eq!((n, &buf[..]), (9, &b"[package]"[..])),
    ///         // Before Linux 6.14, and on some file systems.
    ///         Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP)),
    ///     }
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at); `EOPNOTSUPP` for what the kernel or the file system lacks, `EAGAIN` as
    /// [`RwFlags::NOWAIT`] asks for it.
    pub async fn read_at_with<B: IoBufMut>(
        &self,
        buf: B,
        offset: u64,
        flags: RwFlags,
    ) -> BufResult<usize, B> {
        Op::new(Read::new(self.shared().clone(), buf, offset).with(flags.bits())).await
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
            let (read, rest) = self.read_at(buf.slice(done..want), offset.saturating_add(done as u64)).await;
            buf = rest.into_inner();
            if let Next::Stop(error) = part(read, &mut done, io::ErrorKind::UnexpectedEof) {
                return (Err(error), buf);
            }
        }
        (Ok(()), buf)
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
            let done = buf.len() - before;
            if buf.len() == buf.capacity()
                && let Err(error) = buf.try_reserve(buf.len().clamp(MORE_AT_LEAST, MORE_AT_MOST))
            {
                return (Err(io::Error::new(io::ErrorKind::OutOfMemory, error)), buf);
            }
            let len = buf.len();
            let (read, rest) = self.read_at(buf.slice(len..), offset.saturating_add(done as u64)).await;
            buf = rest.into_inner();
            match read {
                Ok(0) => return (Ok(done), buf),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), buf),
            }
        }
    }

    /// Reads from `offset` on into several buffers, up to their capacities, one after the other: preadv(2). More than
    /// 1024 are left for another read.
    ///
    /// ```
    /// use annulus_rt::fs::File;
    ///
    /// annulus_rt::run(async {
    ///     let file = File::open("Cargo.toml").await?;
    ///     let (read, (bracket, word)) = file.read_vectored_at(([0; 1], vec![0; 7]), 0).await;
    ///     assert_eq!((read?, bracket, word), (8, *b"[", b"package".to_vec()));
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub async fn read_vectored_at<V: IoVectoredBufMut>(&self, bufs: V, offset: u64) -> BufResult<usize, V> {
        self.read_vectored_at_with(bufs, offset, RwFlags::NONE).await
    }

    /// As [`read_vectored_at`](Self::read_vectored_at), in a way that this one read goes.
    ///
    /// # Errors
    ///
    /// As [`read_at_with`](Self::read_at_with).
    pub async fn read_vectored_at_with<V: IoVectoredBufMut>(
        &self,
        bufs: V,
        offset: u64,
        flags: RwFlags,
    ) -> BufResult<usize, V> {
        let fd = self.shared().clone();
        Op::new(ReadVectored::new(fd, bufs, Extent::Capacity, 0, offset, flags.bits())).await
    }

    /// Reads as many bytes as the buffers hold, into all of them.
    ///
    /// # Errors
    ///
    /// As [`read_exact_at`](Self::read_exact_at).
    pub async fn read_exact_vectored_at<V: IoVectoredBufMut>(
        &self,
        mut bufs: V,
        offset: u64,
    ) -> BufResult<(), V> {
        let want = bufs.total_filled();
        let mut done = 0;
        while done < want {
            let (fd, at) = (self.shared().clone(), offset.saturating_add(done as u64));
            let (read, back) = Op::new(ReadVectored::new(fd, bufs, Extent::Filled, done, at, 0)).await;
            bufs = back;
            if let Next::Stop(error) = part(read, &mut done, io::ErrorKind::UnexpectedEof) {
                return (Err(error), bufs);
            }
        }
        (Ok(()), bufs)
    }

    /// As [`read_at`](Self::read_at), into a [registered buffer](crate::buf::FixedPool), whose memory the kernel need
    /// not look up and pin for this read. It pays with `O_DIRECT`.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub async fn read_fixed_at<B: FixedBuf>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        self.read_fixed_at_with(buf, offset, RwFlags::NONE).await
    }

    /// Reads as many bytes as a registered buffer holds, into all of it.
    ///
    /// # Errors
    ///
    /// As [`read_exact_at`](Self::read_exact_at).
    pub async fn read_exact_fixed_at<B: FixedBuf>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let want = buf.filled();
        let mut done = 0;
        while done < want {
            let at = offset.saturating_add(done as u64);
            let (read, rest) = self.read_fixed_at(buf.slice(done..want), at).await;
            buf = rest.into_inner();
            if let Next::Stop(error) = part(read, &mut done, io::ErrorKind::UnexpectedEof) {
                return (Err(error), buf);
            }
        }
        (Ok(()), buf)
    }

    /// As [`read_fixed_at`](Self::read_fixed_at), in a way that this one read goes.
    ///
    /// # Errors
    ///
    /// As [`read_at_with`](Self::read_at_with).
    pub async fn read_fixed_at_with<B: FixedBuf>(
        &self,
        buf: B,
        offset: u64,
        flags: RwFlags,
    ) -> BufResult<usize, B> {
        Op::new(ReadFixed::new(self.shared().clone(), buf, offset, flags.bits())).await
    }
}
