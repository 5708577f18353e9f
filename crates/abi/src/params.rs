//! Setting a ring up: `struct io_uring_params`, its flag words, and where the rings are mapped.
//!
//! Deliberately not here: the memory behind the offsets (`memory`), and the arguments of
//! io_uring_enter(2) (`enter`).

use crate::flags::flag_words;

/// What io_uring_setup(2) takes and fills in (`struct io_uring_params`).
#[doc(alias = "io_uring_params")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Params {
    /// Entries of the submission queue, a power of two. Filled in by the kernel.
    pub sq_entries: u32,
    /// Entries of the completion queue, a power of two. Read with [`SetupFlags::CQSIZE`], always
    /// filled in.
    pub cq_entries: u32,
    /// `IORING_SETUP_*`: [`Params::setup_flags`].
    pub flags: u32,
    /// The CPU that the submission thread is bound to, with [`SetupFlags::SQ_AFF`].
    pub sq_thread_cpu: u32,
    /// Milliseconds without work after which the submission thread sleeps; 0 means one second.
    pub sq_thread_idle: u32,
    /// `IORING_FEAT_*`, filled in by the kernel: [`Params::feature_flags`].
    pub features: u32,
    /// The ring whose workers are shared, with [`SetupFlags::ATTACH_WQ`].
    pub wq_fd: u32,
    /// Zero.
    pub resv: [u32; 3],
    /// Where the parts of the submission ring lie, in bytes from its mapping.
    pub sq_off: SqRingOffsets,
    /// Where the parts of the completion ring lie, in bytes from its mapping.
    pub cq_off: CqRingOffsets,
}

impl Params {
    /// The most entries that a submission queue may have (`IORING_MAX_ENTRIES` in the kernel).
    pub const MAX_SQ_ENTRIES: u32 = 32_768;
    /// The most entries that a completion queue may have (`IORING_MAX_CQ_ENTRIES` in the kernel).
    pub const MAX_CQ_ENTRIES: u32 = 2 * Self::MAX_SQ_ENTRIES;

    /// [`Params::flags`] as a typed word; bits without a name are kept.
    #[must_use]
    pub const fn setup_flags(&self) -> SetupFlags {
        SetupFlags::from_bits_retain(self.flags)
    }

    /// [`Params::features`] as a typed word; bits without a name are kept.
    #[must_use]
    pub const fn feature_flags(&self) -> Features {
        Features::from_bits_retain(self.features)
    }
}

/// Offsets into the submission ring's mapping, in bytes (`struct io_sqring_offsets`).
#[doc(alias = "io_sqring_offsets")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SqRingOffsets {
    /// Of the index that the kernel consumes from (`u32`).
    pub head: u32,
    /// Of the index that the application has produced up to (`u32`).
    pub tail: u32,
    /// Of the mask that turns an index into a slot (`u32`).
    pub ring_mask: u32,
    /// Of the number of slots (`u32`).
    pub ring_entries: u32,
    /// Of the flag word [`SqRingFlags`] (`u32`).
    pub flags: u32,
    /// Of the count of entries dropped because their index was invalid (`u32`).
    pub dropped: u32,
    /// Of the index array (`[u32; sq_entries]`); unused with [`SetupFlags::NO_SQARRAY`].
    pub array: u32,
    /// Zero.
    pub resv1: u32,
    /// Address of the entries' memory, with [`SetupFlags::NO_MMAP`]; an input. Linux 6.5.
    pub user_addr: u64,
}

/// Offsets into the completion ring's mapping, in bytes (`struct io_cqring_offsets`).
#[doc(alias = "io_cqring_offsets")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CqRingOffsets {
    /// Of the index that the application consumes from (`u32`).
    pub head: u32,
    /// Of the index that the kernel has produced up to (`u32`).
    pub tail: u32,
    /// Of the mask that turns an index into a slot (`u32`).
    pub ring_mask: u32,
    /// Of the number of slots (`u32`).
    pub ring_entries: u32,
    /// Of the count of completions that were lost (`u32`).
    pub overflow: u32,
    /// Of the first completion entry.
    pub cqes: u32,
    /// Of the flag word [`CqRingFlags`] (`u32`); 0 on kernels before 5.8, which have no such word.
    pub flags: u32,
    /// Zero.
    pub resv1: u32,
    /// Address of both rings' memory, with [`SetupFlags::NO_MMAP`]; an input. Linux 6.5.
    pub user_addr: u64,
}

