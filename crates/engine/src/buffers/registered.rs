//! The registered buffers: slots that hold a piece of the program's memory or nothing.
//!
//! The kernel pins the pages of a registered buffer and counts them against `RLIMIT_MEMLOCK`. Here they are made present once and
//! neither pinned nor counted: they are memory of the same process, and a page that the program unmaps answers `EFAULT`.

use std::sync::Arc;

use annulus_abi::CloneFlags;
use rustix::io::Errno;

use crate::files::{Retired, Source, Tag};
use crate::world::{Elements, Span, Vouched};

/// The most slots that a ring has.
const MAX_SLOTS: u32 = 1 << 14;
/// The most bytes that a buffer has.
const MAX_LEN: usize = 1 << 30;
/// The most bytes that one read or write moves.
pub(crate) const MAX_TRANSFER: usize = 0x7fff_f000;
/// The size of a `struct iovec`.
pub(crate) const IOVEC: usize = 2 * size_of::<usize>();
/// Pages, as far as the arithmetic of a buffer's end is concerned.
const PAGE: u64 = 4096;

/// A registered buffer. Whoever uses it holds it: its tag is posted when the last user and its slot let go.
#[derive(Debug)]
pub(crate) struct Buffer {
    span: Span,
    tag: Option<Tag>,
}

impl Buffer {
    /// The part of it that an entry names.
    ///
    /// # Errors
    ///
    /// `EFAULT` for what lies outside, or is longer than a transfer may be.
    #[inline]
    pub(crate) fn span(&self, addr: u64, len: usize, vouched: Vouched) -> Result<Span, Errno> {
        let start = self.span.addr();
        let end = addr.checked_add(len as u64).ok_or(Errno::FAULT)?;
        if addr < start || end > start.wrapping_add(self.span.len() as u64) || len > MAX_TRANSFER {
            return Err(Errno::FAULT);
        }
        Ok(vouched.span(addr, len))
    }
}

/// Which buffers of another ring go where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clones {
    /// The first of them there.
    pub(crate) from: u32,
    /// The first slot here.
    pub(crate) to: u32,
    /// How many; 0 stands for all.
    pub(crate) count: u32,
    /// Whether buffers here may be replaced.
    pub(crate) flags: CloneFlags,
}

/// The registered buffers.
#[derive(Debug, Default)]
pub(crate) struct Registered {
    slots: Vec<Option<Arc<Buffer>>>,
    retired: Retired,
}

impl Registered {
    /// A table without slots whose tags come back there.
    pub(crate) fn new(retired: Retired) -> Self {
        Self { slots: Vec::new(), retired }
    }

    /// Makes `count` slots and fills them from the iovecs at `iovecs` (0: with nothing) with the tags at `tags` (0: none).
    ///
    /// # Errors
    ///
    /// `EBUSY`: there are slots already. `EINVAL`: none are asked for, or too many, or a tag for an empty slot. `EFAULT`: a list or
    /// a buffer is not there, or a buffer is longer than 1 GiB. `EOVERFLOW`, `ENOMEM`. Nothing is registered then.
    pub(crate) fn register(
        &mut self,
        source: &Source<'_>,
        count: u32,
        iovecs: u64,
        tags: u64,
    ) -> Result<(), Errno> {
        if !self.slots.is_empty() {
            return Err(Errno::BUSY);
        }
        if count == 0 || count > MAX_SLOTS {
            return Err(Errno::INVAL);
        }
        let count = index(count);
        let mut list = List::new(source, iovecs, tags, count);
        let (mut buffers, mut outcome) = (Vec::with_capacity(count), Ok(()));
        for place in 0..count {
            match list.buffer(&self.retired, place) {
                Ok(buffer) => buffers.push(buffer),
                Err(errno) => outcome = Err(errno),
            }
            if outcome.is_err() {
                break;
            }
        }
        if outcome.is_err() {
            buffers.iter_mut().flatten().filter_map(|buffer| buffer.tag.as_mut()).for_each(Tag::defuse);
            return outcome;
        }
        self.slots = buffers.into_iter().map(|buffer| buffer.map(Arc::new)).collect();
        Ok(())
    }

