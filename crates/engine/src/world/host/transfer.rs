//! Reads and writes of the machine.
#![allow(unsafe_code, reason = "system calls with addresses that submissions vouched for")]

use std::os::fd::RawFd;

use rustix::event::epoll;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Host;
use super::files::borrow;
use super::sockets::{Nonblocking, last_errno, with_vectors};
use super::write_flags;
use crate::world::Span;
use crate::world::transfer::{Direction, Status, Transfer};

/// The calling thread, for ioprio_get(2) and ioprio_set(2).
const THIS_THREAD: (libc::c_int, libc::c_int) = (1, 0);
/// The classes of I/O priorities, in the upper three bits.
const CLASS_SHIFT: u16 = 13;
const CLASS_NONE: u16 = 0;
const CLASS_REALTIME: u16 = 1;
const CLASS_IDLE: u16 = 3;
/// The levels within a class, in the lower three bits.
const LEVEL_MASK: u16 = 7;
/// Capabilities that allow the real-time class.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_SYS_NICE: u32 = 23;

impl Transfer for Host {
    #[inline]
    fn transfer(
        &self,
        direction: Direction,
        fd: RawFd,
        memory: &[Span],
        offset: u64,
        flags: u32,
    ) -> Result<usize, Errno> {
        let number = match direction {
            Direction::Read => libc::SYS_preadv2,
            Direction::Write => libc::SYS_pwritev2,
        };
        let (low, high) = halves(offset);
        with_vectors(memory, |vectors| {
            let (list, count) = (vectors.as_ptr(), vectors.len());
            let call = |flags: u32| {
                // As wide as the register that it is passed in, all of it.
                let flags = flags as usize;
                // SAFETY: the list lives for the call; the kernel checks the addresses in it, for which the
                // submission vouched.
                let moved = unsafe { libc::syscall(number, fd, list, count, low, high, flags) };
                usize::try_from(moved).map_err(|_| last_errno())
            };
            match call(flags) {
                Err(Errno::OPNOTSUPP)
                    if direction == Direction::Write && write_flags::may_be_lacking(flags) =>
                {
                    write_flags::write(fd, flags, call)
                }
                moved => moved,
            }
        })
    }

    fn transfer_at_once(
        &self,
        direction: Direction,
        fd: RawFd,
        memory: &[Span],
        offset: u64,
        flags: u32,
    ) -> Result<usize, Errno> {
        let _turn = Nonblocking::set(fd)?;
        self.transfer(direction, fd, memory, offset, flags)
    }

    fn status(&self, fd: RawFd) -> Result<Status, Errno> {
        let flags = rustix::fs::fcntl_getfl(borrow(fd)?)?;
        let mode = flags & OFlags::RWMODE;
        let path = flags.contains(OFlags::PATH);
        Ok(Status {
            readable: !path && mode != OFlags::WRONLY,
            writable: !path && (mode == OFlags::WRONLY || mode == OFlags::RDWR),
            direct: flags.contains(OFlags::DIRECT),
            nonblocking: flags.contains(OFlags::NONBLOCK),
        })
    }

    fn is_pollable(&self, fd: RawFd) -> Result<bool, Errno> {
        let fd = borrow(fd)?;
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        match epoll::add(&set, fd, epoll::EventData::new_u64(0), epoll::EventFlags::empty()) {
            Ok(()) => {
                // The file outlives the set, which must not stay behind in its list.
                let _ = epoll::delete(&set, fd);
                Ok(true)
            }
            Err(Errno::PERM) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    fn check_priority(&self, priority: u16) -> Result<(), Errno> {
        match priority >> CLASS_SHIFT {
            CLASS_NONE if priority & LEVEL_MASK != 0 => Err(Errno::INVAL),
            CLASS_REALTIME if !(has_capability(CAP_SYS_ADMIN) || has_capability(CAP_SYS_NICE)) => {
                Err(Errno::PERM)
            }
            ..=CLASS_IDLE => Ok(()),
            _ => Err(Errno::INVAL),
        }
    }

    fn replace_priority(&self, priority: u16) -> Option<u16> {
        let (kind, who) = THIS_THREAD;
        // SAFETY: takes numbers alone.
        let before = unsafe { libc::syscall(libc::SYS_ioprio_get, kind, who) };
        let before = u16::try_from(before).ok()?;
        // SAFETY: takes numbers alone.
        let set = unsafe { libc::syscall(libc::SYS_ioprio_set, kind, who, libc::c_int::from(priority)) };
        (set == 0).then_some(before)
    }
}

/// An offset as the two calls take it: in two words, of which the second counts only where one is too short.
#[allow(clippy::cast_possible_truncation, reason = "the halves of 64 bits, where a word has 32")]
fn halves(offset: u64) -> (libc::c_ulong, libc::c_ulong) {
    let high = if libc::c_ulong::BITS < u64::BITS { offset >> 32 } else { 0 };
    (offset as libc::c_ulong, high as libc::c_ulong)
}

/// Whether the calling thread has a capability in effect: capget(2).
fn has_capability(number: u32) -> bool {
    /// The version of the call that knows 64 capabilities.
    const VERSION_3: u32 = 0x2008_0522;
    // Version and thread; then effective, permitted, inheritable, for each half of the 64.
    let (mut header, mut sets) = ([VERSION_3, 0], [0_u32; 6]);
    let (header, data) = (header.as_mut_ptr(), sets.as_mut_ptr());
    // SAFETY: both live for the call and have the layout that this version says.
    let got = unsafe { libc::syscall(libc::SYS_capget, header, data) };
    got == 0 && sets[0] & (1 << number) != 0
}
