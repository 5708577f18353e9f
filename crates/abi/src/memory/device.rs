//! The device's ends of the two queues, the mirror image of `program.rs`: it consumes submissions and
//! produces completions.
//!
//! Which index an end writes, and what each ordering pairs with, stands in the diagram of the folder's
//! `mod.rs`. Unlike the program's ends these are made once and live as long as the ring: they keep what they
//! know of the indices, and nothing is published by dropping one.
//!
//! Whatever the program writes into its two indices, its array and its entries, these ends touch no
//! memory outside the queues and answer with numbers that are bounded by the sizes of the queues.
#![allow(unsafe_code, reason = "shared memory is reached through pointers that RingMemory::new checked")]

use core::mem::size_of;
use core::sync::atomic::{Ordering, fence};

use super::{RingMemory, at};
use crate::{CqRingFlags, Cqe, Cqe32, CqeFlags, SqRingFlags, Sqe};

impl RingMemory {
    /// The device's end of the submission queue. It goes on from the head that stands in the memory.
    ///
    /// # Safety
    ///
    /// It is the only one that is used while it lives, and the regions outlive it.
    #[must_use]
    pub unsafe fn sq_consumer(&self) -> SqConsumer {
        // SAFETY: the caller keeps the regions for as long as the result lives.
        let memory = unsafe { self.alias() };
        // Relaxed: only the device's side stores the head, and there is one at a time.
        let head = at(memory.sq_head).load(Ordering::Relaxed);
        SqConsumer { memory, head, tail: head, published: head }
    }

    /// The device's end of the completion queue. It goes on from the tail that stands in the memory.
    ///
    /// # Safety
    ///
    /// It is the only one that is used while it lives, and the regions outlive it.
    #[must_use]
    pub unsafe fn cq_producer(&self) -> CqProducer {
        // SAFETY: the caller keeps the regions for as long as the result lives.
        let memory = unsafe { self.alias() };
        // Relaxed: only the device's side stores the tail, and there is one at a time.
        let tail = at(memory.cq_tail).load(Ordering::Relaxed);
        // Acquire pairs with the program's Release: it has read the slots below the head.
        let head = at(memory.cq_head).load(Ordering::Acquire);
        CqProducer { memory, head, tail, published: tail }
    }

    /// Sets or clears flags of the submission ring, which only the device's side writes: several threads of it
    /// at once, hence the read-modify-write.
    fn set_sq_flags(&self, flags: SqRingFlags, on: bool) {
        // Relaxed: the bits say that an enter is worth while and publish no other data. `NEED_WAKEUP` gets
        // its order from two fences: `fence_and_available` and `sq_flags_after_fence`.
        if on {
            at(self.sq_flags).fetch_or(flags.bits(), Ordering::Relaxed);
        } else {
            at(self.sq_flags).fetch_and(!flags.bits(), Ordering::Relaxed);
        }
    }
}

/// An entry that [`SqConsumer::next`] took out of the submission queue.
#[derive(Clone, Copy, Debug)]
pub struct SqEntry {
    /// The entry; of one of 128 bytes, the first half.
    pub sqe: Sqe,
    slot: u32,
}

/// The device's end of the submission queue: copies entries out, and gives their slots back when asked.
#[derive(Debug)]
pub struct SqConsumer {
    memory: RingMemory,
    head: u32,
    tail: u32,
    published: u32,
}

impl SqConsumer {
    /// Entries that are published and not yet taken: never more than the queue holds, whatever the
    /// tail says.
    #[must_use]
    #[inline]
    pub fn available(&self) -> u32 {
        // Acquire pairs with the program's Release: the entries below the tail are whole.
        let tail = at(self.memory.sq_tail).load(Ordering::Acquire);
        tail.wrapping_sub(self.head).min(self.memory.sq_entries)
    }

