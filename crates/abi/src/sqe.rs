//! The submission queue entry: one request, 64 bytes (or 128).
//!
//! The kernel's structure is a heap of unions; here each union is one plain field, named after
//! its most common member, and the other readings are methods. So an entry is `Copy`, has no
//! padding, and may hold any bit pattern.

use crate::flags::flag_words;

/// A submission queue entry with the kernel's exact layout (`struct io_uring_sqe`,
/// io_uring_enter(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Sqe {
    /// Which operation: one of the `IORING_OP_*` numbers.
    pub opcode: u8,
    /// `IOSQE_*`, see [`SqeFlags`].
    pub flags: u8,
    /// The request's priority (ioprio_set(2)), or operation-specific flags such as `IORING_RECVSEND_*`.
    pub ioprio: u16,
    /// A file descriptor, or an index of the registered files with [`SqeFlags::FIXED_FILE`].
    pub fd: i32,
    /// File offset; also `addr2`, and `cmd_op` in its first half ([`Sqe::set_cmd_op`]).
    pub off: u64,
    /// Address of a buffer or structure; also `splice_off_in`, and `level`/`optname`
    /// ([`Sqe::set_sockopt`]).
    pub addr: u64,
    /// Buffer size, or a count.
    pub len: u32,
    /// The operation's own flags: `rw_flags`, `msg_flags`, `fsync_flags`, `poll32_events`, ...
    pub op_flags: u32,
    /// Given back unchanged in the completion.
    pub user_data: u64,
    /// Index of a registered buffer, or the group of [`SqeFlags::BUFFER_SELECT`] (`buf_group`).
    pub buf_index: u16,
    /// Credentials to use: what `IORING_REGISTER_PERSONALITY` returned, or 0.
    pub personality: u16,
    /// `splice_fd_in`, `file_index` (slot + 1, or `IORING_FILE_INDEX_ALLOC`), `optlen`,
    /// `zcrx_ifq_idx`; `addr_len` in its first half, `write_stream` in its first byte.
    pub file_index: u32,
    /// A third address: `addr3`, `attr_ptr`, `optval`; the first 8 of the command's 80 bytes on a
    /// 128-byte entry.
    pub addr3: u64,
    /// `attr_type_mask`, or the next 8 bytes of a command; zero otherwise.
    pub pad2: u64,
}

/// A 128-byte submission queue entry, for rings set up with `IORING_SETUP_SQE128` and for the
/// `*128` opcodes of mixed rings. The command of `IORING_OP_URING_CMD` fills the last 80 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Sqe128 {
    /// The first half, as on every ring.
    pub base: Sqe,
    /// The second half: the rest of the command.
    pub extra: [u8; 64],
}

flag_words! {
    /// `IOSQE_*`: how a request is issued and ordered (io_uring_enter(2)).
    pub struct SqeFlags: u8 {
        /// `fd` is an index of the registered files. Linux 5.1.
        IOSQE_FIXED_FILE as FIXED_FILE = 1 << 0;
        /// Start after everything before it completed; hold everything after it. Linux 5.2.
        IOSQE_IO_DRAIN as IO_DRAIN = 1 << 1;
        /// The next request starts when this one succeeded. Linux 5.3.
        IOSQE_IO_LINK as IO_LINK = 1 << 2;
        /// Like a link, but survives a bad result. Linux 5.5.
        IOSQE_IO_HARDLINK as IO_HARDLINK = 1 << 3;
        /// Straight to a worker, without an inline attempt. Linux 5.6.
        IOSQE_ASYNC as ASYNC = 1 << 4;
        /// Take a buffer of group `buf_group` when data is there. Linux 5.7.
        IOSQE_BUFFER_SELECT as BUFFER_SELECT = 1 << 5;
        /// Post no completion if the request succeeds. Linux 5.17.
        IOSQE_CQE_SKIP_SUCCESS as CQE_SKIP_SUCCESS = 1 << 6;
    }
}

impl Sqe {
    /// An entry of this opcode, everything else zero.
    #[must_use]
    pub const fn new(opcode: u8) -> Self {
        Self {
            opcode,
            flags: 0,
            ioprio: 0,
            fd: 0,
            off: 0,
            addr: 0,
            len: 0,
            op_flags: 0,
            user_data: 0,
            buf_index: 0,
            personality: 0,
            file_index: 0,
            addr3: 0,
            pad2: 0,
        }
    }

