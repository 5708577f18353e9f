//! Which buffer is where: the bookkeeping of a buffer ring, as pure decisions.
//!
//! A buffer is with the kernel, with the program, or idle. A completion names the first buffer that it
//! used, and the others of a bundle are those that were added after it, so the order of adding is kept. With
//! incremental use a buffer is handed out piece by piece, and comes back when the kernel is done with it
//! and no piece is held. No memory is touched here, and no call is made.

use std::cell::Cell;

/// What is known of one ring's buffers, whose numbers are 0 to `entries - 1`.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Box<[Slot]>,
    /// The buffer that was added at each place of the ring.
    order: Box<[Cell<u16>]>,
    /// How many buffers were added, modulo 2^16.
    tail: Cell<u16>,
    /// The top of the idle buffers' list.
    idle: Cell<Option<u16>>,
}

#[derive(Debug, Default)]
struct Slot {
    with_kernel: Cell<bool>,
    /// The tail at which it was added.
    position: Cell<u16>,
    /// How many bytes it was added with.
    len: Cell<u32>,
    /// How many of them were handed out.
    used: Cell<u32>,
    /// A completion named it that brought nothing: it may have been used up.
    doubtful: Cell<bool>,
    /// How many pieces of it the program holds.
    pieces: Cell<u32>,
    /// The next buffer of the same completion, or the next idle one.
    link: Cell<Option<u16>>,
}

/// The bytes of one completion: pieces of neighbouring buffers, linked in their slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u16,
    /// Where the first piece starts in its buffer; others start at 0.
    pub(super) start: u32,
    /// All bytes together.
    pub(super) len: u32,
    /// How many buffers they lie in.
    pub(super) pieces: u16,
}

impl Slots {
    /// All buffers idle.
    pub(super) fn new(entries: u16) -> Self {
        let slots: Box<[Slot]> = (0..entries).map(|_| Slot::default()).collect();
        let order = (0..entries).map(|_| Cell::new(0)).collect();
        let all = Self { slots, order, tail: Cell::new(0), idle: Cell::new(None) };
        (0..entries).rev().for_each(|bid| all.make_idle(bid));
        all
    }

    pub(super) fn entries(&self) -> u16 {
        // As many as `new` was given.
        u16::try_from(self.slots.len()).unwrap_or(u16::MAX)
    }

    /// How many buffers were added, modulo 2^16: what the kernel is to see as the tail.
    #[inline]
    pub(super) fn tail(&self) -> u16 {
        self.tail.get()
    }

    /// Puts a buffer that the program has at the end of the ring. Returns the place.
    #[inline]
    pub(super) fn add(&self, bid: u16, len: u32) -> u16 {
        let slot = self.slot(bid);
        let position = self.tail.get();
        slot.with_kernel.set(true);
        slot.doubtful.set(false);
        slot.position.set(position);
        slot.len.set(len);
        slot.used.set(0);
        let place = position & (self.entries() - 1);
        self.order[usize::from(place)].set(bid);
        self.tail.set(position.wrapping_add(1));
        place
    }

    /// Takes an idle buffer, if there is one.
    pub(super) fn take_idle(&self) -> Option<u16> {
        let bid = self.idle.get()?;
        self.idle.set(self.slot(bid).link.get());
        Some(bid)
    }

    pub(super) fn make_idle(&self, bid: u16) {
        self.slot(bid).link.set(self.idle.get());
        self.idle.set(Some(bid));
    }

    /// Notes that a completion named a buffer and brought nothing. Returns its bytes, which are none.
    pub(super) fn doubt(&self, bid: u16) -> Span {
        assert!(
            bid < self.entries(),
            "buffer {bid} of a ring of {}: another ring's completion",
            self.entries()
        );
        self.slot(bid).doubtful.set(true);
        Span { first: bid, start: 0, len: 0, pieces: 0 }
    }

    /// Takes the buffers in doubt that the kernel is past, as of its head, for used up. Calls `free` with each
    /// that nobody has any more. No completion that names one is still to come.
    pub(super) fn settle(&self, head: u16, mut free: impl FnMut(u16)) {
        for bid in 0..self.entries() {
            let slot = self.slot(bid);
            if !slot.doubtful.replace(false) || !slot.with_kernel.get() || !self.is_behind(bid, head) {
                continue;
            }
            slot.with_kernel.set(false);
            if slot.pieces.get() == 0 {
                free(bid);
            }
        }
    }

