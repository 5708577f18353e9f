//! Registered files and buffers, and rings of provided buffers: their register calls, taken apart.
//!
//! What is registered where is the tables' matter (`files`, `buffers`).

use std::sync::Arc;

use annulus_abi::{BufReg, BufStatus, CloneFlags, RsrcFlags, SetupFlags};
use rustix::io::Errno;

use super::call::{Call, Fields};
use super::ring_fds;
use crate::buffers::Clones;
use crate::core::{self, Ring, State};
use crate::files::Source;

/// What a list is a list of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Descriptors.
    Files,
    /// `struct iovec`.
    Buffers,
}

/// Sizes of `struct io_uring_rsrc_register`, `..._update` and `..._update2`.
const REGISTER: usize = 32;
const UPDATE: usize = 16;
const UPDATE2: usize = 32;

fn source<'a>(call: &Call<'a>, state: &State) -> Source<'a> {
    Source { world: call.world, vouched: call.vouched, rings: state.tables.rings }
}

/// A list without tags.
///
/// # Errors
///
/// `EFAULT` without a list; those of the tables.
pub(super) fn register_plain(state: &mut State, call: &Call<'_>, kind: Kind) -> Result<u32, Errno> {
    if call.addr == 0 {
        return Err(Errno::FAULT);
    }
    register_list(state, call, kind, call.nr, call.addr, 0)
}

/// A list with tags, or empty slots.
///
/// # Errors
///
/// `EINVAL`, `EFAULT`; those of the tables.
pub(super) fn register_tagged(state: &mut State, call: &Call<'_>, kind: Kind) -> Result<u32, Errno> {
    if call.nr as usize != REGISTER {
        return Err(Errno::INVAL);
    }
    let fields: Fields<REGISTER> = call.load()?;
    let (count, data, tags) = (fields.u32(0), fields.u64(16), fields.u64(24));
    fields.reserved(8..16)?;
    let flags = RsrcFlags::from_bits(fields.u32(4)).ok_or(Errno::INVAL)?;
    if count == 0 || (flags.contains(RsrcFlags::SPARSE) && data != 0) {
        return Err(Errno::INVAL);
    }
    register_list(state, call, kind, count, data, tags)
}

fn register_list(
    state: &mut State,
    call: &Call<'_>,
    kind: Kind,
    count: u32,
    data: u64,
    tags: u64,
) -> Result<u32, Errno> {
    let source = source(call, state);
    match kind {
        Kind::Files => state.tables.files.register(&source, count, data, tags),
        Kind::Buffers => state.tables.buffers.register(&source, count, data, tags),
    }
    .map(|()| 0)
}

/// `FILES_UPDATE`.
///
/// # Errors
///
/// `EINVAL`, `EFAULT`; those of the table.
pub(super) fn update_plain(state: &mut State, call: &Call<'_>) -> Result<u32, Errno> {
    if call.nr == 0 {
        return Err(Errno::INVAL);
    }
    let fields: Fields<UPDATE> = call.load()?;
    fields.reserved(4..8)?;
    let source = source(call, state);
    state.tables.files.update(&source, fields.u32(0), call.nr, fields.u64(8), 0)
}

/// `FILES_UPDATE2`, `BUFFERS_UPDATE`.
///
/// # Errors
///
/// `EINVAL`, `EFAULT`; those of the tables.
pub(super) fn update_tagged(state: &mut State, call: &Call<'_>, kind: Kind) -> Result<u32, Errno> {
    if call.nr as usize != UPDATE2 {
        return Err(Errno::INVAL);
    }
    let fields: Fields<UPDATE2> = call.load()?;
    let (offset, data, tags, count) = (fields.u32(0), fields.u64(8), fields.u64(16), fields.u32(24));
    fields.reserved(4..8)?;
    fields.reserved(28..32)?;
    if count == 0 {
        return Err(Errno::INVAL);
    }
    let source = source(call, state);
    match kind {
        Kind::Files => state.tables.files.update(&source, offset, count, data, tags),
        Kind::Buffers => state.tables.buffers.update(&source, offset, count, data, tags),
    }
}

/// `FILE_ALLOC_RANGE`.
///
/// # Errors
///
/// `EINVAL`, `EFAULT`, `EOVERFLOW`.
pub(super) fn set_alloc_range(state: &mut State, call: &Call<'_>) -> Result<u32, Errno> {
    call.structure(0)?;
    let fields: Fields<16> = call.load()?;
    let (offset, len) = (fields.u32(0), fields.u32(4));
    offset.checked_add(len).ok_or(Errno::OVERFLOW)?;
    fields.reserved(8..16)?;
    state.tables.files.set_alloc_range(offset, len).map(|()| 0)
}

