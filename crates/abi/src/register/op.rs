//! The operations of io_uring_register(2): their numbers and names.

use core::fmt;

use crate::register::table::{REGISTER_OPS, RegisterInfo};

/// Register buffers, an array of `struct iovec`. Linux 5.1.
pub const IORING_REGISTER_BUFFERS: u32 = 0;
/// Forget the registered buffers. Linux 5.1.
pub const IORING_UNREGISTER_BUFFERS: u32 = 1;
/// Register files, an array of descriptors. Linux 5.1.
pub const IORING_REGISTER_FILES: u32 = 2;
/// Forget the registered files. Linux 5.1.
pub const IORING_UNREGISTER_FILES: u32 = 3;
/// Signal an eventfd for every completion. Linux 5.2.
pub const IORING_REGISTER_EVENTFD: u32 = 4;
/// Forget the eventfd. Linux 5.2.
pub const IORING_UNREGISTER_EVENTFD: u32 = 5;
/// Replace some registered files ([`RsrcUpdate`](crate::RsrcUpdate)). Linux 5.5.
pub const IORING_REGISTER_FILES_UPDATE: u32 = 6;
/// Signal an eventfd for completions that did not happen inline. Linux 5.6.
pub const IORING_REGISTER_EVENTFD_ASYNC: u32 = 7;
/// Ask which opcodes exist ([`Probe`](crate::Probe)). Linux 5.6.
pub const IORING_REGISTER_PROBE: u32 = 8;
/// Register the caller's credentials; returns their number. Linux 5.6.
pub const IORING_REGISTER_PERSONALITY: u32 = 9;
/// Forget the credentials whose number is `nr`. Linux 5.6.
pub const IORING_UNREGISTER_PERSONALITY: u32 = 10;
/// Restrict the ring ([`Restriction`](crate::Restriction)), or on descriptor -1 the task
/// ([`TaskRestriction`](crate::TaskRestriction), newer than Linux 6.18: 7.0). Linux 5.10.
pub const IORING_REGISTER_RESTRICTIONS: u32 = 11;
/// Start a ring that was made disabled. Linux 5.10.
pub const IORING_REGISTER_ENABLE_RINGS: u32 = 12;
/// Register files, with tags or sparse ([`RsrcRegister`](crate::RsrcRegister)). Linux 5.13.
pub const IORING_REGISTER_FILES2: u32 = 13;
/// Replace some registered files, with tags ([`RsrcUpdate2`](crate::RsrcUpdate2)). Linux 5.13.
pub const IORING_REGISTER_FILES_UPDATE2: u32 = 14;
/// Register buffers, with tags or sparse ([`RsrcRegister`](crate::RsrcRegister)). Linux 5.13.
pub const IORING_REGISTER_BUFFERS2: u32 = 15;
/// Replace some registered buffers, with tags ([`RsrcUpdate2`](crate::RsrcUpdate2)). Linux 5.13.
pub const IORING_REGISTER_BUFFERS_UPDATE: u32 = 16;
/// Bind the workers to CPUs, given as a bit mask of `nr` bytes. Linux 5.14.
pub const IORING_REGISTER_IOWQ_AFF: u32 = 17;
/// Let the workers run anywhere again. Linux 5.14.
pub const IORING_UNREGISTER_IOWQ_AFF: u32 = 18;
/// Limit the workers: two `u32`, bounded and unbounded; 0 leaves a limit. The former limits are written
/// back. Linux 5.15.
pub const IORING_REGISTER_IOWQ_MAX_WORKERS: u32 = 19;
/// Register ring descriptors with the task ([`RsrcUpdate`](crate::RsrcUpdate)). Linux 5.18.
pub const IORING_REGISTER_RING_FDS: u32 = 20;
/// Forget registered ring descriptors ([`RsrcUpdate`](crate::RsrcUpdate)). Linux 5.18.
pub const IORING_UNREGISTER_RING_FDS: u32 = 21;
/// Register a buffer ring ([`BufReg`](crate::BufReg)). Linux 5.19.
pub const IORING_REGISTER_PBUF_RING: u32 = 22;
/// Forget a buffer ring ([`BufReg`](crate::BufReg), of which only `bgid` counts). Linux 5.19.
pub const IORING_UNREGISTER_PBUF_RING: u32 = 23;
/// Cancel requests and wait for it ([`SyncCancelReg`](crate::SyncCancelReg)). Linux 6.0.
pub const IORING_REGISTER_SYNC_CANCEL: u32 = 24;
/// Say which slots the kernel may pick ([`FileIndexRange`](crate::FileIndexRange)). Linux 6.0.
pub const IORING_REGISTER_FILE_ALLOC_RANGE: u32 = 25;
/// Ask how far the kernel has come in a buffer ring ([`BufStatus`](crate::BufStatus)). Linux 6.8.
pub const IORING_REGISTER_PBUF_STATUS: u32 = 26;
/// Set busy polling ([`Napi`](crate::Napi)). Linux 6.9.
pub const IORING_REGISTER_NAPI: u32 = 27;
/// End busy polling ([`Napi`](crate::Napi), an output). Linux 6.9.
pub const IORING_UNREGISTER_NAPI: u32 = 28;
/// Choose the clock of waits ([`ClockRegister`](crate::ClockRegister)). Linux 6.12.
pub const IORING_REGISTER_CLOCK: u32 = 29;
/// Copy registered buffers from another ring ([`CloneBuffers`](crate::CloneBuffers)). Linux 6.12.
pub const IORING_REGISTER_CLONE_BUFFERS: u32 = 30;
/// Send a message to a ring without having one, on descriptor -1 (an `IORING_OP_MSG_RING` entry). Linux
/// 6.13.
pub const IORING_REGISTER_SEND_MSG_RING: u32 = 31;
/// Register an interface queue for zero-copy receive ([`ZcrxIfqReg`](crate::ZcrxIfqReg)). Linux 6.15.
pub const IORING_REGISTER_ZCRX_IFQ: u32 = 32;
/// Resize the rings ([`Params`](crate::Params)). Linux 6.13.
pub const IORING_REGISTER_RESIZE_RINGS: u32 = 33;
/// Register a memory region ([`MemRegionReg`](crate::MemRegionReg)). Linux 6.13.
pub const IORING_REGISTER_MEM_REGION: u32 = 34;
/// Ask what the kernel has, with any ring or on descriptor -1 ([`QueryHdr`](crate::QueryHdr)). Linux
/// 6.18.
pub const IORING_REGISTER_QUERY: u32 = 35;
/// Control an interface queue ([`ZcrxCtrl`](crate::ZcrxCtrl)). Newer than Linux 6.18: 6.19.
pub const IORING_REGISTER_ZCRX_CTRL: u32 = 36;
/// Attach a filter to the ring, or on descriptor -1 to the task ([`Bpf`](crate::Bpf)). Newer than Linux
/// 6.18: 7.0.
pub const IORING_REGISTER_BPF_FILTER: u32 = 37;
/// How many operations there are here, those newer than Linux 6.18 included.
pub const IORING_REGISTER_LAST: u32 = 38;
/// Added to an operation: the ring is named by its index among the registered ring descriptors. Linux
/// 6.3.
pub const IORING_REGISTER_USE_REGISTERED_RING: u32 = 1 << 31;

