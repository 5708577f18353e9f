//! Files that stay open as long as an operation needs them.
//!
//! A descriptor is a number, and numbers are used again: an entry that names one which was closed and reused
//! before it was submitted works on the wrong file. So operations hold their files.

use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::Arc;

use crate::types::{Fd, Fixed, Target};

/// A share in an open file, or the number of a slot in the ring's file table.
///
/// Cloning it makes another share; the file is closed with the last one. `Handle::from(file)` takes a
/// file of the standard library over.
#[derive(Clone, Debug)]
pub struct Handle(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Shared(Arc<OwnedFd>),
    Static(BorrowedFd<'static>),
    Fixed(u32),
}

impl Handle {
    /// As an entry names it. Good as long as a share is held.
    pub(super) fn target(&self) -> Target {
        match &self.0 {
            Kind::Shared(fd) => Target::Fd(fd.as_raw_fd()),
            Kind::Static(fd) => Target::Fd(fd.as_raw_fd()),
            Kind::Fixed(slot) => Target::Fixed(*slot),
        }
    }

    /// The descriptor, unless it is a slot of the file table.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            Kind::Shared(fd) => Some(fd.as_fd()),
            Kind::Static(fd) => Some(*fd),
            Kind::Fixed(_) => None,
        }
    }
}

impl From<OwnedFd> for Handle {
    fn from(fd: OwnedFd) -> Self {
        Self(Kind::Shared(Arc::new(fd)))
    }
}

impl From<Arc<OwnedFd>> for Handle {
    fn from(fd: Arc<OwnedFd>) -> Self {
        Self(Kind::Shared(fd))
    }
}

impl From<BorrowedFd<'static>> for Handle {
    /// For descriptors that are never closed, such as standard input.
    fn from(fd: BorrowedFd<'static>) -> Self {
        Self(Kind::Static(fd))
    }
}

impl From<Fixed> for Handle {
    fn from(slot: Fixed) -> Self {
        Self(Kind::Fixed(slot.0))
    }
}

impl From<&Self> for Handle {
    fn from(handle: &Self) -> Self {
        handle.clone()
    }
}

macro_rules! from_files {
    ($($File:ty),*) => { $(
        impl From<$File> for Handle {
            fn from(file: $File) -> Self {
                OwnedFd::from(file).into()
            }
        }
    )* };
}

from_files!(
    File,
    PipeReader,
    PipeWriter,
    TcpListener,
    TcpStream,
    UdpSocket,
    UnixDatagram,
    UnixListener,
    UnixStream
);

/// The directory that a path starts from: the working directory, or one that is held open.
#[derive(Clone, Debug, Default)]
pub struct Directory(Option<Arc<OwnedFd>>);

impl Directory {
    /// The working directory of the process, as it is when the operation runs.
    #[must_use]
    pub const fn working() -> Self {
        Self(None)
    }

    /// As an entry names it. Good as long as a share is held.
    pub(super) fn as_target(&self) -> Fd {
        Fd(self.0.as_ref().map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd))
    }
}

impl From<OwnedFd> for Directory {
    fn from(fd: OwnedFd) -> Self {
        Self(Some(Arc::new(fd)))
    }
}

impl From<File> for Directory {
    fn from(file: File) -> Self {
        OwnedFd::from(file).into()
    }
}

impl From<Arc<OwnedFd>> for Directory {
    fn from(fd: Arc<OwnedFd>) -> Self {
        Self(Some(fd))
    }
}

impl From<&Self> for Directory {
    fn from(directory: &Self) -> Self {
        directory.clone()
    }
}
