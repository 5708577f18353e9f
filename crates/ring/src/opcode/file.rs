//! What is done to an open file beside reading and writing it, and the ring's file table.

use std::os::fd::RawFd;

use super::{address, operation, set_target};
use crate::types::{Fixed, FsyncFlags, Target, UseFixed};

operation! {
    /// Brings a file's data to the disk: fsync(2), or with a range sync_file_range's careful brother. Linux 5.1.
    ///
    /// It covers writes that have completed, not those merely submitted before it: link it behind them, or
    /// wait for them first. `EIO` reports an earlier writeback failure, once.
    pub struct Fsync: IORING_OP_FSYNC;

    /// Syncs the whole file unless [`offset`](Self::offset) and [`len`](Self::len) name a range.
    pub fn new(sqe, fd: impl UseFixed) {
        set_target(sqe, fd);
    }

    /// Sets the start of the range, in bytes.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }

    /// Sets the length of the range, in bytes; 0 reaches to the end of the file.
    pub const fn len(sqe, len: u32) {
        sqe.len = len;
    }

    /// Sets [`FsyncFlags::DATASYNC`] for fdatasync(2).
    pub const fn flags(sqe, flags: FsyncFlags) {
        sqe.op_flags = flags.bits();
    }
}

operation! {
    /// Starts or awaits the writeback of a range: sync_file_range(2). Linux 5.2.
    ///
    /// It writes no metadata, so it makes nothing safe by itself. `ESPIPE` for what is no file.
    pub struct SyncFileRange: IORING_OP_SYNC_FILE_RANGE;

    /// Covers `len` bytes; 0 reaches to the end of the file.
    pub fn new(sqe, fd: impl UseFixed, len: u32) {
        set_target(sqe, fd);
        sqe.len = len;
    }

    /// Sets the start of the range, in bytes.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }

    /// Sets `SYNC_FILE_RANGE_*`.
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }
}

operation! {
    /// Makes or takes away room in a file: fallocate(2). Linux 5.6.
    ///
    /// `ENOSPC` if there is no room, `EOPNOTSUPP` where the file system lacks the mode.
    pub struct Fallocate: IORING_OP_FALLOCATE;

    /// Covers `len` bytes from offset 0, unless [`offset`](Self::offset) says otherwise.
    pub fn new(sqe, fd: impl UseFixed, len: u64) {
        set_target(sqe, fd);
        sqe.addr = len;
    }

    /// Sets the start of the range, in bytes.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }

    /// Sets `FALLOC_FL_*`; 0 allocates and extends the file.
    pub const fn mode(sqe, mode: i32) {
        sqe.len = mode.cast_unsigned();
    }
}

operation! {
    /// Cuts or extends a file: ftruncate(2). Linux 6.9.
    ///
    /// `EINVAL` for a file not open for writing, `EFBIG` above the file system's limit.
    pub struct Ftruncate: IORING_OP_FTRUNCATE;

    /// Makes the file `len` bytes long.
    pub fn new(sqe, fd: impl UseFixed, len: u64) {
        set_target(sqe, fd);
        sqe.off = len;
    }
}

operation! {
    /// Says how a file is going to be read: posix_fadvise(2). Linux 5.6.
    ///
    /// Lengths of 4 GiB and more need Linux 6.11; older kernels answer `EINVAL`. A negative length is
    /// `EINVAL` too.
    pub struct Fadvise: IORING_OP_FADVISE;

    /// Gives `advice` (`POSIX_FADV_*`) for `len` bytes; 0 reaches to the end of the file.
    pub fn new(sqe, fd: impl UseFixed, len: libc::off_t, advice: i32) {
        set_target(sqe, fd);
        // Older kernels know the 32-bit field only, newer ones prefer the 64-bit one if it is not zero.
        match u32::try_from(len) {
            Ok(short) => sqe.len = short,
            Err(_) => sqe.addr = wide(len),
        }
        sqe.op_flags = advice.cast_unsigned();
    }

    /// Sets the start of the range, in bytes.
    pub const fn offset(sqe, offset: u64) {
        sqe.off = offset;
    }
}

operation! {
    /// Says how memory is going to be used: madvise(2). Linux 5.6.
    ///
    /// Lengths of 4 GiB and more need Linux 6.11; older kernels answer `EINVAL`. A negative length is
    /// `EINVAL` or `ENOMEM`.
    pub struct Madvise: IORING_OP_MADVISE;

    /// Gives `advice` (`MADV_*`) for `len` bytes from `addr`, a page boundary.
    pub fn new(sqe, addr: *const libc::c_void, len: libc::off_t, advice: i32) {
        sqe.fd = -1;
        sqe.addr = address(addr);
        // As with `Fadvise`, but here the 64-bit field is the offset.
        match u32::try_from(len) {
            Ok(short) => sqe.len = short,
            Err(_) => sqe.off = wide(len),
        }
        sqe.op_flags = advice.cast_unsigned();
    }
}

