//! The registered files: slots that hold a file or nothing.
//!
//! Which slot is given to a file that names none is decided as Linux decides it: the next free one behind the slot that was
//! filled last, or the one that was emptied last.

use std::sync::Arc;

use annulus_abi::{IORING_FILE_INDEX_ALLOC, IORING_REGISTER_FILES_SKIP};
use rustix::io::Errno;

use super::{File, Retired, Source};
use crate::world::Elements;

/// The most slots that a table has.
const MAX_SLOTS: u32 = 1 << 20;
/// An empty slot, in a list of descriptors.
const NONE: i32 = -1;

/// The registered files: slots that hold a file or nothing.
#[derive(Debug, Default)]
pub(crate) struct FileTable {
    slots: Vec<Option<Arc<File>>>,
    /// One bit for each slot, set if it is taken.
    taken: Vec<u64>,
    /// Where the search for a free slot begins.
    hint: usize,
    /// The slots that are given to files which name none.
    range: std::ops::Range<usize>,
    retired: Retired,
}

impl FileTable {
    /// A table without slots whose tags come back there.
    pub(crate) fn new(retired: Retired) -> Self {
        Self { retired, ..Self::default() }
    }

    /// Makes `count` slots and fills them from the descriptors at `fds` (0: with nothing) with the tags at `tags` (0: none).
    ///
    /// # Errors
    ///
    /// `EBUSY`: there are slots already. `EINVAL`: none are asked for, or a tag for an empty slot. `EMFILE`: too many.
    /// `EFAULT`: a list cannot be read. `EBADF`: not an open file, or a ring. Nothing is registered then.
    pub(crate) fn register(
        &mut self,
        source: &Source<'_>,
        count: u32,
        fds: u64,
        tags: u64,
    ) -> Result<(), Errno> {
        if !self.slots.is_empty() {
            return Err(Errno::BUSY);
        }
        if count == 0 {
            return Err(Errno::INVAL);
        }
        if count > MAX_SLOTS || u64::from(count) > source.world.open_limit() {
            return Err(Errno::MFILE);
        }
        let len = index(count);
        self.slots.resize_with(len, || None);
        self.taken = vec![0; len.div_ceil(64)];
        let filled = self.fill(source, len, fds, tags);
        if filled.is_err() {
            for file in self.slots.iter_mut().flatten() {
                // Nobody else has them yet.
                if let Some(tag) = Arc::get_mut(file).and_then(|file| file.tag.as_mut()) {
                    tag.defuse();
                }
            }
            self.clear();
        } else {
            self.set_range(0, len);
        }
        filled
    }

    fn fill(&mut self, source: &Source<'_>, len: usize, fds: u64, tags: u64) -> Result<(), Errno> {
        let mut fds = (fds != 0).then(|| Elements::<4>::new(source.world.as_ref(), source.vouched, fds, len));
        let mut tags =
            (tags != 0).then(|| Elements::<8>::new(source.world.as_ref(), source.vouched, tags, len));
        for slot in 0..len {
            let tag = tags.as_mut().map_or(Ok(0), |tags| tags.get(slot).map(u64::from_ne_bytes))?;
            let fd = fds.as_mut().map_or(Ok(NONE), |fds| fds.get(slot).map(i32::from_ne_bytes))?;
            match (fd, tag) {
                (NONE, 0) => {}
                (NONE, _) => return Err(Errno::INVAL),
                (fd, tag) => {
                    let file = self.hold(source, fd, tag)?;
                    self.put(slot, file);
                }
            }
        }
        Ok(())
    }

