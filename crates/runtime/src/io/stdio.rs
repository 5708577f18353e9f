//! The standard streams of this process: files, pipes or terminals.
//!
//! Each handle has a descriptor of its own, a duplicate, so that dropping it does not close the standard stream. The file
//! behind it is shared with other processes, as a terminal is with the shell: nothing here changes its flags. Nothing is
//! buffered: wrap [`Stdin`] in a [`BufReader`](super::BufReader) to read lines, and one that is used by one task at a time.

use std::io;
use std::os::fd::AsFd;

use rustix::io::fcntl_dupfd_cloexec;

use super::rounds::Rounds as _;
use super::{AsyncRead, AsyncWrite, Raw};
use crate::buf::{BufResult, IoBuf, IoBufMut};

/// The lowest number that a duplicate may have: those below belong to the standard streams, also where one is closed.
const ABOVE_STANDARD: i32 = 3;

/// Standard input.
///
/// # Errors
///
/// Those of fcntl(2): `EMFILE` if there are too many descriptors, `EBADF` if standard input is closed.
pub fn stdin() -> io::Result<Stdin> {
    duplicate(io::stdin()).map(Stdin)
}

/// Standard output.
///
/// # Errors
///
/// Those of fcntl(2): `EMFILE` if there are too many descriptors, `EBADF` if standard output is closed.
///
/// # Examples
///
/// ```
/// use annulus_rt::io::{AsyncWrite, stdout};
///
/// annulus_rt::run(async {
///     stdout()?.write_all("written through the ring\n").await.0
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stdout() -> io::Result<Stdout> {
    duplicate(io::stdout()).map(Stdout)
}

/// Standard error.
///
/// # Errors
///
/// Those of fcntl(2): `EMFILE` if there are too many descriptors, `EBADF` if standard error is closed.
pub fn stderr() -> io::Result<Stderr> {
    duplicate(io::stderr()).map(Stderr)
}

/// Standard input, of [`stdin`]. What a dropped read had taken goes to the next read of the same handle.
#[derive(Debug)]
pub struct Stdin(Raw);

/// Standard output, of [`stdout`].
#[derive(Debug)]
pub struct Stdout(Raw);

/// Standard error, of [`stderr`].
#[derive(Debug)]
pub struct Stderr(Raw);

impl AsyncRead for Stdin {
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

impl AsyncWrite for Stdout {
    async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.0.write(buf).await
    }

    /// Closes this handle; the standard stream itself stays open.
    async fn shutdown(&self) -> io::Result<()> {
        self.0.close().await
    }
}

impl AsyncWrite for Stderr {
    async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.0.write(buf).await
    }

    /// Closes this handle; the standard stream itself stays open.
    async fn shutdown(&self) -> io::Result<()> {
        self.0.close().await
    }
}

fn duplicate(stream: impl AsFd) -> io::Result<Raw> {
    Ok(Raw::new(fcntl_dupfd_cloexec(stream, ABOVE_STANDARD)?))
}
