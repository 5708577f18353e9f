//! Asking which opcodes exist: the answer of `REGISTER_PROBE`.

use crate::flags::flag_words;

/// Which opcodes the kernel has, for the first `N` of them (`struct io_uring_probe` with its
/// flexible array). All zero when it is handed in. Linux 5.6.
#[doc(alias = "io_uring_probe")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Probe<const N: usize = 256> {
    /// The last opcode that the kernel knows.
    pub last_op: u8,
    /// How many elements of `ops` are filled in.
    pub ops_len: u8,
    /// Zero.
    pub resv: u16,
    /// Zero.
    pub resv2: [u32; 3],
    /// One element for each opcode.
    pub ops: [ProbeOp; N],
}

impl<const N: usize> Probe<N> {
    /// The zeroed structure that the kernel expects.
    #[must_use]
    pub const fn new() -> Self {
        const EMPTY: ProbeOp = ProbeOp { op: 0, resv: 0, flags: 0, resv2: 0 };
        Self { last_op: 0, ops_len: 0, resv: 0, resv2: [0; 3], ops: [EMPTY; N] }
    }

    /// Whether the kernel that filled this in does `opcode`.
    #[must_use]
    pub fn supports(&self, opcode: u8) -> bool {
        let filled = &self.ops[..N.min(self.ops_len.into())];
        filled.get(usize::from(opcode)).is_some_and(|op| op.flags & IO_URING_OP_SUPPORTED != 0)
    }
}

impl<const N: usize> Default for Probe<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// One opcode of a [`Probe`] (`struct io_uring_probe_op`). Linux 5.6.
#[doc(alias = "io_uring_probe_op")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ProbeOp {
    /// The opcode.
    pub op: u8,
    /// Zero.
    pub resv: u8,
    /// [`ProbeOpFlags`].
    pub flags: u16,
    /// Zero.
    pub resv2: u32,
}

flag_words! {
    /// `IO_URING_OP_*`: what a [`ProbeOp`] says about its opcode.
    pub struct ProbeOpFlags: u16 {
        /// The kernel does this operation. Linux 5.6.
        IO_URING_OP_SUPPORTED as SUPPORTED = 1 << 0;
        _ = !0;
    }
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<ProbeOp>() == 8);
    assert!(offset_of!(ProbeOp, flags) == 2);
    assert!(size_of::<Probe<0>>() == 16);
    assert!(offset_of!(Probe<2>, ops) == 16);
    assert!(size_of::<Probe>() == 16 + 256 * 8);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opcode_beyond_what_was_filled_in_is_not_supported() {
        let mut probe = Probe::<4>::new();
        probe.ops[1].flags = IO_URING_OP_SUPPORTED;
        probe.ops[3].flags = IO_URING_OP_SUPPORTED;
        probe.ops_len = 3;
        assert_eq!(
            [0, 1, 2, 3, 4, 255].map(|op| probe.supports(op)),
            [false, true, false, false, false, false]
        );
    }
}
