//! The memory of one run: handed out piece by piece, each piece with a guard behind it.
//!
//! It is one allocation that is never freed, so that a request which outlives its run writes into memory that is
//! still there. It is used for the next run only if this one ended with nothing under way.

use crate::harness::Buffer;

/// What memory holds before anybody writes to it, and what guards hold for ever.
pub(super) const UNTOUCHED: u8 = 0xa5;

/// Bytes of a guard.
const GUARD: usize = 16;

/// Memory for the requests of one run.
#[derive(Debug)]
pub struct Arena {
    memory: Buffer,
    used: usize,
    /// Where guards begin.
    guards: Vec<usize>,
}

impl Arena {
    /// Bytes of an arena: the longest program that the generator makes needs a tenth of it.
    const LEN: usize = 1 << 20;

    /// Memory in which nothing lies yet.
    #[must_use]
    pub fn new() -> Self {
        let memory = Buffer::of(&vec![UNTOUCHED; Self::LEN]);
        Self { memory, used: 0, guards: Vec::new() }
    }

    /// Gives `len` untouched bytes at an address that is divisible by `align`, with a guard behind them.
    ///
    /// # Panics
    ///
    /// If the program needs more memory than there is, or `align` is no power of two up to a page.
    pub fn take(&mut self, len: usize, align: usize) -> Buffer {
        assert!(align.is_power_of_two() && align <= 4096, "{align} is no alignment in a page");
        let start = self.used.next_multiple_of(align);
        self.used = start + len.max(1) + GUARD;
        assert!(self.used <= Self::LEN, "a program needs more than {} bytes", Self::LEN);
        self.guards.push(start + len);
        self.memory.part(start, len.max(1))
    }

    /// Keeps these bytes.
    pub fn put(&mut self, bytes: &[u8]) -> Buffer {
        let place = self.take(bytes.len(), 8);
        place.write(bytes);
        place
    }

    /// Keeps these words one after the other, as structures of 64-bit fields are laid out.
    pub fn put_words(&mut self, words: &[u64]) -> Buffer {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.put(&bytes)
    }

    /// How many guards somebody has written over.
    #[must_use]
    pub fn broken_guards(&self) -> usize {
        let broken = |at: &&usize| self.memory.part(**at, GUARD).bytes() != [UNTOUCHED; GUARD];
        self.guards.iter().filter(broken).count()
    }

    /// Makes it as it was at first. Nobody may use what it has handed out any more.
    pub fn reset(&mut self) {
        self.memory.write(&vec![UNTOUCHED; self.used]);
        self.used = 0;
        self.guards.clear();
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_behind_a_piece_breaks_its_guard() {
        let mut arena = Arena::new();
        let (first, second) = (arena.take(10, 8), arena.put(b"data"));
        first.write(&[1; 10]);
        assert_eq!(arena.broken_guards(), 0);
        assert_eq!(second.bytes(), b"data");
        arena.memory.part(10, 1).write(&[1]);
        assert_eq!(arena.broken_guards(), 1);
        arena.reset();
        assert_eq!((arena.broken_guards(), arena.take(10, 8).bytes()), (0, vec![UNTOUCHED; 10]));
    }
}
