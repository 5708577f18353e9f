//! What is done to files by their names.
//!
//! A path is a NUL-terminated string, relative to its directory descriptor: `Fd(libc::AT_FDCWD)` is the
//! working directory. It is read when the entry is submitted.

use super::{address, file_index, operation};
use crate::types::{self, DestinationSlot, OpenHow, UseFd};

operation! {
    /// Opens a file: openat(2). Linux 5.6.
    ///
    /// The result is the descriptor, or with a [slot](Self::file_index) 0 (the slot's number if the kernel
    /// picked it).
    pub struct OpenAt: IORING_OP_OPENAT;

    /// Opens `pathname`, relative to `dirfd`.
    pub fn new(sqe, dirfd: impl UseFd, pathname: *const libc::c_char) {
        sqe.fd = dirfd.raw_fd();
        sqe.addr = address(pathname);
    }

    /// Puts the file into the ring's table instead of making a descriptor of the process. Linux 5.15.
    pub const fn file_index(sqe, slot: Option<DestinationSlot>) {
        sqe.file_index = file_index(slot);
    }

    /// Sets `O_*`. `O_CLOEXEC` must be asked for, and has no meaning with a slot (`EINVAL`).
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }

    /// Sets the permission bits of a file that is created.
    pub const fn mode(sqe, mode: libc::mode_t) {
        sqe.len = mode;
    }
}

operation! {
    /// Opens a file, with rules for its path: openat2(2). Linux 5.6.
    ///
    /// The result is as that of [`OpenAt`]. `EXDEV`, `ELOOP` when the path tried what
    /// [`OpenHow::resolve`] forbids, `EAGAIN` when it could not be decided because of a rename.
    pub struct OpenAt2: IORING_OP_OPENAT2;

    /// Opens `pathname`, relative to `dirfd`.
    pub fn new(sqe, dirfd: impl UseFd, pathname: *const libc::c_char, how: *const OpenHow) {
        sqe.fd = dirfd.raw_fd();
        sqe.addr = address(pathname);
        sqe.off = address(how);
        // Of `struct open_how`: three 64-bit words.
        sqe.len = 24;
    }

    /// Puts the file into the ring's table instead of making a descriptor of the process. Linux 5.15.
    pub const fn file_index(sqe, slot: Option<DestinationSlot>) {
        sqe.file_index = file_index(slot);
    }
}

operation! {
    /// Asks about a file: statx(2). Linux 5.6.
    pub struct Statx: IORING_OP_STATX;

    /// Asks about `pathname`, relative to `dirfd`; an empty path with `AT_EMPTY_PATH` asks about `dirfd`
    /// itself. `statxbuf` is the address of a `struct statx` (256 bytes).
    pub fn new(
        sqe,
        dirfd: impl UseFd,
        pathname: *const libc::c_char,
        statxbuf: *mut types::statx,
    ) {
        sqe.fd = dirfd.raw_fd();
        sqe.addr = address(pathname);
        sqe.off = address(statxbuf);
    }

    /// Sets `AT_*`.
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }

    /// Sets `STATX_*`: what to find out.
    pub const fn mask(sqe, mask: u32) {
        sqe.len = mask;
    }
}

operation! {
    /// Renames or moves a file: renameat2(2). Linux 5.11.
    ///
    /// `EXDEV` across file systems, `EEXIST` with `RENAME_NOREPLACE`.
    pub struct RenameAt: IORING_OP_RENAMEAT;

    /// Renames `oldpath`, relative to `olddirfd`, to `newpath`, relative to `newdirfd`.
    pub fn new(
        sqe,
        olddirfd: impl UseFd,
        oldpath: *const libc::c_char,
        newdirfd: impl UseFd,
        newpath: *const libc::c_char,
    ) {
        sqe.fd = olddirfd.raw_fd();
        sqe.addr = address(oldpath);
        sqe.len = newdirfd.raw_fd().cast_unsigned();
        sqe.off = address(newpath);
    }

    /// Sets `RENAME_*`.
    pub const fn flags(sqe, flags: u32) {
        sqe.op_flags = flags;
    }
}

operation! {
    /// Removes a name, and the file with its last one: unlinkat(2). Linux 5.11.
    ///
    /// `EISDIR` for a directory, unless asked with `AT_REMOVEDIR`; `ENOTEMPTY` for one that is not empty.
    pub struct UnlinkAt: IORING_OP_UNLINKAT;

    /// Removes `pathname`, relative to `dirfd`.
    pub fn new(sqe, dirfd: impl UseFd, pathname: *const libc::c_char) {
        sqe.fd = dirfd.raw_fd();
        sqe.addr = address(pathname);
    }

    /// Sets `AT_REMOVEDIR` to remove a directory, as rmdir(2).
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }
}

operation! {
    /// Makes a directory: mkdirat(2). Linux 5.15.
    pub struct MkDirAt: IORING_OP_MKDIRAT;

    /// Makes `pathname`, relative to `dirfd`, without any permission unless [`mode`](Self::mode) gives some.
    pub fn new(sqe, dirfd: impl UseFd, pathname: *const libc::c_char) {
        sqe.fd = dirfd.raw_fd();
        sqe.addr = address(pathname);
    }

    /// Sets the permission bits, from which the umask is taken away.
    pub const fn mode(sqe, mode: libc::mode_t) {
        sqe.len = mode;
    }
}

operation! {
    /// Makes a symbolic link: symlinkat(2). Linux 5.15.
    pub struct SymlinkAt: IORING_OP_SYMLINKAT;

    /// Makes `linkpath`, relative to `newdirfd`, a link that says `target`.
    pub fn new(
        sqe,
        newdirfd: impl UseFd,
        target: *const libc::c_char,
        linkpath: *const libc::c_char,
    ) {
        sqe.fd = newdirfd.raw_fd();
        sqe.addr = address(target);
        sqe.off = address(linkpath);
    }
}

operation! {
    /// Gives a file another name: linkat(2). Linux 5.15.
    pub struct LinkAt: IORING_OP_LINKAT;

    /// Makes `newpath`, relative to `newdirfd`, a name of `oldpath`, relative to `olddirfd`.
    pub fn new(
        sqe,
        olddirfd: impl UseFd,
        oldpath: *const libc::c_char,
        newdirfd: impl UseFd,
        newpath: *const libc::c_char,
    ) {
        sqe.fd = olddirfd.raw_fd();
        sqe.addr = address(oldpath);
        sqe.len = newdirfd.raw_fd().cast_unsigned();
        sqe.off = address(newpath);
    }

    /// Sets `AT_SYMLINK_FOLLOW` or `AT_EMPTY_PATH`.
    pub const fn flags(sqe, flags: i32) {
        sqe.op_flags = flags.cast_unsigned();
    }
}
