//! Reading what a multishot recvmsg put into a provided buffer.
//!
//! Everything is bounds-checked and safe: the buffer's contents may be anything.

use super::{ControlMessages, control::word_at};

/// One message that [`opcode::RecvMsgMulti`](crate::opcode::RecvMsgMulti) received, taken apart.
///
/// The kernel writes a header of 16 bytes (`struct io_uring_recvmsg_out`), then the sender's address in a
/// field of `msg_namelen` bytes, then the control messages in a field of `msg_controllen` bytes, then the
/// payload. Linux 6.0.
#[derive(Debug, Clone, Copy)]
pub struct RecvMsgOut<'buf> {
    header: Header,
    msghdr_name_len: usize,
    name_data: &'buf [u8],
    control_data: &'buf [u8],
    payload_data: &'buf [u8],
}

/// `struct io_uring_recvmsg_out`.
#[derive(Debug, Clone, Copy)]
struct Header {
    namelen: u32,
    controllen: u32,
    payloadlen: u32,
    flags: u32,
}

impl Header {
    const SIZE: usize = 16;

    fn read(buffer: &[u8]) -> Option<Self> {
        let word = |index: usize| word_at(buffer, index * 4).map(u32::from_ne_bytes);
        Some(Self { namelen: word(0)?, controllen: word(1)?, payloadlen: word(2)?, flags: word(3)? })
    }
}

impl<'buf> RecvMsgOut<'buf> {
    /// Takes a buffer apart. `buffer` is the provided buffer, whole or cut to the completion's result;
    /// `msghdr` is the one that was submitted: its `msg_namelen` and `msg_controllen` say how large the
    /// fields are.
    ///
    /// # Errors
    ///
    /// `()` if the buffer has no room for the header and the two fields: it is not one that the kernel
    /// filled for this `msghdr`.
    #[allow(clippy::result_unit_err, reason = "the signature that programs know")]
    pub fn parse(buffer: &'buf [u8], msghdr: &libc::msghdr) -> Result<Self, ()> {
        #[allow(clippy::useless_conversion, reason = "u32 with musl, usize with glibc")]
        let control_len = usize::try_from(msghdr.msg_controllen).map_err(|_| ())?;
        Self::parse_fields(buffer, msghdr.msg_namelen as usize, control_len).ok_or(())
    }

    fn parse_fields(buffer: &'buf [u8], name_len: usize, control_len: usize) -> Option<Self> {
        let header = Header::read(buffer)?;
        let (name_field, rest) = buffer.get(Header::SIZE..)?.split_at_checked(name_len)?;
        let (control_field, payload_field) = rest.split_at_checked(control_len)?;
        Some(Self {
            header,
            msghdr_name_len: name_len,
            name_data: head(name_field, header.namelen),
            control_data: head(control_field, header.controllen),
            payload_data: head(payload_field, header.payloadlen),
        })
    }

    /// The length of the sender's address, which may be more than [`name_data`](Self::name_data) holds.
    #[must_use]
    pub const fn incoming_name_len(&self) -> u32 {
        self.header.namelen
    }

    /// Whether the address did not fit its field and was cut.
    #[must_use]
    pub const fn is_name_data_truncated(&self) -> bool {
        self.header.namelen as usize > self.msghdr_name_len
    }

