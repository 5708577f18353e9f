//! Operations on files: reads and writes, sync, splice, direct descriptors, block devices.

use crate::flags::flag_words;

flag_words! {
    /// `RWF_*`: reads and writes (`rw_flags`; preadv2(2)). The versions are those of preadv2(2).
    pub struct RwFlags: u32 {
        /// Poll for the completion. Linux 4.6.
        RWF_HIPRI as HIPRI = 1 << 0;
        /// As if the file were open with `O_DSYNC`. Linux 4.7.
        RWF_DSYNC as DSYNC = 1 << 1;
        /// As if the file were open with `O_SYNC`. Linux 4.7.
        RWF_SYNC as SYNC = 1 << 2;
        /// Fail with `EAGAIN` rather than wait. Linux 4.14.
        RWF_NOWAIT as NOWAIT = 1 << 3;
        /// Write at the end of the file. Linux 4.16.
        RWF_APPEND as APPEND = 1 << 4;
        /// Write at the offset even if the file is open with `O_APPEND`. Linux 6.9.
        RWF_NOAPPEND as NOAPPEND = 1 << 5;
        /// Write all or nothing, also when the power fails. Linux 6.11.
        RWF_ATOMIC as ATOMIC = 1 << 6;
        /// Drop the data from the page cache afterwards. Linux 6.14.
        RWF_DONTCACHE as DONTCACHE = 1 << 7;
        /// No SIGPIPE from a broken pipe or socket. Linux 6.18.
        RWF_NOSIGNAL as NOSIGNAL = 1 << 8;
    }

    /// `IORING_RW_ATTR_FLAG_*`: which attributes a read or write carries (`attr_type_mask`, in `pad2`).
    pub struct RwAttrFlags: u64 {
        /// Protection information: `attr_ptr` (`addr3`) is the address of an [`AttrPi`]. Linux 6.14.
        IORING_RW_ATTR_FLAG_PI as PI = 1 << 0;
    }

    /// `IO_INTEGRITY_CHK_*`: what the device checks ([`AttrPi::flags`]).
    pub struct IntegrityFlags: u16 {
        /// The checksum. Linux 6.14.
        IO_INTEGRITY_CHK_GUARD as CHK_GUARD = 1 << 0;
        /// The reference tag. Linux 6.14.
        IO_INTEGRITY_CHK_REFTAG as CHK_REFTAG = 1 << 1;
        /// The application tag. Linux 6.14.
        IO_INTEGRITY_CHK_APPTAG as CHK_APPTAG = 1 << 2;
    }

    /// `IORING_FSYNC_*`: what is written back (`fsync_flags`).
    pub struct FsyncFlags: u32 {
        /// As fdatasync(2). Linux 5.1.
        IORING_FSYNC_DATASYNC as DATASYNC = 1 << 0;
    }

    /// `SPLICE_F_*`: splicing (`splice_flags`; splice(2)).
    pub struct SpliceFlags: u32 {
        /// Move pages rather than copy. Linux 5.7.
        SPLICE_F_MOVE as MOVE = 1 << 0;
        /// Do not wait on the pipe. Linux 5.7.
        SPLICE_F_NONBLOCK as NONBLOCK = 1 << 1;
        /// More data will follow. Linux 5.7.
        SPLICE_F_MORE as MORE = 1 << 2;
        /// vmsplice(2) only. Linux 5.7.
        SPLICE_F_GIFT as GIFT = 1 << 3;
        /// `splice_fd_in` is an index of the registered files. Linux 5.7.
        SPLICE_F_FD_IN_FIXED as FD_IN_FIXED = 1 << 31;
    }

    /// `IORING_FIXED_FD_*`: how a registered file becomes a descriptor (`install_fd_flags`).
    pub struct FixedFdFlags: u32 {
        /// Without close-on-exec. Linux 6.8.
        IORING_FIXED_FD_NO_CLOEXEC as NO_CLOEXEC = 1 << 0;
    }
}

/// Every check that [`IntegrityFlags`] knows. Linux 6.14.
pub const IO_INTEGRITY_VALID_FLAGS: u16 = IntegrityFlags::all().bits();

/// Protection information of a read or write (`struct io_uring_attr_pi`). Linux 6.14.
#[doc(alias = "io_uring_attr_pi")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct AttrPi {
    /// [`IntegrityFlags`].
    pub flags: u16,
    /// The application tag.
    pub app_tag: u16,
    /// Size of the protection buffer in bytes.
    pub len: u32,
    /// Its address.
    pub addr: u64,
    /// The first reference tag.
    pub seed: u64,
    /// Zero.
    pub rsvd: u64,
}

/// As `file_index` of an operation that makes a file: take a free slot of the registered files and
/// return its number; `ENFILE` if there is none. Linux 5.19.
pub const IORING_FILE_INDEX_ALLOC: u32 = u32::MAX;

/// Command of block devices: discard `addr3` bytes at `addr`. Linux 6.12.
pub const BLOCK_URING_CMD_DISCARD: u32 = block_command(0);
/// Command of zoned block devices: reset all zones. Newer than Linux 6.18: 7.2 has it.
pub const BLOCK_URING_CMD_ZONE_RESET_ALL: u32 = block_command(1);

/// `_IO(0x12, number)`: no direction, no size. The architectures whose "no direction" is a bit are
/// those that `asm-generic/ioctl.h` does not serve.
const fn block_command(number: u32) -> u32 {
    let none = if cfg!(any(
        target_arch = "mips",
        target_arch = "mips32r6",
        target_arch = "mips64",
        target_arch = "mips64r6",
        target_arch = "powerpc",
        target_arch = "powerpc64",
        target_arch = "sparc",
        target_arch = "sparc64"
    )) {
        1 << 29
    } else {
        0
    };
    none | 0x12 << 8 | number
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<AttrPi>() == 32);
    assert!(offset_of!(AttrPi, app_tag) == 2);
    assert!(offset_of!(AttrPi, len) == 4);
    assert!(offset_of!(AttrPi, seed) == 16);
};