/// `CLONE_BUFFERS`. Two rings are never locked at once.
///
/// # Errors
///
/// `EINVAL`, `EFAULT`; `EBADF` and `EOPNOTSUPP` for a source that is no ring, `EEXIST` for one with another issuer; those of the
/// table.
pub(super) fn clone_buffers(ring: &Arc<Ring>, call: &Call<'_>) -> Result<u32, Errno> {
    call.structure(1)?;
    let fields: Fields<32> = call.load()?;
    let flags = CloneFlags::from_bits(fields.u32(4)).ok_or(Errno::INVAL)?;
    let clones = Clones { from: fields.u32(8), to: fields.u32(12), count: fields.u32(16), flags };
    if !flags.contains(CloneFlags::DST_REPLACE) && ring.lock().tables.buffers.len() > 0 {
        return Err(Errno::BUSY);
    }
    fields.reserved(20..32)?;
    let other = if flags.contains(CloneFlags::SRC_REGISTERED) {
        ring_fds::get(fields.u32(0))?
    } else {
        let fd = fields.u32(0).cast_signed();
        ring.world.kind(fd)?;
        core::find(fd, &**call.world).ok_or(Errno::OPNOTSUPP)?
    };
    let spans = {
        let state = other.lock();
        if !Arc::ptr_eq(ring, &other) {
            state.check_registrant(other.setup)?;
        }
        state.tables.buffers.spans()
    };
    ring.with(|state| state.tables.buffers.clone_from(&spans, clones)).map(|()| 0)
}

/// `PBUF_RING`.
///
/// # Errors
///
/// `EINVAL`, `EFAULT`; those of the groups.
pub(super) fn register_buffer_ring(state: &mut State, call: &Call<'_>) -> Result<u32, Errno> {
    let reg = load_buf_reg(call)?;
    state.tables.groups.register_ring(&**call.world, call.vouched, &reg).map(|()| 0)
}

/// `UNREGISTER_PBUF_RING`.
///
/// # Errors
///
/// `EINVAL`, `EFAULT`; those of the groups.
pub(super) fn unregister_buffer_ring(state: &mut State, call: &Call<'_>) -> Result<u32, Errno> {
    let reg = load_buf_reg(call)?;
    state.tables.groups.unregister_ring(&reg).map(|()| 0)
}

fn load_buf_reg(call: &Call<'_>) -> Result<BufReg, Errno> {
    call.structure(1)?;
    let fields: Fields<{ size_of::<BufReg>() }> = call.load()?;
    Ok(BufReg {
        ring_addr: fields.u64(0),
        ring_entries: fields.u32(8),
        bgid: fields.u16(12),
        flags: fields.u16(14),
        min_left: fields.u32(16),
        resv: [20, 24, 28, 32, 36].map(|at| fields.u32(at)),
    })
}

/// `PBUF_STATUS`.
///
/// # Errors
///
/// `EINVAL`, `EFAULT`, `ENOENT`.
pub(super) fn buffer_ring_status(state: &State, call: &Call<'_>) -> Result<u32, Errno> {
    call.structure(1)?;
    let fields: Fields<{ size_of::<BufStatus>() }> = call.load()?;
    let resv = [8, 12, 16, 20, 24, 28, 32, 36].map(|at| fields.u32(at));
    let asked = BufStatus { buf_group: fields.u32(0), head: 0, resv };
    let status = state.tables.groups.status(&asked)?;
    // Only the head is an answer.
    let head = call.addr.wrapping_add(4);
    call.store_at(head, &status.head.to_ne_bytes()).map(|()| 0)
}

impl State {
    /// Who may register, on a ring of one issuer.
    ///
    /// # Errors
    ///
    /// `EEXIST` for another thread than the issuer.
    pub(super) fn check_registrant(&self, setup: SetupFlags) -> Result<(), Errno> {
        // A ring that is still disabled has no issuer yet.
        let is_other = |issuer| issuer != std::thread::current().id();
        if setup.contains(SetupFlags::SINGLE_ISSUER) && self.issuer.is_some_and(is_other) {
            return Err(Errno::EXIST);
        }
        Ok(())
    }
}
