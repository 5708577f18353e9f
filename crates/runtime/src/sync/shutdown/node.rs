//! How far a shutdown is, who holds it up and who waits for what, in a tree. Written over [`sync`](super::sync), and checked
//! with loom.
//!
//! A lock for each node, of which a thread holds one at a time, for a few instructions, and calls no waker under it, so that it
//! works across shards. Whoever waits looks and is entered under one lock, and whoever changes something looks for those who
//! wait under the same. A child is made, and is as far as its parent, under the lock of the parent, under which the parent's
//! own stage changes.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use super::sync::{self, Mutex, MutexGuard};

/// A shutdown, or one of its children.
pub(super) struct Node {
    state: Mutex<State>,
    /// The parent, and which of its children this is.
    parent: Option<(Arc<Self>, u64)>,
}

struct State {
    stage: Stage,
    /// Those of the children included.
    guards: usize,
    waiting: BTreeMap<u64, Waiting>,
    children: BTreeMap<u64, Weak<Node>>,
    numbered: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Running,
    Requested,
    Cancelled,
}

struct Waiting {
    event: Event,
    waker: Waker,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// This stage, or a later one.
    Stage(Stage),
    Drained,
}

impl Node {
    /// One without a parent, which runs.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::new(Stage::Running)), parent: None })
    }

    /// A child, which is as far as this is.
    pub(super) fn child(self: &Arc<Self>) -> Arc<Self> {
        let mut state = self.lock();
        let number = state.number();
        let inherited = State::new(state.stage);
        let child = Arc::new(Self { state: Mutex::new(inherited), parent: Some((self.clone(), number)) });
        state.children.insert(number, Arc::downgrade(&child));
        child
    }

    /// Reaches a stage, with all below it, and wakes those who wait for it.
    pub(super) fn enter(self: &Arc<Self>, stage: Stage) {
        let mut left = vec![self.clone()];
        while let Some(node) = left.pop() {
            let mut state = node.lock();
            // If it is there already, then its children are too.
            if state.stage >= stage {
                continue;
            }
            state.stage = stage;
            left.extend(state.children.values().filter_map(Weak::upgrade));
            wake(state);
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.lock().stage
    }

    /// How many guards there are, those of its children included.
    pub(super) fn guards(&self) -> usize {
        self.lock().guards
    }

    /// A guard more, here and above.
    pub(super) fn hold(&self) {
        for node in self.ancestry() {
            node.lock().guards += 1;
        }
    }

    /// A guard less, here and above.
    pub(super) fn release(&self) {
        for node in self.ancestry() {
            let mut state = node.lock();
            state.guards -= 1;
            if state.guards == 0 {
                wake(state);
            }
        }
    }

    /// Waits for an event.
    pub(super) fn wait(self: &Arc<Self>, event: Event) -> Wait {
        Wait { node: self.clone(), event, number: None }
    }

    /// This one, its parent, and so on.
    fn ancestry(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |node| node.parent.as_ref().map(|(parent, _)| &**parent))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        sync::lock(&self.state)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some((parent, number)) = &self.parent {
            // The last reference is gone, so nobody has this upgraded.
            let gone = parent.lock().children.remove(number);
            drop(gone);
        }
    }
}

impl State {
    const fn new(stage: Stage) -> Self {
        Self { stage, guards: 0, waiting: BTreeMap::new(), children: BTreeMap::new(), numbered: 0 }
    }

    fn has_come(&self, event: Event) -> bool {
        match event {
            Event::Stage(stage) => self.stage >= stage,
            Event::Drained => self.guards == 0,
        }
    }

    /// A number of its own, for who waits and for children.
    const fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }
}

/// Wakes those whose event has come, without the lock.
fn wake(mut state: MutexGuard<'_, State>) {
    let all = std::mem::take(&mut state.waiting);
    let (woken, others): (BTreeMap<_, _>, _) =
        all.into_iter().partition(|(_, waiting)| state.has_come(waiting.event));
    state.waiting = others;
    drop(state);
    for (_, waiting) in woken {
        waiting.waker.wake();
    }
}

/// The wait for an event.
pub(super) struct Wait {
    node: Arc<Node>,
    event: Event,
    number: Option<u64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.node.lock();
        if state.has_come(this.event) {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let number = *this.number.get_or_insert_with(|| state.number());
        let old = state.waiting.insert(number, Waiting { event: this.event, waker });
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let gone = self.node.lock().waiting.remove(&number);
            drop(gone);
        }
    }
}
