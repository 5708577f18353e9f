//! Buffer rings come and go: the register calls, and the memory that the program maps.

use std::os::fd::BorrowedFd;

use annulus_abi::{BufReg, BufStatus, PbufRingFlags};
use rustix::io::Errno;

use super::memory::{PAGE, RingMemory, size};
use super::ring::BufferRing;
use super::{Group, Groups};
use crate::world::{Vouched, World};

impl Groups {
    /// `IORING_REGISTER_PBUF_RING`: makes the group a ring, in the program's memory or (`IOU_PBUF_RING_MMAP`) in pages that
    /// [`mapping`](Self::mapping) gives.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags, reserved fields that are set, a number of entries that is no power of two below 65536, an address
    /// inside a page; `EFAULT` if the memory cannot be written; `EEXIST` if the group has a ring or buffers; `ENOMEM`.
    pub(crate) fn register_ring(
        &mut self,
        world: &dyn World,
        vouched: Vouched,
        reg: &BufReg,
    ) -> Result<(), Errno> {
        let flags = PbufRingFlags::from_bits(reg.flags).ok_or(Errno::INVAL)?;
        let count = u16::try_from(reg.ring_entries).ok().filter(|count| count.is_power_of_two());
        // `min_left` came after Linux 6.18.
        if reg.min_left != 0 || reg.resv != [0; 5] {
            return Err(Errno::INVAL);
        }
        let count = count.ok_or(Errno::INVAL)?;
        match self.get(reg.bgid) {
            None => {}
            Some(Group::Legacy(provided)) if provided.is_empty() => {}
            Some(_) => return Err(Errno::EXIST),
        }
        let memory = if flags.contains(PbufRingFlags::MMAP) {
            RingMemory::allocate(count)?
        } else {
            let memory = RingMemory::borrow(vouched, reg.ring_addr, count)?;
            check_writable(world, vouched, reg.ring_addr, size(count))?;
            memory
        };
        *self.slot(reg.bgid) = Some(Group::Ring(BufferRing::new(memory, vouched, flags)));
        Ok(())
    }

    /// `IORING_UNREGISTER_PBUF_RING`: the memory is the program's alone again, the group is gone.
    ///
    /// # Errors
    ///
    /// `EINVAL` for fields that are set or a group that has no ring, `ENOENT`: no such group.
    pub(crate) fn unregister_ring(&mut self, reg: &BufReg) -> Result<(), Errno> {
        if reg.flags != 0 || reg.min_left != 0 || reg.resv != [0; 5] {
            return Err(Errno::INVAL);
        }
        match self.get(reg.bgid) {
            None => Err(Errno::NOENT),
            Some(Group::Legacy(_)) => Err(Errno::INVAL),
            Some(Group::Ring(_)) => {
                *self.slot(reg.bgid) = None;
                Ok(())
            }
        }
    }

    /// `IORING_REGISTER_PBUF_STATUS`: the status with `head` filled in.
    ///
    /// # Errors
    ///
    /// `EINVAL` for reserved fields that are set or a group that has no ring, `ENOENT`: no such group.
    pub(crate) fn status(&self, status: &BufStatus) -> Result<BufStatus, Errno> {
        if status.resv != [0; 8] {
            return Err(Errno::INVAL);
        }
        let group = u16::try_from(status.buf_group).map_err(|_| Errno::NOENT)?;
        match self.get(group).ok_or(Errno::NOENT)? {
            Group::Legacy(_) => Err(Errno::INVAL),
            Group::Ring(ring) => Ok(BufStatus { head: ring.head().into(), ..*status }),
        }
    }

    /// The file to map for a ring that was registered with `IOU_PBUF_RING_MMAP`, and its size in bytes.
    pub(crate) fn mapping(&self, group: u16) -> Option<(BorrowedFd<'_>, usize)> {
        match self.get(group)? {
            Group::Legacy(_) => None,
            Group::Ring(ring) => ring.memory.file(),
        }
    }
}

/// Asks of each page whether it is there and may be written, by putting back a word that was read.
fn check_writable(world: &dyn World, vouched: Vouched, addr: u64, len: usize) -> Result<(), Errno> {
    for page in (0..len).step_by(PAGE) {
        let word = vouched.span(addr.wrapping_add(page as u64), size_of::<u64>());
        let mut bytes = [0; size_of::<u64>()];
        world.load(word, &mut bytes)?;
        world.store(word, &bytes)?;
    }
    Ok(())
}