    /// Replaces the buffers of `count` slots from `offset` on. Answers how many were.
    ///
    /// # Errors
    ///
    /// Only if none was. `EOVERFLOW`, `ENXIO`: there are no slots, `EINVAL`: not so many; and those of [`register`](Self::register).
    pub(crate) fn update(
        &mut self,
        source: &Source<'_>,
        offset: u32,
        count: u32,
        iovecs: u64,
        tags: u64,
    ) -> Result<u32, Errno> {
        let end = offset.checked_add(count).ok_or(Errno::OVERFLOW)?;
        if self.slots.is_empty() {
            return Err(Errno::NXIO);
        }
        if index(end) > self.slots.len() {
            return Err(Errno::INVAL);
        }
        let mut list = List::new(source, iovecs, tags, index(count));
        for done in 0..count {
            match list.buffer(&self.retired, index(done)) {
                Ok(buffer) => self.slots[index(offset + done)] = buffer.map(Arc::new),
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
        self.slots = Vec::new();
        Ok(())
    }

    /// What another ring, or this one, can copy.
    pub(crate) fn spans(&self) -> Vec<Option<Span>> {
        self.slots.iter().map(|slot| slot.as_ref().map(|buffer| buffer.span)).collect()
    }

    /// Copies buffers of a ring, as its [`spans`](Self::spans) gave them. A copy has no tag.
    ///
    /// # Errors
    ///
    /// `EBUSY`: there are slots already, and they must not be replaced. `ENXIO`: there are none there. `EINVAL`: offsets without a
    /// count, or more than there are, or than a ring may have. `EOVERFLOW`: beyond the last one there.
    pub(crate) fn clone_from(&mut self, source: &[Option<Span>], clones: Clones) -> Result<(), Errno> {
        if clones.count == 0 && (clones.from != 0 || clones.to != 0) {
            return Err(Errno::INVAL);
        }
        let replace = clones.flags.contains(CloneFlags::DST_REPLACE);
        if !self.slots.is_empty() && !replace {
            return Err(Errno::BUSY);
        }
        if source.is_empty() {
            return Err(Errno::NXIO);
        }
        let count = if clones.count == 0 { source.len() } else { index(clones.count) };
        if count > source.len() {
            return Err(Errno::INVAL);
        }
        let from = index(clones.from);
        if from.checked_add(count).is_none_or(|end| end > source.len()) {
            return Err(Errno::OVERFLOW);
        }
        let to = index(clones.to);
        let end = to.checked_add(count).ok_or(Errno::OVERFLOW)?;
        if end > index(MAX_SLOTS) {
            return Err(if u32::try_from(end).is_err() { Errno::OVERFLOW } else { Errno::INVAL });
        }
        let len = end.max(self.slots.len());
        self.slots.resize_with(len, || None);
        for (slot, span) in self.slots[to..end].iter_mut().zip(&source[from..]) {
            *slot = span.map(|span| Arc::new(Buffer { span, tag: None }));
        }
        Ok(())
    }

    /// The buffer of this number.
    ///
    /// # Errors
    ///
    /// `EFAULT`: no such slot, or nothing in it.
    #[inline]
    pub(crate) fn get(&self, index: u16) -> Result<&Arc<Buffer>, Errno> {
        self.slots.get(usize::from(index)).and_then(Option::as_ref).ok_or(Errno::FAULT)
    }

    /// Whether there is a buffer of this number.
    pub(crate) fn has(&self, index: u16) -> bool {
        self.get(index).is_ok()
    }

    /// The part of a buffer that an entry names, and what keeps the buffer registered.
    ///
    /// # Errors
    ///
    /// `EFAULT`: no such buffer, or outside of it.
    #[cfg(test)]
    pub(crate) fn span(
        &self,
        index: u16,
        addr: u64,
        len: usize,
        vouched: Vouched,
    ) -> Result<(Span, Arc<Buffer>), Errno> {
        let buffer = self.get(index)?;
        Ok((buffer.span(addr, len, vouched)?, Arc::clone(buffer)))
    }

    /// How many slots there are, empty ones included.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

/// The two lists that describe buffers.
struct List<'a> {
    source: &'a Source<'a>,
    iovecs: Option<Elements<'a, IOVEC>>,
    tags: Option<Elements<'a, 8>>,
}

impl<'a> List<'a> {
    fn new(source: &'a Source<'a>, iovecs: u64, tags: u64, count: usize) -> Self {
        let world = source.world.as_ref();
        Self {
            source,
            iovecs: (iovecs != 0).then(|| Elements::new(world, source.vouched, iovecs, count)),
            tags: (tags != 0).then(|| Elements::new(world, source.vouched, tags, count)),
        }
    }

    /// One buffer, or nothing for an empty slot.
    fn buffer(&mut self, retired: &Retired, place: usize) -> Result<Option<Buffer>, Errno> {
        let (addr, len) = match &mut self.iovecs {
            Some(iovecs) => iovec(&iovecs.get(place)?)?,
            None => (0, 0),
        };
        let tag = match &mut self.tags {
            Some(tags) => u64::from_ne_bytes(tags.get(place)?),
            None => 0,
        };
        if addr == 0 {
            return match (len, tag) {
                (0, 0) => Ok(None),
                (0, _) => Err(Errno::INVAL),
                _ => Err(Errno::FAULT),
            };
        }
        if len == 0 || len > MAX_LEN {
            return Err(Errno::FAULT);
        }
        if addr.checked_add((len as u64).next_multiple_of(PAGE)).is_none() {
            return Err(Errno::OVERFLOW);
        }
        let span = self.source.vouched.span(addr, len);
        self.source.world.populate(span)?;
        Ok(Some(Buffer { span, tag: retired.tag(tag) }))
    }
}

/// Address and length of a `struct iovec`.
///
/// # Errors
///
/// `EINVAL` for a length that would be negative.
pub(crate) fn iovec(bytes: &[u8; IOVEC]) -> Result<(u64, usize), Errno> {
    let (addr, len) = bytes.split_at(IOVEC / 2);
    let number = |half: &[u8]| usize::from_ne_bytes(half.try_into().unwrap_or_default());
    let len = isize::try_from(number(len)).map_err(|_| Errno::INVAL)?;
    Ok((number(addr) as u64, len.unsigned_abs()))
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
