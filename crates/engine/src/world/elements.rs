//! Lists in the program's memory, read some elements at a time.

use rustix::io::Errno;

use super::{Vouched, World};

/// Elements that one call reads.
const BATCH: usize = 64;

/// A list of elements of `SIZE` bytes. What is read in advance may lie where nothing is: only the element that is
/// asked for decides about `EFAULT`.
pub(crate) struct Elements<'a, const SIZE: usize> {
    world: &'a dyn World,
    vouched: Vouched,
    addr: u64,
    count: usize,
    read: Vec<[u8; SIZE]>,
    from: usize,
}

impl<'a, const SIZE: usize> Elements<'a, SIZE> {
    /// The `count` elements from `addr` on.
    pub(crate) fn new(world: &'a dyn World, vouched: Vouched, addr: u64, count: usize) -> Self {
        Self { world, vouched, addr, count, read: Vec::new(), from: 0 }
    }

    /// One of them.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(crate) fn get(&mut self, index: usize) -> Result<[u8; SIZE], Errno> {
        assert!(index < self.count, "element {index} of {}", self.count);
        if index < self.from || index - self.from >= self.read.len() {
            let many = BATCH.min(self.count - index);
            match self.load(index, many) {
                Err(Errno::FAULT) if many > 1 => self.load(index, 1)?,
                loaded => loaded?,
            }
        }
        Ok(self.read[index - self.from])
    }

    fn load(&mut self, index: usize, count: usize) -> Result<(), Errno> {
        self.read.clear();
        self.read.resize(count, [0; SIZE]);
        self.from = index;
        let span = self.vouched.span(self.addr.wrapping_add((index * SIZE) as u64), count * SIZE);
        self.world.load(span, self.read.as_flattened_mut()).inspect_err(|_| self.read.clear())
    }
}