    /// Replaces the files of `count` slots from `offset` on: a list as in [`register`](Self::register), in which
    /// `IORING_REGISTER_FILES_SKIP` leaves a slot alone. Answers how many of the list were taken.
    ///
    /// # Errors
    ///
    /// Only if none was taken. `EOVERFLOW`, `ENXIO`: there are no slots, `EINVAL`: not so many, or a tag for no file; `EFAULT`, `EBADF`.
    pub(crate) fn update(
        &mut self,
        source: &Source<'_>,
        offset: u32,
        count: u32,
        fds: u64,
        tags: u64,
    ) -> Result<u32, Errno> {
        let end = offset.checked_add(count).ok_or(Errno::OVERFLOW)?;
        if self.slots.is_empty() {
            return Err(Errno::NXIO);
        }
        if index(end) > self.slots.len() {
            return Err(Errno::INVAL);
        }
        let mut fds = Elements::<4>::new(source.world.as_ref(), source.vouched, fds, index(count));
        let mut tags = (tags != 0)
            .then(|| Elements::<8>::new(source.world.as_ref(), source.vouched, tags, index(count)));
        for done in 0..count {
            let place = index(done);
            let one = (|| {
                let tag = tags.as_mut().map_or(Ok(0), |tags| tags.get(place).map(u64::from_ne_bytes))?;
                let fd = fds.get(place).map(i32::from_ne_bytes)?;
                self.update_one(source, index(offset) + place, fd, tag)
            })();
            match one {
                Ok(()) => {}
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => return Ok(done),
            }
        }
        Ok(count)
    }

    fn update_one(&mut self, source: &Source<'_>, slot: usize, fd: i32, tag: u64) -> Result<(), Errno> {
        if tag != 0 && matches!(fd, NONE | IORING_REGISTER_FILES_SKIP) {
            return Err(Errno::INVAL);
        }
        if fd == IORING_REGISTER_FILES_SKIP {
            return Ok(());
        }
        // The old file goes even if the new one is refused.
        self.vacate(slot);
        if fd != NONE {
            let file = self.hold(source, fd, tag)?;
            self.put(slot, file);
        }
        Ok(())
    }

    /// Puts each of `count` descriptors at `fds` into any free slot, and the slot's number into the list. Answers how many.
    ///
    /// # Errors
    ///
    /// Only if none was put. `ENXIO`: there are no slots. `ENFILE`: none is free. `EFAULT`, `EBADF`.
    pub(crate) fn update_any(&mut self, source: &Source<'_>, fds: u64, count: u32) -> Result<u32, Errno> {
        if self.slots.is_empty() {
            return Err(Errno::NXIO);
        }
        for done in 0..count {
            let one = (|| {
                let span = source.vouched.span(fds.wrapping_add(u64::from(done) * 4), 4);
                let mut fd = [0; 4];
                source.world.load(span, &mut fd)?;
                let file = self.hold(source, i32::from_ne_bytes(fd), 0)?;
                let slot = self.install(IORING_FILE_INDEX_ALLOC, file).map_err(|(errno, _)| errno)?;
                source.world.store(span, &slot.to_ne_bytes()).inspect_err(|_| {
                    let _ = self.remove(slot);
                })
            })();
            match one {
                Ok(()) => {}
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => return Ok(done),
            }
        }
        Ok(count)
    }

    /// Gives all slots up.
    ///
    /// # Errors
    ///
    /// `ENXIO`: there are none.
    pub(crate) fn unregister(&mut self) -> Result<(), Errno> {
        if self.slots.is_empty() {
            return Err(Errno::NXIO);
        }
        self.clear();
        Ok(())
    }

    /// Says which slots are given to files that name none.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW`; `EINVAL`: there are not so many slots.
    pub(crate) fn set_alloc_range(&mut self, offset: u32, len: u32) -> Result<(), Errno> {
        let end = offset.checked_add(len).ok_or(Errno::OVERFLOW)?;
        if index(end) > self.slots.len() {
            return Err(Errno::INVAL);
        }
        self.set_range(index(offset), index(end));
        Ok(())
    }

    /// The file in a slot.
    ///
    /// # Errors
    ///
    /// `EBADF`: no such slot, or nothing in it.
    #[inline]
    pub(crate) fn get(&self, slot: i32) -> Result<&Arc<File>, Errno> {
        let slot = usize::try_from(slot).map_err(|_| Errno::BADF)?;
        self.slots.get(slot).and_then(Option::as_ref).ok_or(Errno::BADF)
    }

