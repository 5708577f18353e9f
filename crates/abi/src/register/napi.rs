//! Busy polling of network devices: `REGISTER_NAPI` and `UNREGISTER_NAPI`.

/// Busy-poll settings of a ring (`struct io_uring_napi`); the kernel writes the settings that were
/// in force back into it. Linux 6.9.
#[doc(alias = "io_uring_napi")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Napi {
    /// How long to poll, in microseconds.
    pub busy_poll_to: u32,
    /// 1: prefer polling to interrupts.
    pub prefer_busy_poll: u8,
    /// One of the `IO_URING_NAPI_*` operations. Linux 6.13.
    pub opcode: u8,
    /// Zero.
    pub pad: [u8; 2],
    /// With [`IO_URING_NAPI_REGISTER_OP`] one of `IO_URING_NAPI_TRACKING_*`, with the others the
    /// NAPI identifier. Linux 6.13.
    pub op_param: u32,
    /// Zero.
    pub resv: u32,
}

/// Set the ring's busy-poll settings. Linux 6.9.
pub const IO_URING_NAPI_REGISTER_OP: u8 = 0;
/// Add an identifier to those polled, with static tracking. Linux 6.13.
pub const IO_URING_NAPI_STATIC_ADD_ID: u8 = 1;
/// Take an identifier out, with static tracking. Linux 6.13.
pub const IO_URING_NAPI_STATIC_DEL_ID: u8 = 2;

/// The kernel finds out which devices the ring's sockets use. Linux 6.9.
pub const IO_URING_NAPI_TRACKING_DYNAMIC: u32 = 0;
/// The application names them. Linux 6.13.
pub const IO_URING_NAPI_TRACKING_STATIC: u32 = 1;
/// No polling: what the kernel reports before any setting. Linux 6.13.
pub const IO_URING_NAPI_TRACKING_INACTIVE: u32 = 255;

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Napi>() == 16);
    assert!(offset_of!(Napi, prefer_busy_poll) == 4);
    assert!(offset_of!(Napi, opcode) == 5);
    assert!(offset_of!(Napi, op_param) == 8);
};
