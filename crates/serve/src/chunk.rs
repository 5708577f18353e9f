//! The buffers that responses travel in: a few per shard are kept warm.
//!
//! What it keeps true: a response holds at most two of them at a time, whatever the file's size, and the shard keeps at
//! most [`KEPT`] that nobody uses.

use std::cell::RefCell;

/// The size of a chunk: one turn of a connection. Larger turns make small requests wait behind large downloads, smaller
/// ones cost calls.
pub(crate) const CHUNK_BYTES: usize = 128 << 10;

/// Free chunks that a shard keeps: 4 MiB.
const KEPT: usize = 32;

/// The chunks of one shard.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    free: RefCell<Vec<Vec<u8>>>,
}

impl Chunks {
    /// An empty chunk of [`CHUNK_BYTES`].
    pub(crate) fn take(&self) -> Vec<u8> {
        self.free.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES))
    }

    /// Takes one back. One that has grown or shrunk is freed.
    pub(crate) fn put(&self, mut chunk: Vec<u8>) {
        let mut free = self.free.borrow_mut();
        if free.len() < KEPT && chunk.capacity() == CHUNK_BYTES {
            chunk.clear();
            free.push(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_that_comes_back_is_taken_again_and_empty() {
        let chunks = Chunks::default();
        let mut chunk = chunks.take();
        assert_eq!((chunk.len(), chunk.capacity()), (0, 131_072));
        chunk.push(1);
        let address = chunk.as_ptr();
        chunks.put(chunk);
        let again = chunks.take();
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
    }

    #[test]
    fn no_more_than_a_few_are_kept() {
        let chunks = Chunks::default();
        let taken: Vec<_> = (0..100).map(|_| chunks.take()).collect();
        taken.into_iter().for_each(|chunk| chunks.put(chunk));
        assert_eq!(chunks.free.borrow().len(), 32);
        chunks.put(Vec::with_capacity(10));
        assert_eq!(chunks.free.borrow().len(), 32);
    }
}