    /// Puts a file that an operation made where its `file_index` says: a slot plus one, which may be in use, or
    /// `IORING_FILE_INDEX_ALLOC`. Answers the operation's result: 0, or the slot that was found.
    ///
    /// # Errors
    ///
    /// `ENFILE`: no slot is free. `ENXIO`: there are no slots. `EINVAL`: not so many. With the file, which is closed when it is dropped.
    pub(crate) fn install(&mut self, file_index: u32, file: File) -> Result<u32, (Errno, File)> {
        let any = file_index == IORING_FILE_INDEX_ALLOC;
        let slot = if any { self.find_free() } else { Some(index(file_index.wrapping_sub(1))) };
        let Some(slot) = slot else { return Err((Errno::NFILE, file)) };
        if self.slots.is_empty() {
            return Err((Errno::NXIO, file));
        }
        if slot >= self.slots.len() {
            return Err((Errno::INVAL, file));
        }
        if self.slots[slot].replace(Arc::new(file)).is_none() {
            self.mark(slot);
        }
        Ok(if any { u32::try_from(slot).unwrap_or(0) } else { 0 })
    }

    /// Empties a slot.
    ///
    /// # Errors
    ///
    /// `ENXIO`: there are no slots. `EINVAL`: not so many. `EBADF`: nothing in it.
    pub(crate) fn remove(&mut self, slot: u32) -> Result<(), Errno> {
        if self.slots.is_empty() {
            return Err(Errno::NXIO);
        }
        let slot = index(slot);
        if slot >= self.slots.len() {
            return Err(Errno::INVAL);
        }
        if self.vacate(slot) { Ok(()) } else { Err(Errno::BADF) }
    }

    /// How many slots there are, empty ones included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// A descriptor of its own for the file behind `fd`.
    fn hold(&self, source: &Source<'_>, fd: i32, tag: u64) -> Result<File, Errno> {
        if source.rings.is_ring(fd) {
            return Err(Errno::BADF);
        }
        let mut file = File::new(source.world.hold(fd)?, Arc::clone(source.world));
        file.tag = self.retired.tag(tag);
        Ok(file)
    }

    /// Fills an empty slot.
    fn put(&mut self, slot: usize, file: File) {
        self.slots[slot] = Some(Arc::new(file));
        self.mark(slot);
    }

    fn mark(&mut self, slot: usize) {
        self.taken[slot / 64] |= 1 << (slot % 64);
        self.hint = slot + 1;
    }

    /// Empties a slot; says whether something was in it.
    fn vacate(&mut self, slot: usize) -> bool {
        let was = self.slots[slot].take().is_some();
        if was {
            self.taken[slot / 64] &= !(1 << (slot % 64));
            self.hint = slot;
        }
        was
    }

    fn clear(&mut self) {
        self.slots = Vec::new();
        self.taken = Vec::new();
        self.set_range(0, 0);
    }

    fn set_range(&mut self, start: usize, end: usize) {
        self.range = start..end;
        self.hint = start;
    }

    /// A free slot of the range: from the hint to its end, then from its beginning to the hint.
    fn find_free(&mut self) -> Option<usize> {
        // What was emptied or filled beside the range says nothing about it.
        if !self.range.contains(&self.hint) {
            self.hint = self.range.start;
        }
        let mut end = self.range.end;
        loop {
            if let Some(slot) = self.free_between(self.hint, end) {
                return Some(slot);
            }
            if self.hint == self.range.start {
                return None;
            }
            end = self.hint;
            self.hint = self.range.start;
        }
    }

    fn free_between(&self, start: usize, end: usize) -> Option<usize> {
        let mut slot = start;
        while slot < end.min(self.slots.len()) {
            let free = !self.taken[slot / 64] >> (slot % 64);
            if free != 0 {
                let found = slot + index(free.trailing_zeros());
                return (found < end.min(self.slots.len())).then_some(found);
            }
            slot = (slot / 64 + 1) * 64;
        }
        None
    }
}

/// A slot's number as an index.
fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
