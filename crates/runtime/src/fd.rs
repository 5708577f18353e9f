//! A descriptor that its operations share, and that is closed through the ring when the last of them
//! and the owner are gone.
//!
//! An operation in flight holds a share, so a descriptor's number is never closed, and given to another
//! file, between push and submission.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use annulus::types;

use crate::driver::Op;
use crate::driver::op::file::Close;
use crate::executor::Context;

/// A share of a descriptor.
#[derive(Clone, Debug)]
pub(crate) struct SharedFd(Rc<Inner>);

#[derive(Debug)]
struct Inner(Option<OwnedFd>);

impl SharedFd {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(Rc::new(Inner(Some(fd))))
    }

    /// As an entry names it.
    pub(crate) fn target(&self) -> types::Fd {
        types::Fd(self.as_raw_fd())
    }

    /// Closes and waits for the result; if operations still hold shares, the last of them closes.
    pub(crate) async fn close(self) -> io::Result<()> {
        match Rc::try_unwrap(self.0).map(Inner::into_fd) {
            Ok(Some(fd)) => Op::new(Close::new(fd)).await,
            _ => Ok(()),
        }
    }

    /// The descriptor itself, if this is the only share.
    pub(crate) fn try_into_owned(self) -> Result<OwnedFd, Self> {
        Rc::try_unwrap(self.0)
            .map_err(Self)
            .map(|inner| inner.into_fd().expect("taken only here and in close"))
    }
}

impl Inner {
    fn into_fd(mut self) -> Option<OwnedFd> {
        self.0.take()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(fd) = self.0.take() else { return };
        match Context::try_current() {
            Some(context) => context.driver.close(fd),
            None => drop(fd),
        }
    }
}

impl AsFd for SharedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_ref().expect("a descriptor is taken out only with its last share").as_fd()
    }
}

impl AsRawFd for SharedFd {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