    /// Sets `cmd_op`, the command of `IORING_OP_URING_CMD`: the first half of [`Sqe::off`]; the
    /// second half becomes zero.
    pub const fn set_cmd_op(&mut self, cmd_op: u32) {
        self.off = first_half(cmd_op, 0);
    }

    /// `cmd_op`: the first half of [`Sqe::off`].
    #[must_use]
    pub const fn cmd_op(&self) -> u32 {
        halves(self.off).0
    }

    /// Sets `level` and `optname` of the socket option commands: the halves of [`Sqe::addr`].
    pub const fn set_sockopt(&mut self, level: u32, optname: u32) {
        self.addr = first_half(level, optname);
    }

    /// `level` and `optname`: the halves of [`Sqe::addr`].
    #[must_use]
    pub const fn sockopt(&self) -> (u32, u32) {
        halves(self.addr)
    }

    /// Sets `addr_len`, the length of a destination address: the first half of [`Sqe::file_index`].
    pub const fn set_addr_len(&mut self, addr_len: u16) {
        let [a, b] = addr_len.to_ne_bytes();
        self.file_index = u32::from_ne_bytes([a, b, 0, 0]);
    }

    /// `addr_len`: the first half of [`Sqe::file_index`].
    #[must_use]
    pub const fn addr_len(&self) -> u16 {
        let [a, b, _, _] = self.file_index.to_ne_bytes();
        u16::from_ne_bytes([a, b])
    }

    /// Sets `write_stream`: the first byte of [`Sqe::file_index`].
    pub const fn set_write_stream(&mut self, stream: u8) {
        self.file_index = u32::from_ne_bytes([stream, 0, 0, 0]);
    }

    /// `write_stream`: the first byte of [`Sqe::file_index`].
    #[must_use]
    pub const fn write_stream(&self) -> u8 {
        self.file_index.to_ne_bytes()[0]
    }

    /// Sets the 16 bytes of command that a 64-byte entry has room for: `addr3` and `pad2`.
    pub const fn set_cmd(&mut self, cmd: [u8; 16]) {
        let [a, b, c, d, e, f, g, h, rest @ ..] = cmd;
        self.addr3 = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
        self.pad2 = u64::from_ne_bytes(rest);
    }
}

impl From<Sqe> for Sqe128 {
    fn from(base: Sqe) -> Self {
        Self { base, extra: [0; 64] }
    }
}

impl Default for Sqe128 {
    fn default() -> Self {
        Sqe::default().into()
    }
}

/// The 64-bit word whose first four bytes in memory are `first` and whose next four are `second`.
const fn first_half(first: u32, second: u32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// The first and the second four bytes, in memory order, of a 64-bit word.
const fn halves(word: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]))
}

const _: () = {
    use core::mem::{align_of, offset_of, size_of};
    assert!(size_of::<Sqe>() == 64 && align_of::<Sqe>() == align_of::<u64>());
    assert!(size_of::<Sqe128>() == 128);
    assert!(offset_of!(Sqe, fd) == 4);
    assert!(offset_of!(Sqe, off) == 8);
    assert!(offset_of!(Sqe, addr) == 16);
    assert!(offset_of!(Sqe, len) == 24);
    assert!(offset_of!(Sqe, op_flags) == 28);
    assert!(offset_of!(Sqe, user_data) == 32);
    assert!(offset_of!(Sqe, buf_index) == 40);
    assert!(offset_of!(Sqe, personality) == 42);
    assert!(offset_of!(Sqe, file_index) == 44);
    assert!(offset_of!(Sqe, addr3) == 48);
    assert!(offset_of!(Sqe, pad2) == 56);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_lie_in_memory_order_whatever_the_byte_order() {
        let mut sqe = Sqe::new(46);
        sqe.set_cmd_op(7);
        sqe.set_sockopt(1, 2);
        sqe.set_addr_len(16);
        assert_eq!((sqe.cmd_op(), sqe.sockopt(), sqe.addr_len()), (7, (1, 2), 16));
        assert_eq!(sqe.off.to_ne_bytes()[..4], 7u32.to_ne_bytes());
        assert_eq!(sqe.addr.to_ne_bytes()[4..], 2u32.to_ne_bytes());
        assert_eq!(sqe.file_index.to_ne_bytes()[..2], 16u16.to_ne_bytes());
    }
}