    /// Copies the next entry out and moves past it.
    ///
    /// `None` ends the batch, as in the kernel: nothing is there, or the slot of the index array names no
    /// entry, which is then counted as dropped and passed over. A program that goes on publishing can
    /// feed this for ever: who loops has a bound of its own ([`available`](Self::available), or the
    /// count that an enter came with).
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "no iterator: a None ends a batch and not the queue")]
    pub fn next(&mut self) -> Option<SqEntry> {
        if self.head == self.tail {
            self.tail = self.head.wrapping_add(self.available());
            if self.head == self.tail {
                return None;
            }
        }
        let place = self.head & (self.memory.sq_entries - 1);
        self.head = self.head.wrapping_add(1);
        let slot = self.entry_at(place)?;
        // SAFETY: `slot` is below `sq_entries`, and that many entries of `sqe_size` bytes lie here, as `new` checked.
        let from = unsafe { self.memory.sqes.byte_add(slot as usize * self.memory.sqe_size) };
        // SAFETY: the slot lies in the ring; below the tail entries are whole, and the program leaves them alone
        // until the head is published past them. One that does not gets a torn entry, of which every
        // bit pattern is valid.
        let sqe = unsafe { from.cast::<Sqe>().read() };
        Some(SqEntry { sqe, slot })
    }

    /// The second half of an entry of 128 bytes; zeros on a ring whose entries have none. To be read before
    /// the entry's slot is given back.
    #[must_use]
    pub fn extra(&self, entry: &SqEntry) -> [u8; 64] {
        const HALF: usize = size_of::<Sqe>();
        if self.memory.sqe_size == HALF {
            return [0; 64];
        }
        let slot = (entry.slot & (self.memory.sq_entries - 1)) as usize;
        // SAFETY: `slot` is masked, so that both halves of its entry lie in the ring.
        let from = unsafe { self.memory.sqes.byte_add(slot * self.memory.sqe_size + HALF) };
        // SAFETY: as in `next`.
        unsafe { from.cast::<[u8; 64]>().read() }
    }

    /// Gives the slots of what was taken back to the program: once per batch, when nothing of the entries is
    /// needed any more. Stores nothing if nothing was taken.
    #[inline]
    pub fn publish(&mut self) {
        if self.head != self.published {
            // Release pairs with the program's Acquire: this end has finished reading the slots.
            at(self.memory.sq_head).store(self.head, Ordering::Release);
            self.published = self.head;
        }
    }

    /// Sets flags that the program reads.
    ///
    /// `NEED_WAKEUP` needs more before the polling thread may sleep: set the flag, then ask
    /// [`fence_and_available`](Self::fence_and_available), and sleep only if nothing is there.
    pub fn set_flags(&self, flags: SqRingFlags) {
        self.memory.set_sq_flags(flags, true);
    }

    /// Clears flags that the program reads.
    pub fn clear_flags(&self, flags: SqRingFlags) {
        self.memory.set_sq_flags(flags, false);
    }

    /// As [`available`](Self::available), ordered after every earlier change of a flag: the second look of a
    /// polling thread that has announced its sleep.
    ///
    /// The program stores the tail, fences, then looks at the flag
    /// ([`RingMemory::sq_flags_after_fence`]). One of both sees the other's store, which only two sequentially
    /// consistent fences give.
    #[must_use]
    pub fn fence_and_available(&self) -> u32 {
        fence(Ordering::SeqCst);
        self.available()
    }

    /// The memory that this is an end of.
    #[must_use]
    pub const fn memory(&self) -> &RingMemory {
        &self.memory
    }

    /// Which entry a place of the queue stands for: the one of the same number, or what the array says.
    #[inline]
    fn entry_at(&self, place: u32) -> Option<u32> {
        let Some(array) = self.memory.sq_array else { return Some(place) };
        // SAFETY: `place` is masked, and `sq_entries` words lie here, as `new` checked.
        let word = unsafe { array.add(place as usize) };
        // Relaxed: the program wrote it before it published the tail. Read once, so that what is
        // checked is what is used.
        let slot = at(word).load(Ordering::Relaxed);
        if slot < self.memory.sq_entries {
            return Some(slot);
        }
        // Relaxed: a counter that only this end writes.
        let dropped = at(self.memory.sq_dropped);
        dropped.store(dropped.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        None
    }
}

/// The device's end of the completion queue: posts entries, and publishes them when asked.
///
/// Publishing is apart from pushing, although its store costs no barrier on x86-64: it is what takes the
/// line of the indices away from a program that polls them on another core, and a batch does that once.
#[derive(Debug)]
pub struct CqProducer {
    memory: RingMemory,
    head: u32,
    tail: u32,
    published: u32,
}

impl CqProducer {
    /// Free places (of 16 bytes on a mixed ring).
    #[must_use]
    #[inline]
    pub fn free(&self) -> u32 {
        self.memory.cq_entries - self.waiting()
    }

    /// Places of completions, published or not, that the program has not given back.
    ///
    /// Never more than the queue holds, whatever the head says; a head beyond the tail counts as one that
    /// caught up, so that a program with a broken index loses completions and nobody waits for it.
    #[must_use]
    #[inline]
    pub fn waiting(&self) -> u32 {
        // Acquire pairs with the program's Release: it has read the slots below the head.
        self.waiting_above(at(self.memory.cq_head).load(Ordering::Acquire))
    }

