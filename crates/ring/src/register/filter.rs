//! A classic BPF filter for one opcode.

use annulus_abi::{Bpf, BpfFilter, BpfFilterFlags, IO_URING_BPF_CMD_FILTER};

/// A filter that sees every request of one opcode before it is carried out, and refuses it (`EACCES`) by
/// returning 0. Newer than Linux 6.18: 7.0.
///
/// The program is one of classic BPF and loads words of [`BpfCtx`](annulus_abi::BpfCtx).
///
/// ```
/// use annulus::abi::BpfCtx;
/// use annulus::{opcode, register::FilterRule};
///
/// // Only `socket(AF_UNIX, ...)`: load the first word of what the opcode adds, compare, answer 1 or 0.
/// let family = u32::try_from(std::mem::offset_of!(BpfCtx, pdu)).unwrap();
/// let op = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
/// let program = [op(0x20, 0, 0, family), op(0x15, 0, 1, 1), op(0x06, 0, 0, 1), op(0x06, 0, 0, 0)];
/// let rule = FilterRule::new(opcode::Socket::CODE, &program).pdu_size(12).deny_rest();
/// # let _ = rule;
/// ```
#[derive(Clone, Copy)]
pub struct FilterRule<'a> {
    opcode: u8,
    program: &'a [libc::sock_filter],
    pdu_size: u8,
    flags: BpfFilterFlags,
}

impl<'a> FilterRule<'a> {
    /// Filters an opcode, named by the `CODE` of its operation, with a program.
    #[must_use]
    pub const fn new(opcode: u8, program: &'a [libc::sock_filter]) -> Self {
        Self { opcode, program, pdu_size: 0, flags: BpfFilterFlags::empty() }
    }

    /// How many bytes of what the opcode adds (`BpfCtx::pdu`) the program expects.
    #[must_use]
    pub const fn pdu_size(mut self, bytes: u8) -> Self {
        self.pdu_size = bytes;
        self
    }

    /// Refuses the rule if the kernel adds another number of bytes for this opcode.
    #[must_use]
    pub const fn strict_size(mut self) -> Self {
        self.flags = self.flags.union(BpfFilterFlags::SZ_STRICT);
        self
    }

    /// Refuses every opcode that has no filter.
    #[must_use]
    pub const fn deny_rest(mut self) -> Self {
        self.flags = self.flags.union(BpfFilterFlags::DENY_REST);
        self
    }

    pub(crate) fn as_raw(&self) -> Bpf {
        Bpf {
            cmd_type: IO_URING_BPF_CMD_FILTER,
            filter: BpfFilter {
                opcode: u32::from(self.opcode),
                flags: self.flags.bits(),
                filter_len: u32::try_from(self.program.len()).unwrap_or(u32::MAX),
                pdu_size: self.pdu_size,
                filter_ptr: self.program.as_ptr().expose_provenance() as u64,
                ..BpfFilter::default()
            },
            ..Bpf::default()
        }
    }
}

impl std::fmt::Debug for FilterRule<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilterRule")
            .field("opcode", &self.opcode)
            .field("instructions", &self.program.len())
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_lies_where_the_kernel_reads_it() {
        let program = [libc::sock_filter { code: 6, jt: 0, jf: 0, k: 1 }; 3];
        let raw = FilterRule::new(45, &program).pdu_size(12).deny_rest().strict_size().as_raw();
        assert_eq!((raw.cmd_type, raw.cmd_flags, raw.resv), (1, 0, 0));
        let BpfFilter { opcode, flags, filter_len, pdu_size, filter_ptr, .. } = raw.filter;
        assert_eq!((opcode, flags, filter_len, pdu_size), (45, 3, 3, 12));
        assert_eq!(filter_ptr, program.as_ptr().addr() as u64);
    }
}
