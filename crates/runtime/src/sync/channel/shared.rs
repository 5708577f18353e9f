//! The channel itself: the items that wait in it, and who waits for an item or for room. Written over
//! [`sync`](super::sync), and checked with loom.
//!
//! One lock, under which everything is decided: whoever does not find what it wants is in the list of those who wait before
//! the lock is free again, and whoever brings that looks into the list under the same lock. What is brought is given to the
//! first of the list at once, as a permit: later ones do not overtake, and a future that is dropped with its permit
//! unused passes it on. Wakers are called, and items and wakers dropped, without the lock.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::error::{TryRecvError, TrySendError};
use super::sync::{self, Mutex, MutexGuard};

/// What the ends of a channel share. It begins with one sender and one receiver.
pub(super) struct Shared<T> {
    state: Mutex<State<T>>,
    capacity: usize,
}

struct State<T> {
    items: VecDeque<T>,
    /// Nothing is put in any more, and nobody waits: what is in it is taken without permits.
    closed: bool,
    senders: usize,
    receivers: usize,
    /// To put an item in: one for each place that is free.
    places: Permits,
    /// To take an item out: one for each item.
    taking: Permits,
}

/// Permits that nobody has, or those who wait for one: never both.
struct Permits {
    free: usize,
    /// By their numbers, so in the order in which they came. Who has a number and is not in here was given a permit.
    waiting: BTreeMap<u64, Waker>,
    numbered: u64,
}

/// What came of the wish for a permit.
enum Asked {
    Given,
    /// It waits; with the waker of an earlier poll, to be dropped without the lock.
    Waits(Option<Waker>),
}