/// An operation of io_uring_register(2).
///
/// Any number is a value of this type, known or not; [`RegisterOp::info`] tells.
///
/// ```
/// use annulus_abi::RegisterOp;
///
/// let op = RegisterOp::REGISTER_PROBE.with_registered_ring();
/// assert_eq!(op.raw(), 8 | 1 << 31);
/// assert_eq!(op.to_string(), "REGISTER_PROBE");
/// assert_eq!(RegisterOp::from_raw(4711).info(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RegisterOp(u32);

impl RegisterOp {
    /// [`IORING_REGISTER_BUFFERS`].
    pub const REGISTER_BUFFERS: Self = Self(IORING_REGISTER_BUFFERS);
    /// [`IORING_UNREGISTER_BUFFERS`].
    pub const UNREGISTER_BUFFERS: Self = Self(IORING_UNREGISTER_BUFFERS);
    /// [`IORING_REGISTER_FILES`].
    pub const REGISTER_FILES: Self = Self(IORING_REGISTER_FILES);
    /// [`IORING_UNREGISTER_FILES`].
    pub const UNREGISTER_FILES: Self = Self(IORING_UNREGISTER_FILES);
    /// [`IORING_REGISTER_EVENTFD`].
    pub const REGISTER_EVENTFD: Self = Self(IORING_REGISTER_EVENTFD);
    /// [`IORING_UNREGISTER_EVENTFD`].
    pub const UNREGISTER_EVENTFD: Self = Self(IORING_UNREGISTER_EVENTFD);
    /// [`IORING_REGISTER_FILES_UPDATE`].
    pub const REGISTER_FILES_UPDATE: Self = Self(IORING_REGISTER_FILES_UPDATE);
    /// [`IORING_REGISTER_EVENTFD_ASYNC`].
    pub const REGISTER_EVENTFD_ASYNC: Self = Self(IORING_REGISTER_EVENTFD_ASYNC);
    /// [`IORING_REGISTER_PROBE`].
    pub const REGISTER_PROBE: Self = Self(IORING_REGISTER_PROBE);
    /// [`IORING_REGISTER_PERSONALITY`].
    pub const REGISTER_PERSONALITY: Self = Self(IORING_REGISTER_PERSONALITY);
    /// [`IORING_UNREGISTER_PERSONALITY`].
    pub const UNREGISTER_PERSONALITY: Self = Self(IORING_UNREGISTER_PERSONALITY);
    /// [`IORING_REGISTER_RESTRICTIONS`].
    pub const REGISTER_RESTRICTIONS: Self = Self(IORING_REGISTER_RESTRICTIONS);
    /// [`IORING_REGISTER_ENABLE_RINGS`].
    pub const REGISTER_ENABLE_RINGS: Self = Self(IORING_REGISTER_ENABLE_RINGS);
    /// [`IORING_REGISTER_FILES2`].
    pub const REGISTER_FILES2: Self = Self(IORING_REGISTER_FILES2);
    /// [`IORING_REGISTER_FILES_UPDATE2`].
    pub const REGISTER_FILES_UPDATE2: Self = Self(IORING_REGISTER_FILES_UPDATE2);
    /// [`IORING_REGISTER_BUFFERS2`].
    pub const REGISTER_BUFFERS2: Self = Self(IORING_REGISTER_BUFFERS2);
    /// [`IORING_REGISTER_BUFFERS_UPDATE`].
    pub const REGISTER_BUFFERS_UPDATE: Self = Self(IORING_REGISTER_BUFFERS_UPDATE);
    /// [`IORING_REGISTER_IOWQ_AFF`].
    pub const REGISTER_IOWQ_AFF: Self = Self(IORING_REGISTER_IOWQ_AFF);
    /// [`IORING_UNREGISTER_IOWQ_AFF`].
    pub const UNREGISTER_IOWQ_AFF: Self = Self(IORING_UNREGISTER_IOWQ_AFF);
    /// [`IORING_REGISTER_IOWQ_MAX_WORKERS`].
    pub const REGISTER_IOWQ_MAX_WORKERS: Self = Self(IORING_REGISTER_IOWQ_MAX_WORKERS);
    /// [`IORING_REGISTER_RING_FDS`].
    pub const REGISTER_RING_FDS: Self = Self(IORING_REGISTER_RING_FDS);
    /// [`IORING_UNREGISTER_RING_FDS`].
    pub const UNREGISTER_RING_FDS: Self = Self(IORING_UNREGISTER_RING_FDS);
    /// [`IORING_REGISTER_PBUF_RING`].
    pub const REGISTER_PBUF_RING: Self = Self(IORING_REGISTER_PBUF_RING);
    /// [`IORING_UNREGISTER_PBUF_RING`].
    pub const UNREGISTER_PBUF_RING: Self = Self(IORING_UNREGISTER_PBUF_RING);
    /// [`IORING_REGISTER_SYNC_CANCEL`].
    pub const REGISTER_SYNC_CANCEL: Self = Self(IORING_REGISTER_SYNC_CANCEL);
    /// [`IORING_REGISTER_FILE_ALLOC_RANGE`].
    pub const REGISTER_FILE_ALLOC_RANGE: Self = Self(IORING_REGISTER_FILE_ALLOC_RANGE);
    /// [`IORING_REGISTER_PBUF_STATUS`].
    pub const REGISTER_PBUF_STATUS: Self = Self(IORING_REGISTER_PBUF_STATUS);
    /// [`IORING_REGISTER_NAPI`].
    pub const REGISTER_NAPI: Self = Self(IORING_REGISTER_NAPI);
    /// [`IORING_UNREGISTER_NAPI`].
    pub const UNREGISTER_NAPI: Self = Self(IORING_UNREGISTER_NAPI);
    /// [`IORING_REGISTER_CLOCK`].
    pub const REGISTER_CLOCK: Self = Self(IORING_REGISTER_CLOCK);
    /// [`IORING_REGISTER_CLONE_BUFFERS`].
    pub const REGISTER_CLONE_BUFFERS: Self = Self(IORING_REGISTER_CLONE_BUFFERS);
    /// [`IORING_REGISTER_SEND_MSG_RING`].
    pub const REGISTER_SEND_MSG_RING: Self = Self(IORING_REGISTER_SEND_MSG_RING);
    /// [`IORING_REGISTER_ZCRX_IFQ`].
    pub const REGISTER_ZCRX_IFQ: Self = Self(IORING_REGISTER_ZCRX_IFQ);
    /// [`IORING_REGISTER_RESIZE_RINGS`].
    pub const REGISTER_RESIZE_RINGS: Self = Self(IORING_REGISTER_RESIZE_RINGS);
    /// [`IORING_REGISTER_MEM_REGION`].
    pub const REGISTER_MEM_REGION: Self = Self(IORING_REGISTER_MEM_REGION);
    /// [`IORING_REGISTER_QUERY`].
    pub const REGISTER_QUERY: Self = Self(IORING_REGISTER_QUERY);
    /// [`IORING_REGISTER_ZCRX_CTRL`].
    pub const REGISTER_ZCRX_CTRL: Self = Self(IORING_REGISTER_ZCRX_CTRL);
    /// [`IORING_REGISTER_BPF_FILTER`].
    pub const REGISTER_BPF_FILTER: Self = Self(IORING_REGISTER_BPF_FILTER);