    /// Whether the kernel is past a buffer, as of its head.
    fn is_behind(&self, bid: u16, head: u16) -> bool {
        let distance = head.wrapping_sub(self.slot(bid).position.get());
        // A buffer that is still there lies less than a ring's length ahead of the head.
        (1..=self.entries()).contains(&distance)
    }

    /// Hands out the `len` bytes that the kernel put into `first` and the buffers after it. `finished`
    /// says that the kernel will not put more into the last of them.
    ///
    /// # Panics
    ///
    /// If the kernel cannot have done so: the buffer is not with it, or too few follow.
    pub(super) fn take(&self, first: u16, len: u32, finished: bool) -> Span {
        assert!(
            first < self.entries(),
            "buffer {first} of a ring of {}: another ring's completion",
            self.entries()
        );
        let start = self.slot(first).used.get();
        let (mut bid, mut left, mut pieces) = (first, len, 0);
        loop {
            let slot = self.slot(bid);
            assert!(
                slot.with_kernel.get(),
                "buffer {bid} is not with the kernel: a completion was handed in twice"
            );
            let piece = left.min(slot.len.get() - slot.used.get());
            left -= piece;
            pieces += 1;
            slot.used.set(slot.used.get() + piece);
            slot.pieces.set(slot.pieces.get() + 1);
            slot.with_kernel.set(left == 0 && !finished);
            slot.doubtful.set(false);
            if left == 0 {
                return Span { first, start, len, pieces };
            }
            let next = slot.position.get().wrapping_add(1);
            assert!(
                next != self.tail.get(),
                "{left} of {len} bytes lie beyond the last buffer: another ring's completion"
            );
            bid = self.order[usize::from(next & (self.entries() - 1))].get();
            slot.link.set(Some(bid));
        }
    }

    /// The pieces of a span that is held: buffer, first byte, number of bytes.
    pub(super) fn pieces(&self, span: Span) -> impl Iterator<Item = (u16, u32, u32)> {
        let (mut bid, mut start, mut left, mut pieces) = (span.first, span.start, span.len, span.pieces);
        std::iter::from_fn(move || {
            pieces = pieces.checked_sub(1)?;
            let slot = self.slot(bid);
            let piece = (bid, start, left.min(slot.len.get() - start));
            left -= piece.2;
            if pieces > 0 {
                (bid, start) = (slot.link.get().unwrap_or(bid), 0);
            }
            Some(piece)
        })
    }

    /// Gives up a span. Calls `free` with each buffer that nobody has any more.
    pub(super) fn release(&self, span: Span, mut free: impl FnMut(u16)) {
        let mut bid = span.first;
        for _ in 0..span.pieces {
            let slot = self.slot(bid);
            // Before the buffer is added again, which may link it anew.
            let next = slot.link.get();
            slot.pieces.set(slot.pieces.get() - 1);
            if slot.pieces.get() == 0 && !slot.with_kernel.get() {
                free(bid);
            }
            bid = next.unwrap_or(bid);
        }
    }