operation! {
    /// Closes a descriptor, close(2), or empties a slot of the file table. Linux 5.6, slots since 5.15.
    ///
    /// Requests on the file that are in flight go on: each holds the file. `EBADF` if the descriptor is
    /// not open or the slot is empty, `ENXIO` without a file table, `EINVAL` beyond its end.
    pub struct Close: IORING_OP_CLOSE;

    /// Closes `fd`. The kernel counts slots from one here, so the slot `u32::MAX` cannot be named:
    /// it is treated as `u32::MAX - 1`, which no table has either (`EINVAL`).
    pub fn new(sqe, fd: impl UseFixed) {
        match fd.target() {
            Target::Fd(fd) => sqe.fd = fd,
            // Must not wrap: `file_index` 0 would close descriptor 0.
            Target::Fixed(index) => sqe.file_index = index.saturating_add(1),
        }
    }
}

operation! {
    /// Replaces entries of the ring's file table. Linux 5.6.
    ///
    /// The result is the number of entries done; an error only if the first failed. `ENXIO` without a
    /// file table.
    pub struct FilesUpdate: IORING_OP_FILES_UPDATE;

    /// Puts the `len` descriptors at `fds` into the table, from slot 0 unless [`offset`](Self::offset) says
    /// otherwise. -1 empties a slot, -2 (`SKIP_FILE`) leaves it as it is. With an offset of -1
    /// (`IORING_FILE_INDEX_ALLOC`, Linux 6.0) the kernel picks the slots and writes their numbers to `fds`,
    /// which must be writable then and live until the completion.
    pub fn new(sqe, fds: *const RawFd, len: u32) {
        sqe.fd = -1;
        sqe.addr = address(fds);
        sqe.len = len;
    }

    /// Sets the first slot.
    pub const fn offset(sqe, offset: i32) {
        sqe.off = (offset as i64).cast_unsigned();
    }
}

operation! {
    /// Makes a descriptor of the process for a file of the ring's table. Linux 6.8.
    ///
    /// The result is the descriptor, `O_CLOEXEC` unless told otherwise. `EBADF` for an empty slot, `EPERM`
    /// with a personality.
    pub struct FixedFdInstall: IORING_OP_FIXED_FD_INSTALL;

    /// Installs the file of slot `fd`; `file_flags` is 0 or
    /// [`FixedFdFlags::NO_CLOEXEC`](crate::types::FixedFdFlags::NO_CLOEXEC)`.bits()`.
    pub fn new(sqe, fd: Fixed, file_flags: u32) {
        set_target(sqe, fd);
        sqe.op_flags = file_flags;
    }
}

/// A length as the kernel's 64-bit fields take it; a negative one is refused there.
#[allow(clippy::useless_conversion, reason = "`off_t` has 32 bits on some platforms")]
fn wide(len: libc::off_t) -> u64 {
    i64::from(len).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Fd;

    #[test]
    fn closing_the_highest_slot_number_does_not_wrap_to_descriptor_zero() {
        let close = Close::new(Fixed(u32::MAX)).build();
        assert_eq!((close.get_fd(), close.get_file_index()), (0, u32::MAX));
        assert_eq!(Close::new(Fixed(0)).build().get_file_index(), 1);
        assert_eq!(Close::new(Fd(7)).build().get_file_index(), 0);
    }

    #[test]
    fn advice_for_four_gibibytes_and_more_goes_where_the_kernel_takes_64_bits() {
        let short = Fadvise::new(Fd(0), 0xffff_ffff, 4).build();
        assert_eq!((short.get_len(), short.get_addr()), (u32::MAX, 0));
        let long = Fadvise::new(Fd(0), 1 << 32, 4).offset(9).build();
        assert_eq!((long.get_len(), long.get_addr(), long.get_off()), (0, 1 << 32, 9));
        let negative = Fadvise::new(Fd(0), -1, 4).build();
        assert_eq!((negative.get_len(), negative.get_addr()), (0, u64::MAX));
        let long = Madvise::new(std::ptr::without_provenance(0x1000), 1 << 32, 4).build();
        assert_eq!((long.get_len(), long.get_off(), long.get_addr()), (0, 1 << 32, 0x1000));
        let short = Madvise::new(std::ptr::without_provenance(0x1000), 4096, 4).build();
        assert_eq!((short.get_len(), short.get_off()), (4096, 0));
    }
}
