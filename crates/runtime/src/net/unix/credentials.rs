//! Who is at the other end of a Unix connection.
#![allow(unsafe_code, reason = "asks for a descriptor of the peer's process, and takes it")]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use rustix::net::sockopt;

use super::{UnixSeqpacket, UnixStream};
use crate::fd::SharedFd;

/// The process at the other end as it was when it connected, or when the pair was made (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its number; `None` if it is not of this process's namespace. The number may be another process's by now:
    /// [`UnixStream::peer_pidfd`] cannot.
    pub pid: Option<u32>,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// What both kinds of connections have.
macro_rules! peer {
    ($($connection:ident),*) => {$(
        impl $connection {
            /// Who is at the other end.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn peer_credentials(&self) -> io::Result<Credentials> {
                credentials(&self.fd)
            }

            /// A descriptor of the process at the other end (pidfd_open(2)), which means that process and no other for
            /// ever (`SO_PEERPIDFD`).
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2): `ENOPROTOOPT` before Linux 6.5, `ESRCH` or `EINVAL` if the process is gone, `EMFILE`.
            pub fn peer_pidfd(&self) -> io::Result<OwnedFd> {
                pidfd(&self.fd)
            }
        }
    )*};
}

peer!(UnixStream, UnixSeqpacket);

fn credentials(fd: &SharedFd) -> io::Result<Credentials> {
    let peer = sockopt::socket_peercred(fd)?;
    let pid = u32::try_from(peer.pid.as_raw_nonzero().get()).ok();
    Ok(Credentials { pid, uid: peer.uid.as_raw(), gid: peer.gid.as_raw() })
}

fn pidfd(fd: &SharedFd) -> io::Result<OwnedFd> {
    /// `SO_PEERPIDFD`, as on every architecture but those with numbers of their own.
    const PEER_PIDFD: i32 = 77;
    let mut pidfd: RawFd = -1;
    let mut len: libc::socklen_t = 4;
    let (place, len) = ((&raw mut pidfd).cast(), &raw mut len);
    let fd = fd.as_raw_fd();
    // SAFETY: the option's value is a number of four bytes, and so is the place for it.
    if unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, PEER_PIDFD, place, len) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has made this descriptor for us just now.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}
