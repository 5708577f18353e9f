//! Readiness by epoll(7), with an eventfd that ends a wait.
#![allow(unsafe_code, reason = "epoll_pwait2(2) with the kernel's signal set, which rustix does not take")]

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::Host;
use super::files::borrow;
use crate::world::{Event, Readiness, ReadySet};

/// The token of the eventfd that ends a wait; no request has it.
const WAKE: u64 = u64::MAX;
/// The token of the eventfd that direct I/O tells.
const TRANSFERS: u64 = u64::MAX - 1;
/// Events taken by one call.
const BATCH: usize = 64;

/// The set of watched descriptors.
#[derive(Debug)]
pub(super) struct Epoll {
    set: OwnedFd,
    wake: OwnedFd,
}

impl Epoll {
    pub(super) fn new() -> Result<Self, Errno> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&set, &wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        Ok(Self { set, wake })
    }

    /// Takes the eventfd of direct I/O into the set.
    pub(super) fn watch_transfers(&self, news: &OwnedFd) -> Result<(), Errno> {
        epoll::add(&self.set, news, epoll::EventData::new_u64(TRANSFERS), epoll::EventFlags::IN)
    }

    /// epoll_pwait2(2), or epoll_pwait(2) with milliseconds where there is no such call (before Linux 5.11).
    fn wait_raw(
        &self,
        timeout: Option<Duration>,
        sigmask: Option<u64>,
        events: &mut [libc::epoll_event; BATCH],
    ) -> Result<usize, Errno> {
        let time = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let mask = sigmask.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let (set, room) = (self.set.as_raw_fd(), BATCH);
        let buffer = events.as_mut_ptr();
        // SAFETY: the buffer holds `room` events, time and mask live for the call; the size is the kernel's.
        let got =
            unsafe { libc::syscall(libc::SYS_epoll_pwait2, set, buffer, room, time, mask, size_of::<u64>()) };
        match result(got) {
            Err(Errno::NOSYS) => {}
            got => return got,
        }
        let millis = timeout
            .map_or(-1, |timeout| i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
        // SAFETY: as above.
        let got = unsafe {
            libc::syscall(libc::SYS_epoll_pwait, set, buffer, room, millis, mask, size_of::<u64>())
        };
        result(got)
    }
}

fn result(got: libc::c_long) -> Result<usize, Errno> {
    usize::try_from(got).map_err(|_| {
        std::io::Error::last_os_error().raw_os_error().map_or(Errno::INVAL, Errno::from_raw_os_error)
    })
}

fn flags(events: ReadySet) -> epoll::EventFlags {
    epoll::EventFlags::from_bits_retain(events) | epoll::EventFlags::ET
}

fn poll_one(fd: RawFd, events: ReadySet, timeout: Option<&Timespec>) -> Result<ReadySet, Errno> {
    let asked = PollFlags::from_bits_retain(u16::try_from(events & 0xffff).unwrap_or(0));
    let mut fds = [PollFd::from_borrowed_fd(borrow(fd)?, asked)];
    poll(&mut fds, timeout)?;
    let found = fds[0].revents();
    if found.contains(PollFlags::NVAL) {
        return Err(Errno::BADF);
    }
    Ok(u32::from(found.bits()))
}

impl Readiness for Host {
    fn arm(&self, fd: RawFd, events: ReadySet, token: u64) -> Result<(), Errno> {
        epoll::add(&self.epoll.set, borrow(fd)?, epoll::EventData::new_u64(token), flags(events))
    }

    fn rearm(&self, fd: RawFd, events: ReadySet, token: u64) -> Result<(), Errno> {
        epoll::modify(&self.epoll.set, borrow(fd)?, epoll::EventData::new_u64(token), flags(events))
    }

    fn disarm(&self, fd: RawFd) {
        if let Ok(fd) = borrow(fd) {
            // It may have ended by itself: the last descriptor of a file takes its watch along.
            let _ = epoll::delete(&self.epoll.set, fd);
        }
    }

    fn wait(
        &self,
        timeout: Option<Duration>,
        sigmask: Option<u64>,
        into: &mut Vec<Event>,
    ) -> Result<bool, Errno> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        let got = self.epoll.wait_raw(timeout, sigmask, &mut events)?;
        let mut is_woken = false;
        for event in &events[..got] {
            if event.u64 == WAKE {
                // Not if somebody else has read it first.
                is_woken |= rustix::io::read(&self.epoll.wake, &mut [0; 8]).is_ok();
            } else if event.u64 == TRANSFERS {
                self.aio.take(into);
            } else {
                into.push(Event::Ready { token: event.u64, ready: event.events });
            }
        }
        Ok(is_woken)
    }

    fn wake(&self) {
        // Full means that a wake-up is on its way already.
        let _ = rustix::io::write(&self.epoll.wake, &1_u64.to_ne_bytes());
    }

    fn descriptor(&self) -> RawFd {
        self.epoll.set.as_raw_fd()
    }

    fn ready(&self, fd: RawFd, events: ReadySet) -> Result<ReadySet, Errno> {
        poll_one(fd, events, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
    }

    fn await_ready(&self, fd: RawFd, events: ReadySet) -> Result<ReadySet, Errno> {
        poll_one(fd, events, None)
    }

    fn await_readable(&self, fd: RawFd, timeout: Option<Duration>) -> bool {
        let Ok(fd) = borrow(fd) else { return true };
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        poll(&mut fds, timeout.as_ref()).is_ok_and(|ready| ready > 0)
    }

    fn watch_from(&self, set: std::os::fd::BorrowedFd<'_>) -> Result<(), Errno> {
        epoll::add(set, &self.epoll.set, epoll::EventData::new_u64(0), epoll::EventFlags::IN)
    }

    fn is_eventfd(&self, fd: RawFd) -> bool {
        match rustix::fs::readlink(format!("/proc/self/fd/{fd}"), Vec::new()) {
            Ok(name) => name.as_bytes() == b"anon_inode:[eventfd]",
            // Where there is no /proc: only anonymous inodes have no type.
            Err(_) => borrow(fd)
                .and_then(rustix::fs::fstat)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Unknown),
        }
    }

    fn signal(&self, eventfd: RawFd) {
        if let Ok(fd) = borrow(eventfd) {
            // Full: whoever reads it is behind and finds it readable anyway.
            let _ = rustix::io::write(fd, &1_u64.to_ne_bytes());
        }
    }
}
