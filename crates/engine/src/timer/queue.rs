//! A queue of requests by a number, from which any of them can be taken.
//!
//! A binary heap that knows where each request lies. What it keeps true: the request in front has the least number,
//! and of several the one that was inserted first; `places` names each request's place in the heap, and no other's.

use crate::scheduler::Key;

/// Where a request that is not in the queue lies.
const NOWHERE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    /// How many were inserted before it.
    turn: u64,
    key: Key,
}

/// Requests in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: Vec<Entry>,
    /// The place in `heap`, by key.
    places: Vec<u32>,
    turns: u64,
}

impl Queue {
    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.heap.len()
    }

    /// Adds a request, which must not be in the queue.
    pub(super) fn insert(&mut self, key: Key, at: u64) {
        if self.places.len() <= key.index() {
            self.places.resize(key.index() + 1, NOWHERE);
        }
        assert_eq!(self.places[key.index()], NOWHERE, "{key:?} is in the queue, and is inserted");
        self.heap.push(Entry { at, turn: self.turns, key });
        self.turns += 1;
        self.rise(self.heap.len() - 1);
    }

    /// Takes a request out, and gives its number.
    pub(super) fn remove(&mut self, key: Key) -> Option<u64> {
        let place = self.place(key)?;
        let removed = self.heap.swap_remove(place);
        self.places[key.index()] = NOWHERE;
        if place < self.heap.len() {
            let settled = self.rise(place);
            self.sink(settled);
        }
        Some(removed.at)
    }

    /// Takes out the request in front, with its number.
    pub(super) fn pop(&mut self) -> Option<(Key, u64)> {
        let (key, at) = self.first()?;
        self.remove(key);
        Some((key, at))
    }

    /// The request in front, and its number.
    #[inline]
    pub(super) fn first(&self) -> Option<(Key, u64)> {
        self.heap.first().map(|entry| (entry.key, entry.at))
    }

    /// The number of this request.
    pub(super) fn at(&self, key: Key) -> Option<u64> {
        self.place(key).map(|place| self.heap[place].at)
    }

    fn place(&self, key: Key) -> Option<usize> {
        self.places.get(key.index()).filter(|place| **place != NOWHERE).map(|place| Key(*place).index())
    }

    /// Moves an entry to the front as far as it belongs, and gives its place.
    fn rise(&mut self, mut place: usize) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !self.precedes(place, parent) {
                break;
            }
            self.heap.swap(place, parent);
            self.note(place);
            place = parent;
        }
        self.note(place);
        place
    }

    /// Moves an entry to the back as far as it belongs.
    fn sink(&mut self, mut place: usize) {
        loop {
            let left = 2 * place + 1;
            if left >= self.heap.len() {
                break;
            }
            let right = left + 1;
            let child = if right < self.heap.len() && self.precedes(right, left) { right } else { left };
            if !self.precedes(child, place) {
                break;
            }
            self.heap.swap(place, child);
            self.note(place);
            place = child;
        }
        self.note(place);
    }

    fn precedes(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.heap[one], self.heap[other]);
        (one.at, one.turn) < (other.at, other.turn)
    }

    /// Writes down where the entry at this place lies.
    fn note(&mut self, place: usize) {
        let key = self.heap[place].key;
        // There are no more entries than keys, and those have 32 bits.
        self.places[key.index()] = u32::try_from(place).unwrap_or(NOWHERE);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_does_what_a_sorted_map_does(
            steps in prop::collection::vec((0..4u8, 0..24u32, 0..8u64), 0..400),
        ) {
            let (mut queue, mut map) = (Queue::default(), BTreeMap::new());
            for (turn, (what, key, at)) in steps.into_iter().enumerate() {
                let held = map.iter().find(|(_, it)| **it == key).map(|(order, _)| *order);
                match (what, held) {
                    (0 | 1, None) => {
                        queue.insert(Key(key), at);
                        map.insert((at, turn), key);
                    }
                    (0..=2, _) => {
                        prop_assert_eq!(queue.at(Key(key)), held.map(|(at, _)| at));
                        prop_assert_eq!(queue.remove(Key(key)), held.map(|(at, _)| at));
                        map.retain(|_, it| *it != key);
                    }
                    _ => {
                        let first = map.pop_first().map(|((at, _), key)| (Key(key), at));
                        prop_assert_eq!(queue.pop(), first);
                    }
                }
                prop_assert_eq!(queue.len(), map.len());
                prop_assert_eq!(queue.first(), map.first_key_value().map(|(order, key)| (Key(*key), order.0)));
            }
        }
    }
}
