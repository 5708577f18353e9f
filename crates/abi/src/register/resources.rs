//! Registered files and buffers: registering, updating, tagging, cloning; and what works on the
//! ring as a whole: workers, clock, synchronous cancellation.

use crate::KernelTimespec;
use crate::flags::flag_words;

/// Registers files or buffers with tags (`struct io_uring_rsrc_register`); the argument of
/// `REGISTER_FILES2` and `REGISTER_BUFFERS2`, whose `nr` is its size. Linux 5.13.
#[doc(alias = "io_uring_rsrc_register")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RsrcRegister {
    /// How many files or buffers.
    pub nr: u32,
    /// [`RsrcFlags`].
    pub flags: u32,
    /// Zero.
    pub resv2: u64,
    /// Address of `nr` descriptors (`i32`) or `struct iovec`; 0 with [`RsrcFlags::SPARSE`].
    pub data: u64,
    /// Address of `nr` tags (`u64`), or 0. A non-zero tag becomes the `user_data` of a completion
    /// once the resource is no longer in use.
    pub tags: u64,
}

/// Replaces some registered files (`struct io_uring_rsrc_update`); also one entry of
/// `REGISTER_RING_FDS` and `UNREGISTER_RING_FDS`. Linux 5.5.
#[doc(alias = "io_uring_rsrc_update")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RsrcUpdate {
    /// The first slot; for ring descriptors the slot, or `u32::MAX` for any.
    pub offset: u32,
    /// Zero.
    pub resv: u32,
    /// Address of the descriptors (`i32`); for ring descriptors the descriptor itself.
    pub data: u64,
}

/// Replaces some registered files or buffers, with tags (`struct io_uring_rsrc_update2`); the
/// argument of `REGISTER_FILES_UPDATE2` and `REGISTER_BUFFERS_UPDATE`, whose `nr` is its size.
/// Linux 5.13.
#[doc(alias = "io_uring_rsrc_update2")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RsrcUpdate2 {
    /// The first slot.
    pub offset: u32,
    /// Zero.
    pub resv: u32,
    /// Address of `nr` descriptors (`i32`) or `struct iovec`.
    pub data: u64,
    /// Address of `nr` tags (`u64`), or 0.
    pub tags: u64,
    /// How many slots.
    pub nr: u32,
    /// Zero.
    pub resv2: u32,
}

/// The older form of [`RsrcUpdate`] (`struct io_uring_files_update`), with the same layout.
/// Linux 5.5.
#[doc(alias = "io_uring_files_update")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FilesUpdate {
    /// The first slot.
    pub offset: u32,
    /// Zero.
    pub resv: u32,
    /// Address of the descriptors (`i32`).
    pub fds: u64,
}

/// Slots that the kernel may pick from for [`IORING_FILE_INDEX_ALLOC`](crate::IORING_FILE_INDEX_ALLOC):
/// `off` to `off + len`, the end excluded (`struct io_uring_file_index_range`). Linux 6.0.
#[doc(alias = "io_uring_file_index_range")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FileIndexRange {
    /// The first slot.
    pub off: u32,
    /// How many slots.
    pub len: u32,
    /// Zero.
    pub resv: u64,
}

/// Copies registered buffers from another ring (`struct io_uring_clone_buffers`). Linux 6.12; the
/// range since 6.13.
#[doc(alias = "io_uring_clone_buffers")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CloneBuffers {
    /// The ring to copy from.
    pub src_fd: u32,
    /// [`CloneFlags`].
    pub flags: u32,
    /// The first buffer there.
    pub src_off: u32,
    /// The first slot here.
    pub dst_off: u32,
    /// How many; 0 means all.
    pub nr: u32,
    /// Zero.
    pub pad: [u32; 3],
}

/// The clock of waits (`struct io_uring_clock_register`). Linux 6.12.
#[doc(alias = "io_uring_clock_register")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ClockRegister {
    /// `CLOCK_MONOTONIC` (1) or `CLOCK_BOOTTIME` (7).
    pub clockid: u32,
    /// Zero.
    pub __resv: [u32; 3],
}

/// Cancels and waits for it (`struct io_uring_sync_cancel_reg`). Linux 6.0.
#[doc(alias = "io_uring_sync_cancel_reg")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SyncCancelReg {
    /// The `user_data` to look for.
    pub addr: u64,
    /// The descriptor to look for, with [`CancelFlags::FD`](crate::CancelFlags::FD).
    pub fd: i32,
    /// [`CancelFlags`](crate::CancelFlags).
    pub flags: u32,
    /// How long to wait; -1 in both fields waits for ever.
    pub timeout: KernelTimespec,
    /// The opcode to look for, with [`CancelFlags::OP`](crate::CancelFlags::OP). Linux 6.6.
    pub opcode: u8,
    /// Zero.
    pub pad: [u8; 7],
    /// Zero.
    pub pad2: [u64; 3],
}

flag_words! {
    /// `IORING_RSRC_REGISTER_*`: how files or buffers are registered.
    pub struct RsrcFlags: u32 {
        /// Register empty slots only; `data` is 0. Linux 5.19.
        IORING_RSRC_REGISTER_SPARSE as SPARSE = 1 << 0;
    }

    /// How registered buffers are cloned ([`CloneBuffers`]).
    pub struct CloneFlags: u32 {
        /// `src_fd` is an index of the registered ring descriptors. Linux 6.12.
        IORING_REGISTER_SRC_REGISTERED as SRC_REGISTERED = 1 << 0;
        /// Replace buffers that are registered here already. Linux 6.13.
        IORING_REGISTER_DST_REPLACE as DST_REPLACE = 1 << 1;
    }
}

/// In a list of descriptors: leave this slot as it is. Linux 5.12.
pub const IORING_REGISTER_FILES_SKIP: i32 = -2;

/// Index of the bounded workers (regular files, block devices) in the two limits of
/// `REGISTER_IOWQ_MAX_WORKERS`. Linux 5.15.
pub const IO_WQ_BOUND: usize = 0;
/// Index of the unbounded workers (sockets, pipes, character devices) in those limits. Linux 5.15.
pub const IO_WQ_UNBOUND: usize = 1;

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<RsrcRegister>() == 32);
    assert!(offset_of!(RsrcRegister, data) == 16);
    assert!(offset_of!(RsrcRegister, tags) == 24);
    assert!(size_of::<RsrcUpdate>() == 16);
    assert!(offset_of!(RsrcUpdate, data) == 8);
    assert!(size_of::<RsrcUpdate2>() == 32);
    assert!(offset_of!(RsrcUpdate2, tags) == 16);
    assert!(offset_of!(RsrcUpdate2, nr) == 24);
    assert!(size_of::<FilesUpdate>() == 16);
    assert!(offset_of!(FilesUpdate, fds) == 8);
    assert!(size_of::<FileIndexRange>() == 16);
    assert!(offset_of!(FileIndexRange, resv) == 8);
    assert!(size_of::<CloneBuffers>() == 32);
    assert!(offset_of!(CloneBuffers, nr) == 16);
    assert!(size_of::<ClockRegister>() == 16);
    assert!(size_of::<SyncCancelReg>() == 64);
    assert!(offset_of!(SyncCancelReg, timeout) == 16);
    assert!(offset_of!(SyncCancelReg, opcode) == 32);
    assert!(offset_of!(SyncCancelReg, pad2) == 40);
};
