//! One shard: what its connections share, and the loop that accepts them.
//!
//! What it keeps true: the listener stays, whatever goes wrong with a connection or with accepting; the shard ends only when
//! its connections have, or when their time is over.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use annulus_http::{DateCache, Field, Limits, Patience, Policy, Refused};
use annulus_rt::fs::{Dir, OpenOptions};
use annulus_rt::net::{TcpListener, TcpStream};
use annulus_rt::sync::Shutdown;
use annulus_rt::time::sleep;
use annulus_rt::{Either, select, try_spawn};
use rustix::fs::ResolveFlags;

use crate::chunk::Chunks;
use crate::connection;
use crate::folder::Visible;
use crate::gate::{Admitted, Gate};
use crate::log::Log;

/// How long accepting rests when descriptors or memory have run out: the kernel holds the connections meanwhile.
const REST: Duration = Duration::from_millis(50);

/// Connections at a time that are told that there are too many; others are closed without a word.
const MOST_REFUSALS: usize = 32;

/// What a shard is made of. All but the listener is shared with the other shards.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) root: Arc<OwnedFd>,
    /// How a path is opened on the ring, and how far it may lead; the second again for what is not done on the ring.
    pub(crate) options: OpenOptions,
    pub(crate) beneath: ResolveFlags,
    pub(crate) visible: Visible,
    pub(crate) policy: Policy,
    pub(crate) listing_fields: Vec<Field>,
    pub(crate) limits: Limits,
    pub(crate) patience: Patience,
    pub(crate) grace: Duration,
    pub(crate) gate: Arc<Gate>,
    pub(crate) log: Log,
    /// The whole server's end, in order and at once.
    pub(crate) stop: Shutdown,
    pub(crate) abort: Shutdown,
}

/// What a shard has for itself. Made before any shard runs, so that a server that has started lacks no descriptor of its own.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) listener: OwnedFd,
    /// The root once more.
    pub(crate) directory: OwnedFd,
}

/// What the connections of one shard share.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) parts: Arc<Parts>,
    pub(crate) directory: Dir,
    pub(crate) chunks: Chunks,
    pub(crate) dates: RefCell<DateCache>,
    /// The end as the connections of this shard see it, and they as it sees them. One for each shard, since every
    /// request asks.
    stop: Shutdown,
    refusals: Cell<usize>,
}

impl Shard {
    /// Accepts and serves until the server is told to stop; then finishes what is running, within the time for that.
    pub(crate) async fn run(parts: Arc<Parts>, place: Place) {
        let listener = TcpListener::from(std::net::TcpListener::from(place.listener));
        let shard = Rc::new(Self {
            directory: Dir::from(place.directory),
            parts: Arc::clone(&parts),
            chunks: Chunks::default(),
            dates: RefCell::default(),
            stop: Shutdown::new(),
            refusals: Cell::new(0),
        });
        // Dropping the loop closes the listener.
        select(parts.stop.requested(), shard.accept(listener)).await;
        shard.stop.request();
        select(parts.abort.requested(), shard.stop.drain(parts.grace)).await;
    }

    /// The output, unless the server is told to stop first.
    pub(crate) async fn unless_stopping<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        match select(what, self.stop.requested()).await {
            Either::Left(output) => Some(output),
            Either::Right(()) => None,
        }
    }

    /// Whether the response that is about to begin is the last of its connection.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_requested()
    }

    async fn accept(self: &Rc<Self>, listener: TcpListener) {
        let mut incoming = listener.incoming();
        loop {
            self.parts.gate.room().await;
            match incoming.next().await {
                Ok(stream) => self.admit(stream).await,
                Err(error) if is_the_clients(&error) => {}
                // Descriptors or memory: what runs goes on, and who waits to be accepted goes on waiting.
                Err(_) => sleep(REST).await,
            }
        }
    }

    async fn admit(self: &Rc<Self>, stream: TcpStream) {
        // Fails for a client that is gone already.
        let Ok(peer) = stream.peer_addr() else { return };
        let address = peer.ip();
        loop {
            match self.parts.gate.admit(address) {
                Ok(admitted) => return self.serve(stream, address, admitted),
                Err(Refused::AddressFull) => return self.refuse(stream, address),
                // Another shard was faster.
                Err(Refused::Full) => self.parts.gate.room().await,
            }
        }
    }

    fn serve(self: &Rc<Self>, stream: TcpStream, address: IpAddr, admitted: Admitted) {
        let (shard, guard) = (Rc::clone(self), self.stop.guard());
        let task = async move {
            connection::serve(shard, address, stream).await;
            drop((admitted, guard));
        };
        // Refused only while the runtime ends; the connection is dropped then.
        drop(try_spawn(task));
    }

    fn refuse(self: &Rc<Self>, stream: TcpStream, address: IpAddr) {
        if self.refusals.get() >= MOST_REFUSALS {
            return;
        }
        self.refusals.set(self.refusals.get() + 1);
        let refusal = Refusal(Rc::clone(self));
        drop(try_spawn(async move {
            connection::refuse(Rc::clone(&refusal.0), address, stream).await;
            drop(refusal);
        }));
    }
}

/// Counts a refusal out, however it ends.
struct Refusal(Rc<Shard>);

impl Drop for Refusal {
    fn drop(&mut self) {
        self.0.refusals.set(self.0.refusals.get() - 1);
    }
}

/// Whether accepting failed for a reason that lies in the connection, so that the next may be tried at once.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
