//! Where the parts of a ring lie: offsets and sizes as pure arithmetic.
//!
//! Memory that the program brings (`IORING_SETUP_NO_MMAP`) was measured by the kernel's layout, whose indices take 64
//! bytes, so it is laid out exactly so. In memory of the engine's own what the program writes, what the
//! device writes and what nobody writes have a cache line each: program and device may run on different cores.

use std::mem::size_of;

use annulus_abi::{CqRingOffsets, Cqe, Cqe32, Params, SetupFlags, SqRingOffsets, Sqe, Sqe128};

/// The cache line that indices are kept apart by, and entries and array are aligned to.
const LINE: usize = 64;

/// The offsets of one ring, and what its two parts take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) sq: SqRingOffsets,
    pub(super) cq: CqRingOffsets,
    /// Bytes of the indices, the completions and the array.
    pub(super) rings_len: usize,
    /// Bytes of the submission entries.
    pub(super) sqes_len: usize,
}

impl Layout {
    /// The layout of a ring of `params.sq_entries` and `params.cq_entries`, which are in range. Addresses that the program
    /// gave stay what they are.
    pub(super) fn of(params: &Params) -> Self {
        let flags = params.setup_flags();
        let given = flags.contains(SetupFlags::NO_MMAP);
        let (mut sq, mut cq) = if given { AS_LINUX } else { APART };
        if given {
            sq.user_addr = params.sq_off.user_addr;
            cq.user_addr = params.cq_off.user_addr;
        }
        let cqe = if flags.contains(SetupFlags::CQE32) { size_of::<Cqe32>() } else { size_of::<Cqe>() };
        let sqe = if flags.contains(SetupFlags::SQE128) { size_of::<Sqe128>() } else { size_of::<Sqe>() };
        let entries = params.sq_entries as usize;
        let mut rings_len = cq.cqes as usize + params.cq_entries as usize * cqe;
        if given && flags.contains(SetupFlags::CQE32) {
            // Where completions have twice the size, the kernel doubles the indices before them too.
            rings_len += cq.cqes as usize;
        }
        if !flags.contains(SetupFlags::NO_SQARRAY) {
            let array = rings_len.next_multiple_of(LINE);
            sq.array = u32::try_from(array).expect("the largest queue ends far below 4 GiB");
            rings_len = array + entries * size_of::<u32>();
        }
        Self { sq, cq, rings_len, sqes_len: entries * sqe }
    }
}

/// The offsets of Linux 6.18.
const AS_LINUX: (SqRingOffsets, CqRingOffsets) = (
    SqRingOffsets {
        head: 0,
        tail: 4,
        ring_mask: 16,
        ring_entries: 24,
        dropped: 32,
        flags: 36,
        array: 0,
        resv1: 0,
        user_addr: 0,
    },
    CqRingOffsets {
        head: 8,
        tail: 12,
        ring_mask: 20,
        ring_entries: 28,
        flags: 40,
        overflow: 44,
        cqes: 64,
        resv1: 0,
        user_addr: 0,
    },
);

/// A line for each writer: at 0 the device's, at 64 the program's, at 128 nobody's.
const APART: (SqRingOffsets, CqRingOffsets) = (
    SqRingOffsets {
        head: 0,
        flags: 4,
        dropped: 8,
        tail: 64,
        ring_mask: 128,
        ring_entries: 132,
        array: 0,
        resv1: 0,
        user_addr: 0,
    },
    CqRingOffsets {
        tail: 12,
        overflow: 16,
        head: 68,
        flags: 72,
        ring_mask: 136,
        ring_entries: 140,
        cqes: 192,
        resv1: 0,
        user_addr: 0,
    },
);
