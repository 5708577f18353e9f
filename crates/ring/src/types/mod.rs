//! The types that operations are built from: descriptors, flag words, times, and the structures that
//! the kernel reads or writes.
//!
//! Constants without a type of their own, with the names of `linux/io_uring.h`, are in
//! [`abi`](crate::abi). The flag words there are typed too; where a builder takes an integer (as in the
//! `io-uring` crate), `bits()` of the type is the word to give.

mod buffer;
mod cancel;
mod control;
mod fd;
mod futex;
mod napi;
mod open;
mod recvmsg;
mod time;
mod timestamp;

pub use buffer::BufRingEntry;
pub use cancel::CancelBuilder;
pub use control::{ControlMessage, ControlMessages};
pub use fd::{DestinationSlot, Fd, Fixed, Target, UseFd, UseFixed};
pub use futex::FutexWaitV;
pub use napi::{Napi, NapiTracking};
pub use open::{OpenHow, epoll_event, statx};
pub use recvmsg::RecvMsgOut;
pub use time::{SubmitArgs, Timespec};
pub use timestamp::TxTimestamp;

pub use annulus_abi::{
    AcceptFlags, AttrPi, CancelFlags, CloneFlags as CloneBuffersFlags, FixedFdFlags, FsyncFlags, Futex2Flags,
    MsgRingFlags, NopFlags, PollFlags, RecvSendFlags, SpliceFlags, TimeoutFlags, UringCmdFlags,
};

// Structures and constants that programs know by their C names.
pub use annulus_abi::{
    IORING_MEM_REGION_TYPE_USER, IORING_ZCRX_AREA_MASK, IORING_ZCRX_AREA_SHIFT,
    RegionDesc as io_uring_region_desc, ZcrxAreaReg as io_uring_zcrx_area_reg, ZcrxCqe as io_uring_zcrx_cqe,
    ZcrxIfqReg as io_uring_zcrx_ifq_reg, ZcrxRqe as io_uring_zcrx_rqe,
};

/// Of a provided buffer ring: the kernel allocates its memory, to be mapped by the program. Linux 6.4.
pub const IOU_PBUF_RING_MMAP: u32 = annulus_abi::IOU_PBUF_RING_MMAP as u32;
/// Of a provided buffer ring: buffers are used up piece by piece. Linux 6.12.
pub const IOU_PBUF_RING_INC: u32 = annulus_abi::IOU_PBUF_RING_INC as u32;

/// The flags of a read or write (`RWF_*`, preadv2(2)).
#[deprecated(note = "the builders take the flags as `i32`, as libc's `RWF_*` are")]
pub type RwFlags = u32;
