//! What a restricted ring still takes.

use annulus_abi::SqeFlags;

/// One rule for a restricted ring (`struct io_uring_restriction`). Rules allow or require; with none that
/// allows a kind, nothing of that kind is allowed. Linux 5.10.
///
/// ```
/// use annulus::register::Restriction;
/// use annulus::{abi, opcode, squeue};
///
/// // Reads alone, on registered files alone, and the way to start the ring.
/// let rules = [
///     Restriction::register_op(u8::try_from(abi::IORING_REGISTER_ENABLE_RINGS).unwrap()),
///     Restriction::sqe_op(opcode::Read::CODE),
///     Restriction::sqe_flags_required(squeue::Flags::FIXED_FILE.bits()),
/// ];
/// # assert_eq!(size_of_val(&rules), 48);
/// ```
#[doc(alias = "io_uring_restriction")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Restriction(annulus_abi::Restriction);

impl Restriction {
    /// Allows an operation of io_uring_register(2): one of `abi::IORING_REGISTER_*`.
    #[must_use]
    pub const fn register_op(op: u8) -> Self {
        Self(annulus_abi::Restriction::allow_register_op(op))
    }

    /// Allows an opcode: the `CODE` of an operation.
    #[must_use]
    pub const fn sqe_op(op: u8) -> Self {
        Self(annulus_abi::Restriction::allow_sqe_op(op))
    }

    /// Allows entries to have these [flags](crate::squeue::Flags), and no others but the required ones.
    #[must_use]
    pub const fn sqe_flags_allowed(flags: u8) -> Self {
        Self(annulus_abi::Restriction::allow_sqe_flags(SqeFlags::from_bits_retain(flags)))
    }

    /// Requires every entry to have these [flags](crate::squeue::Flags).
    #[must_use]
    pub const fn sqe_flags_required(flags: u8) -> Self {
        Self(annulus_abi::Restriction::require_sqe_flags(SqeFlags::from_bits_retain(flags)))
    }

    /// The kernel's structure.
    #[must_use]
    pub const fn as_raw(&self) -> &annulus_abi::Restriction {
        &self.0
    }
}