    /// The operation of this number, [`IORING_REGISTER_USE_REGISTERED_RING`] included.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// What the system call takes, [`IORING_REGISTER_USE_REGISTERED_RING`] included.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The operation's number, without [`IORING_REGISTER_USE_REGISTERED_RING`].
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 & !IORING_REGISTER_USE_REGISTERED_RING
    }

    /// The same operation on a ring that is named by its index.
    #[must_use]
    pub const fn with_registered_ring(self) -> Self {
        Self(self.0 | IORING_REGISTER_USE_REGISTERED_RING)
    }

    /// Whether the ring is named by its index.
    #[must_use]
    pub const fn uses_registered_ring(self) -> bool {
        self.0 & IORING_REGISTER_USE_REGISTERED_RING != 0
    }

    /// What is known of this operation; nothing for a number without a name.
    #[must_use]
    pub fn info(self) -> Option<&'static RegisterInfo> {
        REGISTER_OPS.get(usize::try_from(self.number()).ok()?)
    }
}

impl fmt::Display for RegisterOp {
    /// The name without `IORING_`, or `register operation N`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info() {
            Some(info) => f.write_str(info.name),
            None => write!(f, "register operation {}", self.number()),
        }
    }
}

impl fmt::Debug for RegisterOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = if self.uses_registered_ring() { " | USE_REGISTERED_RING" } else { "" };
        write!(f, "RegisterOp({self}{ring})")
    }
}
