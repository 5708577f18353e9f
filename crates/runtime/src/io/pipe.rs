//! Pipes: pipe(7).

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};

use super::rounds::Rounds as _;
use super::{AsyncRead, AsyncWrite, Raw};
use crate::buf::{BufResult, IoBuf, IoBufMut};

/// Makes a pipe. Both ends are closed when they are dropped, and by children's exec.
///
/// pipe2(2) waits for nothing, so that it is called where it stands.
///
/// # Errors
///
/// `EMFILE`, `ENFILE`: too many descriptors; also if too many pages are in pipes (`fs.pipe-user-pages-hard`).
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((reader.into(), writer.into()))
}

/// The end of a pipe that bytes come out of; also any other descriptor that can be read from and has no positions.
#[derive(Debug)]
pub struct PipeReader(Raw);

/// The end of a pipe that bytes are written into; also any other descriptor that can be written to and has no positions.
///
/// [`shutdown`](AsyncWrite::shutdown) closes it, as that is how a reader learns of the end.
#[derive(Debug)]
pub struct PipeWriter(Raw);

impl PipeReader {
    pub(super) const fn raw(&self) -> &Raw {
        &self.0
    }

    /// The descriptor, for other uses.
    ///
    /// # Errors
    ///
    /// Gives the end back while an operation is still in flight on it, and while bytes of a dropped read wait to be read.
    pub fn try_into_owned_fd(self) -> Result<OwnedFd, Self> {
        self.0.try_into_owned().map_err(Self)
    }

    /// Closes and waits for it. Dropping closes too.
    ///
    /// # Errors
    ///
    /// Those of close(2).
    pub async fn close(self) -> io::Result<()> {
        self.0.close().await
    }
}

impl PipeWriter {
    pub(super) const fn raw(&self) -> &Raw {
        &self.0
    }

    /// The descriptor, for other uses.
    ///
    /// # Errors
    ///
    /// Gives the end back while an operation is still in flight on it, or if it was shut down.
    pub fn try_into_owned_fd(self) -> Result<OwnedFd, Self> {
        self.0.try_into_owned().map_err(Self)
    }
}

impl AsyncRead for PipeReader {
    async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        self.0.read(buf).await
    }

    async fn read_exact<B: IoBufMut>(&self, buf: B) -> BufResult<(), B> {
        self.0.fill(buf).await
    }

    async fn read_to_end(&self, buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        self.0.drain(buf).await
    }
}

impl AsyncWrite for PipeWriter {
    async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.0.write(buf).await
    }

    async fn shutdown(&self) -> io::Result<()> {
        self.0.close().await
    }
}

impl From<Raw> for PipeReader {
    fn from(raw: Raw) -> Self {
        Self(raw)
    }
}

impl From<Raw> for PipeWriter {
    fn from(raw: Raw) -> Self {
        Self(raw)
    }
}

impl From<OwnedFd> for PipeReader {
    /// Takes over a descriptor, blocking or not.
    fn from(fd: OwnedFd) -> Self {
        Self(Raw::new(fd))
    }
}

impl From<OwnedFd> for PipeWriter {
    /// Takes over a descriptor, blocking or not.
    fn from(fd: OwnedFd) -> Self {
        Self(Raw::new(fd))
    }
}
