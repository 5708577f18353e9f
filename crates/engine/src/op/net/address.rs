//! Addresses of sockets, as entries name them.

use rustix::io::Errno;

use crate::op::Prepare;
use crate::world::{LONGEST_ADDRESS, SocketAddress};

/// Copies the `len` bytes of an address.
///
/// # Errors
///
/// `EINVAL` if it is longer than any; `EFAULT`.
pub(super) fn load(cx: &Prepare<'_>, addr: u64, len: u64) -> Result<SocketAddress, Errno> {
    let len = usize::try_from(len).ok().filter(|len| *len <= LONGEST_ADDRESS).ok_or(Errno::INVAL)?;
    let mut bytes = [0; LONGEST_ADDRESS];
    if len > 0 {
        cx.world.load(cx.vouched.span(addr, len), &mut bytes[..len])?;
    }
    Ok(SocketAddress::new(&bytes[..len]))
}

/// A length that the kernel keeps in 32 bits with a sign.
///
/// # Errors
///
/// `EINVAL` if it is negative there.
pub(super) fn length(len: u64) -> Result<u64, Errno> {
    #[expect(clippy::cast_possible_truncation, reason = "so does the kernel")]
    let len = len as u32;
    if len.cast_signed() < 0 { Err(Errno::INVAL) } else { Ok(len.into()) }
}
