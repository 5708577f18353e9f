//! New sizes for a ring (`IORING_REGISTER_RESIZE_RINGS`): new memory, into which everything that waits moves.
//!
//! The old memory is read and never written, so that a refusal leaves the ring as it was. Indices go on
//! from where they are.
#![allow(unsafe_code, reason = "takes ends of two rings that nobody else uses meanwhile")]

use std::mem::size_of;
use std::sync::atomic::Ordering;

use annulus_abi::{Cqe, Cqe32, CqeFlags, Params, RingMemory, SetupFlags, Sqe, Sqe128};
use rustix::io::Errno;

use super::{CqProducer, Mapping, Rings, Start};
use crate::setup::prepare;

/// What may be asked for.
const ASKED: SetupFlags = SetupFlags::CQSIZE.union(SetupFlags::CLAMP);
/// What a ring remains.
const INHERITED: SetupFlags = SetupFlags::NO_SQARRAY
    .union(SetupFlags::SQE128)
    .union(SetupFlags::CQE32)
    .union(SetupFlags::NO_MMAP)
    .union(SetupFlags::CQE_MIXED);

/// A ring of the sizes that `asked` names, with all that waits in `old`, whose memory is `mapping` and which was set up
/// with `ring`. `None` if it has these sizes. `asked` receives the sizes and the layout.
///
/// # Errors
///
/// `EINVAL` for a ring without `DEFER_TASKRUN`, other flags than `CQSIZE` and `CLAMP`, and sizes out of
/// range; `EOVERFLOW` if what waits does not fit; those of [`Rings::new`].
///
/// # Safety
///
/// Nobody else uses an end of either queue of `old` meanwhile, and all that its device's ends took and posted is
/// published. With `IORING_SETUP_NO_MMAP`, memory at the addresses in `asked` is the new ring's.
pub(crate) unsafe fn resized(
    old: &RingMemory,
    mapping: &Mapping,
    ring: &Params,
    asked: &mut Params,
) -> Result<Option<Rings>, Errno> {
    let flags = ring.setup_flags();
    if !flags.contains(SetupFlags::DEFER_TASKRUN) || !ASKED.contains(asked.setup_flags()) {
        return Err(Errno::INVAL);
    }
    let mut params = *asked;
    params.flags |= (flags & INHERITED).bits();
    prepare(params.sq_entries, &mut params)?;
    if (params.sq_entries, params.cq_entries) == (ring.sq_entries, ring.cq_entries) {
        (params.sq_off, params.cq_off) = (ring.sq_off, ring.cq_off);
        *asked = params;
        return Ok(None);
    }
    let index = |offset| mapping.word(offset).load(Ordering::Relaxed);
    let start = Start { sq: index(ring.sq_off.head), cq: index(ring.cq_off.head) };
    // SAFETY: the contract of this function.
    let mut rings = unsafe { Rings::starting_at(&mut params, start) }?;
    let words = [
        (params.sq_off.dropped, old.sq_dropped()),
        (params.sq_off.flags, old.sq_flags().bits()),
        (params.cq_off.flags, old.cq_flags().unwrap_or_default().bits()),
        (params.cq_off.overflow, old.cq_overflow()),
    ];
    for (offset, value) in words {
        rings.mapping.store(offset, value);
    }
    // SAFETY: the contract of this function: `old` is left alone, and the new ring is not handed out yet.
    unsafe { move_submissions(old, &rings.memory) }?;
    // SAFETY: as above.
    unsafe { move_completions(old, &mut rings.cq) }?;
    let Params { sq_entries, cq_entries, sq_off, cq_off, .. } = params;
    rings.params = Params { sq_entries, cq_entries, sq_off, cq_off, ..*ring };
    *asked = params;
    Ok(Some(rings))
}

/// Copies the entries that nobody took yet. One that the old array did not name stays behind.
///
/// # Safety
///
/// Nobody else uses an end of the submission queue of either ring.
unsafe fn move_submissions(old: &RingMemory, new: &RingMemory) -> Result<(), Errno> {
    // SAFETY: the contract of this function; it takes from a copy of the head and publishes nothing.
    let mut from = unsafe { old.sq_consumer() };
    let waiting = from.available();
    if waiting > new.sq_entries() {
        return Err(Errno::OVERFLOW);
    }
    let entries = (0..waiting).filter_map(|_| {
        let entry = from.next()?;
        Some(Sqe128 { base: entry.sqe, extra: from.extra(&entry) })
    });
    if new.sqe_size() == size_of::<Sqe128>() {
        // SAFETY: the contract of this function; the size was just compared.
        let mut to = unsafe { new.sq_producer::<Sqe128>() };
        entries.for_each(|entry| assert!(to.push(&entry), "{waiting} entries fit"));
    } else {
        // SAFETY: the contract of this function; the size is the only other one.
        let mut to = unsafe { new.sq_producer::<Sqe>() };
        entries.for_each(|entry| assert!(to.push(&entry.base), "{waiting} entries fit"));
    }
    Ok(())
}

/// Copies the completions that the program did not take yet. On a mixed ring they are laid anew, as the place of
/// the ring's end changes, over which none may wrap.
///
/// # Safety
///
/// Nobody else uses an end of the completion queue of either ring.
unsafe fn move_completions(old: &RingMemory, to: &mut CqProducer) -> Result<(), Errno> {
    let mut push = |cqe: &Cqe, extra| if to.push(cqe, extra) { Ok(()) } else { Err(Errno::OVERFLOW) };
    if old.cqe_size() == size_of::<Cqe32>() {
        // SAFETY: the contract of this function; the size was just compared. It takes nothing.
        let from = unsafe { old.cq_consumer::<Cqe32>() };
        let (older, newer) = from.ready();
        older.iter().chain(newer).try_for_each(|cqe| push(&cqe.base, cqe.extra))?;
    } else {
        // SAFETY: the contract of this function; the size is the only other one. It takes nothing.
        let from = unsafe { old.cq_consumer::<Cqe>() };
        let (older, newer) = from.ready();
        let mut waiting = older.iter().chain(newer);
        while let Some(cqe) = waiting.next() {
            let flags = CqeFlags::from_bits_retain(cqe.flags);
            if flags.contains(CqeFlags::F_32) {
                push(cqe, waiting.next().map_or([0; 2], as_words))?;
            } else if !flags.contains(CqeFlags::SKIP) {
                push(cqe, [0; 2])?;
            }
        }
    }
    to.publish();
    Ok(())
}

/// The second half of a wide completion, which lies in a place of its own, as what it is.
const fn as_words(half: &Cqe) -> [u64; 2] {
    let ([a, b, c, d], [e, f, g, h]) = (half.res.to_ne_bytes(), half.flags.to_ne_bytes());
    [half.user_data, u64::from_ne_bytes([a, b, c, d, e, f, g, h])]
}

#[cfg(test)]
#[path = "resize_tests.rs"]
mod tests;
