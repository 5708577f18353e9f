//! Control messages: what a socket sends beside the data (cmsg(3)).
//!
//! Reading only, bounds-checked and without unsafe: the bytes may be anything. Whoever receives
//! descriptors (`SCM_RIGHTS`) has to take them out of [`ControlMessage::data`] and own them.

/// One control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlMessage<'buf> {
    /// Whose message it is: `SOL_SOCKET`, `IPPROTO_IP`, ... (`cmsg_level`).
    pub level: i32,
    /// Which of them: `SCM_RIGHTS`, `IP_PKTINFO`, ... (`cmsg_type`).
    pub kind: i32,
    /// What it says.
    pub data: &'buf [u8],
}

/// The control messages in a buffer, one after the other. Ends at the first that does not fit.
///
/// ```
/// use annulus::types::ControlMessages;
///
/// // A message of level 1 and kind 2 with four bytes of data: 16 bytes of header, then the data.
/// let mut buffer = 20usize.to_ne_bytes().to_vec();
/// buffer.extend(1i32.to_ne_bytes());
/// buffer.extend(2i32.to_ne_bytes());
/// buffer.extend(*b"data");
/// let message = ControlMessages::new(&buffer).next().unwrap();
/// assert_eq!((message.level, message.kind, message.data), (1, 2, &b"data"[..]));
/// ```
#[derive(Debug, Clone)]
pub struct ControlMessages<'buf> {
    rest: &'buf [u8],
}

impl<'buf> ControlMessages<'buf> {
    /// The size of `struct cmsghdr`: the message's length (header included), its level and its type.
    const HEADER: usize = size_of::<usize>() + 8;

    /// Reads the control messages of `buffer`, as recvmsg(2) fills it.
    #[must_use]
    pub const fn new(buffer: &'buf [u8]) -> Self {
        Self { rest: buffer }
    }
}

impl<'buf> Iterator for ControlMessages<'buf> {
    type Item = ControlMessage<'buf>;

    fn next(&mut self) -> Option<Self::Item> {
        let len = usize::from_ne_bytes(word_at(self.rest, 0)?);
        let level = i32::from_ne_bytes(word_at(self.rest, size_of::<usize>())?);
        let kind = i32::from_ne_bytes(word_at(self.rest, size_of::<usize>() + 4)?);
        let Some(data) = self.rest.get(Self::HEADER..len) else {
            self.rest = &[];
            return None;
        };
        // Each message starts at a multiple of the word size.
        let next = len.next_multiple_of(size_of::<usize>());
        self.rest = self.rest.get(next..).unwrap_or_default();
        Some(ControlMessage { level, kind, data })
    }
}

impl std::iter::FusedIterator for ControlMessages<'_> {}

/// The `N` bytes at `offset`, if they are all there.
pub(super) fn word_at<const N: usize>(buffer: &[u8], offset: usize) -> Option<[u8; N]> {
    buffer.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(len: usize, level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn messages_follow_each_other_at_word_boundaries() {
        let mut buffer = message(19, 1, 2, b"abc");
        buffer.resize(24, 0);
        buffer.extend(message(24, 3, 4, b"12345678"));
        let all: Vec<_> = ControlMessages::new(&buffer).collect();
        assert_eq!(
            all,
            [
                ControlMessage { level: 1, kind: 2, data: b"abc" },
                ControlMessage { level: 3, kind: 4, data: b"12345678" },
            ]
        );
    }

    #[test]
    fn a_length_that_lies_ends_the_iteration() {
        for len in [0, 15, 21, usize::MAX] {
            let buffer = message(len, 1, 2, b"data");
            assert_eq!(ControlMessages::new(&buffer).next(), None, "cmsg_len {len}");
        }
        let empty = message(16, 1, 2, b"");
        assert_eq!(ControlMessages::new(&empty).next().unwrap().data, b"");
        assert_eq!(ControlMessages::new(&empty[..15]).next(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_end_after_at_most_as_many_messages_as_headers_fit(
            buffer in proptest::collection::vec(any::<u8>(), 0..300),
            len in 0usize..64,
        ) {
            let mut buffer = buffer;
            if let Some(first) = buffer.first_chunk_mut() {
                *first = len.to_ne_bytes();
            }
            let all: Vec<_> = ControlMessages::new(&buffer).collect();
            prop_assert!(all.len() <= buffer.len() / 16);
        }
    }
}
