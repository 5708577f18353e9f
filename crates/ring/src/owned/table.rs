//! The operations that a ring keeps, from push to their last completion and until their result is taken.
//!
//! An operation in flight is held by a raw pointer: the kernel works on its memory, and a `Box` that is
//! moved would claim that nobody does. It becomes a `Box` again with its last completion. What is still in
//! flight when the table is dropped is leaked.
#![allow(
    unsafe_code,
    reason = "operations in flight are held by pointer, because the kernel uses their memory"
)]

use std::any::{Any, TypeId};
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::{Multishot, Operation};
use crate::{cqueue, squeue};

/// Which operation of a ring: an index, and a generation that makes it different from all that used the
/// index before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

impl Key {
    const fn new(index: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | index as u64)
    }

    /// No operation has this one: it is for requests that the ring makes itself.
    pub(super) const INTERNAL: Self = Self(u64::MAX);

    fn index(self) -> usize {
        usize::try_from(self.0 & u64::from(u32::MAX)).unwrap_or(usize::MAX)
    }

    fn generation(self) -> u32 {
        u32::try_from(self.0 >> 32).unwrap_or(u32::MAX)
    }
}

/// What a ring gives for an operation: good for taking its result, once.
pub struct Ticket<O> {
    key: Key,
    operation: PhantomData<fn() -> O>,
}

impl<O> Ticket<O> {
    /// The key, by which [`OwnedRing::next_finished`](super::OwnedRing::next_finished) names the operation.
    #[must_use]
    pub const fn key(self) -> Key {
        self.key
    }
}

impl<O> Clone for Ticket<O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for Ticket<O> {}

impl<O> PartialEq for Ticket<O> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<O> Eq for Ticket<O> {}

impl<O> Hash for Ticket<O> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<O> fmt::Debug for Ticket<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.key).finish()
    }
}

/// An operation whose type is not known any more.
trait Erased: Send {
    fn operation_type(&self) -> TypeId;

    /// # Safety
    ///
    /// That of [`Operation::more`].
    unsafe fn more(&mut self, cqe: &cqueue::Entry);

    fn items(&self) -> usize;

    fn drop_items(&mut self);

