//! The program's ends of the two queues: it produces submissions and consumes completions.
//!
//! Which index an end writes, and what each ordering pairs with, stands in the diagram of the folder's
//! `mod.rs`. An end works on a snapshot of the other side's index, and looks again when it is told to.
#![allow(unsafe_code, reason = "shared memory is reached through pointers that RingMemory::new checked")]

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::{RingMemory, Slot, at};

impl RingMemory {
    /// The program's end of the submission queue.
    ///
    /// # Panics
    ///
    /// In debug builds, if `E` is not the size of this ring's entries.
    ///
    /// # Safety
    ///
    /// It is the only one while it lives, and `E` has the size of this ring's entries
    /// ([`RingMemory::sqe_size`]).
    #[must_use]
    #[inline]
    pub unsafe fn sq_producer<E: Slot>(&self) -> SqProducer<'_, E> {
        debug_assert_eq!(size_of::<E>(), self.sqe_size, "size of a submission queue entry");
        let tail = at(self.sq_tail).load(Ordering::Relaxed);
        // Acquire pairs with the back end's Release: it has read the slots below the head.
        let head = at(self.sq_head).load(Ordering::Acquire);
        let (slots, mask) = (self.sqes.cast(), self.sq_entries - 1);
        SqProducer { memory: self, slots, mask, head, tail, published: tail }
    }

    /// The program's end of the completion queue.
    ///
    /// # Panics
    ///
    /// In debug builds, if `E` is not the size of this ring's entries.
    ///
    /// # Safety
    ///
    /// It is the only one while it lives, and `E` has the size of this ring's entries
    /// ([`RingMemory::cqe_size`]).
    #[must_use]
    #[inline]
    pub unsafe fn cq_consumer<E: Slot>(&self) -> CqConsumer<'_, E> {
        debug_assert_eq!(size_of::<E>(), self.cqe_size, "size of a completion queue entry");
        let head = at(self.cq_head).load(Ordering::Relaxed);
        // Acquire pairs with the back end's Release: the entries below the tail are whole.
        let tail = at(self.cq_tail).load(Ordering::Acquire);
        let (slots, mask) = (self.cqes.cast(), self.cq_entries - 1);
        CqConsumer { memory: self, slots, mask, head, tail, published: head }
    }
}

/// The program's end of the submission queue: pushes entries, and publishes them when asked or dropped.
#[derive(Debug)]
pub struct SqProducer<'m, E: Slot> {
    memory: &'m RingMemory,
    /// The entries, and what leaves of an index the number of a slot: copied out of `memory`, as the compiler
    /// cannot know that no entry is written over it.
    slots: NonNull<E>,
    mask: u32,
    head: u32,
    tail: u32,
    published: u32,
}

// SAFETY: `slots` is a part of the memory that `RingMemory` may be sent with; entries are plain data.
unsafe impl<E: Slot + Send> Send for SqProducer<'_, E> {}
// SAFETY: as above; through a shared reference nothing is written.
unsafe impl<E: Slot + Sync> Sync for SqProducer<'_, E> {}

impl<'m, E: Slot> SqProducer<'m, E> {
    /// Copies an entry into the next slot. `false`, and nothing done, if the queue is full.
    #[inline]
    pub fn push(&mut self, entry: &E) -> bool {
        if self.is_full() {
            return false;
        }
        self.write(entry);
        true
    }

    /// Copies all entries, or none: `false` if they do not fit.
    #[inline]
    pub fn push_all(&mut self, entries: &[E]) -> bool {
        if entries.len() > self.room() as usize {
            return false;
        }
        for entry in entries {
            self.write(entry);
        }
        true
    }

    /// Copies an entry of twice the size into two neighbouring slots of a mixed ring. At the ring's
    /// end `filler`, which should be a NOP without completion, takes the odd slot. `false`, and nothing done, if
    /// there is no room.
    pub fn push_wide<W: Slot>(&mut self, entry: &W, filler: &E) -> bool {
        const { assert!(size_of::<W>() == 2 * size_of::<E>(), "a wide entry takes two slots") };
        let at_the_end = self.tail & self.mask == self.mask;
        if self.mask == 0 || self.room() < 2 + u32::from(at_the_end) {
            return false;
        }
        if at_the_end {
            self.write(filler);
        }
        // SAFETY: the slot at the tail and, as it is not the ring's last, the one behind it lie in the ring;
        // both are free, and this is the only producer (`sq_producer`).
        unsafe { self.slot().cast::<W>().write_unaligned(*entry) };
        self.tail = self.tail.wrapping_add(2);
        true
    }

    /// Takes back the entry pushed last, if it was not published yet.
    pub fn pop(&mut self) -> Option<E> {
        if self.tail == self.published {
            return None;
        }
        self.tail = self.tail.wrapping_sub(1);
        // SAFETY: `slot` lies in the ring, and this end wrote the entry and nobody else reads it yet.
        Some(unsafe { self.slot().read() })
    }

    /// Makes what was pushed visible to the back end. Stores nothing if nothing was.
    #[inline]
    pub fn publish(&mut self) {
        if self.tail != self.published {
            // Release pairs with the back end's Acquire: it sees whole entries below the tail.
            at(self.memory.sq_tail).store(self.tail, Ordering::Release);
            self.published = self.tail;
        }
    }

    /// Publishes, and learns how far the back end has come.
    #[inline]
    pub fn sync(&mut self) {
        self.publish();
        // Acquire pairs with the back end's Release: it has read the slots below the head.
        self.head = at(self.memory.sq_head).load(Ordering::Acquire);
    }

