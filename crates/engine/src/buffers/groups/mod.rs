//! Groups of provided buffers, from which operations pick when there is data.
//!
//! A group is a list that was filled by operations, or a ring that the program fills itself. An operation picks a buffer,
//! uses it, and then either commits it, which gives the flags of its completion, or puts it back. A buffer of a ring that is merely
//! picked is still the next one for everybody: who lets go of the lock in between must take it instead.

mod legacy;
mod memory;
mod register;
mod ring;
#[cfg(test)]
mod tests;

use annulus_abi::CqeFlags;
use rustix::io::Errno;

pub(crate) use self::legacy::Batch;
use self::legacy::{Buffer, Provided};
use self::ring::BufferRing;
use crate::world::{Span, Vouched};

/// The groups of a ring, by number.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// As long as the highest number needs.
    table: Vec<Option<Group>>,
}

#[derive(Debug)]
enum Group {
    Legacy(Provided),
    Ring(BufferRing),
}

/// A buffer that an operation may use, until it commits it or puts it back.
#[derive(Debug)]
#[must_use = "to be committed or put back"]
pub(crate) struct Picked {
    /// The memory: the buffer, cut to what was wanted.
    pub(crate) span: Span,
    id: u16,
    group: u16,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    /// No longer in its list.
    Legacy(Buffer),
    /// Still in its ring.
    Ring,
    /// Gone from its ring; whether a part of it stays there.
    Taken { more: bool },
}

impl Groups {
    /// The next buffer of a group, cut to `wanted` bytes (0: the whole buffer).
    ///
    /// # Errors
    ///
    /// `ENOBUFS`: none, or no such group.
    pub(crate) fn pick(&mut self, group: u16, wanted: usize) -> Result<Picked, Errno> {
        match self.get_mut(group).ok_or(Errno::NOBUFS)? {
            Group::Legacy(provided) => Ok(Picked::legacy(provided.take()?, group, wanted)),
            Group::Ring(ring) => {
                let (span, id) = ring.peek(wanted)?;
                Ok(Picked { span, id, group, origin: Origin::Ring })
            }
        }
    }

    /// Makes a picked buffer a taken one: the operation may wait with it, or a worker fill it, while others pick theirs.
    pub(crate) fn keep(&mut self, picked: Picked) -> Picked {
        if !matches!(picked.origin, Origin::Ring) {
            return picked;
        }
        let more = self.commit_ring(picked.group, picked.span.len(), 1);
        Picked { origin: Origin::Taken { more }, ..picked }
    }

    /// The next buffers of a group until they hold `wanted` bytes (0: as many as there are), at most `most`. A list
    /// gives one.
    ///
    /// # Errors
    ///
    /// `ENOENT`: no such group. `ENOBUFS`: no buffer.
    pub(crate) fn pick_many(&mut self, group: u16, wanted: usize, most: usize) -> Result<Vec<Picked>, Errno> {
        match self.get_mut(group).ok_or(Errno::NOENT)? {
            Group::Legacy(provided) => Ok(vec![Picked::legacy(provided.take()?, group, wanted)]),
            Group::Ring(ring) => {
                let found = ring.peek_many(wanted, most)?.into_iter();
                Ok(found.map(|(span, id)| Picked { span, id, group, origin: Origin::Ring }).collect())
            }
        }
    }

    /// As [`pick_many`](Self::pick_many), but all of them count as used. A list gives one whole buffer, whatever is wanted.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `ENOBUFS`.
    pub(crate) fn take_many(&mut self, group: u16, wanted: usize, most: usize) -> Result<Vec<Picked>, Errno> {
        let list = matches!(self.get(group), Some(Group::Legacy(_)));
        let mut picked = self.pick_many(group, if list { 0 } else { wanted }, most)?;
        let total = picked.iter().map(|picked| picked.span.len()).sum();
        if matches!(picked.first(), Some(Picked { origin: Origin::Ring, .. })) {
            let more = self.commit_ring(group, total, count_of(&picked));
            for picked in &mut picked {
                picked.origin = Origin::Taken { more };
            }
        }
        Ok(picked)
    }

    /// `used` bytes of the buffer were used. The flags of the completion: the buffer's number, and whether it stays in use.
    pub(crate) fn commit(&mut self, picked: Picked, used: usize) -> CqeFlags {
        let more = match picked.origin {
            Origin::Legacy(_) => false,
            Origin::Ring => self.commit_ring(picked.group, used, 1),
            Origin::Taken { more } => more,
        };
        picked.flags(more)
    }

