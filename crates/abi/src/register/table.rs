//! What each operation of io_uring_register(2) takes, as plain data.
//!
//! For back ends that cannot let the kernel read the caller's memory (an enclave, a library OS, a
//! simulation): the table tells how many bytes to copy in, how many to copy back, and whether there
//! are addresses inside that need the same care.

use core::mem::size_of;

use crate::register::{
    Bpf, BufReg, BufStatus, ClockRegister, CloneBuffers, FileIndexRange, IORING_REGISTER_LAST, MemRegionReg,
    Napi, ProbeOp, QueryHdr, RegisterOp, Restriction, RsrcRegister, RsrcUpdate, RsrcUpdate2, SyncCancelReg,
    ZcrxCtrl, ZcrxIfqReg,
};
use crate::{Params, Probe, Sqe};

/// One operation of io_uring_register(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterInfo {
    /// The operation.
    pub op: RegisterOp,
    /// Its name without `IORING_`.
    pub name: &'static str,
    /// The first Linux that has it: major, minor.
    pub since: (u8, u8),
    /// Which descriptor it works on.
    pub target: RegisterTarget,
    /// How the flat argument is laid out, and what `nr` means.
    pub layout: ArgLayout,
    /// Which way the flat argument is copied.
    pub direction: ArgDirection,
    /// Whether the flat argument holds addresses of further memory.
    pub has_pointers: bool,
}

/// Which descriptor an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterTarget {
    /// A ring.
    Ring,
    /// A ring, or -1 for the task.
    RingOrTask,
    /// -1 only.
    Task,
}

/// Which way the flat argument of an operation is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgDirection {
    /// There is no argument.
    None,
    /// The kernel reads it.
    In,
    /// The kernel writes it.
    Out,
    /// The kernel reads it and writes it.
    InOut,
}

/// How the flat argument of an operation is laid out. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgLayout {
    /// No argument: the address is null and `nr` is 0.
    None,
    /// No argument: the address is null and `nr` is a number of its own.
    Number,
    /// One structure; `nr` must have this value.
    Struct {
        /// Size of the structure.
        size: usize,
        /// The only valid `nr`.
        nr: u32,
    },
    /// One structure; `nr` counts what it points to.
    StructAndCount {
        /// Size of the structure.
        size: usize,
    },
    /// One structure, or a null address; `nr` must have this value.
    OptionalStruct {
        /// Size of the structure.
        size: usize,
        /// The only valid `nr`.
        nr: u32,
    },
    /// One structure; `nr` is its size.
    SizedStruct {
        /// Size of the structure.
        size: usize,
    },
    /// `nr` elements.
    Array {
        /// Size of an element.
        element: usize,
    },
    /// `nr` elements after a header.
    HeaderAndArray {
        /// Size of the header.
        header: usize,
        /// Size of an element.
        element: usize,
    },
}

impl ArgLayout {
    /// Size of the flat argument in bytes for this `nr`; nothing if `nr` is not valid or the size
    /// overflows.
    ///
    /// On descriptor -1 `REGISTER_RESTRICTIONS` takes a [`TaskRestriction`](crate::TaskRestriction)
    /// instead, whose size is in its `nr_res`.
    #[must_use]
    pub fn size(self, nr: u32) -> Option<usize> {
        let count = usize::try_from(nr).ok()?;
        match self {
            Self::None => (nr == 0).then_some(0),
            Self::Number => Some(0),
            Self::Struct { size, nr: only } | Self::OptionalStruct { size, nr: only } => {
                (nr == only).then_some(size)
            }
            Self::StructAndCount { size } => Some(size),
            Self::SizedStruct { size } => (count == size).then_some(size),
            Self::Array { element } => element.checked_mul(count),
            Self::HeaderAndArray { header, element } => element.checked_mul(count)?.checked_add(header),
        }
    }
}

/// Size of a `struct iovec`: an address and a length.
const IOVEC: usize = 2 * size_of::<usize>();
/// Size of a descriptor.
const FD: usize = size_of::<i32>();