flag_words! {
    /// `IORING_SETUP_*`: the mode of a ring (io_uring_setup(2)).
    pub struct SetupFlags: u32 {
        /// Completions are polled for on the device, not announced by interrupts. Linux 5.1.
        IORING_SETUP_IOPOLL as IOPOLL = 1 << 0;
        /// A kernel thread takes submissions, without a system call. Linux 5.1.
        IORING_SETUP_SQPOLL as SQPOLL = 1 << 1;
        /// Bind the submission thread to `sq_thread_cpu`. Needs `SQPOLL`. Linux 5.1.
        IORING_SETUP_SQ_AFF as SQ_AFF = 1 << 2;
        /// `cq_entries` gives the size of the completion queue. Linux 5.5.
        IORING_SETUP_CQSIZE as CQSIZE = 1 << 3;
        /// Reduce sizes above the limit instead of failing. Linux 5.6.
        IORING_SETUP_CLAMP as CLAMP = 1 << 4;
        /// Share the workers (and submission thread) of the ring `wq_fd`. Linux 5.6.
        IORING_SETUP_ATTACH_WQ as ATTACH_WQ = 1 << 5;
        /// Start disabled, until `IORING_REGISTER_ENABLE_RINGS`. Linux 5.10.
        IORING_SETUP_R_DISABLED as R_DISABLED = 1 << 6;
        /// Go on with a batch after an entry that is invalid. Linux 5.18.
        IORING_SETUP_SUBMIT_ALL as SUBMIT_ALL = 1 << 7;
        /// Do not interrupt the task to run completion work; the next transition runs it. Linux 5.19.
        IORING_SETUP_COOP_TASKRUN as COOP_TASKRUN = 1 << 8;
        /// Show pending completion work as [`SqRingFlags::TASKRUN`]. Needs `COOP_TASKRUN` or
        /// `DEFER_TASKRUN`. Linux 5.19.
        IORING_SETUP_TASKRUN_FLAG as TASKRUN_FLAG = 1 << 9;
        /// Submission entries are 128 bytes long. Linux 5.19.
        IORING_SETUP_SQE128 as SQE128 = 1 << 10;
        /// Completion entries are 32 bytes long. Linux 5.19.
        IORING_SETUP_CQE32 as CQE32 = 1 << 11;
        /// Only one task submits; others get `EEXIST`. Linux 6.0.
        IORING_SETUP_SINGLE_ISSUER as SINGLE_ISSUER = 1 << 12;
        /// Run completion work only when the task waits for completions. Needs
        /// `SINGLE_ISSUER`. Linux 6.1.
        IORING_SETUP_DEFER_TASKRUN as DEFER_TASKRUN = 1 << 13;
        /// The application provides the rings' memory in `user_addr`. Linux 6.5.
        IORING_SETUP_NO_MMAP as NO_MMAP = 1 << 14;
        /// Return an index of the registered ring descriptors, no descriptor. Needs `NO_MMAP`. Linux
        /// 6.5.
        IORING_SETUP_REGISTERED_FD_ONLY as REGISTERED_FD_ONLY = 1 << 15;
        /// No index array: entries are taken in ring order. Linux 6.6.
        IORING_SETUP_NO_SQARRAY as NO_SQARRAY = 1 << 16;
        /// Sleep a while before polling. Needs `IOPOLL`. Linux 6.13.
        IORING_SETUP_HYBRID_IOPOLL as HYBRID_IOPOLL = 1 << 17;
        /// Completion entries of 16 and of 32 bytes in one ring. Linux 6.18.
        IORING_SETUP_CQE_MIXED as CQE_MIXED = 1 << 18;
        /// Submission entries of 64 and of 128 bytes in one ring. Linux 6.19.
        IORING_SETUP_SQE_MIXED as SQE_MIXED = 1 << 19;
        /// Each enter takes entries from slot 0 on; head and tail stay 0. Needs `NO_SQARRAY`,
        /// excludes `SQPOLL`. Linux 7.0.
        IORING_SETUP_SQ_REWIND as SQ_REWIND = 1 << 20;
    }

    /// `IORING_FEAT_*`: what this kernel does (io_uring_setup(2)).
    pub struct Features: u32 {
        /// One mapping holds both rings. Linux 5.4.
        IORING_FEAT_SINGLE_MMAP as SINGLE_MMAP = 1 << 0;
        /// Completions that do not fit are kept, not dropped. Linux 5.5.
        IORING_FEAT_NODROP as NODROP = 1 << 1;
        /// What an entry points to may be reused once it is submitted. Linux 5.5.
        IORING_FEAT_SUBMIT_STABLE as SUBMIT_STABLE = 1 << 2;
        /// An offset of -1 means the file's current position. Linux 5.6.
        IORING_FEAT_RW_CUR_POS as RW_CUR_POS = 1 << 3;
        /// Requests run with the credentials of whoever submits. Linux 5.6.
        IORING_FEAT_CUR_PERSONALITY as CUR_PERSONALITY = 1 << 4;
        /// A file that is not ready is polled, not given to a worker. Linux 5.7.
        IORING_FEAT_FAST_POLL as FAST_POLL = 1 << 5;
        /// Poll masks are 32 bits wide. Linux 5.9.
        IORING_FEAT_POLL_32BITS as POLL_32BITS = 1 << 6;
        /// `SQPOLL` works with files that are not registered. Linux 5.11.
        IORING_FEAT_SQPOLL_NONFIXED as SQPOLL_NONFIXED = 1 << 7;
        /// io_uring_enter(2) takes a timeout: [`EnterFlags::EXT_ARG`](crate::EnterFlags::EXT_ARG).
        /// Linux 5.11.
        IORING_FEAT_EXT_ARG as EXT_ARG = 1 << 8;
        /// Workers are threads of the application, with its identity. Linux 5.12.
        IORING_FEAT_NATIVE_WORKERS as NATIVE_WORKERS = 1 << 9;
        /// Registered files and buffers may carry tags. Linux 5.13.
        IORING_FEAT_RSRC_TAGS as RSRC_TAGS = 1 << 10;
        /// [`SqeFlags::CQE_SKIP_SUCCESS`](crate::SqeFlags::CQE_SKIP_SUCCESS) works. Linux 5.17.
        IORING_FEAT_CQE_SKIP as CQE_SKIP = 1 << 11;
        /// A linked request looks its file up when it starts. Linux 5.17.
        IORING_FEAT_LINKED_FILE as LINKED_FILE = 1 << 12;
        /// io_uring_register(2) takes a registered ring descriptor. Linux 6.3.
        IORING_FEAT_REG_REG_RING as REG_REG_RING = 1 << 13;
        /// Sends and receives may take several provided buffers at once. Linux 6.10.
        IORING_FEAT_RECVSEND_BUNDLE as RECVSEND_BUNDLE = 1 << 14;
        /// A wait may have a minimum time: `min_wait_usec`. Linux 6.12.
        IORING_FEAT_MIN_TIMEOUT as MIN_TIMEOUT = 1 << 15;
        /// Reads and writes may carry attributes: `attr_ptr`. Linux 6.14.
        IORING_FEAT_RW_ATTR as RW_ATTR = 1 << 16;
        /// A wait need not count as I/O wait: [`EnterFlags::NO_IOWAIT`](crate::EnterFlags::NO_IOWAIT).
        /// Linux 6.15.
        IORING_FEAT_NO_IOWAIT as NO_IOWAIT = 1 << 17;
        _ = !0;
    }

    /// `IORING_SQ_*`: the flag word of the submission ring, written by the kernel.
    pub struct SqRingFlags: u32 {
        /// The submission thread sleeps; enter with
        /// [`EnterFlags::SQ_WAKEUP`](crate::EnterFlags::SQ_WAKEUP). Linux 5.1.
        IORING_SQ_NEED_WAKEUP as NEED_WAKEUP = 1 << 0;
        /// Completions wait outside the full ring; enter to get them. Linux 5.8.
        IORING_SQ_CQ_OVERFLOW as CQ_OVERFLOW = 1 << 1;
        /// Completion work is pending; enter to run it. Linux 5.19.
        IORING_SQ_TASKRUN as TASKRUN = 1 << 2;
        _ = !0;
    }

    /// `IORING_CQ_*`: the flag word of the completion ring, written by the application.
    pub struct CqRingFlags: u32 {
        /// Do not signal the registered eventfd. Linux 5.8.
        IORING_CQ_EVENTFD_DISABLED as EVENTFD_DISABLED = 1 << 0;
        _ = !0;
    }
}

