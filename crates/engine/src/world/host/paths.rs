//! Files of the machine by their paths.
#![allow(unsafe_code, reason = "system calls by number and address, as entries name them")]

use std::os::fd::{IntoRawFd, RawFd};

use rustix::io::Errno;

use super::Host;
use super::files::borrow;
use super::sockets::{last_errno, pointer, result};
use crate::world::paths::{At, Opening, Paths};
use crate::world::{Mode, Span};

/// `struct open_how` of openat2(2).
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// What openat2(2) knows of the flags; openat(2) ignores the others.
const KNOWN: u64 = wide(
    libc::O_ACCMODE
        | libc::O_CREAT
        | libc::O_EXCL
        | libc::O_NOCTTY
        | libc::O_TRUNC
        | libc::O_APPEND
        | libc::O_NONBLOCK
        | libc::O_SYNC
        | libc::O_ASYNC
        | libc::O_DIRECT
        | libc::O_LARGEFILE
        | libc::O_DIRECTORY
        | libc::O_NOFOLLOW
        | libc::O_NOATIME
        | libc::O_CLOEXEC
        | libc::O_PATH
        | libc::O_TMPFILE,
);
/// What may stand beside `O_PATH`.
const WITH_PATH: u64 = wide(libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC);
/// Only with what is in memory. Linux 5.12.
const RESOLVE_CACHED: u64 = 0x20;
/// File systems whose files are closed without asking anybody: `f_type` of statfs(2).
const LOCAL: [i64; 15] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
    0x794c_7630, // overlayfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x5345_434d, // securityfs
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x1cd1,      // devpts
    0x5049_5045, // pipefs
    0x534f_434b, // sockfs
    0x0904_1934, // eventfd, timerfd, epoll and others
    0x6367_7270, // cgroup2
];

impl Paths for Host {
    fn open(&self, at: At<'_>, how: &Opening, mode: Mode) -> Result<RawFd, Errno> {
        match mode {
            Mode::Nonblocking => open_cached(at, how),
            Mode::Blocking => open_blocking(at, how),
        }
    }

    fn stat(&self, at: At<'_>, flags: u32, mask: u32, into: Span) -> Result<(), Errno> {
        let (fd, path, into) = (at.directory, at.path.as_ptr(), pointer::<u8>(into));
        // SAFETY: the path lives for the call; the kernel checks the other address, for which the
        // submission vouched.
        done(unsafe { libc::syscall(libc::SYS_statx, fd, path, flags, mask, into) })
    }

    fn rename(&self, from: At<'_>, to: At<'_>, flags: u32) -> Result<(), Errno> {
        let (old, new) = (from.path.as_ptr(), to.path.as_ptr());
        let (old_directory, new_directory) = (from.directory, to.directory);
        // SAFETY: the paths live for the call.
        done(unsafe { libc::syscall(libc::SYS_renameat2, old_directory, old, new_directory, new, flags) })
    }

    fn unlink(&self, at: At<'_>, flags: u32) -> Result<(), Errno> {
        // SAFETY: the path lives for the call.
        result(unsafe { libc::unlinkat(at.directory, at.path.as_ptr(), flags.cast_signed()) }).map(drop)
    }

    fn make_directory(&self, at: At<'_>, mode: u32) -> Result<(), Errno> {
        // SAFETY: the path lives for the call.
        result(unsafe { libc::mkdirat(at.directory, at.path.as_ptr(), mode) }).map(drop)
    }

    fn make_symlink(&self, target: &std::ffi::CStr, at: At<'_>) -> Result<(), Errno> {
        // SAFETY: the paths live for the call.
        result(unsafe { libc::symlinkat(target.as_ptr(), at.directory, at.path.as_ptr()) }).map(drop)
    }

    fn link(&self, from: At<'_>, to: At<'_>, flags: u32) -> Result<(), Errno> {
        let (old, new) = (from.path.as_ptr(), to.path.as_ptr());
        // SAFETY: the paths live for the call.
        result(unsafe { libc::linkat(from.directory, old, to.directory, new, flags.cast_signed()) }).map(drop)
    }

