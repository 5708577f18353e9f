//! How much of a request is looked at before it is refused.

use crate::request::{MAX_HEADER_LINES, MAX_LINE_OVERHEAD};

/// Bounds on what one request may cost before anything is known about it.
///
/// A connection's receive buffer must hold [`Limits::max_head_bytes`] and need not hold more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest request target in bytes; above it 414.
    pub max_target_bytes: usize,
    /// Most bytes of header lines, the empty line included; above it 431.
    pub max_header_bytes: usize,
    /// Most header lines; above it 431. Values over 128 mean 128.
    pub max_header_lines: usize,
    /// Most bytes of a request's body, with the framing of chunks, that are read and dropped; above it 413 and close.
    pub max_dropped_body_bytes: u64,
}

impl Limits {
    /// The longest prefix of a buffer that a decision can depend on: with this many bytes, [`parse`](crate::parse)
    /// never answers `Partial`.
    #[must_use]
    pub const fn max_head_bytes(&self) -> usize {
        MAX_LINE_OVERHEAD + self.max_target_bytes + self.max_header_bytes
    }
}

impl Default for Limits {
    /// 8 KiB of target, 32 KiB and 100 lines of headers, 64 KiB of dropped body.
    fn default() -> Self {
        const { assert!(100 <= MAX_HEADER_LINES) };
        Self {
            max_target_bytes: 8 << 10,
            max_header_bytes: 32 << 10,
            max_header_lines: 100,
            max_dropped_body_bytes: 64 << 10,
        }
    }
}
