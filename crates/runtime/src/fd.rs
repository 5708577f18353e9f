//! A file shared with its operations: a descriptor of the process, or a slot of the ring's file table. It is
//! closed through the ring when the last of them and the owner are gone.
//!
//! An operation in flight holds a share, so a descriptor's number is never closed, and given to another
//! file, between push and submission; nor is a slot emptied.

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use annulus::types;

use crate::driver::op::file::Close;
use crate::driver::{Driver, Op, Slot};
use crate::executor::Context;

/// A share of a file.
#[derive(Clone, Debug)]
pub(crate) struct SharedFd(Rc<Inner>);

/// `None` once it was taken out.
struct Inner(Option<Place>);

/// Where the file is.
enum Place {
    Descriptor(OwnedFd),
    Slot(Slot),
}

impl SharedFd {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(Rc::new(Inner(Some(Place::Descriptor(fd)))))
    }

    pub(crate) fn of_slot(slot: Slot) -> Self {
        Self(Rc::new(Inner(Some(Place::Slot(slot)))))
    }

    /// As an entry names it. A slot has no meaning but in its own ring: elsewhere the kernel is told of a
    /// descriptor that cannot be (`EBADF`).
    #[inline]
    pub(crate) fn target(&self) -> types::Target {
        match &self.0.0 {
            Some(Place::Descriptor(fd)) => types::Target::Fd(fd.as_raw_fd()),
            Some(Place::Slot(slot)) if slot.is_of(&Driver::current()) => types::Target::Fixed(slot.index()),
            Some(Place::Slot(_)) | None => types::Target::Fd(-1),
        }
    }

    /// As an entry names it where slots cannot be named.
    pub(crate) fn fd_target(&self) -> types::Fd {
        types::Fd(self.as_raw_fd())
    }

    /// The descriptor of the process, if it has one.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.0.0 {
            Some(Place::Descriptor(fd)) => Some(fd.as_fd()),
            Some(Place::Slot(_)) | None => None,
        }
    }

    /// Closes and waits for the result; if operations still hold shares, the last of them closes.
    pub(crate) async fn close(self) -> io::Result<()> {
        let mut inner = Rc::try_unwrap(self.0).ok();
        match inner.as_mut().and_then(|inner| inner.0.take()) {
            Some(Place::Descriptor(fd)) => Op::new(Close::new(fd)).await,
            // The completion of a slot that is emptied would say no more than that it is.
            Some(Place::Slot(_)) | None => Ok(()),
        }
    }

    /// The descriptor itself, if this is the only share of one.
    pub(crate) fn try_into_owned(self) -> Result<OwnedFd, Self> {
        if self.descriptor().is_none() {
            return Err(self);
        }
        let mut inner = Rc::try_unwrap(self.0).map_err(Self)?;
        match inner.0.take() {
            Some(Place::Descriptor(fd)) => Ok(fd),
            Some(Place::Slot(_)) | None => unreachable!("it was a descriptor just now"),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A slot empties itself.
        let Some(Place::Descriptor(fd)) = self.0.take() else { return };
        match Context::try_current() {
            Some(context) => context.driver.close(fd),
            None => drop(fd),
        }
    }
}

impl Debug for Inner {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(Place::Descriptor(fd)) => write!(f, "descriptor {}", fd.as_raw_fd()),
            Some(Place::Slot(slot)) => write!(f, "slot {}", slot.index()),
            None => f.write_str("closed"),
        }
    }
}

impl AsFd for SharedFd {
    /// # Panics
    ///
    /// For a slot: what can be one has no public `AsFd`.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor()
            .expect("a type that can be a slot of the ring's file table is not asked for a descriptor")
    }
}

impl AsRawFd for SharedFd {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