    /// Entries pushed and, as far as known, not yet consumed.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> u32 {
        self.tail.wrapping_sub(self.head)
    }

    /// Whether nothing waits to be consumed, as far as known.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.tail == self.head
    }

    /// Whether no slot is free, as far as known.
    #[must_use]
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.len() > self.mask
    }

    /// Free slots, as far as known.
    #[must_use]
    #[inline]
    pub const fn room(&self) -> u32 {
        (self.mask + 1).saturating_sub(self.len())
    }

    /// The memory that this is an end of.
    #[must_use]
    #[inline]
    pub const fn memory(&self) -> &'m RingMemory {
        self.memory
    }

    #[inline]
    fn write(&mut self, entry: &E) {
        // SAFETY: `slot` lies in the ring; the slot at the tail is free, because the callers saw that
        // the queue is not full, and this is the only producer (`sq_producer`).
        unsafe { self.slot().write(*entry) };
        self.tail = self.tail.wrapping_add(1);
    }

    /// Where the entry at the tail lies.
    #[inline]
    const fn slot(&self) -> NonNull<E> {
        let index = (self.tail & self.mask) as usize;
        // SAFETY: a masked index lies below `sq_entries`, and that many entries of E's size (the
        // contract of `sq_producer`) lie here, as `new` checked.
        unsafe { self.slots.add(index) }
    }
}

impl<E: Slot> Drop for SqProducer<'_, E> {
    #[inline]
    fn drop(&mut self) {
        self.publish();
    }
}

/// The program's end of the completion queue: reads entries, and gives their slots back when asked
/// or dropped.
#[derive(Debug)]
pub struct CqConsumer<'m, E: Slot> {
    memory: &'m RingMemory,
    /// The entries, and what leaves of an index the number of a slot: copied out of `memory`, as the compiler
    /// cannot know that nothing writes over it.
    slots: NonNull<E>,
    mask: u32,
    head: u32,
    tail: u32,
    published: u32,
}

// SAFETY: `slots` is a part of the memory that `RingMemory` may be sent with; entries are plain data.
unsafe impl<E: Slot + Send> Send for CqConsumer<'_, E> {}
// SAFETY: as above; through a shared reference nothing is written.
unsafe impl<E: Slot + Sync> Sync for CqConsumer<'_, E> {}

impl<'m, E: Slot> CqConsumer<'m, E> {
    /// Copies out the oldest entry and moves past it.
    #[inline]
    pub fn pop(&mut self) -> Option<E> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: `slot` lies in the ring; below the tail entries are whole and the back end leaves
        // them alone until the head is published past them.
        let entry = unsafe { self.slot(self.head).read() };
        self.head = self.head.wrapping_add(1);
        Some(entry)
    }

    /// The entries that are there, in order, where they lie: the ring's end splits them in two.
    #[must_use]
    #[inline]
    pub fn ready(&self) -> (&[E], &[E]) {
        let first = (self.head & self.mask) as usize;
        let len = self.len() as usize;
        let before_end = len.min(self.mask as usize + 1 - first);
        // SAFETY: a masked index lies inside the ring.
        let from = unsafe { self.slots.add(first) };
        // SAFETY: the slice ends at the ring's end at the latest; its entries are whole, and stay
        // untouched while `self` is borrowed, as only `&mut self` publishes the head.
        let older = unsafe { core::slice::from_raw_parts(from.as_ptr(), before_end) };
        // SAFETY: as above; this is what wrapped around to the ring's start.
        let newer = unsafe { core::slice::from_raw_parts(self.slots.as_ptr(), len - before_end) };
        (older, newer)
    }

    /// Moves past `n` entries, or past all that are there if they are fewer. Returns how many.
    #[inline]
    pub fn advance(&mut self, n: u32) -> u32 {
        let n = n.min(self.len());
        self.head = self.head.wrapping_add(n);
        n
    }

    /// Gives the slots of what was read back to the back end. Stores nothing if nothing was read; says whether something was.
    #[inline]
    pub fn publish(&mut self) -> bool {
        if self.head == self.published {
            return false;
        }
        // Release pairs with the back end's Acquire: this end has finished reading the slots.
        at(self.memory.cq_head).store(self.head, Ordering::Release);
        self.published = self.head;
        true
    }

    /// Publishes, and learns what has arrived.
    #[inline]
    pub fn sync(&mut self) {
        self.publish();
        // Acquire pairs with the back end's Release: the entries below the tail are whole.
        self.tail = at(self.memory.cq_tail).load(Ordering::Acquire);
    }

    /// Entries that are there and unread, as far as known.
    #[must_use]
    #[inline]
    pub fn len(&self) -> u32 {
        // The bound holds against a back end that breaks the protocol.
        self.tail.wrapping_sub(self.head).min(self.mask + 1)
    }

    /// Whether nothing is there, as far as known.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// The memory that this is an end of.
    #[must_use]
    #[inline]
    pub const fn memory(&self) -> &'m RingMemory {
        self.memory
    }

    /// Where the entry of this index lies.
    #[inline]
    const fn slot(&self, index: u32) -> NonNull<E> {
        let index = (index & self.mask) as usize;
        // SAFETY: a masked index lies below `cq_entries`, and that many entries of E's size (the
        // contract of `cq_consumer`) lie here, as `new` checked.
        unsafe { self.slots.add(index) }
    }
}

impl<E: Slot> Drop for CqConsumer<'_, E> {
    #[inline]
    fn drop(&mut self) {
        self.publish();
    }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