impl<T> Shared<T> {
    /// An empty channel in which so many items may wait.
    pub(super) fn new(capacity: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            closed: false,
            senders: 1,
            receivers: 1,
            places: Permits::new(capacity),
            taking: Permits::new(0),
        };
        Self { state: Mutex::new(state), capacity }
    }

    /// Waits for a place, and puts an item into it; gives it back if the channel is closed.
    pub(super) const fn put(&self, item: T) -> Put<'_, T> {
        Put { shared: self, item: Some(item), number: None }
    }

    /// Puts an item in, if there is a place for which nobody waits.
    pub(super) fn try_put(&self, item: T) -> Result<(), TrySendError<T>> {
        let mut state = self.lock();
        if state.closed {
            return Err(TrySendError::Closed(item));
        }
        if !state.places.take() {
            return Err(TrySendError::Full(item));
        }
        wake(state.put(item), state);
        Ok(())
    }

    /// Waits for an item, and takes it out; `None` if the channel is closed and empty.
    pub(super) const fn take(&self) -> Take<'_, T> {
        Take { shared: self, number: None }
    }

    /// Takes an item out, if there is one for which nobody waits.
    pub(super) fn try_take(&self) -> Result<T, TryRecvError> {
        let mut state = self.lock();
        if !state.closed && !state.taking.take() {
            return Err(TryRecvError::Empty);
        }
        let (item, waker) = state.take();
        wake(waker, state);
        item.ok_or(TryRecvError::Closed)
    }

    /// Lets nothing in any more. Whoever waits is told.
    pub(super) fn close(&self) {
        close(self.lock());
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// How many items wait.
    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// How many may.
    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn add_sender(&self) {
        self.lock().senders += 1;
    }

    /// The last one closes.
    pub(super) fn remove_sender(&self) {
        let mut state = self.lock();
        state.senders -= 1;
        if state.senders == 0 {
            close(state);
        }
    }

    pub(super) fn add_receiver(&self) {
        self.lock().receivers += 1;
    }

    /// The last one closes, and drops what nobody can take any more.
    pub(super) fn remove_receiver(&self) {
        let mut state = self.lock();
        state.receivers -= 1;
        if state.receivers == 0 {
            let rest = std::mem::take(&mut state.items);
            close(state);
            drop(rest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        sync::lock(&self.state)
    }
}

impl<T> State<T> {
    /// Puts an item into the place of a permit. Returns whom to wake.
    fn put(&mut self, item: T) -> Option<Waker> {
        self.items.push_back(item);
        self.taking.give()
    }

    /// Takes out the item of a permit, or, if the channel is closed, one that is left; with whom to wake.
    fn take(&mut self) -> (Option<T>, Option<Waker>) {
        match self.items.pop_front() {
            Some(item) => (Some(item), self.places.give()),
            None => (None, None),
        }
    }
}

impl Permits {
    const fn new(free: usize) -> Self {
        Self { free, waiting: BTreeMap::new(), numbered: 0 }
    }

    /// One more: it is given to the first who waits. Returns whom to wake.
    fn give(&mut self) -> Option<Waker> {
        let first = self.waiting.pop_first();
        if first.is_none() {
            self.free += 1;
        }
        first.map(|(_, waker)| waker)
    }

    /// Whether one was free, which the caller has now.
    const fn take(&mut self) -> bool {
        let is_free = self.free > 0;
        if is_free {
            self.free -= 1;
        }
        is_free
    }

    /// Waits for one, under this number once it has one.
    fn ask(&mut self, number: &mut Option<u64>, cx: &Context<'_>) -> Asked {
        match *number {
            None if self.take() => Asked::Given,
            None => {
                let waker = cx.waker().clone();
                self.numbered += 1;
                *number = Some(self.numbered);
                self.waiting.insert(self.numbered, waker);
                Asked::Waits(None)
            }
            Some(mine) => match self.waiting.get_mut(&mine) {
                None => {
                    *number = None;
                    Asked::Given
                }
                Some(waker) if waker.will_wake(cx.waker()) => Asked::Waits(None),
                Some(waker) => Asked::Waits(Some(std::mem::replace(waker, cx.waker().clone()))),
            },
        }
    }

    /// Who has this number waits no more, and passes on what it was given. Returns its own waker, and whom to wake.
    fn give_up(&mut self, number: u64) -> (Option<Waker>, Option<Waker>) {
        let own = self.waiting.remove(&number);
        let next = if own.is_none() { self.give() } else { None };
        (own, next)
    }
}

fn close<T>(mut state: MutexGuard<'_, State<T>>) {
    state.closed = true;
    let putting = std::mem::take(&mut state.places.waiting);
    let taking = std::mem::take(&mut state.taking.waiting);
    drop(state);
    putting.into_values().chain(taking.into_values()).for_each(Waker::wake);
}

fn wake<T>(waker: Option<Waker>, state: MutexGuard<'_, State<T>>) {
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The wait of [`Shared::put`].
pub(super) struct Put<'a, T> {
    shared: &'a Shared<T>,
    /// Until it was put in or given back.
    item: Option<T>,
    /// While it waits, or was given a place and does not know it.
    number: Option<u64>,
}

/// Nothing points into it: the item is only moved.
impl<T> Unpin for Put<'_, T> {}

impl<T> Future for Put<'_, T> {
    type Output = Result<(), T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut state = this.shared.lock();
        if state.closed {
            drop(state);
            this.number = None;
            return Poll::Ready(Err(this.take_item()));
        }
        if let Asked::Waits(before) = state.places.ask(&mut this.number, cx) {
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        wake(state.put(this.take_item()), state);
        Poll::Ready(Ok(()))
    }
}

impl<T> Put<'_, T> {
    fn take_item(&mut self) -> T {
        self.item.take().expect("a send is not polled after it has ended")
    }
}

impl<T> Drop for Put<'_, T> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let mut state = self.shared.lock();
            let (own, next) = state.places.give_up(number);
            wake(next, state);
            drop(own);
        }
    }
}

/// The wait of [`Shared::take`].
pub(super) struct Take<'a, T> {
    shared: &'a Shared<T>,
    /// As in [`Put`].
    number: Option<u64>,
}

impl<T> Future for Take<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        let mut state = this.shared.lock();
        if state.closed {
            this.number = None;
        } else if let Asked::Waits(before) = state.taking.ask(&mut this.number, cx) {
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        let (item, waker) = state.take();
        wake(waker, state);
        Poll::Ready(item)
    }
}

impl<T> Drop for Take<'_, T> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let mut state = self.shared.lock();
            let (own, next) = state.taking.give_up(number);
            wake(next, state);
            drop(own);
        }
    }
}
