//! `ACCEPT`: one connection, or every one that comes; as descriptors of the program or into registered slots.

use annulus_abi::{AcceptFlags, CqeFlags, IORING_FILE_INDEX_ALLOC, Sqe};
use rustix::io::Errno;

use super::outcome::failed;
use super::setup::{give, install};
use super::{IN, poll_first};
use crate::op::{Context, Interest, Operation, Outcome, Prepare, Step, Turn};
use crate::world::{PeerAddress, SocketFact};

const CLOEXEC: u32 = libc::SOCK_CLOEXEC.cast_unsigned();
const NONBLOCK: u32 = libc::SOCK_NONBLOCK.cast_unsigned();

/// An accept.
#[derive(Debug)]
pub(super) struct Accept {
    peer: PeerAddress,
    flags: u32,
    how: AcceptFlags,
    /// Where the connection goes (`file_index`); 0 is a descriptor.
    slot: u32,
    /// It became ready once.
    polled: bool,
    /// Nobody else waits until it becomes ready again.
    drained: bool,
    /// Whether the listener can say that others wait; asked once.
    tells: Option<bool>,
}

impl Accept {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags, `SOCK_CLOEXEC` for a slot, and multishot into one slot.
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let how = AcceptFlags::from_bits(sqe.ioprio).ok_or(Errno::INVAL)?;
        let (flags, slot) = (sqe.op_flags, sqe.file_index);
        if slot != 0 && flags & CLOEXEC != 0 || flags & !(CLOEXEC | NONBLOCK) != 0 {
            return Err(Errno::INVAL);
        }
        if how.contains(AcceptFlags::MULTISHOT) && slot != 0 && slot != IORING_FILE_INDEX_ALLOC {
            return Err(Errno::INVAL);
        }
        let peer = PeerAddress { address: cx.vouched.span(sqe.addr, 0), len: cx.vouched.span(sqe.off, 4) };
        Ok(Self { peer, flags, how, slot, polled: false, drained: false, tells: None })
    }

    /// Whether another connection waits, which only TCP tells of itself.
    fn others_wait(&mut self, cx: &Context<'_>) -> Option<bool> {
        let inet = |fd| {
            let domain = cx.world.socket_fact(fd, SocketFact::Domain).ok()?;
            Some([libc::AF_INET, libc::AF_INET6].contains(&domain))
        };
        let tells = *self.tells.get_or_insert_with(|| inet(cx.fd).unwrap_or(false));
        if !tells {
            return None;
        }
        cx.world.ready(cx.fd, IN).ok().map(|ready| ready & IN != 0)
    }
}

impl Operation for Accept {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        if let Turn::Ready(_) = cx.turn {
            (self.polled, self.drained) = (true, false);
        }
        let interest = Interest::file(IN);
        if self.drained {
            return Step::Wait(interest);
        }
        let dontwait = self.how.contains(AcceptFlags::DONTWAIT);
        if !self.polled && self.how.contains(AcceptFlags::POLL_FIRST) {
            return poll_first(cx, interest, dontwait);
        }
        // Descriptors that the program never sees stay out of its children.
        let flags = if self.slot == 0 { self.flags } else { self.flags | CLOEXEC };
        let fd = match cx.world.accept(cx.fd, self.peer, flags) {
            Ok(fd) => fd,
            Err(Errno::AGAIN) if !dontwait => return Step::Wait(interest),
            Err(errno) => return failed(errno),
        };
        let others = self.others_wait(cx);
        let result = if self.slot == 0 { give(fd) } else { install(cx, fd, self.slot) };
        let outcome = Outcome::from(result);
        if result.is_err() {
            return Step::Done(outcome);
        }
        let nonempty = if others == Some(true) { CqeFlags::SOCK_NONEMPTY } else { CqeFlags::empty() };
        let outcome = outcome.with_flags(nonempty);
        if !self.how.contains(AcceptFlags::MULTISHOT) {
            return Step::Done(outcome);
        }
        self.drained = others == Some(false);
        Step::More(outcome)
    }
}
