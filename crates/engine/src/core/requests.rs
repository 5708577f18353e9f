//! The table of requests: each by its key, and all of one `user_data` without a look at the others.
//!
//! A request that ends at once is never in it. One that waits is, so what the second way costs lies on the path of every receive:
//! requests whose `user_data` falls into one bucket are a list through the table itself, and nothing is allocated but
//! with the table. How the numbers are spread is no secret; who chooses them badly is slow to cancel, and nobody else is.

use std::ops::{Index, IndexMut};

use slab::Slab;

use crate::request::Request;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// Buckets of the first table.
const FEWEST: usize = 16;

/// Requests that have not ended.
#[derive(Default)]
pub(super) struct Requests {
    slab: Slab<Entry>,
    /// The youngest request of each bucket. As many as a power of two, and no fewer than requests.
    heads: Vec<u32>,
}

struct Entry {
    request: Request,
    /// The next older one of its bucket.
    older: u32,
    younger: u32,
}

impl Requests {
    /// Puts a request in, at a place that is free.
    ///
    /// # Panics
    ///
    /// With 2^32 requests, for which no memory would suffice.
    pub(super) fn insert(&mut self, request: Request) -> usize {
        if self.slab.len() >= self.heads.len() {
            self.grow();
        }
        let index = self.slab.insert(Entry { request, older: NONE, younger: NONE });
        self.link(place(index));
        index
    }

