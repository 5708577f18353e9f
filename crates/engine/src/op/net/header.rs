//! Message headers (`struct msghdr`) and lists of buffers (`struct iovec`), copied when their entry is prepared.

use rustix::io::Errno;

use crate::buffers::{IOVEC, MAX_TRANSFER, iovec};
use crate::op::Prepare;
use crate::world::{Elements, LONGEST_ADDRESS, Span};

/// As many buffers a message has at most (`UIO_MAXIOV`).
const MOST_BUFFERS: u64 = 1024;
/// The size of a header.
pub(super) const SIZE: usize = size_of::<libc::msghdr>();
/// Where the fields lie that a receive fills in.
pub(super) const NAME_LEN: usize = std::mem::offset_of!(libc::msghdr, msg_namelen);
pub(super) const CONTROL_LEN: usize = std::mem::offset_of!(libc::msghdr, msg_controllen);
pub(super) const FLAGS: usize = std::mem::offset_of!(libc::msghdr, msg_flags);

/// A header as the program wrote it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Where the address is, or goes.
    pub(super) name: u64,
    /// How long it is, or may become.
    pub(super) name_len: u32,
    /// Where the list of buffers is.
    pub(super) buffers: u64,
    /// How many buffers it has.
    pub(super) count: u64,
    /// Where control data is, or goes.
    pub(super) control: Span,
}

impl Header {
    /// Copies the header at `addr`.
    ///
    /// # Errors
    ///
    /// `EFAULT`; `EINVAL` for an address of negative length, `EMSGSIZE` for too many buffers.
    pub(super) fn load(cx: &Prepare<'_>, addr: u64) -> Result<Self, Errno> {
        let mut bytes = [0; SIZE];
        cx.world.load(cx.vouched.span(addr, SIZE), &mut bytes)?;
        let word = |at: usize| word(&bytes[at..]);
        let half = |at: usize| word_of_four(&bytes[at..]);
        let control = cx.vouched.span(
            word(std::mem::offset_of!(libc::msghdr, msg_control)),
            usize::try_from(word(CONTROL_LEN)).unwrap_or(usize::MAX),
        );
        let header = Self {
            name: word(std::mem::offset_of!(libc::msghdr, msg_name)),
            name_len: half(NAME_LEN),
            buffers: word(std::mem::offset_of!(libc::msghdr, msg_iov)),
            count: word(std::mem::offset_of!(libc::msghdr, msg_iovlen)),
            control,
        };
        if header.name != 0 && header.name_len.cast_signed() < 0 {
            return Err(Errno::INVAL);
        }
        if header.count > MOST_BUFFERS { Err(Errno::MSGSIZE) } else { Ok(header) }
    }

    /// The length of the address, as far as there is one: more than any has is cut.
    pub(super) fn address_len(&self) -> usize {
        if self.name == 0 { 0 } else { (self.name_len as usize).min(LONGEST_ADDRESS) }
    }
}

/// Copies a list of buffers. What is more than one call can move is cut off.
///
/// # Errors
///
/// `EINVAL` for too many, or one of negative length; `EFAULT`.
pub(super) fn load_buffers(cx: &Prepare<'_>, addr: u64, count: u64) -> Result<Vec<Span>, Errno> {
    if count > MOST_BUFFERS {
        return Err(Errno::INVAL);
    }
    let count = usize::try_from(count).unwrap_or(0);
    let mut list = Elements::<IOVEC>::new(cx.world, cx.vouched, addr, count);
    let (mut spans, mut left) = (Vec::with_capacity(count), MAX_TRANSFER);
    for index in 0..count {
        let (addr, len) = iovec(&list.get(index)?)?;
        let len = len.min(left);
        left -= len;
        spans.push(cx.vouched.span(addr, len));
    }
    Ok(spans)
}

/// The first eight bytes.
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().copied().map_or(0, u64::from_ne_bytes)
}

/// The first four bytes.
fn word_of_four(bytes: &[u8]) -> u32 {
    bytes.first_chunk().copied().map_or(0, u32::from_ne_bytes)
}
