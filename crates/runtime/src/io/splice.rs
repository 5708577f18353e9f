//! Bytes through pipes without a copy through this process: splice(2) and tee(2).
//!
//! Between pipes and sockets that have descriptors, the calls are made here, where they cannot wait: both ends are waited for
//! in the ring before. So a future that is dropped has moved nothing. What may wait for a disk is an operation of the ring, and
//! a socket without a descriptor gets its bytes by copies.
//!
//! What it keeps true: no byte is lost, and none is there twice. What dropped receives had taken goes first.

use std::io;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_getpipe_size, splice, tee};

use super::raw::{ready, would_block};
use super::{PipeReader, PipeWriter, shut_down};
use crate::buf::BufResult;
use crate::coop::consume_budget;
use crate::driver::Op;
use crate::driver::op::splice::{Outlet, PassOn, Splice};
use crate::fd::SharedFd;
use crate::fs::File;
use crate::net::inbound::Inbound;
use crate::net::{Protocol, Stream, without_blocking};

/// How much is copied at once where it must be copied: what a pipe holds unless told otherwise.
const WINDOW: usize = 64 * 1024;

impl PipeReader {
    /// Moves at most `len` bytes from this pipe to another, without a copy: waits until there are some, and room for them.
    /// Returns how many it were, perhaps fewer; 0 is the end of this pipe.
    ///
    /// If the future is dropped, it has moved nothing, or nothing but what a dropped read had taken before.
    ///
    /// # Errors
    ///
    /// Those of splice(2): `EPIPE` if nobody reads the other pipe any more (and `SIGPIPE`, which programs in Rust ignore from the
    /// start), `EINVAL` if one of the two is no pipe or both are the same; `EBUSY` if too many operations are in flight.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus_rt::io::{AsyncRead, AsyncWrite, pipe};
    ///
    /// annulus_rt::run(async {
    ///     let ((source, feed), (log, copy), (result, sink)) = (pipe()?, pipe()?, pipe()?);
    ///     feed.write_all("through").await.0?;
    ///     // What tee copied is still there to be moved.
    ///     let copied = source.tee_to(&copy, 1024).await?;
    ///     assert_eq!(source.splice_to_pipe(&sink, copied).await?, 7);
    ///     assert_eq!(log.read(Vec::with_capacity(16)).await.1, b"through");
    ///     assert_eq!(result.read(Vec::with_capacity(16)).await.1, b"through");
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn splice_to_pipe(&self, to: &PipeWriter, len: usize) -> io::Result<usize> {
        let Some(target) = to.raw().share() else { return Err(shut_down()) };
        self.through(to, target, len, false, |from, to| {
            splice(from, None, to, None, len, SpliceFlags::NONBLOCK)
        })
        .await
    }

    /// Copies at most `len` bytes from this pipe to another and leaves them here, to be read again (tee(2)): always from what comes
    /// next on. The copy shares the pages. Returns how many it were, perhaps fewer; 0 is the end of this pipe.
    ///
    /// If the future is dropped, nothing was copied, or nothing but what a dropped read had taken before.
    ///
    /// # Errors
    ///
    /// As [`splice_to_pipe`](Self::splice_to_pipe).
    pub async fn tee_to(&self, to: &PipeWriter, len: usize) -> io::Result<usize> {
        let Some(target) = to.raw().share() else { return Err(shut_down()) };
        self.through(to, target, len, true, |from, to| tee(from, to, len, SpliceFlags::NONBLOCK)).await
    }

    /// Sends at most `len` bytes from this pipe on a connection, without a copy: waits until there are some, and room for
    /// them. Returns how many it were, perhaps fewer; 0 is the end of this pipe. A connection without a descriptor
    /// ([`Direct`](crate::net::Direct)) gets copies.
    ///
    /// If the future is dropped, it has sent nothing; but to a connection without a descriptor, and of what a dropped read had
    /// taken before, it may have sent something. Whatever was not sent is there to be read.
    ///
    /// # Errors
    ///
    /// Those of splice(2) and send(2): `EPIPE` (and `SIGPIPE`, which programs in Rust ignore from the start), `ECONNRESET`, `EINVAL` if
    /// this is no pipe; `EBUSY` if too many operations are in flight.
    pub async fn splice_to_stream<P: Protocol>(&self, to: &Stream<P>, len: usize) -> io::Result<usize> {
        let Some(from) = self.pipe(len)? else { return Ok(0) };
        let target = to.shared().clone();
        loop {
            let outlet = Outlet::Socket(target.clone());
            if let Some(passed) = pass_on(self.raw().kept(), len, outlet, false).await {
                return passed;
            }
            if target.descriptor().is_some() {
                break;
            }
            let (read, bytes) = self.raw().read(Vec::with_capacity(len.min(WINDOW))).await;
            if read? == 0 {
                return Ok(0);
            }
            self.raw().kept().put_front(&bytes);
        }
        move_now(&from, &target, || {
            let socket = target.descriptor().ok_or(Errno::BADF)?;
            without_blocking(socket, || splice(&from, None, socket, None, len, SpliceFlags::NONBLOCK))
        })
        .await
    }

