//! Pipes of the machine.
#![allow(unsafe_code, reason = "system calls by number, as entries name them")]

use std::os::fd::RawFd;

use rustix::io::Errno;

use super::Host;
use super::sockets::{bytes, result};
use crate::world::pipes::{End, Pipes};

impl Pipes for Host {
    fn splice(&self, from: End, to: End, len: usize, flags: u32) -> Result<usize, Errno> {
        let mut offsets = [from.offset, to.offset].map(|offset| offset.map(u64::cast_signed));
        let [source, target] =
            offsets.each_mut().map(|offset| offset.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut));
        // SAFETY: the offsets, where there are any, live for the call.
        bytes(unsafe { libc::splice(from.fd, source, to.fd, target, len, flags) })
    }

    fn tee(&self, from: RawFd, to: RawFd, len: usize, flags: u32) -> Result<usize, Errno> {
        // SAFETY: takes numbers alone.
        bytes(unsafe { libc::tee(from, to, len, flags) })
    }

    fn pipe(&self, flags: u32) -> Result<[RawFd; 2], Errno> {
        let mut ends = [-1; 2];
        // SAFETY: both places live for the call.
        result(unsafe { libc::pipe2(ends.as_mut_ptr(), flags.cast_signed()) })?;
        Ok(ends)
    }
}