    /// The sender's address: a `struct sockaddr` of some family.
    #[must_use]
    pub const fn name_data(&self) -> &'buf [u8] {
        self.name_data
    }

    /// The length of the control messages, which may be more than
    /// [`control_data`](Self::control_data) holds.
    #[must_use]
    pub const fn incoming_control_len(&self) -> u32 {
        self.header.controllen
    }

    /// Whether control messages did not fit their field and were lost (`MSG_CTRUNC`).
    #[must_use]
    pub const fn is_control_data_truncated(&self) -> bool {
        self.header.flags & libc::MSG_CTRUNC.cast_unsigned() != 0
    }

    /// The control messages as they are; [`control_messages`](Self::control_messages) reads them.
    #[must_use]
    pub const fn control_data(&self) -> &'buf [u8] {
        self.control_data
    }

    /// The control messages one by one (cmsg(3)).
    #[must_use]
    pub const fn control_messages(&self) -> ControlMessages<'buf> {
        ControlMessages::new(self.control_data)
    }

    /// Whether the message did not fit the buffer and was cut (`MSG_TRUNC`).
    #[must_use]
    pub const fn is_payload_truncated(&self) -> bool {
        self.header.flags & libc::MSG_TRUNC.cast_unsigned() != 0
    }

    /// The message.
    #[must_use]
    pub const fn payload_data(&self) -> &'buf [u8] {
        self.payload_data
    }

    /// The length of the message, which may be more than [`payload_data`](Self::payload_data) holds.
    #[must_use]
    pub const fn incoming_payload_len(&self) -> u32 {
        self.header.payloadlen
    }

    /// The `MSG_*` flags, as recvmsg(2) gives them in `msg_flags`.
    #[must_use]
    pub const fn flags(&self) -> u32 {
        self.header.flags
    }
}

/// The first `len` bytes of a field, or all of it if there are fewer.
fn head(field: &[u8], len: u32) -> &[u8] {
    field.get(..len as usize).unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A buffer as the kernel fills it, for fields of 4 bytes of name and 8 of control.
    fn filled(header: [u32; 4], rest: &[u8]) -> Vec<u8> {
        header.into_iter().flat_map(u32::to_ne_bytes).chain(rest.iter().copied()).collect()
    }

    #[test]
    fn the_fields_are_cut_to_what_came() {
        let buffer = filled([2, 3, 5, 0], b"naNNcccCCCCChelloXX");
        let out = RecvMsgOut::parse_fields(&buffer, 4, 8).unwrap();
        assert_eq!(out.name_data(), b"na");
        assert_eq!(out.control_data(), b"ccc");
        assert_eq!(out.payload_data(), b"hello");
        assert!(!out.is_name_data_truncated() && !out.is_payload_truncated());
        assert!(!out.is_control_data_truncated());
    }

    #[test]
    fn what_was_too_long_says_so_and_stays_inside_the_buffer() {
        let flags = (libc::MSG_TRUNC | libc::MSG_CTRUNC).cast_unsigned();
        let buffer = filled([16, 99, 1000, flags], b"nameccccccccpay");
        let out = RecvMsgOut::parse_fields(&buffer, 4, 8).unwrap();
        assert_eq!((out.name_data(), out.control_data()), (&b"name"[..], &b"cccccccc"[..]));
        assert_eq!((out.payload_data(), out.incoming_payload_len()), (&b"pay"[..], 1000));
        assert!(out.is_name_data_truncated() && out.is_payload_truncated());
        assert!(out.is_control_data_truncated());
        assert_eq!((out.incoming_name_len(), out.incoming_control_len()), (16, 99));
        assert_eq!(out.flags(), flags);
    }

    #[test]
    fn a_buffer_without_room_for_the_fields_is_refused() {
        let buffer = filled([0; 4], b"nameccccccc");
        assert!(RecvMsgOut::parse_fields(&buffer, 4, 8).is_none());
        assert!(RecvMsgOut::parse_fields(&buffer[..15], 0, 0).is_none());
        assert!(RecvMsgOut::parse_fields(&buffer, usize::MAX, usize::MAX).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_without_panic_and_within_their_fields(
            buffer in proptest::collection::vec(any::<u8>(), 0..200),
            name_len in 0usize..64,
            control_len in 0usize..128,
        ) {
            let Some(out) = RecvMsgOut::parse_fields(&buffer, name_len, control_len) else {
                prop_assert!(buffer.len() < 16 + name_len + control_len);
                return Ok(());
            };
            prop_assert!(out.name_data().len() <= name_len);
            prop_assert!(out.control_data().len() <= control_len);
            prop_assert!(out.payload_data().len() <= buffer.len() - 16 - name_len - control_len);
            let bytes: usize = out.control_messages().map(|message| message.data.len()).sum();
            prop_assert!(bytes <= control_len);
        }
    }
}
