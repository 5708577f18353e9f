//! Direct I/O by Linux AIO (io_submit(2)), which container profiles allow where they forbid io_uring.
//!
//! One context for each world, made when it is first needed. Its completions make an eventfd readable that lies in the set of
//! watched descriptors, so that whoever waits for readiness takes them too. Transfers start with `RWF_NOWAIT`: whoever
//! starts one must not be kept by a full device queue.
#![allow(unsafe_code, reason = "system calls with addresses that submissions vouched for")]

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use annulus_abi::RwFlags;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::Host;
use super::sockets::last_errno;
use crate::world::{Direct, DirectIo, Direction, Event};

/// Transfers at a time; more are refused with `EAGAIN`. The system has 65,536 for all (`/proc/sys/fs/aio-max-nr`).
const DEPTH: libc::c_long = 256;
/// Completions taken by one call.
const BATCH: usize = 64;
/// `IOCB_CMD_PREAD` and `IOCB_CMD_PWRITE`.
const COMMANDS: (u16, u16) = (0, 1);
/// `IOCB_FLAG_RESFD`: tell an eventfd.
const TELL_EVENTFD: u32 = 1;

/// `struct iocb` of linux/aio_abi.h.
#[repr(C)]
#[derive(Debug, Default)]
struct Iocb {
    data: u64,
    #[cfg(target_endian = "little")]
    key: u32,
    rw_flags: u32,
    #[cfg(target_endian = "big")]
    key: u32,
    command: u16,
    priority: i16,
    fd: u32,
    buffer: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    eventfd: u32,
}

/// `struct io_event`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct IoEvent {
    data: u64,
    iocb: u64,
    result: i64,
    result2: i64,
}

const _: () = assert!(size_of::<Iocb>() == 64 && size_of::<IoEvent>() == 32);

/// The context, if there is one.
#[derive(Debug, Default)]
pub(super) struct Aio {
    state: Mutex<Context>,
}

#[derive(Debug, Default)]
enum Context {
    /// Nobody has needed it.
    #[default]
    Unused,
    Open {
        id: libc::c_ulong,
        news: OwnedFd,
        /// Prepared and not launched.
        prepared: Vec<Iocb>,
    },
    /// The system has none for us, or it was given up.
    Closed,
}

impl Aio {
    /// Takes what has ended.
    pub(super) fn take(&self, into: &mut Vec<Event>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Context::Open { id, news, .. } = &*state else { return };
        // Another thread may have read it.
        let _ = rustix::io::read(news, &mut [0; 8]);
        loop {
            let mut events = [IoEvent::default(); BATCH];
            let mut at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            let (room, buffer, time) =
                (libc::c_long::try_from(BATCH).unwrap_or(1), events.as_mut_ptr(), &raw mut at_once);
            // SAFETY: the buffer holds `room` events; it and the time live for the call.
            let got = unsafe { libc::syscall(libc::SYS_io_getevents, *id, 0, room, buffer, time) };
            let got = usize::try_from(got).unwrap_or(0);
            into.extend(events[..got].iter().map(|event| Event::Done {
                token: event.data,
                result: i32::try_from(event.result).unwrap_or(i32::MAX),
            }));
            if got < BATCH {
                return;
            }
        }
    }

    /// Waits for what goes on, and gives the context up.
    fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Context::Open { id, .. } = std::mem::replace(&mut *state, Context::Closed) {
            // SAFETY: takes a number. It returns when no transfer touches memory any more.
            unsafe { libc::syscall(libc::SYS_io_destroy, id) };
        }
    }
}

impl Drop for Aio {
    fn drop(&mut self) {
        self.close();
    }
}

impl Host {
    fn open_aio(&self) -> Result<Context, Errno> {
        let news = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let mut id: libc::c_ulong = 0;
        let place = &raw mut id;
        // SAFETY: the number is written to a local.
        if unsafe { libc::syscall(libc::SYS_io_setup, DEPTH, place) } != 0 {
            return Err(last_errno());
        }
        match self.epoll.watch_transfers(&news) {
            Ok(()) => Ok(Context::Open { id, news, prepared: Vec::new() }),
            Err(errno) => {
                // SAFETY: takes a number; nothing was started.
                unsafe { libc::syscall(libc::SYS_io_destroy, id) };
                Err(errno)
            }
        }
    }
}

impl DirectIo for Host {
    fn prepare(&self, direct: &Direct, token: u64) -> Result<(), Errno> {
        let mut state = self.aio.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, Context::Unused) {
            *state = self.open_aio().unwrap_or(Context::Closed);
        }
        let Context::Open { news, prepared, .. } = &mut *state else { return Err(Errno::NOSYS) };
        prepared.push(Iocb {
            data: token,
            rw_flags: RwFlags::NOWAIT.bits(),
            command: if direct.direction == Direction::Read { COMMANDS.0 } else { COMMANDS.1 },
            fd: direct.fd.cast_unsigned(),
            buffer: direct.span.addr(),
            bytes: direct.span.len() as u64,
            offset: direct.offset.cast_signed(),
            flags: TELL_EVENTFD,
            eventfd: news.as_raw_fd().cast_unsigned(),
            ..Iocb::default()
        });
        Ok(())
    }

    fn launch(&self, into: &mut Vec<Event>) {
        let mut state = self.aio.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Context::Open { id, prepared, .. } = &mut *state else { return };
        let mut list: Vec<*mut Iocb> = prepared.iter_mut().map(std::ptr::from_mut).collect();
        let mut started = 0;
        while started < list.len() {
            let rest = &mut list[started..];
            let (count, blocks) = (rest.len(), rest.as_mut_ptr());
            // SAFETY: list and blocks live for the call, which copies them; the kernel checks the addresses of the buffers,
            // for which submissions vouched until the last completions of their requests, which follow what `take` finds.
            let got = unsafe { libc::syscall(libc::SYS_io_submit, *id, count, blocks) };
            match usize::try_from(got) {
                Ok(got) if got > 0 => started += got,
                // The first of the rest was refused: whoever can wait must find out what is wrong with it.
                _ => {
                    let refused = prepared[started].data;
                    into.push(Event::Done { token: refused, result: -Errno::AGAIN.raw_os_error() });
                    started += 1;
                }
            }
        }
        prepared.clear();
    }

    fn finish(&self) {
        self.aio.close();
    }
}
