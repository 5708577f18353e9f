//! One futex of several to wait for.

use annulus_abi::FutexWaitv;

/// One futex of several to wait for (`struct futex_waitv`, futex_waitv(2)):
/// [`opcode::FutexWaitV`](crate::opcode::FutexWaitV) takes an array of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct FutexWaitV(FutexWaitv);

impl FutexWaitV {
    /// Everything zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(FutexWaitv { val: 0, uaddr: 0, flags: 0, __reserved: 0 })
    }

    /// Sets the value that the futex must still have.
    #[must_use]
    pub const fn val(mut self, val: u64) -> Self {
        self.0.val = val;
        self
    }

    /// Sets the address of the futex.
    #[must_use]
    pub const fn uaddr(mut self, uaddr: u64) -> Self {
        self.0.uaddr = uaddr;
        self
    }

    /// Sets the size and kind: [`Futex2Flags`](super::Futex2Flags).
    #[must_use]
    pub const fn flags(mut self, flags: u32) -> Self {
        self.0.flags = flags;
        self
    }
}
