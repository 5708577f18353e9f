//! The executors that this one has sent messages to: how it calls one that sleeps.
//!
//! A message says no more than "look into your inbox". It is an entry of this ring that posts a completion on the
//! other's, queued when something is left over there and handed over with the next call of this ring, which comes at the
//! end of the turn. So:
//!
//! - One message for each peer is under way between two calls; more would say the same.
//! - A peer that sleeps is called by everybody who leaves something, until it is awake: no sender relies on the message of
//!   another one, whose turn may take long. One that is called twice looks twice.
//! - A message of which the kernel says that it did not arrive is made up for by the eventfd; and so is whatever may not
//!   have been handed over when this executor ends.
//! - While a message is queued, a duplicate of the other ring's descriptor is held, so that no other file gets it.

use std::cell::{Cell, RefCell};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use annulus::BackendKind;
use rustix::io::Errno;

use crate::driver::Driver;
use crate::executor::inbox::{Address, Inbox};

/// Calls other executors through the ring of this one.
pub(crate) struct Peers {
    /// Which kind of ring this one has; `None` if messages are not wanted, or were found not to work.
    kind: Cell<Option<BackendKind>>,
    known: RefCell<Vec<Peer>>,
    queued: Cell<bool>,
}

struct Peer {
    inbox: Arc<Inbox>,
    /// `None`: it cannot be sent a message.
    address: Option<Address>,
    /// A message to it is under way to this ring's next call.
    queued: bool,
}

impl Peers {
    /// `wanted`: whether there are shards that could be sent messages.
    pub(crate) fn new(driver: &Driver, wanted: bool) -> Self {
        let kind = if wanted { driver.message_kind() } else { None };
        Self { kind: Cell::new(kind), known: RefCell::default(), queued: Cell::new(false) }
    }

    /// Queues a message to the executor behind an inbox, if one can be sent. Whether it is under way.
    pub(crate) fn call(&self, driver: &Driver, inbox: &Arc<Inbox>) -> bool {
        let Some(kind) = self.kind.get() else { return false };
        let mut known = self.known.borrow_mut();
        let at = known.iter().position(|peer| Arc::ptr_eq(&peer.inbox, inbox));
        let at = at.unwrap_or_else(|| add(&mut known, inbox, kind));
        let peer = &mut known[at];
        let Some(address) = &peer.address else { return false };
        if !peer.queued {
            let number = u32::try_from(at).unwrap_or(u32::MAX);
            peer.queued = driver.message(address.ring.as_raw_fd(), address.user_data, number);
            self.queued.set(self.queued.get() || peer.queued);
        }
        peer.queued
    }

    /// To be called after each call of the ring, with what the driver says did not arrive.
    pub(crate) fn after_enter(&self, driver: &Driver) {
        if self.queued.get() && driver.is_handed_over() {
            self.queued.set(false);
            for peer in self.known.borrow_mut().iter_mut() {
                peer.queued = false;
            }
        }
        for (number, errno) in driver.take_undelivered() {
            // No such operation, or it is filtered: the next one would fare no better.
            if [Errno::INVAL, Errno::ACCESS, Errno::OPNOTSUPP].contains(&errno) {
                self.kind.set(None);
            }
            if let Some(peer) = self.known.borrow().get(number as usize) {
                peer.inbox.ring();
            }
        }
    }

    /// Calls everybody by eventfd who may have been left something, as this ring is no more.
    pub(crate) fn end(&self) {
        self.kind.set(None);
        for peer in self.known.take() {
            peer.inbox.ring();
        }
    }
}

/// Makes an executor known, in the place of one that has ended if there is such a place.
fn add(known: &mut Vec<Peer>, inbox: &Arc<Inbox>, kind: BackendKind) -> usize {
    let address = inbox.message_address().filter(|address| address.kind == kind);
    let peer = Peer { inbox: inbox.clone(), address, queued: false };
    match known.iter().position(|peer| !peer.queued && peer.inbox.is_closed()) {
        Some(at) => {
            known[at] = peer;
            at
        }
        None => {
            known.push(peer);
            known.len() - 1
        }
    }
}

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;
