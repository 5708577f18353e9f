//! Restrictions: what a ring, or every ring of a task, still allows.

/// One rule (`struct io_uring_restriction`). Linux 5.10.
#[doc(alias = "io_uring_restriction")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Restriction {
    /// The kind of rule: one of `IORING_RESTRICTION_*`.
    pub opcode: u16,
    /// What it is about: a register operation, an opcode (`sqe_op`) or `IOSQE_*` flags (`sqe_flags`).
    pub register_op: u8,
    /// Zero.
    pub resv: u8,
    /// Zero.
    pub resv2: [u32; 3],
}

impl Restriction {
    /// Allows a register operation; those not named are refused with `EACCES`.
    #[must_use]
    pub const fn allow_register_op(register_op: u8) -> Self {
        Self::of(IORING_RESTRICTION_REGISTER_OP, register_op)
    }

    /// Allows an opcode; those not named are refused with `EACCES`.
    #[must_use]
    pub const fn allow_sqe_op(opcode: u8) -> Self {
        Self::of(IORING_RESTRICTION_SQE_OP, opcode)
    }

    /// Allows these entry flags; an entry with any other is refused with `EACCES`.
    #[must_use]
    pub const fn allow_sqe_flags(flags: crate::SqeFlags) -> Self {
        Self::of(IORING_RESTRICTION_SQE_FLAGS_ALLOWED, flags.bits())
    }

    /// Requires these entry flags; an entry without them is refused with `EACCES`.
    #[must_use]
    pub const fn require_sqe_flags(flags: crate::SqeFlags) -> Self {
        Self::of(IORING_RESTRICTION_SQE_FLAGS_REQUIRED, flags.bits())
    }

    const fn of(kind: u16, value: u8) -> Self {
        Self { opcode: kind, register_op: value, resv: 0, resv2: [0; 3] }
    }
}

/// Rules for every ring that the task makes from now on (`struct io_uring_task_restriction` with its
/// flexible array); the argument of `REGISTER_RESTRICTIONS` on descriptor -1. Newer than Linux
/// 6.18: 7.0.
#[doc(alias = "io_uring_task_restriction")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TaskRestriction<const N: usize = 0> {
    /// Zero.
    pub flags: u16,
    /// How many rules follow.
    pub nr_res: u16,
    /// Zero.
    pub resv: [u32; 3],
    /// The rules.
    pub restrictions: [Restriction; N],
}

impl<const N: usize> TaskRestriction<N> {
    /// These rules.
    ///
    /// # Panics
    ///
    /// If there are more than 65535. The kernel takes as many as there are register operations, opcodes
    /// and kinds of rules together.
    #[must_use]
    pub const fn new(restrictions: [Restriction; N]) -> Self {
        assert!(N <= u16::MAX as usize, "a task has at most 65535 restrictions");
        #[allow(clippy::cast_possible_truncation, reason = "asserted just above")]
        let nr_res = N as u16;
        Self { flags: 0, nr_res, resv: [0; 3], restrictions }
    }
}

/// Allow a register operation. Linux 5.10.
pub const IORING_RESTRICTION_REGISTER_OP: u16 = 0;
/// Allow an opcode. Linux 5.10.
pub const IORING_RESTRICTION_SQE_OP: u16 = 1;
/// Allow entry flags. Linux 5.10.
pub const IORING_RESTRICTION_SQE_FLAGS_ALLOWED: u16 = 2;
/// Require entry flags. Linux 5.10.
pub const IORING_RESTRICTION_SQE_FLAGS_REQUIRED: u16 = 3;

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Restriction>() == 16);
    assert!(offset_of!(Restriction, register_op) == 2);
    assert!(offset_of!(Restriction, resv2) == 4);
    assert!(size_of::<TaskRestriction>() == 16);
    assert!(offset_of!(TaskRestriction<1>, restrictions) == 16);
};