    /// Moves at most `len` bytes from this pipe to a file, from an offset on, without a copy where the file system can: waits until
    /// there are some. Returns how many it were, perhaps fewer; 0 is the end of this pipe.
    ///
    /// If the future is dropped, it is not told whether bytes were moved, and how many; those that were are in the file, in
    /// the order in which they came, and all others are still there to be read: the next read waits until that is decided.
    ///
    /// # Errors
    ///
    /// Those of splice(2): `EINVAL` if this is no pipe, the file was opened to append, or the offset is above `i64::MAX`; `ENOSPC`, `EIO`,
    /// `EBADF` if the file cannot be written; `EBUSY` if too many operations are in flight.
    pub async fn splice_to_file(&self, to: &File, offset: u64, len: usize) -> io::Result<usize> {
        let Some(from) = self.pipe(len)? else { return Ok(0) };
        let (target, at) = (to.shared().clone(), place(offset)?);
        loop {
            let outlet = Outlet::File(target.clone(), offset);
            if let Some(passed) = pass_on(self.raw().kept(), len, outlet, false).await {
                return passed;
            }
            let moving = Splice::to_file(from.clone(), self.raw().kept(), target.clone(), at, len);
            let moved = Op::new(moving).await;
            if !would_block(&moved) {
                return moved;
            }
            ready(&from, libc::POLLIN).await?;
        }
    }

    /// To a pipe, by a call that does not wait.
    async fn through(
        &self,
        to: &PipeWriter,
        target: SharedFd,
        len: usize,
        copies: bool,
        mut call: impl FnMut(&SharedFd, &SharedFd) -> Result<usize, Errno>,
    ) -> io::Result<usize> {
        let Some(from) = self.pipe(len)? else { return Ok(0) };
        is_pipe(&target)?;
        if let Some(passed) = pass_on(self.raw().kept(), len, Outlet::Pipe(target.clone()), copies).await {
            return passed;
        }
        // Shut down meanwhile, the other pipe is open no longer than this share.
        if to.raw().share().is_none() {
            return Err(shut_down());
        }
        move_now(&from, &target, || call(&from, &target)).await
    }

    /// The pipe itself; `None` if it was closed, or nothing of it is wanted.
    fn pipe(&self, len: usize) -> io::Result<Option<SharedFd>> {
        let Some(fd) = self.raw().share() else { return Ok(None) };
        is_pipe(&fd)?;
        Ok((len > 0).then_some(fd))
    }
}