    #[inline]
    fn slot(&self, bid: u16) -> &Slot {
        &self.slots[usize::from(bid)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring of `entries` buffers of 100 bytes, all added.
    fn all_added(entries: u16) -> Slots {
        let slots = Slots::new(entries);
        while let Some(bid) = slots.take_idle() {
            slots.add(bid, 100);
        }
        slots
    }

    fn freed(slots: &Slots, span: Span) -> Vec<u16> {
        let mut all = Vec::new();
        slots.release(span, |bid| all.push(bid));
        all
    }

    #[test]
    fn buffers_are_idle_at_first_and_handed_out_in_order() {
        let slots = Slots::new(4);
        let order: Vec<u16> = std::iter::from_fn(|| slots.take_idle()).collect();
        assert_eq!(order, [0, 1, 2, 3]);
        assert_eq!(slots.tail(), 0);
        slots.make_idle(2);
        assert_eq!((slots.take_idle(), slots.take_idle()), (Some(2), None));
    }

    #[test]
    fn one_buffer_comes_and_goes() {
        let slots = all_added(4);
        let span = slots.take(1, 30, true);
        assert_eq!(span, Span { first: 1, start: 0, len: 30, pieces: 1 });
        assert_eq!(slots.pieces(span).collect::<Vec<_>>(), [(1, 0, 30)]);
        assert_eq!(freed(&slots, span), [1]);
    }

    #[test]
    fn a_bundle_runs_through_the_buffers_in_the_order_of_adding() {
        let slots = all_added(4);
        for bid in [2, 0, 1] {
            let span = slots.take(bid, 1, true);
            assert_eq!(freed(&slots, span), [bid]);
            slots.add(bid, 100);
        }
        // The order is now 3, 2, 0, 1.
        let span = slots.take(3, 250, true);
        assert_eq!(slots.pieces(span).collect::<Vec<_>>(), [(3, 0, 100), (2, 0, 100), (0, 0, 50)]);
        assert_eq!(freed(&slots, span), [3, 2, 0]);
    }

    #[test]
    fn a_bundle_that_ends_with_a_buffer_does_not_touch_the_next() {
        let slots = all_added(4);
        let span = slots.take(0, 200, true);
        assert_eq!(slots.pieces(span).collect::<Vec<_>>(), [(0, 0, 100), (1, 0, 100)]);
        assert_eq!(freed(&slots, span), [0, 1]);
        assert_eq!(slots.take(2, 1, true).pieces, 1);
    }

    #[test]
    fn a_buffer_used_piece_by_piece_is_free_when_finished_and_no_piece_is_held() {
        let slots = all_added(2);
        let first = slots.take(0, 40, false);
        let second = slots.take(0, 35, false);
        assert_eq!(slots.pieces(second).collect::<Vec<_>>(), [(0, 40, 35)]);
        assert_eq!(freed(&slots, second), [0_u16; 0]);
        let last = slots.take(0, 25, true);
        assert_eq!(slots.pieces(last).collect::<Vec<_>>(), [(0, 75, 25)]);
        assert_eq!(freed(&slots, last), [0_u16; 0], "the first piece is held");
        assert_eq!(freed(&slots, first), [0]);
    }

    #[test]
    fn bundles_of_pieces_share_the_buffer_between_them() {
        let slots = all_added(4);
        let first = slots.take(0, 150, false);
        let second = slots.take(1, 100, false);
        assert_eq!(slots.pieces(first).collect::<Vec<_>>(), [(0, 0, 100), (1, 0, 50)]);
        assert_eq!(slots.pieces(second).collect::<Vec<_>>(), [(1, 50, 50), (2, 0, 50)]);
        assert_eq!(freed(&slots, first), [0]);
        assert_eq!(freed(&slots, second), [1]);
        assert_eq!(freed(&slots, slots.take(2, 50, true)), [2]);
    }

    #[test]
    fn the_order_survives_the_wrap_of_the_tail() {
        let slots = all_added(2);
        for round in 0..70_000_u32 {
            let bid = u16::from(round % 2 == 1);
            let span = slots.take(bid, 100, true);
            assert_eq!(freed(&slots, span), [bid]);
            slots.add(bid, 100);
        }
        let span = slots.take(0, 101, true);
        assert_eq!(slots.pieces(span).collect::<Vec<_>>(), [(0, 0, 100), (1, 0, 1)]);
    }

    #[test]
    fn the_kernel_is_past_a_buffer_once_its_head_is() {
        let slots = all_added(4);
        assert_eq!([0, 1, 2].map(|bid| slots.is_behind(bid, 0)), [false, false, false]);
        assert_eq!([0, 1, 2].map(|bid| slots.is_behind(bid, 2)), [true, true, false]);
    }

    #[test]
    fn a_doubtful_buffer_is_settled_once_the_kernel_is_past_it() {
        let slots = all_added(4);
        assert_eq!(slots.doubt(1), Span { first: 1, start: 0, len: 0, pieces: 0 });
        let settled = |head| {
            let mut all = Vec::new();
            slots.settle(head, |bid| all.push(bid));
            all
        };
        assert_eq!(settled(1), [0_u16; 0], "it is still in the ring, and no longer in doubt");
        assert_eq!(settled(2), [0_u16; 0]);
        slots.doubt(1);
        assert_eq!(settled(2), [1]);
        assert_eq!(settled(2), [0_u16; 0], "once");
    }

    #[test]
    fn a_doubtful_buffer_that_brings_data_after_all_is_an_ordinary_one() {
        let slots = all_added(4);
        slots.doubt(0);
        let span = slots.take(0, 7, true);
        slots.settle(1, |bid| panic!("buffer {bid} is held"));
        assert_eq!(freed(&slots, span), [0]);
    }

    #[test]
    #[should_panic(expected = "buffer 1 is not with the kernel")]
    fn a_completion_handed_in_twice_is_a_mistake() {
        let slots = all_added(2);
        slots.take(1, 10, true);
        slots.take(1, 10, true);
    }

    #[test]
    #[should_panic(expected = "1 of 201 bytes lie beyond the last buffer")]
    fn more_bytes_than_buffers_are_a_mistake() {
        all_added(2).take(0, 201, true);
    }
}