impl SetupFlags {
    /// Flags that are refused (`EINVAL`) unless one of the others is set beside them.
    pub const NEEDS: [(Self, Self); 6] = [
        (Self::SQ_AFF, Self::SQPOLL),
        (Self::DEFER_TASKRUN, Self::SINGLE_ISSUER),
        (Self::TASKRUN_FLAG, Self::COOP_TASKRUN.union(Self::DEFER_TASKRUN)),
        (Self::HYBRID_IOPOLL, Self::IOPOLL),
        (Self::REGISTERED_FD_ONLY, Self::NO_MMAP),
        (Self::SQ_REWIND, Self::NO_SQARRAY),
    ];

    /// Flags that are refused together (`EINVAL`).
    pub const EXCLUDES: [(Self, Self); 6] = [
        (Self::SQPOLL, Self::COOP_TASKRUN),
        (Self::SQPOLL, Self::TASKRUN_FLAG),
        (Self::SQPOLL, Self::DEFER_TASKRUN),
        (Self::CQE32, Self::CQE_MIXED),
        (Self::SQE128, Self::SQE_MIXED),
        (Self::SQ_REWIND, Self::SQPOLL),
    ];
}

/// mmap(2) offset of the submission ring, and of both rings with [`Features::SINGLE_MMAP`].
pub const IORING_OFF_SQ_RING: u64 = 0;
/// mmap(2) offset of the completion ring.
pub const IORING_OFF_CQ_RING: u64 = 0x0800_0000;
/// mmap(2) offset of the submission entries.
pub const IORING_OFF_SQES: u64 = 0x1000_0000;
/// mmap(2) offset of a buffer ring, plus its group shifted by [`IORING_OFF_PBUF_SHIFT`]. Linux 6.4.
pub const IORING_OFF_PBUF_RING: u64 = 0x8000_0000;
/// How far a buffer group is shifted in the mmap(2) offset of its ring. Linux 6.4.
pub const IORING_OFF_PBUF_SHIFT: u32 = 16;
/// The bits of an mmap(2) offset that tell what is mapped.
pub const IORING_OFF_MMAP_MASK: u64 = 0xf800_0000;

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Params>() == 120);
    assert!(offset_of!(Params, features) == 20);
    assert!(offset_of!(Params, resv) == 28);
    assert!(offset_of!(Params, sq_off) == 40);
    assert!(offset_of!(Params, cq_off) == 80);
    assert!(size_of::<SqRingOffsets>() == 40);
    assert!(offset_of!(SqRingOffsets, array) == 24);
    assert!(offset_of!(SqRingOffsets, user_addr) == 32);
    assert!(size_of::<CqRingOffsets>() == 40);
    assert!(offset_of!(CqRingOffsets, cqes) == 20);
    assert!(offset_of!(CqRingOffsets, user_addr) == 32);
};
