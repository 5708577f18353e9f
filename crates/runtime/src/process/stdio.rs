//! The pipes to and from the standard streams of a child.

use std::io;
use std::os::fd::OwnedFd;

use super::Stdio;
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::rounds::Rounds as _;
use crate::io::{AsyncRead, AsyncWrite, PipeReader, PipeWriter, Raw};

/// What a child reads as standard input. Shutting it down closes it, which is the end for the child.
#[derive(Debug)]
pub struct ChildStdin(Raw);

/// What a child writes to standard output.
#[derive(Debug)]
pub struct ChildStdout(Raw);

/// What a child writes to standard error.
#[derive(Debug)]
pub struct ChildStderr(Raw);

impl AsyncWrite for ChildStdin {
    async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.0.write(buf).await
    }

    async fn shutdown(&self) -> io::Result<()> {
        self.0.close().await
    }
}

impl AsyncRead for ChildStdout {
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

impl AsyncRead for ChildStderr {
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

/// For whoever takes the end of any pipe, and to move bytes without a copy: [`PipeReader::splice_to_stream`].
macro_rules! pipe {
    ($($stream:ident as $pipe:ident),*) => {$(
        impl From<$stream> for $pipe {
            fn from(stream: $stream) -> Self {
                Self::from(stream.0)
            }
        }
    )*};
}

pipe!(ChildStdin as PipeWriter, ChildStdout as PipeReader, ChildStderr as PipeReader);

/// What each of the three can be made of and become.
macro_rules! descriptor {
    ($($stream:ident),*) => {$(
        impl $stream {
            /// The descriptor, for other uses.
            ///
            /// # Errors
            ///
            /// Gives the pipe back while an operation is still in flight on it, while bytes of a dropped read wait to be read, or if
            /// it was shut down.
            pub fn try_into_owned_fd(self) -> Result<OwnedFd, Self> {
                self.0.try_into_owned().map_err(Self)
            }
        }

        impl From<OwnedFd> for $stream {
            fn from(fd: OwnedFd) -> Self {
                Self(Raw::new(fd))
            }
        }

        impl TryFrom<$stream> for Stdio {
            type Error = $stream;

            /// Makes this a standard stream of another child, as a shell does by `|`. Given back while an operation is still
            /// in flight on it.
            fn try_from(stream: $stream) -> Result<Self, $stream> {
                stream.try_into_owned_fd().map(Self::from)
            }
        }
    )*};
}

descriptor!(ChildStdin, ChildStdout, ChildStderr);