/// Every operation, in the order of their numbers.
#[rustfmt::skip]
pub const REGISTER_OPS: [RegisterInfo; IORING_REGISTER_LAST as usize] = [
    row(RegisterOp::REGISTER_BUFFERS, "REGISTER_BUFFERS", (5, 1)).takes(array(IOVEC)).with_pointers(),
    row(RegisterOp::UNREGISTER_BUFFERS, "UNREGISTER_BUFFERS", (5, 1)),
    row(RegisterOp::REGISTER_FILES, "REGISTER_FILES", (5, 1)).takes(array(FD)),
    row(RegisterOp::UNREGISTER_FILES, "UNREGISTER_FILES", (5, 1)),
    row(RegisterOp::REGISTER_EVENTFD, "REGISTER_EVENTFD", (5, 2)).takes(one(FD)),
    row(RegisterOp::UNREGISTER_EVENTFD, "UNREGISTER_EVENTFD", (5, 2)),
    row(RegisterOp::REGISTER_FILES_UPDATE, "REGISTER_FILES_UPDATE", (5, 5))
        .takes(ArgLayout::StructAndCount { size: size_of::<RsrcUpdate>() }).with_pointers(),
    row(RegisterOp::REGISTER_EVENTFD_ASYNC, "REGISTER_EVENTFD_ASYNC", (5, 6)).takes(one(FD)),
    row(RegisterOp::REGISTER_PROBE, "REGISTER_PROBE", (5, 6))
        .exchanges(ArgLayout::HeaderAndArray { header: size_of::<Probe<0>>(), element: size_of::<ProbeOp>() }),
    row(RegisterOp::REGISTER_PERSONALITY, "REGISTER_PERSONALITY", (5, 6)),
    row(RegisterOp::UNREGISTER_PERSONALITY, "UNREGISTER_PERSONALITY", (5, 6)).takes_number(),
    row(RegisterOp::REGISTER_RESTRICTIONS, "REGISTER_RESTRICTIONS", (5, 10))
        .takes(array(size_of::<Restriction>())).on(RegisterTarget::RingOrTask),
    row(RegisterOp::REGISTER_ENABLE_RINGS, "REGISTER_ENABLE_RINGS", (5, 10)),
    row(RegisterOp::REGISTER_FILES2, "REGISTER_FILES2", (5, 13))
        .takes(sized(size_of::<RsrcRegister>())).with_pointers(),
    row(RegisterOp::REGISTER_FILES_UPDATE2, "REGISTER_FILES_UPDATE2", (5, 13))
        .takes(sized(size_of::<RsrcUpdate2>())).with_pointers(),
    row(RegisterOp::REGISTER_BUFFERS2, "REGISTER_BUFFERS2", (5, 13))
        .takes(sized(size_of::<RsrcRegister>())).with_pointers(),
    row(RegisterOp::REGISTER_BUFFERS_UPDATE, "REGISTER_BUFFERS_UPDATE", (5, 13))
        .takes(sized(size_of::<RsrcUpdate2>())).with_pointers(),
    row(RegisterOp::REGISTER_IOWQ_AFF, "REGISTER_IOWQ_AFF", (5, 14)).takes(array(1)),
    row(RegisterOp::UNREGISTER_IOWQ_AFF, "UNREGISTER_IOWQ_AFF", (5, 14)),
    row(RegisterOp::REGISTER_IOWQ_MAX_WORKERS, "REGISTER_IOWQ_MAX_WORKERS", (5, 15))
        .exchanges(ArgLayout::Struct { size: size_of::<[u32; 2]>(), nr: 2 }),
    row(RegisterOp::REGISTER_RING_FDS, "REGISTER_RING_FDS", (5, 18)).exchanges(array(size_of::<RsrcUpdate>())),
    row(RegisterOp::UNREGISTER_RING_FDS, "UNREGISTER_RING_FDS", (5, 18)).takes(array(size_of::<RsrcUpdate>())),
    row(RegisterOp::REGISTER_PBUF_RING, "REGISTER_PBUF_RING", (5, 19)).takes(one(size_of::<BufReg>())).with_pointers(),
    row(RegisterOp::UNREGISTER_PBUF_RING, "UNREGISTER_PBUF_RING", (5, 19)).takes(one(size_of::<BufReg>())),
    row(RegisterOp::REGISTER_SYNC_CANCEL, "REGISTER_SYNC_CANCEL", (6, 0)).takes(one(size_of::<SyncCancelReg>())),
    row(RegisterOp::REGISTER_FILE_ALLOC_RANGE, "REGISTER_FILE_ALLOC_RANGE", (6, 0))
        .takes(zero(size_of::<FileIndexRange>())),
    row(RegisterOp::REGISTER_PBUF_STATUS, "REGISTER_PBUF_STATUS", (6, 8)).exchanges(one(size_of::<BufStatus>())),
    row(RegisterOp::REGISTER_NAPI, "REGISTER_NAPI", (6, 9)).exchanges(one(size_of::<Napi>())),
    row(RegisterOp::UNREGISTER_NAPI, "UNREGISTER_NAPI", (6, 9))
        .gives(ArgLayout::OptionalStruct { size: size_of::<Napi>(), nr: 1 }),
    row(RegisterOp::REGISTER_CLOCK, "REGISTER_CLOCK", (6, 12)).takes(zero(size_of::<ClockRegister>())),
    row(RegisterOp::REGISTER_CLONE_BUFFERS, "REGISTER_CLONE_BUFFERS", (6, 12)).takes(one(size_of::<CloneBuffers>())),
    row(RegisterOp::REGISTER_SEND_MSG_RING, "REGISTER_SEND_MSG_RING", (6, 13))
        .takes(one(size_of::<Sqe>())).on(RegisterTarget::Task),
    row(RegisterOp::REGISTER_ZCRX_IFQ, "REGISTER_ZCRX_IFQ", (6, 15))
        .exchanges(one(size_of::<ZcrxIfqReg>())).with_pointers(),
    row(RegisterOp::REGISTER_RESIZE_RINGS, "REGISTER_RESIZE_RINGS", (6, 13))
        .exchanges(one(size_of::<Params>())).with_pointers(),
    row(RegisterOp::REGISTER_MEM_REGION, "REGISTER_MEM_REGION", (6, 13))
        .takes(one(size_of::<MemRegionReg>())).with_pointers(),
    row(RegisterOp::REGISTER_QUERY, "REGISTER_QUERY", (6, 18))
        .exchanges(zero(size_of::<QueryHdr>())).with_pointers().on(RegisterTarget::RingOrTask),
    row(RegisterOp::REGISTER_ZCRX_CTRL, "REGISTER_ZCRX_CTRL", (6, 19))
        .exchanges(zero(size_of::<ZcrxCtrl>())).with_pointers(),
    row(RegisterOp::REGISTER_BPF_FILTER, "REGISTER_BPF_FILTER", (7, 0))
        .exchanges(one(size_of::<Bpf>())).with_pointers().on(RegisterTarget::RingOrTask),
];

