//! Messages to the executors of other rings: a completion on theirs that says "look into your inbox", and what comes of it.
//!
//! A message names no memory and takes no place in the table. Those that arrive leave no trace on this ring; of the others the
//! completion carries the number that their sender gave them.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;

use annulus::squeue::Flags;
use annulus::{BackendKind, Probe, opcode, types};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::lane::Lane;
use super::table::Place;
use super::{Driver, Key};
use crate::executor::inbox::Address;

impl Driver {
    /// What this ring is to others, if it can send them messages: `MSG_RING` is there, since Linux 5.18. Asks the ring.
    pub(crate) fn message_kind(&self) -> Option<BackendKind> {
        let inner = self.inner.borrow();
        let ring = inner.main.as_ref()?.shared();
        let kind = ring.chosen().kind();
        let mut probe = Probe::new();
        let asked = kind != BackendKind::Custom && ring.submitter().register_probe(&mut probe).is_ok();
        (asked && probe.is_supported(opcode::MsgRingData::CODE)).then_some(kind)
    }

    /// Where other executors send their messages to. `None` if this ring has no descriptor, or there is none left for a
    /// duplicate: they write the eventfd then.
    pub(crate) fn address(&self) -> Option<Address> {
        let inner = self.inner.borrow();
        let ring = inner.main.as_ref()?.shared();
        if ring.as_raw_fd() < 0 {
            return None;
        }
        let duplicate = fcntl_dupfd_cloexec(ring.as_fd(), 0).ok()?;
        let user_data = inner.table.user_data(Key::CALL);
        Some(Address { ring: Arc::new(duplicate), user_data, kind: ring.chosen().kind() })
    }

    /// Queues a message to another ring. `number` names it if it does not arrive. Whether it will be handed over.
    pub(crate) fn message(&self, ring: RawFd, user_data: u64, number: u32) -> bool {
        let mut inner = self.inner.borrow_mut();
        if inner.closing || number >= Key::MESSAGES {
            return false;
        }
        let own = inner.table.user_data(Key::message(number));
        let message = opcode::MsgRingData::new(types::Fd(ring), 0, user_data, None).build();
        // Every kernel that has messages has this flag.
        inner.queue(Place::Main, &message.user_data(own).flags(Flags::SKIP_SUCCESS));
        inner.counted.messages += 1;
        true
    }

    /// Whether the ring has taken everything that was queued.
    pub(crate) fn is_handed_over(&self) -> bool {
        let mut inner = self.inner.borrow_mut();
        inner.main().is_none_or(Lane::is_handed_over)
    }

    /// The messages that did not arrive, by their numbers, and why.
    pub(crate) fn take_undelivered(&self) -> Vec<(u32, Errno)> {
        std::mem::take(&mut self.inner.borrow_mut().undelivered)
    }
}
