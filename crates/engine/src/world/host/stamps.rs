//! Time stamps of what was sent, from a socket's error queue.
//!
//! Other entries of that queue are lost when they are met: a queue can be read only from its front.
#![allow(unsafe_code, reason = "control data of a message is a list of C structures")]

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::world::sockets::SendStamp;

/// Where an entry of the error queue comes from, if it is a time stamp.
const ORIGIN_TIMESTAMPING: u8 = 4;
/// Room for time stamps, an extended error and an address.
const CONTROL: usize = 512;

/// Control data, aligned as its headers are.
#[repr(align(8))]
struct Control([u8; CONTROL]);

/// What was found in one message.
#[derive(Default)]
struct Found {
    /// Software, (unused), hardware.
    times: Option<[libc::timespec; 3]>,
    error: Option<libc::sock_extended_err>,
}

/// Takes the oldest stamp.
pub(super) fn take(fd: BorrowedFd<'_>) -> Result<SendStamp, Errno> {
    loop {
        let found = receive(fd)?;
        if let (Some(times), Some(error)) = (found.times, found.error)
            && error.ee_origin == ORIGIN_TIMESTAMPING
        {
            let [software, _, raw] = times;
            let hardware = raw.tv_sec != 0 || raw.tv_nsec != 0;
            let time = if hardware { raw } else { software };
            return Ok(SendStamp {
                key: error.ee_data,
                kind: error.ee_info,
                hardware,
                time: [u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0)],
            });
        }
    }
}

/// The control data of the next entry of the error queue.
fn receive(fd: BorrowedFd<'_>) -> Result<Found, Errno> {
    let mut control = Control([0; CONTROL]);
    let mut payload = [0_u8; 1];
    let mut vector = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() };
    // SAFETY: all zero is an empty header.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: header, list, payload and control data live for the call.
    if unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) } < 0 {
        return Err(std::io::Error::last_os_error()
            .raw_os_error()
            .map_or(Errno::IO, Errno::from_raw_os_error));
    }
    Ok(parse(&header))
}

/// Reads the control data of a header that the kernel filled in.
fn parse(header: &libc::msghdr) -> Found {
    let mut found = Found::default();
    // SAFETY: the header describes its control data, which the kernel wrote.
    let mut entry = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !entry.is_null() {
        // SAFETY: an entry inside the control data, aligned as the kernel laid it out.
        let about = unsafe { entry.read() };
        // SAFETY: as above.
        let data = unsafe { libc::CMSG_DATA(entry) };
        match (about.cmsg_level, about.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => {
                // SAFETY: this type carries three times.
                found.times = Some(unsafe { data.cast::<[libc::timespec; 3]>().read_unaligned() });
            }
            (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR) => {
                // SAFETY: this type carries an extended error.
                found.error = Some(unsafe { data.cast::<libc::sock_extended_err>().read_unaligned() });
            }
            _ => {}
        }
        // SAFETY: the header and its control data are still the kernel's work.
        entry = unsafe { libc::CMSG_NXTHDR(header, entry) };
    }
    found
}
