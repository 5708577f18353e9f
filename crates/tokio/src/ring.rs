//! `Ring`: one ring, whoever waits for its completions, and the task that listens to its descriptor.
//!
//! Its lock is held for a push and one call that does not wait, or to take completions out. Wakers are called, and dropped,
//! without it. It decides nothing about operations: that is `running`'s.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use annulus::owned::{Key, Operation, OwnedRing, Refused, Ticket};

use annulus::{BackendChoice, BackendKind, IoUring, Probe, Submitter};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Id};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::fixed::Slots;
use crate::registry;

/// How many entries are queued between two calls.
const ENTRIES: u32 = 256;
/// How many operations a ring may have in flight.
const IN_FLIGHT: u32 = 4096;
/// How many of these are handed out; the others are for those whose futures were dropped and that have not ended.
const PLACES: usize = 2048;

/// A ring.
pub(crate) struct Ring {
    /// The runtime that it was made for.
    runtime: Id,
    places: Semaphore,
    /// Which opcodes its back end has, if that could be asked.
    probe: Option<Probe>,
    state: Mutex<State>,
    /// Whether a listener is there. Written under the lock; read without, as a hint of which ring to take.
    listened_to: AtomicBool,
}

struct State {
    ring: OwnedRing,
    waiting: HashMap<Key, Waker>,
    /// How to take what comes of operations that were given up.
    given_up: HashMap<Key, Take>,
    slots: Slots,
    /// What the listener waits with.
    listener: Option<Waker>,
    /// Something was pushed that the system did not take at that moment.
    owing: bool,
    /// The descriptor of an engine's ring stays readable until a call finds the queue empty.
    is_engine: bool,
}

/// Takes what came of an operation, whose type it knows.
type Take = Box<dyn FnOnce(&mut OwnedRing) -> Option<Box<dyn Any>> + Send>;

/// What is to be done about operations that have ended, without the lock.
#[derive(Default)]
struct Ended {
    wakers: Vec<Waker>,
    /// What nobody wants any more: files to close, buffers to free, whose destructors may do anything.
    unwanted: Vec<Box<dyn Any>>,
}

/// An operation that was submitted.
pub(crate) enum Started<O: Operation> {
    /// Its result was there at once.
    Ended(O::Output),
    /// Its result comes.
    InFlight(Ticket<O>),
}

impl Ring {
    pub(crate) fn new(runtime: Id, backend: BackendChoice) -> io::Result<Arc<Self>> {
        let mut builder = IoUring::builder();
        builder.setup_clamp().setup_cqsize(IN_FLIGHT).backend(backend);
        let ring = OwnedRing::from_builder(&builder, ENTRIES)?;
        let is_engine = ring.chosen().kind() == BackendKind::Engine;
        let mut probe = Probe::new();
        let probe = ring.submitter().register_probe(&mut probe).is_ok().then_some(probe);
        let (waiting, given_up, listener) = (HashMap::new(), HashMap::new(), None);
        let slots = Slots::default();
        let state = State { ring, waiting, given_up, slots, listener, owing: false, is_engine };
        Ok(Arc::new(Self {
            runtime,
            places: Semaphore::new(PLACES),
            probe,
            state: Mutex::new(state),
            listened_to: AtomicBool::new(false),
        }))
    }

    /// Whether its back end has an opcode, as far as is known.
    pub(crate) fn supports(&self, opcode: u8) -> bool {
        self.probe.as_ref().is_none_or(|probe| probe.is_supported(opcode))
    }

    /// Does something about its registered buffers.
    pub(crate) fn with_slots<T>(&self, act: impl FnOnce(&mut Slots, &Submitter<'_>) -> T) -> T {
        let State { ring, slots, .. } = &mut *self.lock();
        act(slots, &ring.submitter())
    }

    #[cfg(test)]
    pub(crate) fn is_of_the_engine(&self) -> bool {
        self.lock().is_engine
    }

    /// Waits for a place among the operations in flight.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.places.acquire().await.ok()
    }

    /// Whether a task listens to it.
    pub(crate) fn is_listened_to(&self) -> bool {
        self.listened_to.load(Ordering::Relaxed)
    }

