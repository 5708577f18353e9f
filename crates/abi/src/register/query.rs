//! Asking what the kernel has, without a ring: `REGISTER_QUERY` and `linux/io_uring/query.h`.
//!
//! A query is a chain of [`QueryHdr`], each with its own structure to fill; sizes may differ, then
//! the shorter one counts and the rest is zero.

/// One query of a chain (`struct io_uring_query_hdr`). Linux 6.18.
#[doc(alias = "io_uring_query_hdr")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct QueryHdr {
    /// Address of the next header, or 0.
    pub next_entry: u64,
    /// Address of the structure to fill, all zero.
    pub query_data: u64,
    /// One of `IO_URING_QUERY_*`.
    pub query_op: u32,
    /// Size of that structure in bytes; the kernel stores how much it filled.
    pub size: u32,
    /// Zero; the kernel stores 0, or a negated errno (`EOPNOTSUPP`: no such query).
    pub result: i32,
    /// Zero.
    pub __resv: [u32; 3],
}

/// What the kernel supports (`struct io_uring_query_opcode`). Linux 6.18.
#[doc(alias = "io_uring_query_opcode")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct QueryOpcode {
    /// How many opcodes.
    pub nr_request_opcodes: u32,
    /// How many register operations.
    pub nr_register_opcodes: u32,
    /// Every [`Features`](crate::Features) bit it can report.
    pub feature_flags: u64,
    /// Every [`SetupFlags`](crate::SetupFlags) bit it takes.
    pub ring_setup_flags: u64,
    /// Every [`EnterFlags`](crate::EnterFlags) bit it takes.
    pub enter_flags: u64,
    /// Every [`SqeFlags`](crate::SqeFlags) bit it takes.
    pub sqe_flags: u64,
    /// How many queries.
    pub nr_query_opcodes: u32,
    /// Zero.
    pub __pad: u32,
}

/// What zero-copy receive supports (`struct io_uring_query_zcrx`). Newer than Linux 6.18: 6.19.
#[doc(alias = "io_uring_query_zcrx")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct QueryZcrx {
    /// Every [`ZcrxRegFlags`](crate::ZcrxRegFlags) bit it takes.
    pub register_flags: u64,
    /// Every [`ZcrxAreaFlags`](crate::ZcrxAreaFlags) bit it takes.
    pub area_flags: u64,
    /// How many `ZCRX_CTRL_*` operations.
    pub nr_ctrl_opcodes: u32,
    /// [`ZcrxFeatures`](crate::ZcrxFeatures). Linux 7.0; zero before.
    pub features: u32,
    /// Size of the refill ring's header in bytes.
    pub rq_hdr_size: u32,
    /// Alignment of that header in bytes.
    pub rq_hdr_alignment: u32,
    /// Zero.
    pub __resv2: u64,
}

/// What zero-copy receive can tell (`struct io_uring_query_zcrx_event`). Newer than Linux 6.18: 7.2 has
/// it.
#[doc(alias = "io_uring_query_zcrx_event")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct QueryZcrxEvent {
    /// A bit for each `ZCRX_EVENT_*` it can report.
    pub event_flags: u32,
    /// Size of [`ZcrxStats`](crate::ZcrxStats) in bytes.
    pub stats_size: u32,
    /// Alignment that its offset needs.
    pub stats_off_alignment: u32,
    /// Zero.
    pub __resv1: u32,
    /// Zero.
    pub __resv2: [u64; 4],
}

/// How the rings' header lies in memory (`struct io_uring_query_scq`). Newer than Linux 6.18: 6.19.
#[doc(alias = "io_uring_query_scq")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct QueryScq {
    /// Its size in bytes.
    pub hdr_size: u64,
    /// Its alignment in bytes.
    pub hdr_alignment: u64,
}

/// Fill a [`QueryOpcode`]. Linux 6.18.
pub const IO_URING_QUERY_OPCODES: u32 = 0;
/// Fill a [`QueryZcrx`]. Newer than Linux 6.18: 6.19.
pub const IO_URING_QUERY_ZCRX: u32 = 1;
/// Fill a [`QueryScq`]. Newer than Linux 6.18: 6.19.
pub const IO_URING_QUERY_SCQ: u32 = 2;
/// Fill a [`QueryZcrxEvent`]. Newer than Linux 6.18: 7.2 has it.
pub const IO_URING_QUERY_ZCRX_EVENT: u32 = 3;

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<QueryHdr>() == 40);
    assert!(offset_of!(QueryHdr, query_op) == 16);
    assert!(offset_of!(QueryHdr, result) == 24);
    assert!(size_of::<QueryOpcode>() == 48);
    assert!(offset_of!(QueryOpcode, feature_flags) == 8);
    assert!(offset_of!(QueryOpcode, nr_query_opcodes) == 40);
    assert!(size_of::<QueryZcrx>() == 40);
    assert!(offset_of!(QueryZcrx, features) == 20);
    assert!(size_of::<QueryZcrxEvent>() == 48);
    assert!(offset_of!(QueryZcrxEvent, __resv2) == 16);
    assert!(size_of::<QueryScq>() == 16);
};
