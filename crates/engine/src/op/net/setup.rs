//! `SOCKET`, `BIND`, `LISTEN`, `SHUTDOWN`: what is done with a socket before and after its life. None of it waits.

use std::os::fd::RawFd;
use std::sync::Arc;

use annulus_abi::Sqe;
use rustix::io::Errno;

use super::address;
use crate::files::File;
use crate::op::{Context, Operation, Outcome, Prepare, Step};
use crate::world::SocketAddress;

const CLOEXEC: i32 = libc::SOCK_CLOEXEC;
/// What of a socket's type is its kind and no flag.
const KIND: i32 = 0xf;

/// Makes a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Socket {
    domain: i32,
    kind: i32,
    protocol: i32,
    /// Where it goes (`file_index`); 0 is a descriptor.
    slot: u32,
}

/// Gives a socket its address.
#[derive(Debug)]
pub(super) struct Bind(SocketAddress);

/// Makes it listen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listen {
    backlog: i32,
}

/// Ends one or both of its directions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shutdown {
    how: i32,
}

impl Socket {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags, and `SOCK_CLOEXEC` for a slot.
    pub(super) fn prepare(sqe: &Sqe) -> Result<Self, Errno> {
        #[expect(clippy::cast_possible_truncation, reason = "so does the kernel")]
        let kind = (sqe.off as u32).cast_signed();
        let (flags, slot) = (kind & !KIND, sqe.file_index);
        if slot != 0 && flags & CLOEXEC != 0 || flags & !(CLOEXEC | libc::SOCK_NONBLOCK) != 0 {
            return Err(Errno::INVAL);
        }
        Ok(Self { domain: sqe.fd, kind, protocol: sqe.len.cast_signed(), slot })
    }
}

impl Operation for Socket {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        // Descriptors that the program never sees stay out of its children.
        let kind = if self.slot == 0 { self.kind } else { self.kind | CLOEXEC };
        let made = cx.world.socket(self.domain, kind, self.protocol);
        match made {
            Err(errno) => Step::Done(Outcome::failure(errno)),
            Ok(fd) if self.slot == 0 => Step::Done(give(fd).into()),
            // A slot that is not to be had breaks no chain: so does the kernel.
            Ok(fd) => Step::Done(Outcome { severs: false, ..install(cx, fd, self.slot).into() }),
        }
    }
}

impl Bind {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a length that no address has; `EFAULT`.
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        address::load(cx, sqe.addr, address::length(sqe.off)?).map(Self)
    }
}

impl Operation for Bind {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        Step::Done(cx.world.bind(cx.fd, &self.0).map(|()| 0).into())
    }
}

impl Listen {
    pub(super) const fn prepare(sqe: &Sqe) -> Self {
        Self { backlog: sqe.len.cast_signed() }
    }
}

impl Operation for Listen {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        Step::Done(cx.world.listen(cx.fd, self.backlog).map(|()| 0).into())
    }
}

impl Shutdown {
    pub(super) const fn prepare(sqe: &Sqe) -> Self {
        Self { how: sqe.len.cast_signed() }
    }
}

impl Operation for Shutdown {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        let result = cx.world.shutdown(cx.fd, self.how).map(|()| 0);
        // What a socket says to it breaks no chain, as in the kernel.
        let severs = matches!(result, Err(Errno::NOTSOCK | Errno::BADF));
        Step::Done(Outcome { severs, ..result.into() })
    }
}

/// A descriptor that was made for the program: the result is its number.
pub(super) fn give(fd: RawFd) -> Result<u32, Errno> {
    u32::try_from(fd).map_err(|_| Errno::BADF)
}

/// Puts a descriptor that was made for it into a registered slot, under a number that is out of the program's way.
pub(super) fn install(cx: &mut Context<'_>, fd: RawFd, slot: u32) -> Result<u32, Errno> {
    let low = File::new(fd, Arc::clone(cx.world));
    let file = File::new(cx.world.hold(low.fd())?, Arc::clone(cx.world));
    drop(low);
    cx.tables.files.install(slot, file).map_err(|(errno, _closed)| errno)
}