    /// Takes a request out.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(super) fn remove(&mut self, index: usize) -> Request {
        self.unlink(place(index));
        self.slab.remove(index).request
    }

    /// Takes all of them out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Request> {
        self.heads.fill(NONE);
        self.slab.drain().map(|entry| entry.request)
    }

    /// The request at this place.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Request> {
        self.slab.get_mut(index).map(|entry| &mut entry.request)
    }

    /// All of them, in the order of their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Request)> {
        self.slab.iter().map(|(index, entry)| (index, &entry.request))
    }

    /// Those with this `user_data`, the youngest place of the bucket first.
    pub(super) fn named(&self, user_data: u64) -> impl Iterator<Item = (usize, &Request)> {
        let first = if self.heads.is_empty() { NONE } else { self.heads[self.bucket(user_data)] };
        let in_bucket = std::iter::successors(self.entry(first), |(_, entry)| self.entry(entry.older));
        in_bucket
            .filter(move |(_, entry)| entry.request.user_data == user_data)
            .map(|(index, entry)| (index, &entry.request))
    }

    /// Gives a request another `user_data`.
    pub(super) fn rename(&mut self, index: usize, user_data: u64) {
        self.unlink(place(index));
        self.slab[index].request.user_data = user_data;
        self.link(place(index));
    }

    fn entry(&self, index: u32) -> Option<(usize, &Entry)> {
        let index = index as usize;
        self.slab.get(index).map(|entry| (index, entry))
    }

    fn bucket(&self, user_data: u64) -> usize {
        // Fibonacci hashing: addresses and counters differ in their low bits, which it brings to the top.
        let spread = user_data.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        usize::try_from(spread).unwrap_or_default() & (self.heads.len() - 1)
    }

    fn link(&mut self, index: u32) {
        let bucket = self.bucket(self.slab[index as usize].request.user_data);
        let older = std::mem::replace(&mut self.heads[bucket], index);
        let entry = &mut self.slab[index as usize];
        (entry.older, entry.younger) = (older, NONE);
        if let Some(entry) = self.slab.get_mut(older as usize) {
            entry.younger = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Entry { request, older, younger } = &self.slab[index as usize];
        let (user_data, older, younger) = (request.user_data, *older, *younger);
        match self.slab.get_mut(younger as usize) {
            Some(entry) => entry.older = older,
            None => {
                let bucket = self.bucket(user_data);
                self.heads[bucket] = older;
            }
        }
        if let Some(entry) = self.slab.get_mut(older as usize) {
            entry.younger = younger;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let buckets = usize::max(FEWEST, 2 * self.heads.len());
        self.heads.clear();
        self.heads.resize(buckets, NONE);
        let places: Vec<usize> = self.slab.iter().map(|(index, _)| index).collect();
        for index in places {
            self.link(place(index));
        }
    }
}

impl Index<usize> for Requests {
    type Output = Request;

    fn index(&self, index: usize) -> &Request {
        &self.slab[index].request
    }
}

impl IndexMut<usize> for Requests {
    fn index_mut(&mut self, index: usize) -> &mut Request {
        &mut self.slab[index].request
    }
}

fn place(index: usize) -> u32 {
    u32::try_from(index)
        .ok()
        .filter(|index| *index != NONE)
        .expect("fewer than 2^32 requests fit into memory")
}

#[cfg(test)]
mod tests {
    use annulus_abi::Sqe;
    use proptest::prelude::*;

    use super::*;
    use crate::op::Op;
    use crate::request::FileRef;
    use crate::world::Vouched;

    fn request(user_data: u64) -> Request {
        let sqe = Sqe { user_data, ..Sqe::default() };
        Request::new(&sqe, Op::Void, FileRef::None, Vouched::in_tests())
    }

    #[derive(Clone, Copy, Debug)]
    enum Change {
        Insert(u64),
        Remove(usize),
        Rename(usize, u64),
        Drain,
    }

    fn change() -> impl Strategy<Value = Change> {
        // Few names, so that some are given often; and some that are far apart.
        let name = prop_oneof![0..6_u64, any::<u64>()];
        prop_oneof![
            8 => name.clone().prop_map(Change::Insert),
            4 => any::<usize>().prop_map(Change::Remove),
            2 => (any::<usize>(), name).prop_map(|(nth, name)| Change::Rename(nth, name)),
            1 => Just(Change::Drain),
        ]
    }

    proptest! {
        #[test]
        fn a_name_finds_what_a_look_at_all_would_find(changes in prop::collection::vec(change(), 0..200)) {
            let mut requests = Requests::default();
            let mut expected: Vec<(usize, u64)> = Vec::new();
            for change in changes {
                match change {
                    Change::Insert(name) => expected.push((requests.insert(request(name)), name)),
                    Change::Remove(nth) if !expected.is_empty() => {
                        let (index, name) = expected.swap_remove(nth % expected.len());
                        prop_assert_eq!(requests.remove(index).user_data, name);
                    }
                    Change::Rename(nth, name) if !expected.is_empty() => {
                        let nth = nth % expected.len();
                        expected[nth].1 = name;
                        requests.rename(expected[nth].0, name);
                    }
                    Change::Drain => {
                        prop_assert_eq!(requests.drain().count(), expected.len());
                        expected.clear();
                    }
                    _ => {}
                }
                for name in expected.iter().map(|(_, name)| *name).chain(0..6) {
                    let mut found: Vec<usize> = requests.named(name).map(|(index, _)| index).collect();
                    let mut all: Vec<usize> =
                        expected.iter().filter(|(_, other)| *other == name).map(|(index, _)| *index).collect();
                    found.sort_unstable();
                    all.sort_unstable();
                    prop_assert_eq!(found, all);
                }
            }
        }
    }

    #[test]
    fn names_in_a_row_and_addresses_are_spread_over_the_buckets() {
        for step in [1, 8, 64, 4096] {
            let mut requests = Requests::default();
            for n in 0..10_000 {
                requests.insert(request(0x7f00_0000_0000 + n * step));
            }
            let mut in_bucket = vec![0; requests.heads.len()];
            for (_, request) in requests.iter() {
                in_bucket[requests.bucket(request.user_data)] += 1;
            }
            let most = in_bucket.iter().max().expect("there are buckets");
            assert!(*most <= 8, "{most} of 10,000 names that are {step} apart fall together");
        }
    }
}
