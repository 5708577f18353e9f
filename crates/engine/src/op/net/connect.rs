//! `CONNECT`: starts it, waits until the socket can be written, and asks what came of it.

use rustix::io::Errno;

use annulus_abi::Sqe;

use super::outcome::failed;
use super::{ERR, OUT, address};
use crate::op::{Context, Interest, Operation, Outcome, Prepare, Step, Work};
use crate::pool::{Interrupt, Lane};
use crate::world::{Mode, SocketAddress, SocketFact, World};

/// A connect.
#[derive(Debug)]
pub(super) struct Connect {
    address: SocketAddress,
    /// It was started.
    in_progress: bool,
    /// The peer gave up once, which is forgiven once.
    aborted: bool,
}

impl Connect {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a length that no address has; `EFAULT`.
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let address = address::load(cx, sqe.addr, address::length(sqe.off)?)?;
        Ok(Self { address, in_progress: false, aborted: false })
    }

    /// What became of a connect that was started.
    fn verdict(cx: &Context<'_>) -> Step {
        match cx.world.socket_fact(cx.fd, SocketFact::Error) {
            Ok(0) => Step::Done(Outcome::success(0)),
            Ok(errno) => failed(Errno::from_raw_os_error(errno)),
            Err(errno) => failed(errno),
        }
    }
}

impl Operation for Connect {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        let wait = Step::Wait(Interest::file(OUT));
        if self.in_progress && cx.world.ready(cx.fd, OUT).is_ok_and(|ready| ready & ERR != 0) {
            return Self::verdict(cx);
        }
        match cx.world.connect(cx.fd, &self.address, Mode::Nonblocking) {
            Ok(()) => Step::Done(Outcome::success(0)),
            Err(Errno::INPROGRESS) => {
                self.in_progress = true;
                wait
            }
            // Readiness was told, but not of this.
            Err(Errno::ALREADY) if self.in_progress => wait,
            Err(Errno::ISCONN | Errno::BADFD) if self.in_progress => Self::verdict(cx),
            Err(Errno::CONNABORTED) if !self.aborted => {
                self.aborted = true;
                wait
            }
            // The queue of a Unix socket is full, and no readiness tells when that ends.
            Err(Errno::AGAIN) => Step::Block(Work { lane: Lane::Unbounded, hash: None }),
            Err(errno) => failed(errno),
        }
    }

    fn block(&mut self, world: &dyn World, fd: i32, interrupt: &Interrupt) -> Result<u32, Errno> {
        loop {
            match world.connect(fd, &self.address, Mode::Blocking) {
                Err(Errno::INTR) if !interrupt.requested() => {}
                result => return result.map(|()| 0),
            }
        }
    }
}