    /// Copies a completion into the next place. `false`, and nothing posted, if there is no room.
    ///
    /// On a ring of `CQE32` each completion takes `extra` along. On one of `CQE_MIXED` those with
    /// [`CqeFlags::F_32`] do and take two places, which do not wrap: where they would, an entry with
    /// [`CqeFlags::SKIP`] fills the odd place (also if there is no room behind it, as in the kernel). On any
    /// other ring `extra` goes nowhere.
    #[inline]
    pub fn push(&mut self, cqe: &Cqe, extra: [u64; 2]) -> bool {
        if self.memory.cqe_mixed && cqe.flags & CqeFlags::F_32.bits() != 0 {
            return self.push_wide(cqe, extra);
        }
        if !self.has_room(1) {
            return false;
        }
        if self.memory.cqe_size == size_of::<Cqe>() {
            self.write(cqe);
        } else {
            self.write(&Cqe32 { base: *cqe, extra });
        }
        self.tail = self.tail.wrapping_add(1);
        true
    }

    /// Makes what was pushed visible to the program. Stores nothing if nothing was.
    #[inline]
    pub fn publish(&mut self) {
        if self.tail != self.published {
            // Release pairs with the program's Acquire: it sees whole entries below the tail.
            at(self.memory.cq_tail).store(self.tail, Ordering::Release);
            self.published = self.tail;
        }
    }

    /// Tells the program how many completions were lost for good.
    pub fn set_overflow(&self, lost: u32) {
        at(self.memory.cq_overflow).store(lost, Ordering::Relaxed);
    }

    /// Sets flags of the submission ring that tell of completions: `CQ_OVERFLOW`, `TASKRUN`.
    pub fn set_flags(&self, flags: SqRingFlags) {
        self.memory.set_sq_flags(flags, true);
    }

    /// Clears flags of the submission ring that tell of completions.
    pub fn clear_flags(&self, flags: SqRingFlags) {
        self.memory.set_sq_flags(flags, false);
    }

    /// Whether the program wants no signal on its registered eventfd now.
    #[must_use]
    #[inline]
    pub fn eventfd_disabled(&self) -> bool {
        self.memory.cq_flags().is_some_and(|flags| flags.contains(CqRingFlags::EVENTFD_DISABLED))
    }

    /// The memory that this is an end of.
    #[must_use]
    pub const fn memory(&self) -> &RingMemory {
        &self.memory
    }

    /// A completion of two places on a mixed ring.
    fn push_wide(&mut self, cqe: &Cqe, extra: [u64; 2]) -> bool {
        let last = self.memory.cq_entries - 1;
        if self.tail & last == last {
            if !self.has_room(1) {
                return false;
            }
            self.write(&Cqe { user_data: 0, res: 0, flags: CqeFlags::SKIP.bits() });
            self.tail = self.tail.wrapping_add(1);
        }
        // On a ring of one place the tail is at its end again, but there is no room for two either.
        if !self.has_room(2) {
            return false;
        }
        self.write(&Cqe32 { base: *cqe, extra });
        self.tail = self.tail.wrapping_add(2);
        true
    }

    /// Whether so many places are free. Looks at the program's index only if those known of do not suffice.
    #[inline]
    fn has_room(&mut self, places: u32) -> bool {
        let entries = self.memory.cq_entries;
        if entries - self.waiting_above(self.head) >= places {
            return true;
        }
        // Acquire pairs with the program's Release: it has read the slots below the head.
        self.head = at(self.memory.cq_head).load(Ordering::Acquire);
        entries - self.waiting_above(self.head) >= places
    }

    /// Places between a head and the tail, as [`waiting`](Self::waiting) counts them.
    #[inline]
    fn waiting_above(&self, head: u32) -> u32 {
        let ahead = self.tail.wrapping_sub(head);
        if ahead.cast_signed() < 0 { 0 } else { ahead.min(self.memory.cq_entries) }
    }

    /// Writes an entry from the place at the tail on. The caller has seen that it fits there: that so many places
    /// are free, and that a completion of two does not start at the last.
    #[inline]
    fn write<E: super::Slot>(&self, entry: &E) {
        let place = (self.tail & (self.memory.cq_entries - 1)) as usize;
        // SAFETY: a masked index lies below `cq_entries`, and that many entries of `cqe_size` lie here, as `new`
        // checked.
        let slot = unsafe { self.memory.cqes.byte_add(place * self.memory.cqe_size) };
        // SAFETY: the entry ends inside the ring and its places are free, as every caller has seen; this is
        // the only producer (`cq_producer`), and `new` checked the alignment.
        unsafe { slot.cast::<E>().write(*entry) };
    }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
