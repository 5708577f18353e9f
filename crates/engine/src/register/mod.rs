//! io_uring_register(2): what is registered, configured and asked, as Linux 6.18 has it.
//!
//! Each operation has its file by topic; what it works on is elsewhere: tables in `files` and `buffers`, threads in `pool`, the
//! rest in the core. A ring is not made quiet for a registration: its lock orders both.
//!
//! What the engine has no use for answers as a kernel that was built without it: busy polling of network cards (`NAPI`,
//! `EOPNOTSUPP`) and zero-copy receive (`ZCRX_IFQ`, `EOPNOTSUPP`). `RESIZE_RINGS` answers `EINVAL`, as whoever calls it must see
//! the new memory: [`Backend::resize`](annulus_abi::Backend::resize) does it. Operations newer than 6.18 do not exist.

mod asking;
mod call;
mod cancel;
mod message;
mod notices;
mod personality;
mod region;
mod resources;
mod restriction;
pub(crate) mod ring_fds;
#[cfg(test)]
mod tests;
mod wait;
mod workers;

use std::ffi::c_void;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use annulus_abi::{self as abi, IORING_OFF_MMAP_MASK, RegisterOp, SetupFlags, Sqe};
use rustix::io::Errno;

use self::call::Call;
use self::personality::Personalities;
use self::region::Region;
use self::resources::Kind;
use self::restriction::Restrictions;
use crate::core::{Audience, Ring, State};
use crate::pool::Pool;
use crate::world::{ClockId, Vouched, World};

pub(crate) use self::wait::{load_getevents, load_sigmask};

/// How many register operations Linux 6.18 has.
const REGISTER_OPS: u32 = abi::IORING_REGISTER_ZCRX_CTRL;
/// How many opcodes Linux 6.18 has.
const REQUEST_OPS: u32 = abi::IORING_OP_PIPE as u32 + 1;

/// What was configured for a ring, beside its tables.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// The clock of timeouts of waits (`IORING_REGISTER_CLOCK`).
    clock: ClockId,
    /// What the ring still takes once it is enabled.
    restrictions: Option<Box<Restrictions>>,
    personalities: Personalities,
    /// The region, and the right to name memory that its waits point to.
    region: Option<(Region, Vouched)>,
}

impl Settings {
    /// Whether the ring's restrictions allow the entry.
    ///
    /// # Errors
    ///
    /// `EACCES`.
    #[inline]
    pub(crate) fn allow(&self, sqe: &Sqe) -> Result<(), Errno> {
        match &self.restrictions {
            Some(restrictions) if !restrictions.allow(sqe) => Err(Errno::ACCESS),
            _ => Ok(()),
        }
    }

    /// The workers of the personality of this number.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there is none.
    pub(crate) fn personality(&self, id: u16) -> Result<&Pool, Errno> {
        self.personalities.get(id).ok_or(Errno::INVAL)
    }

    /// The workers of all personalities.
    pub(crate) fn personality_pools(&self) -> impl Iterator<Item = &Pool> {
        self.personalities.pools()
    }
}

/// Carries out a register call on a ring.
///
/// # Errors
///
/// Those of io_uring_register(2), by operation; `EINVAL` for those that the engine does not have, `EEXIST` for another thread
/// than the issuer, `EACCES` for what restrictions do not allow.
pub(crate) fn register(
    ring: &Arc<Ring>,
    op: RegisterOp,
    arg: *mut c_void,
    nr: u32,
    vouched: Vouched,
) -> Result<u32, Errno> {
    let number = op.number();
    if number >= REGISTER_OPS {
        return Err(Errno::INVAL);
    }
    let call = Call::on(ring, arg as u64, nr, vouched);
    check(ring, &ring.lock(), number)?;
    match number {
        // These look after the lock themselves: they reach other rings, or wait.
        abi::IORING_REGISTER_CLONE_BUFFERS => resources::clone_buffers(ring, &call),
        abi::IORING_REGISTER_SYNC_CANCEL => cancel::cancel(ring, &call),
        abi::IORING_REGISTER_RING_FDS => ring_fds::register(&call),
        abi::IORING_UNREGISTER_RING_FDS => ring_fds::unregister(&call),
        abi::IORING_REGISTER_IOWQ_AFF => workers::set_affinity(ring, &call),
        abi::IORING_UNREGISTER_IOWQ_AFF => workers::clear_affinity(ring, &call),
        abi::IORING_REGISTER_IOWQ_MAX_WORKERS => workers::set_limits(ring, &call),
        abi::IORING_REGISTER_PROBE => asking::probe(&call),
        abi::IORING_REGISTER_QUERY => asking::query(&call),
        _ => ring.with(|state| register_with(ring, state, number, &call)),
    }
}

/// Whether the calling thread may do this to the ring.
///
/// # Errors
///
/// `EEXIST` for another thread than the issuer, `EACCES` for what restrictions do not allow.
pub(crate) fn check(ring: &Ring, state: &State, number: u32) -> Result<(), Errno> {
    state.check_registrant(ring.setup)?;
    let restrictions = state.settings.restrictions.as_ref().filter(|_| !state.disabled);
    if restrictions.is_some_and(|restrictions| !restrictions.allow_register(number)) {
        return Err(Errno::ACCESS);
    }
    Ok(())
}

