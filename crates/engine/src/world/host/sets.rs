//! Epoll sets of the program's.
#![allow(unsafe_code, reason = "epoll_ctl(2) and epoll_wait(2) with the program's own events")]

use std::os::fd::RawFd;

use rustix::io::Errno;

use super::Host;
use super::sockets::last_errno;
use crate::world::Span;
use crate::world::sets::{RawEvent, Sets};

impl Sets for Host {
    fn change_set(&self, set: RawFd, how: i32, member: RawFd, event: RawEvent) -> Result<(), Errno> {
        // SAFETY: an event is integers, for which any bytes are values, and has the size of the array.
        let mut event: libc::epoll_event = unsafe { std::mem::transmute(event) };
        // SAFETY: the event lives for the call, which only reads it.
        if unsafe { libc::epoll_ctl(set, how, member, &raw mut event) } == 0 {
            return Ok(());
        }
        Err(last_errno())
    }

    fn take_events(&self, set: RawFd, into: Span, most: i32) -> Result<u32, Errno> {
        let events =
            std::ptr::with_exposed_provenance_mut(usize::try_from(into.addr()).unwrap_or(usize::MAX));
        // SAFETY: the kernel checks the address; the submission vouched for what it writes there.
        let got = unsafe { libc::epoll_wait(set, events, most, 0) };
        u32::try_from(got).map_err(|_| last_errno())
    }
}
