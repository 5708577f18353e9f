//! Control data of messages: what is sent beside the bytes, and the room for what comes (cmsg(3)).
#![allow(
    unsafe_code,
    reason = "takes descriptors that came with a message; hands out its own memory as bytes"
)]

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use annulus::types::ControlMessages;

/// A word, to whose size control messages are aligned.
const WORD: usize = size_of::<usize>();

/// The length, the level and the kind that come before the data of a message.
const HEADER: usize = WORD + 2 * size_of::<i32>();

/// Control messages.
#[derive(Debug)]
pub(crate) struct Control {
    /// In words, as that is how they are aligned.
    words: Vec<usize>,
    /// How many bytes of them count.
    len: usize,
}

impl Control {
    /// None, and no room for any.
    pub(crate) const fn none() -> Self {
        Self { words: Vec::new(), len: 0 }
    }

    /// Room for so many descriptors, and not one more.
    pub(crate) fn room_for_fds(count: usize) -> Self {
        Self::room(count.saturating_mul(size_of::<RawFd>()))
    }

    /// Room for the length of segments (`UDP_GRO`).
    pub(crate) fn room_for_segment() -> Self {
        Self::room(size_of::<i32>())
    }

    /// Room for a message with so many bytes of data.
    fn room(data: usize) -> Self {
        let len = HEADER + data;
        Self { words: vec![0; len.div_ceil(WORD)], len }
    }

    /// Descriptors that are to be passed (`SCM_RIGHTS`).
    pub(crate) fn fds<'fd>(fds: impl Iterator<Item = BorrowedFd<'fd>>) -> Self {
        let bytes: Vec<u8> = fds.flat_map(|fd| fd.as_raw_fd().to_ne_bytes()).collect();
        if bytes.is_empty() {
            Self::none()
        } else {
            Self::message(libc::SOL_SOCKET, libc::SCM_RIGHTS, &bytes)
        }
    }

    /// How long each datagram is to be that a buffer is cut into (`UDP_SEGMENT`).
    pub(crate) fn segments(len: u16) -> Self {
        Self::message(libc::SOL_UDP, libc::UDP_SEGMENT, &len.to_ne_bytes())
    }

    fn message(level: i32, kind: i32, data: &[u8]) -> Self {
        let mut bytes = (HEADER + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        let words = bytes.chunks(WORD).map(|chunk| {
            let mut word = [0; WORD];
            word[..chunk.len()].copy_from_slice(chunk);
            usize::from_ne_bytes(word)
        });
        Self { words: words.collect(), len: bytes.len() }
    }

    /// Where they are, and how many bytes.
    pub(crate) fn raw(&mut self) -> (*mut u8, usize) {
        let start = if self.len == 0 { std::ptr::null_mut() } else { self.words.as_mut_ptr().cast() };
        (start, self.len)
    }

    /// The messages in the first `len` bytes.
    pub(crate) fn messages(&self, len: usize) -> ControlMessages<'_> {
        let len = len.min(self.words.len() * WORD);
        // SAFETY: words that are initialised, as bytes, which need no alignment.
        ControlMessages::new(unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), len) })
    }
}

/// What came with a message: descriptors, and how long the datagrams are that were put together.
///
/// # Safety
///
/// The kernel wrote these messages, and they are read once.
pub(crate) unsafe fn read(messages: ControlMessages<'_>) -> (Vec<OwnedFd>, Option<u16>) {
    let mut fds = Vec::new();
    let mut segment = None;
    for message in messages {
        match (message.level, message.kind) {
            // SAFETY: descriptors that are taken once (this function's contract).
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => fds.extend(unsafe { rights(message.data) }),
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let len = message.data.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
                segment = len.and_then(|len| u16::try_from(len).ok());
            }
            _ => {}
        }
    }
    (fds, segment)
}

/// Descriptors that came with a message.
///
/// # Safety
///
/// `data` is that of a message `SCM_RIGHTS` which the kernel wrote, and is read as such once.
unsafe fn rights(data: &[u8]) -> Vec<OwnedFd> {
    let (numbers, _) = data.as_chunks::<{ size_of::<RawFd>() }>();
    let owned = |number: &[u8; size_of::<RawFd>()]| {
        // SAFETY: the kernel made this descriptor for us (this function's contract).
        unsafe { OwnedFd::from_raw_fd(RawFd::from_ne_bytes(*number)) }
    };
    numbers.iter().map(owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_as_it_was() {
        let control = Control::segments(1_400);
        let mut messages = control.messages(usize::MAX);
        let message = messages.next().unwrap();
        assert_eq!((message.level, message.kind), (libc::SOL_UDP, libc::UDP_SEGMENT));
        assert_eq!(message.data, 1_400_u16.to_ne_bytes());
        assert!(messages.next().is_none());
    }

    #[test]
    fn room_is_for_what_was_asked_and_a_header() {
        assert_eq!(Control::room_for_fds(3).raw().1, 16 + 12);
        assert_eq!(Control::room_for_segment().raw().1, 16 + 4);
        assert_eq!(Control::none().raw(), (std::ptr::null_mut(), 0));
        assert_eq!(Control::fds(std::iter::empty()).raw().1, 0);
    }
}
