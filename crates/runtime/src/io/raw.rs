//! `Raw`: an open descriptor as a stream, whatever it is: a pipe, a terminal, a file at its own position.
//!
//! It never makes a descriptor non-blocking: other processes may share it. Where somebody else did, it waits until the
//! descriptor is ready, as if it blocked.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::rounds::{Rounds, give};
use super::shut_down;
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::driver::Op;
use crate::driver::op::file::Poll as PollFd;
use crate::driver::op::round::Round;
use crate::driver::op::rw::Write;
use crate::driver::op::stream::ReadStream;
use crate::fd::SharedFd;
use crate::net::inbound::Inbound;

/// The offset that stands for the descriptor's own position, and is right for what has none.
const OWN_POSITION: u64 = u64::MAX;

/// A descriptor as a stream.
#[derive(Debug)]
pub(crate) struct Raw {
    /// `None` after it was closed.
    fd: RefCell<Option<SharedFd>>,
    inbound: Rc<Inbound>,
}

impl Raw {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd: RefCell::new(Some(SharedFd::new(fd))), inbound: Rc::default() }
    }

    pub(crate) async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        self.round(buf, Round::only()).await
    }

    pub(crate) async fn write<B: IoBuf>(&self, mut buf: B) -> BufResult<usize, B> {
        let Some(fd) = self.share() else { return (Err(shut_down()), buf) };
        loop {
            let (written, back) = Op::new(Write::new(fd.clone(), buf, OWN_POSITION)).await;
            if !would_block(&written) {
                return (written, back);
            }
            buf = back;
            if let Err(error) = ready(&fd, libc::POLLOUT).await {
                return (Err(error), buf);
            }
        }
    }

    /// Closes, as soon as what is in flight has ended. A second time it does nothing.
    pub(crate) async fn close(&self) -> io::Result<()> {
        let fd = self.fd.borrow_mut().take();
        match fd {
            Some(fd) => fd.close().await,
            None => Ok(()),
        }
    }

    /// The descriptor itself.
    ///
    /// # Errors
    ///
    /// The stream, while an operation is in flight on it, if bytes of a dropped read wait to be read, and if it was closed.
    pub(crate) fn try_into_owned(self) -> Result<OwnedFd, Self> {
        if !self.inbound.is_clear() {
            return Err(self);
        }
        let Some(fd) = self.fd.take() else { return Err(self) };
        fd.try_into_owned().map_err(|fd| Self { fd: RefCell::new(Some(fd)), inbound: self.inbound })
    }

    /// What dropped reads had taken.
    pub(super) const fn kept(&self) -> &Rc<Inbound> {
        &self.inbound
    }

    /// `None` after it was closed.
    pub(super) fn share(&self) -> Option<SharedFd> {
        self.fd.borrow().clone()
    }
}

impl Rounds for Raw {
    async fn round<B: IoBufMut>(&self, mut buf: B, round: Round) -> BufResult<usize, B> {
        let Some(fd) = self.share() else { return (Ok(0), buf) };
        loop {
            if !self.inbound.is_clear() {
                let back = self.inbound.back(round.earlier(&buf));
                self.inbound.settled().await;
                back.over();
                if let Some(kept) = self.inbound.read(round.room(&buf)) {
                    return give(kept, round, buf);
                }
            }
            let read;
            (read, buf) = Op::new(ReadStream::new(fd.clone(), self.inbound.clone(), buf, round)).await;
            if !would_block(&read) {
                return (read, buf);
            }
            let back = self.inbound.back(round.earlier(&buf));
            let ready = ready(&fd, libc::POLLIN).await;
            back.over();
            if let Err(error) = ready {
                return (Err(error), buf);
            }
        }
    }

    fn inbound(&self) -> &Inbound {
        &self.inbound
    }
}

pub(super) fn would_block(result: &io::Result<usize>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

pub(super) async fn ready(fd: &SharedFd, events: i16) -> io::Result<()> {
    Op::new(PollFd { fd: fd.clone(), events }).await
}
