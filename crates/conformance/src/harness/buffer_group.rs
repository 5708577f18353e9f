//! A ring of provided buffers, written entry by entry as the interface says.
//!
//! On purpose without the convenience of `annulus`: here the bytes are what is tested.

use annulus::abi::{Buf, BufReg, PbufRingFlags, RegisterOp};
use rustix::io::Errno;

use super::{Bench, Buffer, Kept, Need, Rig, Skip};

/// A group whose buffers come from a ring.
#[derive(Debug)]
pub struct BufferGroup {
    ring: Buffer,
    entries: u16,
    tail: u16,
}

impl BufferGroup {
    const TAIL_OFFSET: usize = 14;

    /// Registers a ring with room for `entries` buffers, which must be a power of two.
    ///
    /// # Errors
    ///
    /// The reason to skip if the back end has no such rings.
    ///
    /// # Panics
    ///
    /// If it has, and refuses.
    pub fn register(
        rig: &Rig,
        bench: &Bench<'_>,
        group: u16,
        entries: u16,
        flags: PbufRingFlags,
    ) -> Result<Self, Skip> {
        bench.needs([Need::Since(5, 19, "IORING_REGISTER_PBUF_RING")])?;
        Ok(Self::try_register(rig, group, entries, flags).expect("the ring is taken"))
    }

    /// As [`register`](Self::register), with the refusal itself.
    ///
    /// # Errors
    ///
    /// That of the back end.
    pub fn try_register(rig: &Rig, group: u16, entries: u16, flags: PbufRingFlags) -> Result<Self, Errno> {
        let ring = Buffer::new(usize::from(entries) * size_of::<Buf>());
        let registration = BufReg {
            ring_addr: ring.addr(),
            ring_entries: entries.into(),
            bgid: group,
            flags: flags.bits(),
            ..BufReg::default()
        };
        rig.register(RegisterOp::REGISTER_PBUF_RING, Kept::new(registration), 1)?;
        Ok(Self { ring, entries, tail: 0 })
    }

    /// Adds buffers by their numbers, and publishes them together.
    pub fn give(&mut self, buffers: &[(u16, Buffer)]) {
        for (id, buffer) in buffers {
            let place = usize::from(self.tail % self.entries) * size_of::<Buf>();
            // All but the last two bytes, which in the first entry are the tail.
            let entry = self.ring.part(place, Self::TAIL_OFFSET);
            entry.write(&buffer.addr().to_ne_bytes());
            entry.part(8, 4).write(&buffer.len().to_ne_bytes());
            entry.part(12, 2).write(&id.to_ne_bytes());
            self.tail = self.tail.wrapping_add(1);
        }
        self.ring.publish(Self::TAIL_OFFSET, self.tail);
    }
}