/// Operations on the state of the ring.
fn register_with(ring: &Ring, state: &mut State, number: u32, call: &Call<'_>) -> Result<u32, Errno> {
    use resources as rsrc;
    match number {
        abi::IORING_REGISTER_BUFFERS => rsrc::register_plain(state, call, Kind::Buffers),
        abi::IORING_UNREGISTER_BUFFERS => {
            call.nothing().and_then(|()| state.tables.buffers.unregister()).map(|()| 0)
        }
        abi::IORING_REGISTER_FILES => rsrc::register_plain(state, call, Kind::Files),
        abi::IORING_UNREGISTER_FILES => {
            call.nothing().and_then(|()| state.tables.files.unregister()).map(|()| 0)
        }
        abi::IORING_REGISTER_EVENTFD => notices::register(state, call, Audience::Every),
        abi::IORING_UNREGISTER_EVENTFD => notices::unregister(state, call),
        abi::IORING_REGISTER_FILES_UPDATE => rsrc::update_plain(state, call),
        abi::IORING_REGISTER_EVENTFD_ASYNC => notices::register(state, call, Audience::Outside),
        abi::IORING_REGISTER_PERSONALITY => personality::register(ring, state, call),
        abi::IORING_UNREGISTER_PERSONALITY => personality::unregister(state, call),
        abi::IORING_REGISTER_RESTRICTIONS => restriction::register(state, call),
        abi::IORING_REGISTER_ENABLE_RINGS => enable(ring, state, call),
        abi::IORING_REGISTER_FILES2 => rsrc::register_tagged(state, call, Kind::Files),
        abi::IORING_REGISTER_FILES_UPDATE2 => rsrc::update_tagged(state, call, Kind::Files),
        abi::IORING_REGISTER_BUFFERS2 => rsrc::register_tagged(state, call, Kind::Buffers),
        abi::IORING_REGISTER_BUFFERS_UPDATE => rsrc::update_tagged(state, call, Kind::Buffers),
        abi::IORING_REGISTER_PBUF_RING => rsrc::register_buffer_ring(state, call),
        abi::IORING_UNREGISTER_PBUF_RING => rsrc::unregister_buffer_ring(state, call),
        abi::IORING_REGISTER_FILE_ALLOC_RANGE => rsrc::set_alloc_range(state, call),
        abi::IORING_REGISTER_PBUF_STATUS => rsrc::buffer_ring_status(state, call),
        abi::IORING_REGISTER_CLOCK => wait::set_clock(state, call),
        abi::IORING_REGISTER_MEM_REGION => region::register(state, call),
        abi::IORING_REGISTER_NAPI | abi::IORING_REGISTER_ZCRX_IFQ => {
            call.structure(1).and(Err(Errno::OPNOTSUPP))
        }
        abi::IORING_UNREGISTER_NAPI if call.nr == 1 => Err(Errno::OPNOTSUPP),
        _ => Err(Errno::INVAL),
    }
}

/// Carries out a register call on no ring (descriptor -1).
///
/// # Errors
///
/// Those of the two operations that Linux 6.18 has for that, messages and queries; `EINVAL` for others.
pub(crate) fn register_blind(
    world: &Arc<dyn World>,
    op: RegisterOp,
    arg: *mut c_void,
    nr: u32,
    vouched: Vouched,
) -> Result<u32, Errno> {
    let call = Call { world, vouched, addr: arg as u64, nr };
    match op.number() {
        abi::IORING_REGISTER_SEND_MSG_RING => message::send(&call),
        abi::IORING_REGISTER_QUERY => asking::query(&call),
        _ => Err(Errno::INVAL),
    }
}

/// `ENABLE_RINGS`: the calling thread becomes the issuer of a ring of one.
///
/// # Errors
///
/// `EBADFD`: it is enabled. `EINVAL`.
fn enable(ring: &Ring, state: &mut State, call: &Call<'_>) -> Result<u32, Errno> {
    call.nothing()?;
    if !state.disabled {
        return Err(Errno::BADFD);
    }
    state.issuer = Some(std::thread::current().id());
    state.disabled = false;
    if ring.setup.contains(SetupFlags::SQPOLL) {
        state.wake_sqpoll(ring);
    }
    Ok(0)
}

/// The file behind memory that the engine allocated when it was registered, by the offset at which programs map it.
///
/// # Errors
///
/// `ENOMEM`: nothing can be mapped there. `EFAULT`: it is longer than `len`. `EMFILE`.
pub(crate) fn mappable(ring: &Ring, len: usize, offset: u64) -> Result<OwnedFd, Errno> {
    let state = ring.lock();
    let found = match offset & IORING_OFF_MMAP_MASK {
        abi::IORING_OFF_PBUF_RING => {
            let group = (offset & !IORING_OFF_MMAP_MASK) >> abi::IORING_OFF_PBUF_SHIFT;
            let group = u16::try_from(group).map_err(|_| Errno::NOMEM)?;
            state.tables.groups.mapping(group)
        }
        region::MAP_OFFSET => {
            let file = state.settings.region.as_ref().and_then(|(region, _)| region.file());
            file.and_then(|(file, len)| Some((file, usize::try_from(len).ok()?)))
        }
        _ => None,
    };
    let (file, needed) = found.ok_or(Errno::NOMEM)?;
    if len < needed {
        return Err(Errno::FAULT);
    }
    rustix::io::fcntl_dupfd_cloexec(file, 0)
}