const fn array(element: usize) -> ArgLayout {
    ArgLayout::Array { element }
}

const fn one(size: usize) -> ArgLayout {
    ArgLayout::Struct { size, nr: 1 }
}

const fn zero(size: usize) -> ArgLayout {
    ArgLayout::Struct { size, nr: 0 }
}

const fn sized(size: usize) -> ArgLayout {
    ArgLayout::SizedStruct { size }
}

const fn row(op: RegisterOp, name: &'static str, since: (u8, u8)) -> RegisterInfo {
    RegisterInfo {
        op,
        name,
        since,
        target: RegisterTarget::Ring,
        layout: ArgLayout::None,
        direction: ArgDirection::None,
        has_pointers: false,
    }
}

impl RegisterInfo {
    const fn takes(self, layout: ArgLayout) -> Self {
        Self { layout, direction: ArgDirection::In, ..self }
    }

    const fn gives(self, layout: ArgLayout) -> Self {
        Self { layout, direction: ArgDirection::Out, ..self }
    }

    const fn exchanges(self, layout: ArgLayout) -> Self {
        Self { layout, direction: ArgDirection::InOut, ..self }
    }

    const fn takes_number(self) -> Self {
        Self { layout: ArgLayout::Number, ..self }
    }

    const fn with_pointers(self) -> Self {
        Self { has_pointers: true, ..self }
    }

    const fn on(self, target: RegisterTarget) -> Self {
        Self { target, ..self }
    }
}
