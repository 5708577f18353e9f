//! Calls on a socket that must not wait, for which the system has no other way to say so.

use std::os::fd::BorrowedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// Makes a call with the socket non-blocking, and blocking again after it.
///
/// Operations in the ring do not look at that, and on this thread nothing else runs meanwhile; another process that
/// shares the socket may see it for that moment.
pub(crate) fn without_blocking<T>(
    socket: BorrowedFd<'_>,
    call: impl FnOnce() -> Result<T, Errno>,
) -> Result<T, Errno> {
    let flags = fcntl_getfl(socket)?;
    if flags.contains(OFlags::NONBLOCK) {
        return call();
    }
    fcntl_setfl(socket, flags | OFlags::NONBLOCK)?;
    let result = call();
    fcntl_setfl(socket, flags)?;
    result
}
