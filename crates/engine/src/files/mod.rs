//! Files that requests work on: held ones, and the table of registered ones.
//!
//! Deliberately not here: what is done to a file. A slot and a request each hold a file by [`Arc`]; whoever lets go of it last
//! closes it, and only then its tag is posted.

mod hints;
mod retired;
mod table;
#[cfg(test)]
mod tests;

use std::os::fd::RawFd;
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;

pub(crate) use hints::Hints;
pub(crate) use retired::{Retired, Tag};
pub(crate) use table::FileTable;

use crate::world::{FileKind, Vouched, World};

/// An open file that the engine holds: closed when the last request and the last slot let go of it.
#[derive(Debug)]
pub(crate) struct File {
    fd: RawFd,
    world: Arc<dyn World>,
    kind: OnceLock<FileKind>,
    /// Retires after the descriptor was closed: fields are dropped when `drop` has run.
    tag: Option<Tag>,
}

impl File {
    /// Takes over a descriptor.
    pub(crate) fn new(fd: RawFd, world: Arc<dyn World>) -> Self {
        Self { fd, world, kind: OnceLock::new(), tag: None }
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

/// Tells the descriptors of rings from others: a ring is not registered with a ring, and not closed by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingTest(pub(crate) fn(RawFd) -> bool);

impl RingTest {
    /// Whether it is one.
    pub(crate) fn is_ring(self, fd: RawFd) -> bool {
        (self.0)(fd)
    }
}

impl Default for RingTest {
    fn default() -> Self {
        Self(|_| false)
    }
}

/// Where lists of what is to be registered come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// The outside.
    pub(crate) world: &'a Arc<dyn World>,
    /// The right to name the lists' memory.
    pub(crate) vouched: Vouched,
    /// What is not registered.
    pub(crate) rings: RingTest,
}