    fn closes_at_once(&self, fd: RawFd) -> bool {
        let Ok(fd) = borrow(fd) else { return true };
        match rustix::fs::fstatfs(fd) {
            #[allow(
                clippy::useless_conversion,
                clippy::unnecessary_cast,
                reason = "its width differs between machines"
            )]
            Ok(stat) => LOCAL.contains(&(stat.f_type as i64 & 0xffff_ffff)),
            // Closing says the same.
            Err(_) => true,
        }
    }

    fn duplicate(&self, fd: RawFd, close_on_exec: bool) -> Result<RawFd, Errno> {
        let fd = borrow(fd)?;
        let made = if close_on_exec { rustix::io::fcntl_dupfd_cloexec(fd, 0)? } else { rustix::io::dup(fd)? };
        Ok(made.into_raw_fd())
    }
}

/// openat2(2) with `RESOLVE_CACHED`, and with `O_NONBLOCK` so that a FIFO or a device does not hold it up; the flag is taken
/// away again if it is not the program's.
fn open_cached(at: At<'_>, how: &Opening) -> Result<RawFd, Errno> {
    let mut strict = strict(how);
    strict.resolve |= RESOLVE_CACHED;
    let added = wide(libc::O_NONBLOCK) & !(strict.flags);
    let added = if strict.flags & wide(libc::O_PATH) == 0 { added } else { 0 };
    strict.flags |= added;
    let fd = match openat2(at, &strict) {
        // No such call, or no such flag, here; or something that the program must be told by the plain call.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => return Err(Errno::AGAIN),
        opened => opened?,
    };
    if added != 0 {
        let settable = wide(libc::O_APPEND | libc::O_ASYNC | libc::O_DIRECT | libc::O_NOATIME);
        let flags = i32::try_from(strict.flags & settable).unwrap_or(0);
        // SAFETY: takes numbers alone; the descriptor was made here.
        unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
    }
    Ok(fd)
}

fn open_blocking(at: At<'_>, how: &Opening) -> Result<RawFd, Errno> {
    if !how.lenient {
        match openat2(at, &OpenHow { flags: how.flags, mode: how.mode, resolve: how.resolve }) {
            // Before Linux 5.6, or forbidden: what the older call can do it does.
            Err(Errno::NOSYS) if how.resolve == 0 && how.flags & !KNOWN == 0 => {}
            opened => return opened,
        }
    }
    let (flags, mode) = (low(how.flags), low(how.mode));
    // SAFETY: the path lives for the call.
    result(unsafe { libc::openat(at.directory, at.path.as_ptr(), flags, mode) })
}

/// What openat(2) makes of its arguments, in the words of openat2(2), which refuses what the other ignores.
fn strict(how: &Opening) -> OpenHow {
    let Opening { mut flags, mut mode, resolve, lenient } = *how;
    if lenient {
        flags &= KNOWN;
        if flags & wide(libc::O_PATH) != 0 {
            flags &= WITH_PATH;
        }
        let makes =
            flags & wide(libc::O_CREAT) != 0 || flags & wide(libc::O_TMPFILE) == wide(libc::O_TMPFILE);
        mode = if makes { mode & 0o7777 } else { 0 };
    }
    OpenHow { flags, mode, resolve }
}

fn openat2(at: At<'_>, how: &OpenHow) -> Result<RawFd, Errno> {
    let (path, address, size) = (at.path.as_ptr(), std::ptr::from_ref(how), size_of::<OpenHow>());
    // SAFETY: path and structure live for the call.
    let fd = unsafe { libc::syscall(libc::SYS_openat2, at.directory, path, address, size) };
    RawFd::try_from(fd).map_or(Err(Errno::MFILE), |fd| if fd < 0 { Err(last_errno()) } else { Ok(fd) })
}

fn done(answer: libc::c_long) -> Result<(), Errno> {
    if answer < 0 { Err(last_errno()) } else { Ok(()) }
}

/// A flag of the C library as openat2(2) takes it.
#[expect(clippy::cast_sign_loss, reason = "flags are bits")]
const fn wide(flags: libc::c_int) -> u64 {
    flags as u32 as u64
}

/// The half of a word that openat(2) takes.
#[expect(clippy::cast_possible_truncation, reason = "it takes 32 bits of it")]
const fn low(word: u64) -> libc::c_int {
    (word as u32).cast_signed()
}
