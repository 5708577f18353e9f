//! Timeouts that also end when so many other completions were posted (`off` of `TIMEOUT`, unless it is multishot).
//!
//! The sequence they count in is the number of completions posted to the ring, without those of timeouts that
//! fired or were counted out: as in the kernel, these count for nobody. It has 64 bits, so it never wraps. A
//! completion that waits in the overflow backlog has not been posted yet.
//!
//! What it keeps true: requests become due in the order of their targets, and in the order of their insertion where
//! these are equal, each once.

use crate::scheduler::Key;

use super::queue::Queue;

/// Requests by the completion that they wait for.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    targets: Queue,
}

impl Counted {
    /// Whether nothing counts.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.targets.len() == 0
    }

    /// The request ends when so many completions were posted: `target_seq` is the sequence of now and `off` more.
    pub(crate) fn add(&mut self, key: Key, target_seq: u64) {
        self.targets.insert(key, target_seq);
    }

    /// The request counts no longer: it has fired, was cancelled, or was given another time (an update takes the
    /// count away). Gives whether it did.
    pub(crate) fn remove(&mut self, key: Key) -> bool {
        self.targets.remove(key).is_some()
    }

    /// Takes out the next request that has seen its completions. To be asked until there is none after each
    /// posting, so that it completes, with 0, right behind the one that it waited for.
    #[inline]
    pub(crate) fn due(&mut self, posted_seq: u64) -> Option<Key> {
        let (_, target_seq) = self.targets.first()?;
        if target_seq > posted_seq {
            return None;
        }
        self.targets.pop().map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(counted: &mut Counted, posted_seq: u64) -> Vec<u32> {
        std::iter::from_fn(|| counted.due(posted_seq)).map(|key| key.0).collect()
    }

    #[test]
    fn requests_are_due_when_their_completions_were_posted() {
        let mut counted = Counted::default();
        counted.add(Key(5), 12);
        counted.add(Key(3), 11);
        counted.add(Key(8), 12);
        assert_eq!(due(&mut counted, 10), [0; 0]);
        assert_eq!(due(&mut counted, 11), [3]);
        assert_eq!(due(&mut counted, 14), [5, 8], "equal ones as they came");
        assert!(counted.is_empty());
    }

    #[test]
    fn what_was_removed_is_never_due() {
        let mut counted = Counted::default();
        counted.add(Key(1), 1);
        counted.add(Key(2), 1);
        assert!(counted.remove(Key(1)));
        assert!(!counted.remove(Key(1)));
        assert_eq!(due(&mut counted, u64::MAX), [2]);
    }

    #[test]
    fn a_count_beyond_a_wrap_of_32_bits_is_reached_in_its_time() {
        let (mut counted, posted) = (Counted::default(), u64::from(u32::MAX) - 1);
        counted.add(Key(1), posted + 3);
        counted.add(Key(2), posted + u64::from(u32::MAX));
        assert_eq!(due(&mut counted, posted + 2), [0; 0]);
        assert_eq!(due(&mut counted, posted + 3), [1]);
        assert_eq!(due(&mut counted, posted + u64::from(u32::MAX)), [2]);
    }
}
