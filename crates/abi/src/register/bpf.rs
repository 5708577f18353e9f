//! Classic BPF filters on requests: `REGISTER_BPF_FILTER` and `linux/io_uring/bpf_filter.h`.
//!
//! All of it is newer than Linux 6.18: 7.0.

use crate::flags::flag_words;

/// What a filter is shown of a request (`struct io_uring_bpf_ctx`). A filter loads aligned 32-bit words
/// of it; `core::mem::offset_of!` gives their places. Newer than Linux 6.18: 7.0.
#[doc(alias = "io_uring_bpf_ctx")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BpfCtx {
    /// The request's `user_data`.
    pub user_data: u64,
    /// Its opcode.
    pub opcode: u8,
    /// Its `IOSQE_*` flags.
    pub sqe_flags: u8,
    /// How many bytes of [`BpfCtx::pdu`] are filled in.
    pub pdu_size: u8,
    /// Zero.
    pub pad: [u8; 5],
    /// What the opcode adds: a [`BpfCtxSocket`], [`BpfCtxOpen`] or [`BpfCtxConnect`], else nothing.
    pub pdu: [u64; 3],
}

/// What a filter is shown of a socket(2) request, in [`BpfCtx::pdu`]. Newer than Linux 6.18: 7.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BpfCtxSocket {
    /// The address family.
    pub family: u32,
    /// The socket type.
    pub r#type: u32,
    /// The protocol.
    pub protocol: u32,
}

/// What a filter is shown of an openat(2) or openat2(2) request, in [`BpfCtx::pdu`]. Newer than
/// Linux 6.18: 7.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BpfCtxOpen {
    /// `O_*`.
    pub flags: u64,
    /// The mode of a file that is made.
    pub mode: u64,
    /// `RESOLVE_*`.
    pub resolve: u64,
}

/// What a filter is shown of a connect(2) request, in [`BpfCtx::pdu`]; zero where the address was too
/// short to have it. Newer than Linux 6.18: 7.2 has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BpfCtxConnect {
    /// The address family.
    pub family: u32,
    /// The port, in network byte order.
    pub port: [u8; 2],
    /// Zero.
    pub pad: [u8; 2],
    /// The IPv6 address, or the IPv4 address in the first four bytes (`v4_addr`); network byte order.
    pub v6_addr: [u8; 16],
}

/// One filter (`struct io_uring_bpf_filter`). Newer than Linux 6.18: 7.0.
#[doc(alias = "io_uring_bpf_filter")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BpfFilter {
    /// The opcode to filter.
    pub opcode: u32,
    /// [`BpfFilterFlags`].
    pub flags: u32,
    /// How many instructions.
    pub filter_len: u32,
    /// How many bytes of [`BpfCtx::pdu`] the filter expects for this opcode.
    pub pdu_size: u8,
    /// Zero.
    pub resv: [u8; 3],
    /// Address of the instructions (`struct sock_filter`).
    pub filter_ptr: u64,
    /// Zero.
    pub resv2: [u64; 5],
}

/// The argument of `REGISTER_BPF_FILTER` (`struct io_uring_bpf`). Newer than Linux 6.18: 7.0.
#[doc(alias = "io_uring_bpf")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Bpf {
    /// [`IO_URING_BPF_CMD_FILTER`].
    pub cmd_type: u16,
    /// Zero.
    pub cmd_flags: u16,
    /// Zero.
    pub resv: u32,
    /// The filter.
    pub filter: BpfFilter,
}

flag_words! {
    /// `IO_URING_BPF_FILTER_*`: how a filter is attached.
    pub struct BpfFilterFlags: u32 {
        /// Refuse every opcode that has no filter. Newer than Linux 6.18: 7.0.
        IO_URING_BPF_FILTER_DENY_REST as DENY_REST = 1 << 0;
        /// Refuse the filter if the kernel's `pdu_size` for this opcode is another. Newer than Linux
        /// 6.18: 7.0.
        IO_URING_BPF_FILTER_SZ_STRICT as SZ_STRICT = 1 << 1;
    }
}

/// Attach a filter. Newer than Linux 6.18: 7.0.
pub const IO_URING_BPF_CMD_FILTER: u16 = 1;

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<BpfCtx>() == 40);
    assert!(offset_of!(BpfCtx, pdu_size) == 10);
    assert!(offset_of!(BpfCtx, pdu) == 16);
    assert!(size_of::<BpfCtxSocket>() == 12);
    assert!(size_of::<BpfCtxOpen>() == 24);
    assert!(size_of::<BpfCtxConnect>() == 24);
    assert!(offset_of!(BpfCtxConnect, v6_addr) == 8);
    assert!(size_of::<BpfFilter>() == 64);
    assert!(offset_of!(BpfFilter, pdu_size) == 12);
    assert!(offset_of!(BpfFilter, filter_ptr) == 16);
    assert!(size_of::<Bpf>() == 72);
    assert!(offset_of!(Bpf, filter) == 8);
};