    /// The operation failed. A buffer that is off its list, or out of its ring, counts as used, and the completion says so; one
    /// that is still in its ring stays there.
    pub(crate) fn fail(&mut self, picked: Picked) -> CqeFlags {
        match picked.origin {
            Origin::Ring => CqeFlags::empty(),
            Origin::Legacy(_) | Origin::Taken { .. } => self.commit(picked, 0),
        }
    }

    /// `used` bytes of these buffers were used, in their order; those behind stay where they are. The flags name the first.
    pub(crate) fn commit_many(&mut self, picked: Vec<Picked>, used: usize) -> CqeFlags {
        let Some(first) = picked.first() else { return CqeFlags::empty() };
        let more = match first.origin {
            Origin::Legacy(_) => false,
            Origin::Taken { more } => more,
            Origin::Ring if used == 0 => return CqeFlags::empty(),
            Origin::Ring => {
                let mut left = used;
                let touched = picked.iter().take_while(|picked| {
                    let touched = left > 0;
                    left = left.saturating_sub(picked.span.len());
                    touched
                });
                let touched = u16::try_from(touched.count()).unwrap_or(u16::MAX);
                self.commit_ring(first.group, used, touched)
            }
        };
        first.flags(more)
    }

    /// Nothing happened to the buffer: it is the next one again. What was taken from a ring cannot go back.
    pub(crate) fn put_back(&mut self, picked: Picked) {
        if let Origin::Legacy(buffer) = picked.origin
            && let Some(Group::Legacy(provided)) = self.get_mut(picked.group)
        {
            provided.put_back(buffer);
        }
    }

    /// Nothing happened to these buffers.
    pub(crate) fn put_back_many(&mut self, picked: Vec<Picked>) {
        for picked in picked.into_iter().rev() {
            self.put_back(picked);
        }
    }

    /// Whether the group has no buffer, or does not exist.
    pub(crate) fn is_empty(&self, group: u16) -> bool {
        match self.get(group) {
            None => true,
            Some(Group::Legacy(provided)) => provided.is_empty(),
            Some(Group::Ring(ring)) => ring.is_empty(),
        }
    }

    /// Appends buffers to the list of a group, which is made if it does not exist.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the group has a ring, `EOVERFLOW` if the list is full.
    pub(crate) fn provide(&mut self, vouched: Vouched, group: u16, batch: Batch) -> Result<(), Errno> {
        match self.slot(group).get_or_insert_with(|| Group::Legacy(Provided::default())) {
            Group::Legacy(provided) => provided.add(vouched, batch),
            Group::Ring(_) => Err(Errno::INVAL),
        }
    }

    /// Takes up to `count` buffers off the list of a group. Says how many there were.
    ///
    /// # Errors
    ///
    /// `ENOENT`: no such group. `EINVAL`: it has a ring.
    pub(crate) fn remove(&mut self, group: u16, count: u32) -> Result<u32, Errno> {
        match self.get_mut(group).ok_or(Errno::NOENT)? {
            Group::Legacy(provided) => Ok(provided.remove(count)),
            Group::Ring(_) => Err(Errno::INVAL),
        }
    }

    fn commit_ring(&mut self, group: u16, used: usize, count: u16) -> bool {
        match self.get_mut(group) {
            Some(Group::Ring(ring)) => ring.commit(used, count),
            // It was unregistered meanwhile.
            _ => false,
        }
    }

    fn get(&self, group: u16) -> Option<&Group> {
        self.table.get(usize::from(group)).and_then(Option::as_ref)
    }

    fn get_mut(&mut self, group: u16) -> Option<&mut Group> {
        self.table.get_mut(usize::from(group)).and_then(Option::as_mut)
    }

    fn slot(&mut self, group: u16) -> &mut Option<Group> {
        let index = usize::from(group);
        if self.table.len() <= index {
            self.table.resize_with(index + 1, || None);
        }
        &mut self.table[index]
    }
}

impl Picked {
    /// Whether it is out of its ring for good.
    pub(crate) const fn is_taken(&self) -> bool {
        matches!(self.origin, Origin::Taken { .. })
    }

    fn legacy(buffer: Buffer, group: u16, wanted: usize) -> Self {
        let wanted = if wanted == 0 { usize::MAX } else { wanted };
        Self { span: buffer.span.part(0, wanted), id: buffer.id, group, origin: Origin::Legacy(buffer) }
    }

    fn flags(&self, more: bool) -> CqeFlags {
        let id = CqeFlags::from_bits_retain(u32::from(self.id) << CqeFlags::BUFFER_SHIFT);
        let more = if more { CqeFlags::BUF_MORE } else { CqeFlags::empty() };
        CqeFlags::BUFFER | id | more
    }
}

fn count_of(picked: &[Picked]) -> u16 {
    u16::try_from(picked.len()).unwrap_or(u16::MAX)
}