    /// Completes the operation and drops what comes of it: a file is closed, a buffer freed.
    ///
    /// # Safety
    ///
    /// That of [`Operation::complete`].
    unsafe fn finish(self: Box<Self>, cqe: &cqueue::Entry);

    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<O: Operation> Erased for O {
    fn operation_type(&self) -> TypeId {
        TypeId::of::<O>()
    }

    unsafe fn more(&mut self, cqe: &cqueue::Entry) {
        // SAFETY: the contract of this function.
        unsafe { Operation::more(self, cqe) };
    }

    fn items(&self) -> usize {
        Operation::items(self)
    }

    fn drop_items(&mut self) {
        Operation::drop_items(self);
    }

    unsafe fn finish(self: Box<Self>, cqe: &cqueue::Entry) {
        // SAFETY: the contract of this function.
        drop(unsafe { self.complete(cqe) });
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

enum State {
    Free,
    /// The kernel has it, or is about to get it.
    InFlight {
        operation: NonNull<dyn Erased>,
        detached: bool,
    },
    /// The last completion has come, and nobody has taken the result yet.
    Finished {
        operation: Box<dyn Erased>,
        cqe: cqueue::Entry,
    },
}

struct Slot {
    generation: u32,
    state: State,
}

/// The operations of one ring.
pub(super) struct Table {
    /// Mixed into the user data of entries, so that a completion which somebody else posts on the ring (a
    /// `MSG_RING`) does not pass for that of an operation.
    secret: u64,
    slots: Vec<Slot>,
    free: Vec<u32>,
    in_flight: usize,
    finished: VecDeque<Key>,
}

// SAFETY: an operation in flight is reached through its pointer by the table alone, and is `Send` itself.
unsafe impl Send for Table {}

impl Table {
    pub(super) fn new() -> Self {
        let secret = RandomState::new().hash_one(0);
        Self { secret, slots: Vec::new(), free: Vec::new(), in_flight: 0, finished: VecDeque::new() }
    }

    /// As the user data of an entry.
    pub(super) const fn user_data(&self, key: Key) -> u64 {
        key.0 ^ self.secret
    }

    const fn key_of(&self, user_data: u64) -> Key {
        Key(user_data ^ self.secret)
    }

    /// How many operations have not had their last completion.
    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The keys of those operations.
    pub(super) fn keys_in_flight(&self) -> impl Iterator<Item = Key> + '_ {
        (0..).zip(&self.slots).filter_map(|(index, slot)| match slot.state {
            State::InFlight { .. } => Some(Key::new(index, slot.generation)),
            _ => None,
        })
    }

    /// Keeps an operation. Its entry, which carries the key, must be submitted or [withdrawn](Self::withdraw).
    pub(super) fn insert<O: Operation>(&mut self, operation: O) -> (Ticket<O>, squeue::Entry) {
        let place = Box::into_raw(Box::new(operation));
        // SAFETY: just allocated, and nobody else knows it yet.
        let entry = unsafe { &mut *place }.entry();
        // SAFETY: a box is never null.
        let operation = unsafe { NonNull::new_unchecked(place as *mut dyn Erased) };
        let index = self.free.pop().unwrap_or_else(|| self.grow());
        let slot = &mut self.slots[index as usize];
        slot.state = State::InFlight { operation, detached: false };
        self.in_flight += 1;
        let key = Key::new(index, slot.generation);
        (Ticket { key, operation: PhantomData }, entry.user_data(self.user_data(key)))
    }

    /// Frees an operation whose entry was never handed over.
    ///
    /// # Safety
    ///
    /// The kernel has not seen the entry and will not.
    pub(super) unsafe fn withdraw(&mut self, user_data: u64) {
        let Some(index) = self.find(self.key_of(user_data)) else { return };
        if let State::InFlight { operation, .. } = self.slots[index].state {
            self.release(index);
            self.in_flight -= 1;
            // SAFETY: it was made by `insert`, is not in the table any more, and nobody else uses it (contract).
            drop(unsafe { Box::from_raw(operation.as_ptr()) });
        }
    }

    /// Takes note of a completion. Those that belong to no operation are passed over. Names an operation
    /// of which `bound` items or more wait to be taken.
    ///
    /// # Safety
    ///
    /// It was posted by the kernel for the entry whose user data it carries.
    pub(super) unsafe fn post(&mut self, cqe: cqueue::Entry, bound: usize) -> Option<Key> {
        let key = self.key_of(cqe.user_data());
        let index = self.find(key)?;
        let State::InFlight { mut operation, detached } = self.slots[index].state else { return None };
        if cqe.has_more() {
            // SAFETY: it lives until its last completion, and only the table reaches it.
            let operation = unsafe { operation.as_mut() };
            // SAFETY: the contract of this function, and the flag is there.
            unsafe { operation.more(&cqe) };
            if detached {
                operation.drop_items();
            }
            return (operation.items() >= bound).then_some(key);
        }
        self.in_flight -= 1;
        // SAFETY: it was made by `insert`, and with the last completion the kernel is done with it.
        let operation = unsafe { Box::from_raw(operation.as_ptr()) };
        if detached {
            self.release(index);
            // SAFETY: the contract of this function; it is the last completion.
            unsafe { operation.finish(&cqe) };
        } else {
            self.slots[index].state = State::Finished { operation, cqe };
            self.remember_finished(key);
        }
        None
    }

    /// The operation that finished first among those not yet named and not yet taken.
    pub(super) fn next_finished(&mut self) -> Option<Key> {
        while let Some(key) = self.finished.pop_front() {
            if self.is_finished(key) {
                return Some(key);
            }
        }
        None
    }

    /// Whether the operation has had its last completion and its result was not taken.
    pub(super) fn is_finished(&self, key: Key) -> bool {
        self.find(key).is_some_and(|index| matches!(self.slots[index].state, State::Finished { .. }))
    }

    /// Whether the operation is here: in flight, or finished and not taken.
    pub(super) fn contains(&self, key: Key) -> bool {
        self.find(key).is_some()
    }

    /// Takes the result out, if it is there.
    pub(super) fn take<O: Operation>(&mut self, ticket: Ticket<O>) -> Option<O::Output> {
        let index = self.find(ticket.key)?;
        match &self.slots[index].state {
            State::Finished { operation, .. } => assert_type::<O>(operation.as_ref()),
            _ => return None,
        }
        let State::Finished { operation, cqe } = self.release(index) else { return None };
        let operation = operation.into_any().downcast::<O>().ok()?;
        // SAFETY: `post` stored the operation's own last completion beside it.
        Some(unsafe { operation.complete(&cqe) })
    }

    /// Takes the oldest item out of a multishot operation that is in flight.
    pub(super) fn take_item<O: Multishot>(&mut self, ticket: Ticket<O>) -> Option<O::Item> {
        let index = self.find(ticket.key)?;
        let State::InFlight { operation, .. } = self.slots[index].state else { return None };
        // SAFETY: it lives until its last completion, and only the table reaches it.
        assert_type::<O>(unsafe { operation.as_ref() });
        // SAFETY: as above, and it is an `O`.
        unsafe { operation.cast::<O>().as_mut() }.take_item()
    }

    /// Lets the result be dropped when it comes, or now if it is there.
    pub(super) fn detach(&mut self, key: Key) {
        let Some(index) = self.find(key) else { return };
        if let State::InFlight { operation, detached } = &mut self.slots[index].state {
            *detached = true;
            // SAFETY: it lives until its last completion, and only the table reaches it.
            unsafe { operation.as_mut() }.drop_items();
        } else if let State::Finished { operation, cqe } = self.release(index) {
            // SAFETY: `post` stored the operation's own last completion beside it.
            unsafe { operation.finish(&cqe) };
        }
    }

    fn find(&self, key: Key) -> Option<usize> {
        let index = key.index();
        let slot = self.slots.get(index)?;
        let here = slot.generation == key.generation() && !matches!(slot.state, State::Free);
        here.then_some(index)
    }

    /// Frees a slot; its key will not be found again.
    fn release(&mut self, index: usize) -> State {
        let slot = &mut self.slots[index];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(u32::try_from(index).unwrap_or(u32::MAX));
        std::mem::replace(&mut slot.state, State::Free)
    }

    fn grow(&mut self) -> u32 {
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        assert!(index < u32::MAX, "{index} operations on one ring");
        self.slots.push(Slot { generation: 0, state: State::Free });
        index
    }

    /// Names of operations that were taken without being asked for do not pile up.
    fn remember_finished(&mut self, key: Key) {
        if self.finished.len() > 2 * self.slots.len() {
            let mut finished = std::mem::take(&mut self.finished);
            finished.retain(|key| self.is_finished(*key));
            self.finished = finished;
        }
        self.finished.push_back(key);
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        for slot in &mut self.slots {
            if let State::Finished { operation, cqe } = std::mem::replace(&mut slot.state, State::Free) {
                // SAFETY: `post` stored the operation's own last completion beside it.
                unsafe { operation.finish(&cqe) };
            }
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let finished = self.slots.iter().filter(|slot| matches!(slot.state, State::Finished { .. })).count();
        f.debug_struct("Table").field("in_flight", &self.in_flight).field("finished", &finished).finish()
    }
}

/// A key alone does not say of which ring it is.
fn assert_type<O: Operation>(operation: &dyn Erased) {
    assert!(operation.operation_type() == TypeId::of::<O>(), "a ticket of another ring");
}
