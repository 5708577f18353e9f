//! Blocks: which one is read next, and whether what was read is that one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of a block.
pub(super) const BLOCK: u32 = 4096;

/// Memory for a block, aligned as reads past the page cache want it.
#[derive(Clone, Debug)]
#[repr(C, align(4096))]
pub(super) struct Block(pub(super) [u8; BLOCK as usize]);

impl Block {
    /// A block of zeros, on the heap.
    pub(super) fn new() -> Box<Self> {
        Box::new(Self([0; BLOCK as usize]))
    }
}

/// What is read from, as far as readers have to know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) blocks: u64,
    /// Whether each block begins with its number.
    pub(super) stamped: bool,
}

impl Area {
    /// Looks at what a read of a block brought: the number of bytes, and the first of them.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` for a short read, `InvalidData` for another block.
    pub(super) fn check(self, block: u64, count: usize, found: [u8; 8]) -> io::Result<()> {
        if count != BLOCK as usize {
            let message = format!("block {block} of {} has {count} bytes", self.blocks);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        if self.stamped && found != stamp(block) {
            let message = format!("block {block} is not there: it begins with {found:x?}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(())
    }

    /// Reads one block by pread(2) and looks at it.
    ///
    /// # Errors
    ///
    /// Those of pread(2) and of [`check`](Self::check).
    pub(super) fn pread(self, file: &File, block: u64, buffer: &mut Block) -> io::Result<()> {
        let count = file.read_at(&mut buffer.0, block * u64::from(BLOCK))?;
        let [a, b, c, d, e, f, g, h, ..] = buffer.0;
        self.check(block, count, [a, b, c, d, e, f, g, h])
    }
}

/// What a block begins with: its number, but for a file of zeros to have no block in it.
pub(super) fn stamp(block: u64) -> [u8; 8] {
    (!block).to_le_bytes()
}

/// The blocks to read, in a random order that is the same in every run.
#[derive(Clone, Debug)]
pub(super) struct Offsets {
    state: u64,
    blocks: u64,
}

impl Offsets {
    /// The order of readers that have one.
    pub(super) fn new(blocks: u64) -> Self {
        Self::of_lane(blocks, 0)
    }

    /// One of several orders that go on side by side.
    pub(super) fn of_lane(blocks: u64, lane: u32) -> Self {
        // Odd, and so never zero, which would be followed by zeros alone.
        let state = (2 * u64::from(lane) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { state, blocks }
    }

    /// The number of the next block: xorshift64*, scaled by the upper half of a product, without a division.
    pub(super) fn next_block(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D);
        let product = u128::from(random) * u128::from(self.blocks);
        u64::try_from(product >> 64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_reaches_every_block_and_none_beyond() {
        let mut offsets = Offsets::new(64);
        let mut counts = [0_u32; 64];
        for _ in 0..64_000 {
            counts[usize::try_from(offsets.next_block()).unwrap()] += 1;
        }
        // A thousand each on average.
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    #[test]
    fn an_order_is_the_same_each_time_and_lanes_differ() {
        let (mut one, mut other) = (Offsets::new(1 << 16), Offsets::new(1 << 16));
        let order: Vec<u64> = (0..100).map(|_| one.next_block()).collect();
        assert_eq!(order, (0..100).map(|_| other.next_block()).collect::<Vec<_>>());
        let mut lane = Offsets::of_lane(1 << 16, 1);
        assert_ne!(order, (0..100).map(|_| lane.next_block()).collect::<Vec<_>>());
    }

    #[test]
    fn another_block_and_a_short_one_are_told_apart_from_the_right_one() {
        let area = Area { blocks: 10, stamped: true };
        assert!(area.check(3, 4096, stamp(3)).is_ok());
        assert_eq!(area.check(3, 4096, stamp(4)).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(area.check(0, 4096, [0; 8]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(area.check(3, 100, stamp(3)).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let foreign = Area { stamped: false, ..area };
        assert!(foreign.check(3, 4096, stamp(4)).is_ok());
    }
}