impl PipeWriter {
    /// Moves at most `len` bytes that a connection receives into this pipe, without a copy: waits until there are some, and room
    /// for them. Returns how many it were, perhaps fewer; 0 is the end of the stream. Those of a connection without a
    /// descriptor ([`Direct`](crate::net::Direct)) are copied.
    ///
    /// If the future is dropped, it has moved nothing; but from a connection without a descriptor, and of what a dropped
    /// receive had taken before, it may have moved something. Whatever was not moved goes to the next receive.
    ///
    /// # Errors
    ///
    /// Those of splice(2) and recv(2): `ECONNRESET`, `EPIPE` if nobody reads the pipe any more (and `SIGPIPE`, which programs in Rust
    /// ignore from the start), `EINVAL` if this is no pipe; `EBUSY` if too many operations are in flight.
    ///
    /// # Examples
    ///
    /// A part of an upload goes to a file, and no byte of it through this process:
    ///
    /// ```
    /// use annulus_rt::fs::OpenOptions;
    /// use annulus_rt::io::pipe;
    /// use annulus_rt::net::UnixStream;
    ///
    /// annulus_rt::run(async {
    ///     let folder = tempfile::tempdir()?;
    ///     let options = OpenOptions::new().write(true).create(true);
    ///     let file = options.open(folder.path().join("upload")).await?;
    ///     let (client, server) = UnixStream::pair()?;
    ///     client.send_all("0123456789").await.0?;
    ///     drop(client);
    ///
    ///     let (reader, writer) = pipe()?;
    ///     let mut offset = 0;
    ///     loop {
    ///         let mut here = writer.splice_from_stream(&server, 64 * 1024).await?;
    ///         if here == 0 {
    ///             break;
    ///         }
    ///         while here > 0 {
    ///             let moved = reader.splice_to_file(&file, offset, here).await?;
    ///             offset += moved as u64;
    ///             here -= moved;
    ///         }
    ///     }
    ///     assert_eq!(std::fs::read(folder.path().join("upload"))?, b"0123456789");
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn splice_from_stream<P: Protocol>(&self, from: &Stream<P>, len: usize) -> io::Result<usize> {
        let Some(target) = self.pipe()? else { return Err(shut_down()) };
        let (source, kept) = (from.shared().clone(), from.inbound());
        if len == 0 {
            return Ok(0);
        }
        loop {
            if let Some(passed) = pass_on(kept, len, Outlet::Pipe(target.clone()), false).await {
                return passed;
            }
            if source.descriptor().is_some() {
                break;
            }
            let (received, bytes): BufResult<usize, _> = from.recv(Vec::with_capacity(len.min(WINDOW))).await;
            if received? == 0 {
                return Ok(0);
            }
            kept.put_front(&bytes);
        }
        move_now(&source, &target, || {
            let socket = source.descriptor().ok_or(Errno::BADF)?;
            without_blocking(socket, || splice(socket, None, &target, None, len, SpliceFlags::NONBLOCK))
        })
        .await
    }

    /// Puts at most `len` bytes of a file, from an offset on, into this pipe, without a copy where the file system can: waits until
    /// there is room. Returns how many it were, perhaps fewer; 0 is the end of the file.
    ///
    /// If the future is dropped, an unknown part of them is in the pipe.
    ///
    /// # Errors
    ///
    /// Those of splice(2): `EPIPE` if nobody reads the pipe any more, `EINVAL` if this is no pipe, the file cannot be
    /// spliced, or the offset is above `i64::MAX`; `EIO`, `EBADF` if the file cannot be read; `EBUSY` if too many operations are in flight.
    pub async fn splice_from_file(&self, from: &File, offset: u64, len: usize) -> io::Result<usize> {
        let Some(target) = self.pipe()? else { return Err(shut_down()) };
        let at = place(offset)?;
        loop {
            let moved = Op::new(Splice::from_file(from.shared().clone(), at, target.clone(), len)).await;
            if !would_block(&moved) {
                return moved;
            }
            ready(&target, libc::POLLOUT).await?;
        }
    }

    /// The pipe itself; `None` if it was closed.
    fn pipe(&self) -> io::Result<Option<SharedFd>> {
        let fd = self.raw().share();
        fd.as_ref().map_or(Ok(()), is_pipe)?;
        Ok(fd)
    }
}

/// Passes on what dropped receives had taken, if there is something.
async fn pass_on(kept: &Rc<Inbound>, len: usize, to: Outlet, copies: bool) -> Option<io::Result<usize>> {
    loop {
        if kept.is_clear() {
            return None;
        }
        kept.settled().await;
        let Some(op) = PassOn::new(kept, len, to.clone(), copies) else {
            return kept.read(len).map(|error| error.map(|bytes| bytes.len()));
        };
        let passed = Op::new(op).await;
        let Outlet::Pipe(pipe) = &to else { return Some(passed) };
        if !would_block(&passed) {
            return Some(passed);
        }
        if let Err(error) = ready(pipe, libc::POLLOUT).await {
            return Some(Err(error));
        }
    }
}

/// Makes a call that does not wait until it has moved something, and waits for both ends in between. The call is the last that it
/// does: dropped, it has moved nothing.
async fn move_now(
    from: &SharedFd,
    to: &SharedFd,
    mut call: impl FnMut() -> Result<usize, Errno>,
) -> io::Result<usize> {
    consume_budget().await;
    loop {
        match call() {
            Ok(moved) => return Ok(moved),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                ready(from, libc::POLLIN).await?;
                ready(to, libc::POLLOUT).await?;
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// What can be a descriptor of something else (`From<OwnedFd>`) might wait.
fn is_pipe(fd: &SharedFd) -> io::Result<()> {
    fcntl_getpipe_size(fd).map(drop).map_err(|_| Errno::INVAL.into())
}

/// An offset as the system takes it.
fn place(offset: u64) -> io::Result<i64> {
    i64::try_from(offset).map_err(|_| Errno::INVAL.into())
}
