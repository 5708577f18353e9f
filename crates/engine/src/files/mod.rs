//! Files that requests work on: held ones, and the table of registered ones.

use std::os::fd::RawFd;
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;

use crate::world::{FileKind, World};

/// An open file that the engine holds: closed when the last request and the last slot let go of it.
#[derive(Debug)]
pub(crate) struct File {
    fd: RawFd,
    world: Arc<dyn World>,
    kind: OnceLock<FileKind>,
}

impl File {
    /// Takes over a descriptor.
    pub(crate) fn new(fd: RawFd, world: Arc<dyn World>) -> Self {
        Self { fd, world, kind: OnceLock::new() }
    }

    /// Its descriptor, for calls of its world.
    pub(crate) const fn fd(&self) -> RawFd {
        self.fd
    }

    /// What it stands for; asked once.
    ///
    /// # Errors
    ///
    /// `EBADF`.
    pub(crate) fn kind(&self) -> Result<FileKind, Errno> {
        if let Some(kind) = self.kind.get() {
            return Ok(*kind);
        }
        let kind = self.world.kind(self.fd)?;
        Ok(*self.kind.get_or_init(|| kind))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // Nobody is left to be told; the number is free either way.
        let _ = self.world.close(self.fd);
    }
}

/// The registered files: slots that hold a file or nothing.
#[derive(Debug, Default)]
pub(crate) struct FileTable {
    slots: Vec<Option<Arc<File>>>,
}

impl FileTable {
    /// The file in a slot.
    ///
    /// # Errors
    ///
    /// `EBADF`: no such slot, or nothing in it.
    pub(crate) fn get(&self, slot: i32) -> Result<&Arc<File>, Errno> {
        let slot = usize::try_from(slot).map_err(|_| Errno::BADF)?;
        self.slots.get(slot).and_then(Option::as_ref).ok_or(Errno::BADF)
    }
}
