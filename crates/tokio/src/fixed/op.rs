//! Reading into and writing from registered buffers.
#![allow(unsafe_code, reason = "names buffers that the operations own")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use annulus::owned::Operation;
use annulus::types::Fd;
use annulus::{cqueue, opcode, squeue};
use annulus_rt::buf::BufResult;
use annulus_rt::fs::RwFlags;
use rustix::io::Errno;

use super::FixedBuf;
use crate::File;
use crate::file::{Next, part};
use crate::ring::Ring;
use crate::running::run_with;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Read,
    Write,
}

/// pread(2) into, or pwrite(2) from, a registered buffer; one that is not registered with its ring is as any other.
struct Transfer<B> {
    file: Arc<OwnedFd>,
    buf: B,
    slot: Option<u16>,
    way: Way,
    offset: u64,
    flags: i32,
}

// SAFETY: the guard keeps its memory and address, which the value leaves alone; the share keeps the file open. The slot is that of this
// buffer in the ring that the value is given to (`moved`).
unsafe impl<B: FixedBuf> Operation for Transfer<B> {
    type Output = (Result<usize, Errno>, B);

    fn entry(&mut self) -> squeue::Entry {
        let (fd, offset, flags) = (Fd(self.file.as_raw_fd()), self.offset, self.flags);
        let start = self.buf.as_stable_mut_ptr();
        let len = if self.way == Way::Read { self.buf.capacity() } else { self.buf.filled() };
        // What is above goes with the next one, as after a short transfer.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        match (self.way, self.slot) {
            (Way::Read, Some(slot)) => {
                opcode::ReadFixed::new(fd, start, len, slot).offset(offset).rw_flags(flags).build()
            }
            (Way::Read, None) => opcode::Read::new(fd, start, len).offset(offset).rw_flags(flags).build(),
            (Way::Write, Some(slot)) => {
                opcode::WriteFixed::new(fd, start, len, slot).offset(offset).rw_flags(flags).build()
            }
            (Way::Write, None) => opcode::Write::new(fd, start, len).offset(offset).rw_flags(flags).build(),
        }
    }

    unsafe fn complete(mut self, cqe: &cqueue::Entry) -> Self::Output {
        let moved = cqe.to_result().map(|len| len as usize);
        if let (Ok(len), Way::Read) = (moved, self.way) {
            // SAFETY: the kernel wrote that many bytes, and never more than the entry's length.
            unsafe { self.buf.set_filled(len) };
        }
        (moved, self.buf)
    }
}

/// Transfers from and to registered buffers.
impl File {
    /// As [`read_at`](Self::read_at), into a [registered buffer](crate::buf::FixedPool), whose memory the kernel need
    /// not look up and pin for this read. It pays with `O_DIRECT`.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub async fn read_fixed_at<B: FixedBuf>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        self.read_fixed_at_with(buf, offset, RwFlags::NONE).await
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
        self.moved(Way::Read, buf, offset, flags).await
    }

    /// Reads as many bytes as a registered buffer holds, into all of it.
    ///
    /// # Errors
    ///
    /// As [`read_exact_at`](Self::read_exact_at).
    pub async fn read_exact_fixed_at<B: FixedBuf>(&self, buf: B, offset: u64) -> BufResult<(), B> {
        self.moved_whole(Way::Read, buf, offset, io::ErrorKind::UnexpectedEof).await
    }

    /// As [`write_at`](Self::write_at), from a [registered buffer](crate::buf::FixedPool).
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at).
    pub async fn write_fixed_at<B: FixedBuf>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        self.write_fixed_at_with(buf, offset, RwFlags::NONE).await
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
        self.moved(Way::Write, buf, offset, flags).await
    }

    /// Writes the whole of a registered buffer.
    ///
    /// # Errors
    ///
    /// As [`write_all_at`](Self::write_all_at).
    pub async fn write_all_fixed_at<B: FixedBuf>(&self, buf: B, offset: u64) -> BufResult<(), B> {
        self.moved_whole(Way::Write, buf, offset, io::ErrorKind::WriteZero).await
    }

    async fn moved<B: FixedBuf>(&self, way: Way, buf: B, offset: u64, flags: RwFlags) -> BufResult<usize, B> {
        let (file, flags) = (self.shared(), flags.bits());
        let transfer = |buf: B, ring: &Arc<Ring>| {
            let slot = buf.slot_in(ring);
            Transfer { file: file.clone(), buf, slot, way, offset, flags }
        };
        run_with(buf, transfer).await
    }

    async fn moved_whole<B: FixedBuf>(
        &self,
        way: Way,
        mut buf: B,
        offset: u64,
        end: io::ErrorKind,
    ) -> BufResult<(), B> {
        let want = buf.filled();
        let mut done = 0;
        while done < want {
            let (rest, at) = (buf.slice(done..want), offset.saturating_add(done as u64));
            let (moved, rest) = self.moved(way, rest, at, RwFlags::NONE).await;
            buf = rest.into_inner();
            if let Next::Stop(error) = part(moved, &mut done, end) {
                return (Err(error), buf);
            }
        }
        (Ok(()), buf)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use tokio::runtime::Builder;

    use super::*;
    use crate::buf::FixedPool;
    use crate::fixed::guard::sealed::Registered;
    use crate::registry;

    #[test]
    fn the_entry_of_a_registered_buffer_names_its_slot() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let file = File::create_new(&path).await.unwrap();
            let pool = FixedPool::new(2, 4096);
            let (one, mut other) = (pool.get().await, pool.get().await);
            let ring = registry::current().unwrap();
            assert_eq!((one.slot_in(&ring), other.slot_in(&ring)), (Some(0), Some(1)));
            assert_eq!(other.slot_in(&ring), Some(1), "once");
            other.extend_from_slice(b"fixed");
            let (fd, flags) = (file.shared().clone(), 0);
            let mut transfer =
                Transfer { file: fd, buf: other, slot: Some(1), way: Way::Write, offset: 0, flags };
            assert_eq!(transfer.entry().get_opcode(), u32::from(opcode::WriteFixed::CODE));
            let (written, other) = file.write_all_fixed_at(transfer.buf, 0).await;
            written.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"fixed");
            // The slots of a pool that is gone are used again.
            drop((one, other, pool));
            let again = FixedPool::new(1, 4096).get().await;
            assert!(again.slot_in(&ring).is_some_and(|slot| slot < 2));
        });
    }
}
