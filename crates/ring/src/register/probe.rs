//! Which opcodes the kernel has.

use std::fmt;

use annulus_abi::{OpcodeInfo, ProbeOpFlags};

/// Which opcodes the kernel has (`struct io_uring_probe`), filled in by
/// [`register_probe`](crate::Submitter::register_probe). Linux 5.6.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::{IoUring, Probe, opcode};
///
/// let ring = IoUring::new(2)?;
/// let mut probe = Probe::new();
/// ring.submitter().register_probe(&mut probe)?;
/// assert!(probe.is_supported(opcode::Nop::CODE));
/// assert!(!probe.is_supported(255));
/// # Ok(()) }
/// ```
#[doc(alias = "io_uring_probe")]
#[derive(Clone, PartialEq, Eq)]
pub struct Probe(annulus_abi::Probe);

impl Probe {
    /// Room for as many opcodes as there can be.
    pub(crate) const COUNT: u32 = 256;

    /// A probe of nothing: no opcode is supported until it is filled in.
    #[must_use]
    pub const fn new() -> Self {
        Self(annulus_abi::Probe::new())
    }

    /// Whether the kernel has this opcode.
    #[must_use]
    pub fn is_supported(&self, opcode: u8) -> bool {
        self.0.supports(opcode)
    }

    /// The opcodes that the kernel has, in order.
    pub fn supported(&self) -> impl Iterator<Item = u8> {
        let filled = &self.0.ops[..self.0.ops.len().min(self.0.ops_len.into())];
        let supported = |flags| ProbeOpFlags::from_bits_retain(flags).contains(ProbeOpFlags::SUPPORTED);
        filled.iter().filter(move |op| supported(op.flags)).map(|op| op.op)
    }

    /// The highest opcode that the kernel knows, whether it has it or was built without it.
    #[must_use]
    pub const fn last_opcode(&self) -> u8 {
        self.0.last_op
    }

    /// The kernel's structure.
    #[must_use]
    pub const fn as_raw(&self) -> &annulus_abi::Probe {
        &self.0
    }

    pub(crate) const fn as_raw_mut(&mut self) -> &mut annulus_abi::Probe {
        &mut self.0
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Probe {
    /// The set of names, with numbers for those that are not known here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = f.debug_set();
        for opcode in self.supported() {
            match OpcodeInfo::of(opcode) {
                Some(info) => set.entry(&format_args!("{}", info.name)),
                None => set.entry(&opcode),
            };
        }
        set.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_probe_supports_nothing() {
        let probe = Probe::default();
        assert_eq!(probe.supported().count(), 0);
        assert_eq!((0..=255).filter(|opcode| probe.is_supported(*opcode)).count(), 0);
        assert_eq!(format!("{probe:?}"), "{}");
    }

    #[test]
    fn debug_names_what_is_supported() {
        let mut probe = Probe::new();
        probe.0.ops_len = 251;
        for opcode in [0_u8, 22, 250] {
            probe.0.ops[usize::from(opcode)].op = opcode;
            probe.0.ops[usize::from(opcode)].flags = annulus_abi::IO_URING_OP_SUPPORTED;
        }
        assert_eq!(format!("{probe:?}"), "{NOP, READ, 250}");
        assert_eq!(probe.supported().collect::<Vec<_>>(), [0, 22, 250]);
    }
}