    /// Starts the task that listens to the descriptor, in this runtime.
    pub(crate) fn listen(self: &Arc<Self>, handle: &Handle) -> io::Result<()> {
        let descriptor = self.lock().ring.as_fd().try_clone_to_owned()?;
        let descriptor = {
            let _inside = handle.enter();
            #[allow(
                deprecated,
                reason = "an `OwnedFd` is safe to watch, and older versions have nothing else"
            )]
            AsyncFd::with_interest(descriptor, Interest::READABLE)?
        };
        if self.listened_to.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        handle.spawn(Listener { descriptor, ring: self.clone() });
        Ok(())
    }

    /// Takes an operation over and submits it. Gives its result if that is there already; gives the operation back if
    /// the ring is full of operations that were given up.
    pub(crate) fn start<O: Operation>(&self, operation: O) -> Result<Started<O>, Refused<O>> {
        let mut state = self.lock();
        let ticket = state.ring.push(operation)?;
        state.submit();
        let output = state.ring.take(ticket);
        let ended = state.ended();
        drop(state);
        ended.settle();
        Ok(output.map_or(Started::InFlight(ticket), Started::Ended))
    }

    /// The result of an operation, if it has ended; otherwise the waker is called when it has.
    pub(crate) fn poll<O: Operation>(
        self: &Arc<Self>,
        ticket: Ticket<O>,
        cx: &Context<'_>,
    ) -> Poll<O::Output> {
        // Cloned before the lock is taken: what a waker does is not known.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        let output = state.ring.take(ticket);
        let replaced = match &output {
            Some(_) => state.waiting.remove(&ticket.key()),
            None => state.waiting.insert(ticket.key(), waker),
        };
        let ended = state.ended();
        drop(state);
        drop(replaced);
        ended.settle();
        if let Some(output) = output {
            return Poll::Ready(output);
        }
        if !self.is_listened_to() && self.listen(&Handle::current()).is_err() {
            // No descriptor to listen with: looked at again and again, until there is one.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Gives an operation up: cancels it, and leaves its memory with the ring until it has ended.
    pub(crate) fn give_up<O: Operation>(&self, ticket: Ticket<O>) {
        let key = ticket.key();
        let mut state = self.lock();
        let waker = state.waiting.remove(&key);
        let output = state.ring.take(ticket);
        if output.is_none() {
            let take = move |ring: &mut OwnedRing| Some(Box::new(ring.take(ticket)?) as Box<dyn Any>);
            state.given_up.insert(key, Box::new(take));
            // Refused only while the system takes nothing. Then it ends in its own time.
            let _refused = state.ring.cancel(key);
            state.submit();
        }
        let ended = state.ended();
        drop(state);
        drop((waker, output));
        ended.settle();
    }

    /// Submits what is owed and takes completions out, for the listener.
    fn attend(&self) {
        let mut state = self.lock();
        state.submit();
        let mut ended = state.ended();
        while state.is_engine && state.is_readable() {
            // Clears it, if the queue is empty; what came meanwhile is taken out.
            if state.ring.submitter().get_events().is_err() {
                break;
            }
            ended.append(state.ended());
        }
        drop(state);
        ended.settle();
    }

    /// Remembers whom to wake when something is owed. Whether something is.
    fn listener(&self, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut state = self.lock();
        let replaced = state.listener.replace(waker);
        let owing = state.owing;
        drop(state);
        drop(replaced);
        owing
    }

    /// The listener is gone, with its runtime. Whoever still waits is polled by another one and sees to a new
    /// listener.
    fn unlisten(self: &Arc<Self>) {
        let (waiting, listener) = {
            let mut state = self.lock();
            self.listened_to.store(false, Ordering::Relaxed);
            (std::mem::take(&mut state.waiting), state.listener.take())
        };
        registry::forget(self.runtime, self);
        drop(listener);
        waiting.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock is another's but what makes and completes operations; the table is whole then.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Hands over what was pushed, as far as the system takes it.
    fn submit(&mut self) {
        match self.ring.submit() {
            Ok(_) => self.owing = false,
            Err(error) if is_passing(&error) => {
                self.owing = true;
                if let Some(listener) = &self.listener {
                    listener.wake_by_ref();
                }
            }
            Err(error) => tracing::error!(%error, "a ring does not take operations any more"),
        }
    }

    /// Those that have ended.
    fn ended(&mut self) -> Ended {
        let mut ended = Ended::default();
        while let Some(key) = self.ring.next_finished() {
            if let Some(waker) = self.waiting.remove(&key) {
                ended.wakers.push(waker);
            } else if let Some(take) = self.given_up.remove(&key) {
                // Nobody waits for one that was given up.
                ended.unwanted.extend(take(&mut self.ring));
            }
        }
        ended
    }

    fn is_readable(&self) -> bool {
        let mut looked = [PollFd::new(&self.ring, PollFlags::IN)];
        matches!(poll(&mut looked, Some(&Timespec::default())), Ok(1))
    }
}

/// Whether trying again makes sense: no memory at this moment, completions to be taken first, a signal.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY | libc::EINTR))
}

impl Ended {
    fn append(&mut self, mut more: Self) {
        self.wakers.append(&mut more.wakers);
        self.unwanted.append(&mut more.unwanted);
    }

    /// Wakes, and drops what is unwanted. Never under the lock.
    fn settle(self) {
        self.wakers.into_iter().for_each(Waker::wake);
    }
}

/// The task that listens.
struct Listener {
    /// A duplicate of the ring's. Goes before the ring does.
    descriptor: AsyncFd<OwnedFd>,
    ring: Arc<Ring>,
}

impl Future for Listener {
    type Output = ();

    /// Ends when the runtime does.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let owing = self.ring.listener(cx.waker());
        loop {
            match self.descriptor.poll_read_ready(cx) {
                Poll::Ready(Ok(mut guard)) => {
                    // Before completions are taken: what comes afterwards makes it ready again.
                    guard.clear_ready();
                    self.ring.attend();
                }
                Poll::Ready(Err(_ending)) => return Poll::Ready(()),
                Poll::Pending => {
                    if owing {
                        self.ring.attend();
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ring.unlisten();
    }
}
