//! The ring's memory region (`IORING_REGISTER_MEM_REGION`), which may hold descriptions of waits.
//!
//! Memory of the program is read through the world, as the program may have unmapped it; memory of the engine's own is a
//! file that the program maps, and is read as a file. So nothing here follows an address.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use annulus_abi::{MemRegionFlags, MemRegionReg, RegWait, RegionDesc, RegionFlags};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use super::call::{Call, Fields};
use crate::core::State;
use crate::shared::page_size;
use crate::world::{Span, World};

/// Where the program maps a region that was allocated for it (`IORING_MAP_OFF_PARAM_REGION`).
pub(crate) const MAP_OFFSET: u64 = 0x2000_0000;

const DESC: usize = size_of::<RegionDesc>();
const REG: usize = size_of::<MemRegionReg>();
const WAIT: usize = size_of::<RegWait>();

/// A registered region.
#[derive(Debug)]
pub(super) struct Region {
    memory: Memory,
    len: u64,
    /// It holds descriptions of waits.
    has_waits: bool,
}

#[derive(Debug)]
enum Memory {
    /// The program's, which vouched for it until the ring is gone.
    Program(Span),
    /// The engine's.
    Own(OwnedFd),
}

impl Region {
    /// The description of a wait at an offset in bytes.
    ///
    /// # Errors
    ///
    /// `EFAULT`: outside, not aligned, or the region is for something else.
    pub(super) fn wait(&self, world: &dyn World, offset: u64) -> Result<Fields<WAIT>, Errno> {
        let is_inside = offset.checked_add(WAIT as u64).is_some_and(|end| end <= self.len);
        if !self.has_waits || !is_inside || !offset.is_multiple_of(size_of::<u64>() as u64) {
            return Err(Errno::FAULT);
        }
        let mut bytes = [0; WAIT];
        match &self.memory {
            Memory::Program(span) => {
                let start = usize::try_from(offset).map_err(|_| Errno::FAULT)?;
                world.load(span.part(start, WAIT), &mut bytes)?;
            }
            Memory::Own(file) => {
                if rustix::io::pread(file, &mut bytes, offset)? != WAIT {
                    return Err(Errno::FAULT);
                }
            }
        }
        Ok(Fields(bytes))
    }

    /// The file to map, and its length, if the engine allocated it.
    pub(super) fn file(&self) -> Option<(BorrowedFd<'_>, u64)> {
        match &self.memory {
            Memory::Program(_) => None,
            Memory::Own(file) => Some((file.as_fd(), self.len)),
        }
    }
}

/// `REGISTER_MEM_REGION`.
///
/// # Errors
///
/// `EBUSY`: there is one. `EINVAL`, `EFAULT`, `E2BIG`, `EOVERFLOW`, `ENOMEM`.
pub(super) fn register(state: &mut State, call: &Call<'_>) -> Result<u32, Errno> {
    call.structure(1)?;
    if state.settings.region.is_some() {
        return Err(Errno::BUSY);
    }
    let reg: Fields<REG> = call.load()?;
    let desc_at = reg.u64(0);
    let mut desc: Fields<DESC> = call.load_at(desc_at)?;
    reg.reserved(16..REG)?;
    let flags = MemRegionFlags::from_bits(reg.u64(8)).ok_or(Errno::INVAL)?;
    let has_waits = flags.contains(MemRegionFlags::WAIT_ARG);
    // Nobody may be waiting already.
    if has_waits && !state.disabled {
        return Err(Errno::INVAL);
    }
    let (memory, len) = create(call, &desc)?;
    if matches!(memory, Memory::Own(_)) {
        desc.0[24..32].copy_from_slice(&MAP_OFFSET.to_ne_bytes());
    }
    call.store_at(desc_at, &desc.0)?;
    state.settings.region = Some((Region { memory, len, has_waits }, call.vouched));
    Ok(0)
}

/// Makes a region as its descriptor says.
fn create(call: &Call<'_>, desc: &Fields<DESC>) -> Result<(Memory, u64), Errno> {
    let (addr, len, id, mmap_offset) = (desc.u64(0), desc.u64(8), desc.u32(20), desc.u64(24));
    desc.reserved(32..DESC)?;
    let flags = RegionFlags::from_bits(desc.u32(16)).ok_or(Errno::INVAL)?;
    let is_programs = flags.contains(RegionFlags::USER);
    if is_programs != (addr != 0) {
        return Err(Errno::FAULT);
    }
    if len == 0 || mmap_offset != 0 || id != 0 {
        return Err(Errno::INVAL);
    }
    let page = page_size() as u64;
    if i32::try_from(len / page).is_err() {
        return Err(Errno::TOOBIG);
    }
    if !addr.is_multiple_of(page) || !len.is_multiple_of(page) {
        return Err(Errno::INVAL);
    }
    addr.checked_add(len).ok_or(Errno::OVERFLOW)?;
    if is_programs {
        let span = call.span(addr, usize::try_from(len).map_err(|_| Errno::OVERFLOW)?);
        call.world.populate(span)?;
        Ok((Memory::Program(span), len))
    } else {
        Ok((Memory::Own(allocate(len)?), len))
    }
}

/// A file of zeros whose size stays.
fn allocate(len: u64) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(c"annulus-region", flags)?;
    rustix::fs::ftruncate(&file, len)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    // Now rather than by a signal when the program first writes there.
    match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, len) {
        Err(Errno::NOSPC) => Err(Errno::NOMEM),
        Ok(()) | Err(_) => Ok(file),
    }
}
