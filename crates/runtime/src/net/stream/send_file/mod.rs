//! Sending a part of a file without copying it through this process.
//!
//! Window by window: what is in the page cache goes by sendfile(2), which does not block then, as the socket is
//! non-blocking for that call; what is not is read first, by an operation that the kernel gives to a worker, so
//! that the executor's thread never waits for a disk. A peer that takes nothing costs a poll in the ring. Between
//! windows other tasks run.
//!
//! The bytes that a worker reads are not sent from its buffer if they can be sent from the cache, where they are
//! then; so what is sent is sent on the executor's thread alone, and a dropped future sends nothing more.

mod resident;

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::sendfile;
use rustix::io::Errno;

use super::Stream;
use super::nonblocking::without_blocking;
use crate::buf::IoBuf as _;
use crate::driver::Op;
use crate::driver::op::rw::Read;
use crate::fs::File;
use crate::net::protocol::Protocol;
use crate::yield_now;

/// How much goes at once: more would hold up other tasks for longer, less costs calls (128 KiB were measured).
const WINDOW: u64 = 128 * 1024;

impl<P: Protocol> Stream<P> {
    /// Sends a range of a file, in bytes, and returns how many were sent: fewer than asked for if the file ends before. If
    /// the future is dropped, an unknown part of it has been sent.
    ///
    /// Its bytes are not copied through this process if the stream has a descriptor and the file system can do it
    /// (sendfile(2)); where not, they are read and sent.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send), and of reading the file: `EIO`, `EINVAL` for what has no positions.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus_rt::fs::File;
    /// use annulus_rt::net::UnixStream;
    ///
    /// annulus_rt::run(async {
    ///     let folder = tempfile::tempdir()?;
    ///     let path = folder.path().join("file");
    ///     std::fs::write(&path, "0123456789")?;
    ///     let file = File::open(&path).await?;
    ///     let (near, far) = UnixStream::pair()?;
    ///     assert_eq!(near.send_file(&file, 2..6).await?, 4);
    ///     let (received, bytes) = far.recv(Vec::with_capacity(16)).await;
    ///     assert_eq!((received?, &bytes[..]), (4, &b"2345"[..]));
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn send_file(&self, file: &File, range: Range<u64>) -> io::Result<u64> {
        let mut transfer =
            Transfer { from: range.start, scratch: Vec::new(), copies: self.fd.descriptor().is_none() };
        while transfer.from < range.end {
            let len = WINDOW.min(range.end - transfer.from);
            match self.send_window(file, &mut transfer, len).await? {
                0 => break,
                sent => transfer.from += sent,
            }
            yield_now().await;
        }
        Ok(transfer.from.saturating_sub(range.start))
    }

    /// Sends what it can of the window; 0 at the end of the file.
    async fn send_window(&self, file: &File, transfer: &mut Transfer, len: u64) -> io::Result<u64> {
        let cached = resident::is_resident(file.as_fd(), transfer.from, len);
        if !cached || transfer.copies {
            // Into the cache, and here.
            let read = transfer.read(file, len).await?;
            if read == 0 || transfer.copies {
                return self.send_scratch(transfer).await;
            }
        }
        loop {
            let Some(socket) = self.fd.descriptor() else { return Ok(0) };
            match send_without_blocking(socket, file.as_fd(), transfer.from, len) {
                Ok(sent) => return Ok(sent),
                Err(Errno::AGAIN) => self.writable().await?,
                Err(Errno::INTR) => {}
                // The file system, or the kind of the socket, cannot do it.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    transfer.copies = true;
                    transfer.read(file, len).await?;
                    return self.send_scratch(transfer).await;
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    async fn send_scratch(&self, transfer: &mut Transfer) -> io::Result<u64> {
        let bytes = std::mem::take(&mut transfer.scratch);
        let (sent, bytes) = self.send_all(bytes).await;
        transfer.scratch = bytes;
        sent.map(|()| transfer.scratch.len() as u64)
    }
}

/// How far it is, and what it takes along.
struct Transfer {
    /// Where in the file.
    from: u64,
    /// What was read last.
    scratch: Vec<u8>,
    /// Everything is read and sent.
    copies: bool,
}

impl Transfer {
    /// Reads the window on a worker. Returns how many bytes there are.
    async fn read(&mut self, file: &File, len: u64) -> io::Result<usize> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        scratch.reserve(len);
        loop {
            let op = Read::new(file.shared().clone(), scratch.slice(..len), self.from).on_a_worker();
            let (read, part) = Op::new(op).await;
            scratch = part.into_inner();
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    self.scratch = scratch;
                    return read;
                }
            }
        }
    }
}

/// sendfile(2) that does not wait for the socket; nor for the file, whose bytes are in the cache.
fn send_without_blocking(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    from: u64,
    len: u64,
) -> Result<u64, Errno> {
    let (mut offset, len) = (from, usize::try_from(len).unwrap_or(usize::MAX));
    let sent = without_blocking(socket, || sendfile(socket, file, Some(&mut offset), len));
    sent.map(|sent| sent as u64)
}
