//! TCP Fast Open (RFC 7413): what a listener and a socket that is to connect are told, and what came of it.
#![allow(unsafe_code, reason = "sets and asks for options that are numbers")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use super::{TcpListener, TcpStream};

/// The option of a connection's state, as bytes up to the one that is looked at.
const INFO: usize = 8;

/// Where among them the flags are (`tcpi_options`).
const OPTIONS: usize = 5;

/// That data went with the first segment, and were taken (`TCPI_OPT_SYN_DATA`).
const SYN_DATA: u8 = 32;

impl TcpListener {
    /// How many connections that came with data may wait for the end of their handshake
    /// ([`ListenOptions::fast_open`](super::ListenOptions::fast_open)); 0: none come with data.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn fast_open(&self) -> io::Result<u32> {
        let mut value = [0; 4];
        ask(self, libc::TCP_FASTOPEN, &mut value)?;
        Ok(u32::from_ne_bytes(value))
    }
}

impl TcpStream {
    /// Whether data went with the request to connect, and were taken: at either end, once the handshake is over (`TCP_INFO`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn was_fast_opened(&self) -> io::Result<bool> {
        let mut info = [0; INFO];
        ask(self, libc::TCP_INFO, &mut info)?;
        Ok(info[OPTIONS] & SYN_DATA != 0)
    }
}

/// Lets so many connections with data wait for the end of their handshake.
pub(super) fn listen(fd: impl AsFd, queue: u32) -> io::Result<()> {
    set(fd, libc::TCP_FASTOPEN, i32::try_from(queue).unwrap_or(i32::MAX))
}

/// Lets the first bytes go out with the request to connect.
pub(super) fn connect(fd: impl AsFd) -> io::Result<()> {
    set(fd, libc::TCP_FASTOPEN_CONNECT, 1)
}

fn set(fd: impl AsFd, name: i32, value: i32) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    let place = (&raw const value).cast();
    // SAFETY: the value is a number of four bytes, which is read during the call.
    if unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, name, place, 4) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Asks for the first bytes of an option.
fn ask<const N: usize>(fd: impl AsFd, name: i32, value: &mut [u8; N]) -> io::Result<()> {
    let mut len = libc::socklen_t::try_from(N).unwrap_or(0);
    let fd = fd.as_fd().as_raw_fd();
    let (place, len) = (value.as_mut_ptr().cast(), &raw mut len);
    // SAFETY: there is room for as many bytes as the length says, and the call writes no more.
    if unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, name, place, len) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
